package console

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

const (
	cookieName  = "einvoice_console"
	sessionLife = 12 * time.Hour
	mostSession = 1000 // signed in at a time; the oldest is signed out for one more
)

// sessions knows who is signed in to this process; a restart signs everybody out. Without log-in every browser gets a
// random cookie all the same: form tokens hang on it.
type sessions struct {
	needed bool // there is a log-in
	key    []byte
	mu     sync.Mutex
	by     map[string]login // by cookie
}

type login struct {
	user  string
	role  Role
	until time.Time
}

// session is the request's own: who asks, and the token that his forms carry.
type session struct {
	cookie, user string
	role         Role
	csrf         string
}

type sessionKey struct{}

func sessionOf(r *http.Request) session {
	s, _ := r.Context().Value(sessionKey{}).(session)
	return s
}

func newSessions(needed bool) *sessions {
	s := &sessions{needed: needed, key: make([]byte, 32), by: map[string]login{}}
	rand.Read(s.key)
	return s
}

// of finds the session of a cookie.
func (s *sessions) of(cookie string) (session, bool) {
	if !s.needed {
		return session{cookie: cookie, role: Operator, csrf: s.token(cookie)}, cookie != ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.by[cookie]
	if !ok || time.Now().After(l.until) {
		delete(s.by, cookie)
		return session{}, false
	}
	return session{cookie, l.user, l.role, s.token(cookie)}, true
}

// token is the form token of a cookie. It can't be guessed by who can't read the pages.
func (s *sessions) token(cookie string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(cookie))
	return hex.EncodeToString(mac.Sum(nil))
}

func (s *sessions) begin(user string, role Role) (cookie string) {
	cookie = rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.by) >= mostSession {
		oldest := ""
		for c, l := range s.by {
			if oldest == "" || l.until.Before(s.by[oldest].until) {
				oldest = c
			}
		}
		delete(s.by, oldest)
	}
	s.by[cookie] = login{user, role, time.Now().Add(sessionLife)}
	return cookie
}

func (s *sessions) end(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, cookie)
}

// admit gives the request its session, or answers it: with the log-in form, or with a refusal of its form token.
func (p *pages) admit(w http.ResponseWriter, r *http.Request) (*http.Request, bool) {
	if !p.sessions.needed && !byAddress(r.Host) {
		http.Error(w, "Without a log-in the console answers to an IP address or localhost only, "+
			"so that no web site can have a name that leads here.", http.StatusMisdirectedRequest)
		return nil, false
	}
	cookie := ""
	if c, err := r.Cookie(cookieName); err == nil {
		cookie = c.Value
	}
	s, ok := p.sessions.of(cookie)
	if name, role, proxied := p.signedIn(r); proxied {
		if role == "" {
			p.Log.Warn("console: signed in by the proxy, and no user here", "user", bridge.OneLine(name, 100))
			p.fail(w, r, mistake{http.StatusForbidden, "You are signed in, but are no user of this console: somebody must give you a role (console: {users: …})."})
			return nil, false
		}
		if cookie == "" {
			cookie = rand.Text()
			p.setCookie(w, r, cookie, 0)
		}
		s, ok = session{cookie, name, role, p.sessions.token(cookie + "\n" + name)}, true
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !ok && p.sessions.needed {
		if !reads {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return nil, false
		}
		http.Redirect(w, r, "/login?to="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return nil, false
	}
	if !ok {
		cookie = rand.Text()
		p.setCookie(w, r, cookie, 0)
		s, _ = p.sessions.of(cookie)
	}
	r = r.WithContext(context.WithValue(r.Context(), sessionKey{}, s))
	if !reads && subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(s.csrf)) != 1 {
		p.fail(w, r, mistake{http.StatusForbidden, "The form is from another session. Go back, reload the page and send it again."})
		return nil, false
	}
	if !reads && s.role != Operator && r.URL.Path != "/logout" {
		p.fail(w, r, mistake{http.StatusForbidden, "You may read these pages, and change nothing: your role is " + string(s.role) + "."})
		return nil, false
	}
	return r, true
}

// signedIn is whom a proxy in front has signed in.
func (p *pages) signedIn(r *http.Request) (name string, role Role, ok bool) {
	if p.SignedIn == nil {
		return "", "", false
	}
	return p.SignedIn(r)
}

// byAddress tells whether a Host header is an address or localhost: names can be pointed at a loopback listener by
// any web site (DNS rebinding).
func byAddress(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost"
}

func (p *pages) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: age,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}

// loginPage is the log-in form.
type loginPage struct{ To, User, Wrong string }

func (p *pages) loginForm(w http.ResponseWriter, r *http.Request) {
	if !p.sessions.needed {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	p.askToLogIn(w, r, http.StatusOK, loginPage{To: ownPath(r.URL.Query().Get("to"))})
}

func (p *pages) askToLogIn(w http.ResponseWriter, r *http.Request, code int, l loginPage) {
	if err := p.render(w, r, code, "login", page{Title: "Sign in", Body: l}); err != nil {
		p.fail(w, r, err)
	}
}

func (p *pages) login(w http.ResponseWriter, r *http.Request) {
	l := loginPage{To: ownPath(r.PostFormValue("to")), User: r.PostFormValue("username")}
	if !p.sessions.needed {
		http.Redirect(w, r, l.To, http.StatusSeeOther)
		return
	}
	if p.SignIn == nil {
		l.Wrong = "Nobody signs in here by password: come by the proxy in front."
		p.askToLogIn(w, r, http.StatusForbidden, l)
		return
	}
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	role, wait := p.SignIn(r.Context(), l.User, r.PostFormValue("password"), from.Addr().Unmap())
	switch {
	case wait > 0:
		l.Wrong = "Too many wrong passwords. Try again in " + tookText(wait) + "."
		p.askToLogIn(w, r, http.StatusTooManyRequests, l)
	case role == "":
		p.Log.Warn("console: sign-in refused", "from", from.Addr())
		l.Wrong = "Wrong user name or password."
		p.askToLogIn(w, r, http.StatusForbidden, l)
	default:
		p.Log.Info("console: signed in", "user", l.User, "from", from.Addr())
		p.setCookie(w, r, p.sessions.begin(l.User, role), int(sessionLife.Seconds()))
		http.Redirect(w, r, l.To, http.StatusSeeOther)
	}
}

// ownPath keeps the way after signing in on this server.
func ownPath(to string) string {
	u, err := url.Parse(to) // refuses control characters, which browsers leave out
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) {
		return "/"
	}
	return u.RequestURI()
}

func (p *pages) logout(w http.ResponseWriter, r *http.Request) error {
	p.sessions.end(sessionOf(r).cookie)
	p.setCookie(w, r, "", -1)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

// who is the operator's name for the record.
func (p *pages) who(r *http.Request) string {
	if s := sessionOf(r); s.user != "" {
		return s.user
	}
	return "console"
}
