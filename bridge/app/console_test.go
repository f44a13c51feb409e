package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

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
	a := wired(t, path, slog.New(slog.DiscardHandler))
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
	a := serving(t, path)
	for _, s := range sims {
		if _, err := post(a.PublicURL()+"/einvoice", demo.Envelope(s.Taxpayer, s.Success)); err != nil {
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
			_, _ = h.ups[s.Taxpayer].Lookup(t.Context(), bridge.Cancellation{Taxpayer: s.Taxpayer, Document: demo.DocumentID(s.Name, 0)})
		}
	}
	for _, u := range h.all(t.Context()) {
		if down := u.Name == "myinvois"; down && (u.Open != 1 || u.Trips != 1) || !down && u.Open+u.Trips != 0 {
			t.Errorf("with MyInvois down: %+v", u)
		}
	}
}
