package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is typed wrong is answered by what to type.
func TestWordsForSlips(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for line, want := range map[string]string{
		"check bridge.yaml":           `einvoice-bridge check takes no argument "bridge.yaml"; -c names the configuration:  einvoice-bridge check -c bridge.yaml`,
		"journal show":                "einvoice-bridge journal show wants WHAT and got 0 arguments; for example:  einvoice-bridge journal show 1e6a",
		"version now":                 `einvoice-bridge version takes no argument "now"`,
		"completion zhs":              `einvoice-bridge completion knows bash, fish, powershell, zsh, not "zhs"`,
		"journal lst":                 `einvoice-bridge journal knows audit, backup, export,`,
		"serve -c none.yaml":          "there is no configuration " + filepath.Join(dir, "none.yaml") + ": -c names another, einvoice-bridge init makes one",
		"check":                       "there is no configuration " + filepath.Join(dir, "bridge.yaml"),
		"journal list":                "there is no configuration " + filepath.Join(dir, "bridge.yaml"),
		"health -c none.yaml":         "there is no configuration " + filepath.Join(dir, "none.yaml"),
		"cancel --taxpayer a --irn b": "no access token",
	} {
		if _, err := runCommand(t, strings.Fields(line)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", line, err, want)
		}
	}
}

// Whatever reads a configuration that is wrong names the file beside the lines.
func TestProblemsNameTheirFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wrong.yaml")
	if err := os.WriteFile(path, []byte("listn: 127.0.0.1:8080\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(tokenVariable, "t")
	for _, line := range []string{"serve", "alarm", "cancel --taxpayer a --irn b"} {
		_, err := runCommand(t, append(strings.Fields(line), "-c", path)...)
		if want := path + " is not in order:\nline 1: unknown key \"listn\"; did you mean listen?"; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// Completion knows the configuration's callers, and what each reason means.
func TestCompletions(t *testing.T) {
	_, path := sandboxed(t, nil)
	for _, args := range [][]string{{"token", "issue", "-c", path}, {"token", "list", "-c", path}, {"journal", "list", "-c", path}} {
		out, err := runCommand(t, slices.Concat([]string{"__complete"}, args, []string{"--caller", ""})...)
		if err != nil || !strings.HasPrefix(out, "erp\n") {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	out, err := runCommand(t, "__complete", "cancel", "--reason", "")
	if err != nil || !strings.Contains(out, "2\tdata entry mistake\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = net.Listen("tcp", l.Addr().String())
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if got := explained(err).Error(); !strings.Contains(got, "ss -ltnp 'sport = :"+port+"'") {
		t.Error(got)
	}
	if explained(os.ErrNotExist) != os.ErrNotExist {
		t.Error("explains what it doesn't know")
	}
}

// Health asks where the configuration says that the console is.
func TestHealthOfAConfiguration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.yaml")
	for text, want := range map[string]string{
		"console: {listen: off}\n": "no console", "console: {listen: ':1'}\n": "127.0.0.1:1/readyz", "console: {listen: '[::1]:1'}\n": "[::1]:1/readyz",
		"callers: {}\n": "127.0.0.1:9090/readyz",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		url, err := readyURL(path)
		if got := url; !strings.HasSuffix(got, want) && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}
