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
	"einvoice-bridge/bridge/console"
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
	if role, _ := in(ctx, "admin", "correct horse", here); role != console.Operator {
		t.Error("is not let in")
	}
	for _, c := range [][2]string{{"admin", "wrong"}, {"root", "correct horse"}, {"admin", ""}} {
		if role, _ := in(ctx, c[0], c[1], here); role != "" {
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

// Several people come in by passwords of their own, each in his role; one who has none comes by the proxy alone.
func TestSignInOfSeveral(t *testing.T) {
	in, err := signIn(config.Console{Users: map[string]config.User{
		"asha": {Password: bridge.Secret(access.HashPassword("one")), Role: "operator"}, "ravi": {Password: bridge.Secret(access.HashPassword("two")), Role: "reader"},
		"lakshmi": {Role: "operator"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for who, want := range map[[2]string]console.Role{
		{"asha", "one"}: console.Operator, {"ravi", "two"}: console.Reader, {"ravi", "one"}: "", {"asha", "two"}: "", {"lakshmi", ""}: "",
	} {
		if got, _ := in(context.Background(), who[0], who[1], netip.MustParseAddr("192.0.2.1")); got != want {
			t.Errorf("%v comes in as %q, want %q", who, got, want)
		}
	}
}

// Single sign-on counts from a trusted proxy only, for one name that is a user here; a reader changes nothing, and the list of
// what was done has the names.
func TestSingleSignOn(t *testing.T) {
	_, path := sandboxed(t, func(text string) string {
		return "trusted_proxies: [10.0.0.1]\nconsole: {listen: \"127.0.0.1:0\", sign_in_header: X-Forwarded-User, users: {asha: {role: operator}, ravi: {role: reader}}}\n" +
			strings.Replace(text, `console: {listen: "127.0.0.1:0"}`, "", 1)
	})
	a := wired(t, path, slog.New(slog.DiscardHandler))
	defer a.release()
	cookie := ""
	ask := func(method, path, from, body string, names ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.RemoteAddr = from
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["X-Forwarded-User"] = names
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		w := httptest.NewRecorder()
		a.console.Handler.ServeHTTP(w, r)
		if c := w.Result().Cookies(); len(c) > 0 {
			cookie = c[0].Name + "=" + c[0].Value
		}
		return w
	}
	for name, tc := range map[string]struct {
		from  string
		names []string
		want  int
	}{
		"through the proxy": {"10.0.0.1:5000", []string{"asha"}, 200}, "past it": {"192.0.2.1:5000", []string{"asha"}, 303}, "by nobody": {"10.0.0.1:5000", nil, 303},
		"two names": {"10.0.0.1:5000", []string{"ravi", "asha"}, 303}, "a stranger": {"10.0.0.1:5000", []string{"mallory"}, 403}, "as IPv6 writes it": {"[::ffff:10.0.0.1]:5000", []string{"asha"}, 200},
	} {
		if got := ask("GET", "/callers", tc.from, "", tc.names...).Code; got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
	token := func(who string) string {
		_, after, _ := strings.Cut(ask("GET", "/callers", "10.0.0.1:5000", "", who).Body.String(), `name="csrf" value="`)
		csrf, _, _ := strings.Cut(after, `"`)
		return csrf
	}
	form := "caller=erp&label=SAP&csrf="
	if got := ask("POST", "/issue", "10.0.0.1:5000", form+token("ravi"), "ravi"); got.Code != 403 || !strings.Contains(got.Body.String(), "your role is reader") {
		t.Errorf("a reader issues a token: %d", got.Code)
	}
	if got := ask("POST", "/issue", "10.0.0.1:5000", form+token("ravi"), "asha").Code; got != 403 {
		t.Errorf("an operator with a reader's form: %d", got)
	}
	if got := ask("POST", "/issue", "10.0.0.1:5000", form+token("asha"), "asha").Code; got != 200 {
		t.Errorf("an operator issues a token: %d", got)
	}
	a.Reload("asha")
	for _, wanted := range []string{"issued a token", "of erp, SAP", "reloaded", "asha"} {
		if page := ask("GET", "/audit", "10.0.0.1:5000", "", "ravi").Body.String(); !strings.Contains(page, wanted) {
			t.Errorf("the list of what was done lacks %q\n%s", wanted, page)
		}
	}
	if page := ask("GET", "/callers", "10.0.0.1:5000", "", "ravi").Body.String(); strings.Contains(page, `action="/issue"`) || strings.Contains(page, `action="/revoke"`) {
		t.Error("a reader is shown what he may not do")
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
