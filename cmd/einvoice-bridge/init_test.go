package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/cmd/einvoice-bridge/setup"
	"einvoice-bridge/fixtures/deploy"
)

// talk answers init's questions in order.
func talk(t *testing.T, path string, answers ...string) (string, error) {
	t.Helper()
	cmd := root()
	var out bytes.Buffer
	cmd.SetArgs([]string{"init", "-c", path})
	cmd.SetIn(strings.NewReader(strings.Join(answers, "\n") + "\n"))
	cmd.SetOut(&out)
	err := cmd.Execute()
	return out.String(), err
}

// The defaults and a name make a configuration that check accepts, for every API, with a token that works in it.
func TestInit(t *testing.T) {
	for _, o := range setup.Offers {
		t.Run(o.Kind, func(t *testing.T) {
			_, demo := sandboxed(t, nil) // leaves a nic.pem
			path := filepath.Join(filepath.Dir(demo), "new.yaml")
			answers := []string{o.Kind, "production", "https://api.example.com"}
			if o.Kind == "invx" {
				answers = append(answers, "")
			}
			for range o.Own {
				answers = append(answers, `it's"me"$5#really`)
			}
			answers = append(answers, "29abcde1234f1zw", "sap pi", "", "", "")
			out, err := talk(t, path, answers...)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := config.Parse(text, filepath.Dir(path), exampleEnvironment, app.FileKinds)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			u := f.Upstreams[o.Kind]
			if upstream.Common(u.Settings).BaseURL != "https://api.example.com" || u.Environment != "production" || f.Taxpayers["29ABCDE1234F1ZW"].Upstream != o.Kind {
				t.Errorf("upstream %+v, taxpayers %v", u, f.Taxpayers)
			}
			if len(o.Own) > 0 && o.Own[0].Ask == "Client id" {
				if id := reflect.ValueOf(u.Settings).Elem().FieldByName("ClientID").String(); id != `it's"me"$5#really` {
					t.Errorf("client id %q", id)
				}
			}
			token := regexp.MustCompile(`(?m)^  ([0-9a-f]{40})$`).FindStringSubmatch(out)
			if got := f.Callers["sap pi"]; token == nil || !slices.Equal(got.Tokens, []bridge.Secret{bridge.Secret("sha256:" + access.HashToken(token[1]))}) {
				t.Errorf("token %v, caller %+v", token, got)
			}
			wantEnvironment(t, filepath.Join(filepath.Dir(path), "new.env"), string(text))
		})
	}
}

// wantEnvironment holds the file of secrets to be complete and private.
func wantEnvironment(t *testing.T, path, text string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v", path, info.Mode())
	}
	env, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = config.Parse([]byte(text), filepath.Dir(path), func(name string) (string, bool) {
		if name == setup.SealVariable {
			_, rest, ok := strings.Cut(string(env), "\n"+name+"=")
			seal, _, _ := strings.Cut(rest, "\n")
			return seal, ok
		}
		return "x", strings.Contains(string(env), "\n"+name+"=\n")
	}, app.FileKinds)
	if err != nil {
		t.Errorf("with the variables of the file: %v", err)
	}
}

// A wrong answer is told at once, and asked for again.
func TestInitLooksAtAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.yaml")
	out, err := talk(t, path, "nic", "", "einv1api", "", "client", "27AAPFU0939F1ZV", "user", "27AAPFU0939", "27AAPFU0939F1ZX", "27aapfu0939f1zv", "",
		"8080", "127.0.0.1:8080", "", "bridge.db", "")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"That is no address like https://host.example.", "That is a GSTIN, which is asked for later", "That is no GSTIN, which has 15",
		"the last is V.", "That is not host:port", "No other machine can reach that.", "neither sqlite:FILE nor postgres",
		"check --online -c " + path + " --env-file ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("doesn't say %q:\n%s", want, out)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "\n    username: user") || !strings.Contains(string(text), "\n  27AAPFU0939F1ZV:\n") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err := talk(t, path+"2", "nic", "", "einv1api"); err == nil {
		t.Error("goes on for ever")
	}
}

func TestInitRefuses(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken.yaml")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := talk(t, taken, "1"); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("an existing file: %v", err)
	}
	path := filepath.Join(dir, "new.yaml")
	if out, err := talk(t, path, "telepathy", "myinvois", ""); err == nil || !strings.Contains(out, `There is no "telepathy"`) || !strings.Contains(err.Error(), "answers ended") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("writes half a configuration")
	}
}

// Every placeholder that a question stands for is in its example.
func TestInitKnowsItsExamples(t *testing.T) {
	for _, o := range setup.Offers {
		text, err := fs.ReadFile(deploy.Files, "examples/"+o.Kind+".yaml")
		if err != nil {
			t.Fatal(err)
		}
		wanted := []string{"127.0.0.1:8080", "https://einvoice.example.com", "sqlite:bridge.db", setup.ZeroToken, "\n  erp:\n", "\n    environment: sandbox"}
		for _, q := range o.Own {
			wanted = append(wanted, q.Placeholder)
		}
		for _, w := range wanted {
			if !strings.Contains(string(text), w) {
				t.Errorf("%s lacks %q", o.Kind, w)
			}
		}
		if !setup.ExampleBase.Match(text) {
			t.Errorf("%s has no base_url", o.Kind)
		}
	}
	if len(setup.Offers) != len(app.Kinds) {
		t.Errorf("%d offers for %d kinds", len(setup.Offers), len(app.Kinds))
	}
}
