package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// The settings that the console shows are complete, and hold no secret however it was written.
func TestEffectiveSettingsHideSecrets(t *testing.T) {
	_, path := sandboxed(t, func(text string) string {
		text = strings.Replace(text, "  nic:\n", "  nic:\n    headers: {X-Api-Key: header-secret}\n", 1)
		return "alarms: {webhook: \"https://hooks.example/services/webhook-secret\"}\n" + text
	})
	f, err := config.Load(path, fileKinds)
	if err != nil {
		t.Fatal(err)
	}
	f.Journal = "postgres://bridge:dsn-secret@db/einvoice"
	var b strings.Builder
	for _, s := range effective(f) {
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

// The console's one operator is let in by name and password, and guessing is slowed down.
func TestSignIn(t *testing.T) {
	in, err := signIn(config.Console{Username: "admin", Password: bridge.Secret(access.HashPassword("correct horse"))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, here := context.Background(), netip.MustParseAddr("192.0.2.1")
	if ok, _ := in(ctx, "admin", "correct horse", here); !ok {
		t.Error("is not let in")
	}
	for _, c := range [][2]string{{"admin", "wrong"}, {"root", "correct horse"}, {"admin", ""}} {
		if ok, _ := in(ctx, c[0], c[1], here); ok {
			t.Errorf("%v is let in", c)
		}
	}
	slowed := false
	for range 30 {
		if _, wait := in(ctx, "admin", "guess", here); wait > 0 {
			slowed = true
			break
		}
	}
	if !slowed {
		t.Error("thirty guesses are not slowed down")
	}
	if in, err := signIn(config.Console{}); in != nil || err != nil {
		t.Error("a log-in that is not configured")
	}
}

// With a log-in configured, nothing but metrics and health is there for those who have not signed in.
func TestConsoleAsksForLogIn(t *testing.T) {
	_, path := sandboxed(t, func(text string) string {
		return fmt.Sprintf("console: {listen: \"127.0.0.1:0\", username: asha, password: %q}\n", access.HashPassword("hunter2")) +
			strings.Replace(text, `console: {listen: "127.0.0.1:0"}`, "", 1)
	})
	f, err := config.Load(path, fileKinds)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(t.Context(), f, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer a.release()
	ask := func(method, path, body string, cookie *http.Cookie) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if cookie != nil {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		a.console.Handler.ServeHTTP(w, r)
		return w
	}
	for path, want := range map[string]int{"/": 303, "/callers": 303, "/cancellations.csv": 303, "/settings": 303, "/metrics": 200, "/readyz": 200} {
		if got := ask("GET", path, "", nil).Code; got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if got := ask("POST", "/login", "username=asha&password=wrong", nil); got.Code != 403 || len(got.Result().Cookies()) > 0 {
		t.Errorf("a wrong password: %d", got.Code)
	}
	in := ask("POST", "/login", "username=asha&password=hunter2", nil)
	if cookies := in.Result().Cookies(); in.Code != 303 || len(cookies) != 1 {
		t.Fatalf("signing in: %d", in.Code)
	}
	if got := ask("GET", "/", "", in.Result().Cookies()[0]); got.Code != 200 || !strings.Contains(got.Body.String(), "Sign out asha") {
		t.Errorf("signed in: %d", got.Code)
	}
}

// Each upstream's health finds the hosts that it calls and the sessions of its own credentials, whichever the adapter hangs them on.
func TestUpstreamHealth(t *testing.T) {
	sims, path := sandboxed(t, nil)
	f, err := config.Load(path, fileKinds)
	if err != nil {
		t.Fatal(err)
	}
	a := serving(t, f)
	for _, s := range sims {
		if _, err := post(a.server.PublicURL()+"/einvoice", demo.Envelope(s.Taxpayer, s.Success)); err != nil {
			t.Fatal(err)
		}
	}
	h := &health{a.plan.Load(), a.journal}
	for _, u := range h.all(t.Context()) {
		sessions := map[string]int{"nic": 1, "myinvois": 1, "invx": 1, "mastersindia": 1}[u.Kind]
		if u.Hosts != 1 || u.Sessions != sessions || u.Logins != uint64(sessions) || u.Open != 0 || u.Taxpayers != 1 || len(u.Gates) != 0 {
			t.Errorf("%+v", u)
		}
		if u.Rate.Limit > 0 && u.Left != u.Rate.Limit-1 {
			t.Errorf("%s: %d of %d left after one send", u.Name, u.Left, u.Rate.Limit)
		}
	}
	for _, s := range sims {
		if s.Name != "myinvois" {
			continue
		}
		if err := s.Log.Arm(sandbox.Fault{Name: "http503_html"}); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			_, _ = h.ups[s.Taxpayer].Lookup(t.Context(), bridge.Cancellation{Taxpayer: s.Taxpayer, Document: documentID(s.Name, 0)})
		}
	}
	for _, u := range h.all(t.Context()) {
		if down := u.Name == "myinvois"; down && (u.Open != 1 || u.Trips != 1) || !down && u.Open+u.Trips != 0 {
			t.Errorf("with MyInvois down: %+v", u)
		}
	}
}
