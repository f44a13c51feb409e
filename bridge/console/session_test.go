package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
)

func TestLogIn(t *testing.T) {
	o := open(t, &memory{stories: []bridge.Story{story(7, document)}}, "hunter2")
	_, html := o.get("/show?of=7")
	o.wants(html, "Sign in", `value="/show?of=7"`)
	if strings.Contains(html, document) {
		t.Error("something shows before signing in")
	}
	for word, says := range map[string]string{"wrong": "Wrong user name or password.", "too often": "Try again in 9 s"} {
		if code, html := o.send("/login", "/login", url.Values{"username": {"admin"}, "password": {word}}); code == http.StatusOK || !strings.Contains(html, says) {
			t.Errorf("%s: %d\n%s", word, code, html)
		}
	}
	_, html = o.send("/login", "/login", url.Values{"username": {"admin"}, "password": {"hunter2"}, "to": {"/show?of=7"}})
	o.wants(html, document, "Sign out admin")
	_, html = o.send("/", "/logout", url.Values{})
	o.wants(html, "Sign in")
	if _, html = o.get("/"); !strings.Contains(html, "Sign in") {
		t.Error("still signed in")
	}
}

func TestCookie(t *testing.T) {
	o := open(t, &memory{}, "hunter2")
	o.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := o.client.PostForm(o.url+"/login", url.Values{"username": {"admin"}, "password": {"hunter2"}})
	o.read(resp, err)
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" {
		t.Errorf("cookie %v", c)
	}
	req, err := http.NewRequest(http.MethodPost, o.url+"/login", strings.NewReader("username=admin&password=hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Forwarded-Proto", "https")
	resp, err = o.client.Do(req)
	o.read(resp, err)
	if c := resp.Cookies()[0]; !c.Secure {
		t.Errorf("behind TLS: cookie %v", c)
	}
}

// Metrics and health need no log-in, and hold nothing of a document.
func TestOpenWithoutLogIn(t *testing.T) {
	o := open(t, &memory{stories: []bridge.Story{story(7, document)}}, "hunter2")
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		code, body := o.get(path)
		if code != http.StatusOK || strings.Contains(body, document) || strings.Contains(body, "29AAFCD5862R000") {
			t.Errorf("%s: %d\n%s", path, code, body)
		}
	}
}

// Nothing is changed by a form of another session or another site, or by one without a token.
func TestForgedForms(t *testing.T) {
	for _, password := range []string{"", "hunter2"} {
		m := &memory{stories: []bridge.Story{doubtful(8, other)}}
		o := open(t, m, password)
		o.send("/login", "/login", url.Values{"username": {"admin"}, "password": {"hunter2"}})
		_, html := o.get("/show?of=8")
		good := csrfField.FindStringSubmatch(html)[1]
		for name, c := range map[string]struct{ token, origin, site string }{
			"no token":       {"", "", ""},
			"foreign token":  {strings.Repeat("a", 64), "", ""},
			"foreign origin": {good, "https://evil.example", ""},
			"foreign site":   {good, "", "cross-site"},
		} {
			form := url.Values{"id": {"8"}, "outcome": {"not_applied"}, "why": {"x"}, "csrf": {c.token}}
			req, err := http.NewRequest(http.MethodPost, o.url+"/resolve", strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if c.origin != "" {
				req.Header.Set("Origin", c.origin)
			}
			if c.site != "" {
				req.Header.Set("Sec-Fetch-Site", c.site)
			}
			resp, err := o.client.Do(req)
			if code, _ := o.read(resp, err); code != http.StatusForbidden || len(m.resolved) > 0 {
				t.Errorf("%s (password %q): %d, recorded %v", name, password, code, m.resolved)
			}
		}
	}
}

// Without log-in no web site's name leads to the console (DNS rebinding); metrics answer to any.
func TestForeignHost(t *testing.T) {
	o := open(t, &memory{}, "")
	ask := func(host, path string) int {
		req, err := http.NewRequest(http.MethodGet, o.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := o.client.Do(req)
		code, _ := o.read(resp, err)
		return code
	}
	for host, want := range map[string]int{"evil.example:9090": 421, "localhost:9090": 200, "127.0.0.1": 200, "[::1]:9090": 200} {
		if got := ask(host, "/"); got != want {
			t.Errorf("%s: %d, want %d", host, got, want)
		}
	}
	if resp, err := o.client.Head(o.url + "/callers"); err != nil || resp.StatusCode != 200 {
		t.Errorf("HEAD: %v, %v", resp, err)
	}
	if got := ask("bridge.monitoring:9090", "/metrics"); got != 200 {
		t.Errorf("metrics: %d", got)
	}
}

func TestOwnPath(t *testing.T) {
	for to, want := range map[string]string{
		"/show?of=1": "/show?of=1", "": "/", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "/a\r\nSet-Cookie: x": "/", "/\t/evil.example": "/", "\t//evil.example": "/", "///evil.example": "/",
		"/show?of=a%2Fb#top": "/show?of=a%2Fb",
	} {
		if got := ownPath(to); got != want {
			t.Errorf("%q: got %q", to, got)
		}
	}
}
