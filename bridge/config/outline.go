package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Outline is what an operator's command needs of a configuration.
type Outline struct {
	Journal string
	Console string   // its address, or off
	Callers []string // by name
}

// LoadOutline reads nothing else of the file than its Outline: an operator's command runs in a person's shell, which has none
// of the service's secrets.
func LoadOutline(path string) (Outline, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Outline{}, unread(path, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil || len(doc.Content) > 0 && doc.Content[0].Kind != yaml.MappingNode {
		return Outline{}, fmt.Errorf("%s is no configuration that can be read; einvoice-bridge check -c says where", path) // err quotes it
	}
	l := loader{dir: filepath.Dir(path), env: os.LookupEnv, file: defaults()}
	var callers map[string]*yaml.Node
	if len(doc.Content) > 0 {
		if n := child(doc.Content[0], "journal"); n != nil && n.Tag != "!!null" {
			l.expand(n)
			l.file.Journal = n.Value
		}
		if n := child(child(doc.Content[0], "console"), "listen"); n != nil && n.Tag != "!!null" {
			whatever := loader{dir: l.dir, env: os.LookupEnv} // few commands want it: none fails for a variable of it
			whatever.expand(n)
			l.file.Console.Listen = n.Value
		}
		callers = maps.Collect(pairs(child(doc.Content[0], "callers")))
	}
	if len(l.problems) > 0 {
		return Outline{}, fmt.Errorf("%s:%d: journal: %s", path, l.problems[0].Line, l.problems[0].Text)
	}
	journal, err := Placed(l.file.Journal, l.dir)
	if err != nil {
		return Outline{}, fmt.Errorf("%s: %w", path, err)
	}
	return Outline{Journal: journal, Console: l.file.Console.Listen, Callers: slices.Sorted(maps.Keys(callers))}, nil
}

// Placed is a journal whose file counts from dir, in whichever folder a command runs. Until November 2026 it counted from the
// latter: a record that lies there is not passed over for a new, empty one.
func Placed(journal, dir string) (string, error) {
	file, is := strings.CutPrefix(journal, "sqlite:")
	if !is || file == "" || filepath.IsAbs(file) {
		return journal, nil
	}
	whole, err := filepath.Abs(filepath.Join(dir, file))
	if err != nil {
		return "", fmt.Errorf("journal %s: %w", journal, err)
	}
	if _, err := os.Stat(whole); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(file); err == nil {
			here, _ := filepath.Abs(file)
			return "", fmt.Errorf("journal sqlite:%s counts from the configuration's folder: it would be %s, which is not there, "+
				"but %s is; write the whole path of the one that is meant", file, whole, here)
		}
	}
	return "sqlite:" + whole, nil
}
