package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// issuedSecret finds what an authority hands out at its login and what is sent to it: session tokens and keys.
var issuedSecret = regexp.MustCompile(`(?i)"(?:auth_?token|access_token|token|sek|app_?key|session_?key)"\s*:\s*"([^"]{12,})"`)

// No secret of a caller, of the configuration or of an authority's session is in anything that the bridge leaves
// behind or shows: journal, log, metrics, every page, every export.
func TestNoSecretShows(t *testing.T) {
	sims, path, url, ready := served(t)
	logIn(t, path)
	p := spawn(t, "serve", "-c", path)
	p.await(ready)
	secrets := append(demoSecrets(t, path), callEverySort(t, sims, url, path)...)
	secrets = append(secrets, sessionSecrets(t, sims)...)
	shown := crawl(t, strings.TrimSuffix(ready, "/readyz"))
	for _, args := range [][]string{
		{"journal", "list"}, {"journal", "export"}, {"journal", "export", "--format", "jsonl"}, {"token", "list", "--json"},
		{"journal", "show", sims[0].Success, "--json"}, {"journal", "show", sims[1].Success, "--exchanges"}, {"check"},
	} {
		out, err := runCommand(t, append(args, "-c", path)...)
		if err != nil {
			t.Fatal(args, err)
		}
		shown[strings.Join(args, " ")] = out
	}
	p.terminate()
	shown["log"] = p.err.String()
	for _, file := range []string{"bridge.db", "bridge.db-wal"} {
		if data, err := os.ReadFile(filepath.Join(filepath.Dir(path), file)); err == nil {
			shown[file] = string(data)
		}
	}
	for _, where := range []string{"bridge.db", "log", "journal export", "/cancellations"} {
		if document := sims[0].Success; !strings.Contains(shown[where], document) {
			t.Errorf("%s does not even show the document: was it read?", where)
		}
	}
	for where, text := range shown {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows the secret %q", where, secret)
			}
		}
	}
}

const tokenEnvelope = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><u:access_new_token xmlns:u="urn:server"><username>erp</username>` +
	`<password>%s</password><client_id>erp-client</client_id><client_secret>erp-client-secret</client_secret><grant_type>password</grant_type></u:access_new_token></e:Body></e:Envelope>`

// callEverySort cancels, fails to cancel, logs in, fails to log in, and tells the secrets that it used and got.
func callEverySort(t *testing.T, sims []demo.Simulator, url, path string) []string {
	t.Helper()
	call := func(envelope string) string {
		body, err := post(url, envelope)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for _, s := range sims {
		for _, irn := range []string{s.Success, s.Refusal, s.Success, "no such document"} {
			call(demo.Envelope(s.Taxpayer, irn))
		}
	}
	const wrong = "wrong-password-of-a-caller"
	issued := regexp.MustCompile(`[0-9a-f]{40}`).FindString(call(fmt.Sprintf(tokenEnvelope, "erp-password")))
	if issued == "" {
		t.Fatal("access_new_token issues nothing")
	}
	call(fmt.Sprintf(tokenEnvelope, wrong))
	call(strings.Replace(demo.Envelope(sims[0].Taxpayer, sims[0].Success), demo.Token, "guessed-"+issued, 1))
	out, err := runSplit(t, "token", "issue", "--caller", "erp", "-c", path)
	if err != nil {
		t.Fatal(err)
	}
	return []string{issued, strings.TrimSpace(out), wrong, "erp-password", "erp-client-secret"}
}

// logIn gives the demo's caller a login, and the log every detail.
func logIn(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	more := fmt.Sprintf("    login: {username: erp, password: %q, client_id: erp-client, client_secret: %q}\n",
		access.HashPassword("erp-password"), access.HashPassword("erp-client-secret"))
	full := strings.Replace(string(text)+more, "level: warn", "level: debug", 1)
	if err := os.WriteFile(path, []byte(full), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sessionSecrets are those that went over the wires to and from the simulators.
func sessionSecrets(t *testing.T, sims []demo.Simulator) (all []string) {
	t.Helper()
	for _, s := range sims {
		for _, c := range s.Log.Calls() {
			for _, text := range []string{string(c.Request), string(c.Reply)} {
				for _, m := range issuedSecret.FindAllStringSubmatch(text, -1) {
					all = append(all, m[1])
				}
			}
		}
	}
	if len(all) < 4 {
		t.Fatalf("only %d session secrets went over the wires", len(all))
	}
	return all
}

var link = regexp.MustCompile(`href="(/[^"]*)"`)

