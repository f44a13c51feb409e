package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Beside is a file that belongs to a configuration: of its name, with another ending.
func Beside(config, ending string) string {
	return strings.TrimSuffix(config, filepath.Ext(config)) + ending
}

// LoadEnvironment sets the variables of a file, a NAME=value each line, as a systemd unit's EnvironmentFile does; no file is
// no error. Of values that Kubernetes (kubectl create secret --from-env-file) would read differently it says so: that takes
// each as it is, while systemd takes quotes around one off, and a backslash's meaning in.
func LoadEnvironment(path string) (differing []string, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the file of environment variables: %w", err)
	}
	for i, line := range strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n") {
		raw := strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t")
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return differing, fmt.Errorf("%s: line %d is no NAME=value", path, i+1) // what it is may be a secret
		}
		if _, whole, _ := strings.Cut(raw, "="); inQuotes(value) || strings.Contains(value, `\`) || strings.TrimSpace(whole) != whole {
			differing = append(differing, fmt.Sprintf("%s: line %d: %s has quotes or blanks around it, or a backslash, which systemd and Kubernetes "+
				"read differently; write it as it is or, if it must have them, into a file of its own (file:NAME)", path, i+1, brief(name)))
		}
		if inQuotes(value) {
			value = value[1 : len(value)-1]
		}
		if err := os.Setenv(name, value); err != nil {
			return differing, fmt.Errorf("%s: line %d: %w", path, i+1, err)
		}
	}
	return differing, nil
}

// inQuotes tells whether a value stands in quotes, which are hardly part of it.
func inQuotes(v string) bool {
	n := len(v)
	return n > 1 && (v[0] == '"' || v[0] == '\'') && v[n-1] == v[0]
}
