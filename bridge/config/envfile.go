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

// LoadEnvironment sets the variables of a file, a NAME=value each line, quotes around the value not counting. It is to
// a Windows service what EnvironmentFile is to a systemd unit; no file is no error.
func LoadEnvironment(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the file of environment variables: %w", err)
	}
	for i, line := range strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf("%s: line %d is no NAME=value", path, i+1) // what it is may be a secret
		}
		if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("%s: line %d: %w", path, i+1, err)
		}
	}
	return nil
}