// crawl reads every page that links lead to.
func crawl(t *testing.T, console string) map[string]string {
	t.Helper()
	pages := map[string]string{}
	queue := []string{"/", "/metrics", "/healthz", "/readyz", "/show?of=no%20such%20document"}
	for len(queue) > 0 && len(pages) < 300 {
		path := strings.ReplaceAll(queue[0], "&amp;", "&")
		queue = queue[1:]
		if _, seen := pages[path]; seen {
			continue
		}
		resp, err := http.Get(console + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		pages[path] = string(body)
		for _, m := range link.FindAllStringSubmatch(string(body), -1) {
			queue = append(queue, m[1])
		}
	}
	stories := 0
	for path := range pages {
		if strings.HasPrefix(path, "/show") {
			stories++
		}
	}
	if stories < 10 || pages["/cancellations.csv?"] == "" {
		t.Errorf("the links lead to %d stories and %d bytes of CSV only", stories, len(pages["/cancellations.csv?"]))
	}
	return pages
}

// The settings that the console shows are complete, and hold no secret however it was written.
func TestEffectiveSettingsHideSecrets(t *testing.T) {
	_, path := sandboxed(t, func(text string) string {
		text = strings.Replace(text, "  nic:\n", "  nic:\n    headers: {X-Api-Key: header-secret}\n", 1)
		return "alarms: {webhook: \"https://hooks.example/services/webhook-secret\"}\n" + text
	})
	f, err := config.Load(path, app.FileKinds)
	if err != nil {
		t.Fatal(err)
	}
	f.Journal = "postgres://bridge:dsn-secret@db/einvoice"
	var b strings.Builder
	for _, s := range f.Effective() {
		fmt.Fprintf(&b, "%s = %s\n", s.Path, s.Value)
		if s.About == "" {
			t.Errorf("%s does not say what it is", s.Path)
		}
	}
	for _, want := range []string{
		"reply_within = 50s\n", "journal = postgres://bridge:xxxxx@db/einvoice\n", "upstreams.nic.client_secret = (hidden)\n",
		"upstreams.nic.headers = (1 hidden)\n", "upstreams.nic.timeout = 30s\n", "alarms.webhook = (hidden)\n", "callers.erp.taxpayers = all\n",
		"callers.erp.tokens = (1 hidden)\n", "retain = 400d\n", "listen.0.address = ", "taxpayers.09AAAPG7885R002.upstream = nic\n", "taxpayers.09AAAPG7885R002.password = (hidden)\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q", want)
		}
	}
	if inherited := "taxpayers.09AAAPG7885R002.client_secret"; strings.Contains(b.String(), inherited) {
		t.Errorf("shows what is its upstream's: %s", inherited)
	}
	for _, secret := range append(demoSecrets(t, path), "header-secret", "webhook-secret", "dsn-secret", access.HashToken(demo.Token)) {
		if strings.Contains(b.String(), secret) {
			t.Errorf("%q shows", secret)
		}
	}
	if t.Failed() {
		t.Log(b.String())
	}
}

// demoSecrets are all secrets of a configuration file, by their keys.
func demoSecrets(t *testing.T, path string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "client_secret", "password", "token", "seal":
			all = append(all, strings.Trim(value, `"`))
		}
	}
	if len(all) < 8 {
		t.Fatalf("only %d secrets in the demo's configuration", len(all))
	}
	return append(all, demo.Token)
}
