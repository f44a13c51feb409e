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
	if differing, err := LoadEnvironment(path); err != nil || len(differing) != 1 || !strings.Contains(differing[0], "line 4: TRY_B") {
		t.Fatal(differing, err)
	}
	for name, v := range want {
		if got := os.Getenv(name); got != v {
			t.Errorf("%s is %q, want %q", name, got, v)
		}
	}
	if _, err := LoadEnvironment(path + ".none"); err != nil {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("TRY_A=1\nhunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadEnvironment(path); err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want the line's number and nothing of it", err)
	}
}

// asKubectl reads an env file as kubectl create secret --from-env-file does (k8s.io/kubectl/pkg/cmd/util/env_file.go): blanks
// before a line off, comments out, the rest cut at the first =, and taken as it is.
func asKubectl(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line = strings.TrimLeft(strings.TrimRight(line, "\r\n"), " \t")
		if name, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			all[name] = value
		}
	}
	return all
}

// A value of which nothing is said is the same to Kubernetes.
func TestKubernetesReadsTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.env")
	for line, same := range map[string]bool{
		"TRY_A=p$w#d &;=x": true, "TRY_A=" + NewSeal(): true, "TRY_A=it's": true, " TRY_A=x": true, "TRY_A=": true, "TRY_A=x\r": true,
		"TRY_A='x'": false, `TRY_A="x"`: false, `TRY_A=a\b`: false, "TRY_A= x": false, "TRY_A=x ": false,
	} {
		t.Setenv("TRY_A", "before")
		if err := os.WriteFile(path, []byte("# secrets\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		differing, err := LoadEnvironment(path)
		if err != nil || (len(differing) == 0) != same || same && os.Getenv("TRY_A") != asKubectl("# secrets\n" + line + "\n")["TRY_A"] {
			t.Errorf("%q: %q, %v, %v", line, os.Getenv("TRY_A"), differing, err)
		}
	}
}

// Quotes that have reached a secret are told of, and the secret isn't.
func TestQuotedVariable(t *testing.T) {
	f, err := Parse([]byte(good), withKey(t), func(name string) (string, bool) { return "'hunter2'", true }, kinds)
	if err != nil {
		t.Fatal(err)
	}
	if q := f.Quoted(); len(q) != 2 || q[0].Line != 12 || !strings.Contains(q[0].Text, "NIC_SECRET") || strings.Contains(q.Error(), "hunter2") {
		t.Errorf("%v", q)
	}
}
