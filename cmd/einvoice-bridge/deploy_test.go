package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/cmd/einvoice-bridge/setup"
	"einvoice-bridge/fixtures/deploy"
)

// exampleEnvironment is that of whoever tries an example.
func exampleEnvironment(name string) (string, bool) {
	switch name {
	case "CONSOLE_PASSWORD_HASH":
		return "argon2id:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3U", true
	case "ALARM_WEBHOOK":
		return "https://alarms.example.com/hook", true
	case setup.SealVariable:
		return config.NewSeal(), true
	}
	return "a-secret", true
}

// What an example has as a comment works too, once it is no comment any more.
func TestExamplesCommentsAreAccepted(t *testing.T) {
	commented := regexp.MustCompile(`(?m)^( +)# ([a-z_]+: [^#\n]*)`)
	for kind := range app.Kinds {
		text, err := fs.ReadFile(deploy.Files, "examples/"+kind+".yaml")
		if err != nil {
			t.Fatal(err)
		}
		_, upstreams, _ := strings.Cut(string(text), "\nupstreams:")
		upstreams, _, _ = strings.Cut(upstreams, "\n# The programs that may call")
		for _, m := range commented.FindAllStringSubmatch(upstreams, -1) {
			if strings.Contains(m[2], "…") {
				continue
			}
			_, path := sandboxed(t, nil)
			one := strings.Replace(string(text), m[0], m[1]+m[2], 1)
			if _, err := config.Parse([]byte(one), filepath.Dir(path), exampleEnvironment, app.FileKinds); err != nil {
				t.Errorf("%s, with %q: %v", kind, m[2], err)
			}
		}
	}
}

// Files for other programs are at least what they claim to be.
func TestDeployFilesParse(t *testing.T) {
	err := fs.WalkDir(deploy.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(deploy.Files, path)
		if err != nil {
			return err
		}
		switch filepath.Ext(path) {
		case ".json":
			err = json.Unmarshal(text, new(any))
		case ".yaml":
			dec := yaml.NewDecoder(strings.NewReader(string(text)))
			for err == nil {
				err = dec.Decode(new(any))
			}
			if err == io.EOF {
				err = nil
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// systemd itself reads the unit, where there is one, and finds it well guarded.
func TestSystemdUnit(t *testing.T) {
	analyze := tool(t, "systemd-analyze", "systemd")
	text, err := fs.ReadFile(deploy.Files, "systemd/einvoice-bridge.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "einvoice-bridge.service")
	here := strings.NewReplacer("/usr/bin/einvoice-bridge", "/bin/true", "User=einvoice-bridge", "User=root").Replace(string(text))
	if err := os.WriteFile(unit, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", "--man=no", unit}, {"security", "--offline=true", "--threshold=20", unit}} {
		if out, err := exec.Command(analyze, args...).CombinedOutput(); err != nil || args[0] == "verify" && strings.Contains(string(out), unit) {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
	}
}

// HAProxy takes the Compose file's configuration, also while an instance is down and its name is unknown.
func TestComposeProxy(t *testing.T) {
	haproxy := tool(t, "haproxy", "haproxy")
	cfg := filepath.Join("..", "..", "fixtures", "deploy", "compose", "haproxy.cfg")
	if out, err := exec.Command(haproxy, "-c", "-f", cfg).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The manual page names every command.
func TestManualPage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "fixtures", "deploy", "debian", "einvoice-bridge.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range root().Commands() {
		if !strings.Contains(string(text), "\n.TP\n.B "+cmd.Name()+"\n") {
			t.Errorf("the manual page has no command %s", cmd.Name())
		}
	}
}
