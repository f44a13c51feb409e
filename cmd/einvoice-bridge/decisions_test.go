package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each decision is short and whole: when, what, why, and what would change it.
func TestDecisionsAreWhole(t *testing.T) {
	root, n := filepath.Join("..", ".."), 0
	date := regexp.MustCompile(`^20\d\d-[01]\d-[0-3]\d\n`)
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "decisions.md" {
			return err
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return err
		}
		for _, decision := range strings.Split(string(text), "\n## ")[1:] {
			n++
			title, body, _ := strings.Cut(decision, "\n\n")
			if !date.MatchString(body) || !strings.Contains(body, "\n\nBecause ") || !strings.Contains(body, "\n\nWould change it: ") {
				t.Errorf("%s: %q lacks its date, its reason or what would change it", path, title)
			}
			if lines := strings.Count(body, "\n"); lines > 15 {
				t.Errorf("%s: %q has %d lines", path, title, lines)
			}
		}
		return nil
	})
	if err != nil || n < 15 {
		t.Errorf("%d decisions: %v", n, err)
	}
}
