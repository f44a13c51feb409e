package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.env")
	text := "\ufeff# secrets\r\nTRY_A=plain\r\n\nTRY_B=\"in = quotes\"\nTRY_C='\nTRY_D=\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"TRY_A": "plain", "TRY_B": "in = quotes", "TRY_C": "'", "TRY_D": ""}
	for name := range want {
		t.Setenv(name, "before")
	}
	if err := LoadEnvironment(path); err != nil {
		t.Fatal(err)
	}
	for name, v := range want {
		if got := os.Getenv(name); got != v {
			t.Errorf("%s is %q, want %q", name, got, v)
		}
	}
	if err := LoadEnvironment(path + ".none"); err != nil {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("TRY_A=1\nhunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := LoadEnvironment(path); err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want the line's number and nothing of it", err)
	}
}
