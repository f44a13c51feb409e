package observe

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A log file is set aside when it is full; the oldest goes. What a run before has written counts.
func TestLogFileBoundsItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.log")
	for run := range 3 {
		l, err := OpenLogFile(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.limit = 20
		for n := range 10 {
			if _, err := fmt.Fprintf(l, "line %02d\n", run*10+n); err != nil { // 8 bytes: two a file
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		path: "line 28\nline 29\n", path + ".1": "line 26\nline 27\n", path + ".9": "line 10\nline 11\n",
	} {
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", filepath.Base(file), got, err, want)
		}
	}
	if _, err := os.Stat(path + ".10"); err == nil {
		t.Error("a tenth old file is kept")
	}
}

// A file that can't be set aside goes on: no line is lost.
func TestLogFileThatCannotMove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.log")
	for i := 1; i <= logFileKeep; i++ {
		if err := os.MkdirAll(filepath.Join(fmt.Sprintf("%s.%d", path, i), "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l, err := OpenLogFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.limit = 20
	want := ""
	for n := range 6 {
		want += fmt.Sprintf("line %02d\n", n)
		if _, err := fmt.Fprintf(l, "line %02d\n", n); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}
