package place_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"einvoice-bridge/bridge/journal/place"
)

// A file is one process's, by whatever name it is reached, until it is given up.
func TestOwn(t *testing.T) {
	path, link := filepath.Join(t.TempDir(), "a.db"), filepath.Join(t.TempDir(), "link.db")
	if there, err := place.Try(path); there || err != nil {
		t.Errorf("before it is there: %v, %v", there, err)
	}
	p, err := place.Own(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		if runtime.GOOS != "windows" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: Windows lets nobody make a link who has no right to, so no second name is tried: ", err)
	}
	for _, name := range []string{path, link} {
		if _, err := place.Own(name); !errors.Is(err, place.ErrServed) {
			t.Errorf("a second owner, by %s: %v", name, err)
		}
		if there, err := place.Try(name); !there || !errors.Is(err, place.ErrServed) {
			t.Errorf("tried by %s: %v, %v", name, there, err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if there, err := place.Try(link); !there || err != nil {
		t.Errorf("given up: %v, %v", there, err)
	}
	if p, err = place.Own(link); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// What has been moved, replaced or deleted is noticed, and what is put back is good again.
func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	p, err := place.Own(path)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	check := func(when string, want error) {
		t.Helper()
		if err := p.Check(); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check("at first", nil)
	must(os.Rename(path, path+".away"))
	check("moved", place.ErrGone)
	must(os.WriteFile(path, nil, 0o600))
	check("replaced", place.ErrGone)
	must(os.Rename(path+".away", path))
	check("put back", nil)
	must(os.WriteFile(path+"-wal", nil, 0o600))
	check("with a log", nil)
	must(os.Remove(path + "-wal"))
	check("without its log", place.ErrGone)
}
