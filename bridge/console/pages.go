package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"time"

	"einvoice-bridge/bridge"
)

//go:embed pages
var pageFiles embed.FS

//go:embed static
var staticFiles embed.FS

// pages is everything that people look at.
type pages struct {
	Options
	zone     Zone
	sessions *sessions
	counter  *counter
	html     map[string]*template.Template
	static   map[string]asset
}

// page is what every page is rendered from: the frame's own data, and the page's.
type page struct {
	Title        string
	Tab          string // path of the navigation's current entry
	User         string // signed in; empty without log-in
	May          bool   // change things
	CSRF         string
	Style        string // addresses of the assets, versioned
	Script       string
	Icon         string
	Version      string
	Environments []string // of the upstreams
	Zone         string
	Now          time.Time
	Live         bool // refreshed by script where there is one
	Search       string
	Notice       string
	Body         any
}

func newPages(o Options) http.Handler {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	p := &pages{Options: o, zone: Zone{o.Zone}, html: parsePages(Zone{o.Zone}), static: assets(), sessions: newSessions(o.SignIn != nil || o.SignedIn != nil)}
	p.counter = &counter{records: o.Records, by: map[string]counted{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/{file}", p.asset)
	mux.HandleFunc("GET /login", p.loginForm)
	mux.HandleFunc("POST /login", p.login)
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /{$}":                p.overview,
		"GET /find":               p.find,
		"GET /cancellations":      p.list,
		"GET /cancellations.csv":  p.download,
		"GET /cancellations.xlsx": p.download,
		"GET /show":               p.show,
		"POST /resolve":           p.resolve,
		"GET /many":               p.many,
		"POST /resolve-many":      p.resolveMany,
		"POST /withdraw":          p.withdraw,
		"POST /lookup":            p.lookUp,
		"GET /calls":              p.calls,
		"GET /rejected":           p.rejected,
		"GET /callers":            p.callers,
		"POST /issue":             p.issue,
		"POST /revoke":            p.revoke,
		"GET /settings":           p.settings,
		"GET /rehearsal":          p.rehearsal,
		"GET /audit":              p.audit,
		"GET /words":              p.glossary,
		"POST /reload":            p.reload,
		"POST /test-alarm":        p.testAlarm,
		"POST /logout":            p.logout,
	} {
		mux.Handle(pattern, p.guarded(h))
	}
	return p.secured(mux)
}

// policy lets pages load their own style and script, talk to their own server, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// secured sets what every answer carries, and refuses what another site's page sends.
func (p *pages) secured(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		next.ServeHTTP(w, r)
	}))
}

// mistake is an error that the person at the browser can act upon, with its status.
type mistake struct {
	status int
	text   string
}

func (m mistake) Error() string { return m.text }

// guarded lets signed-in people through, with a form token where something is changed, and turns errors into pages.
func (p *pages) guarded(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, ok := p.admit(w, r)
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
		defer cancel()
		if err := h(w, r.WithContext(ctx)); err != nil {
			p.fail(w, r, err)
		}
	})
}

func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	var m mistake
	switch {
	case errors.As(err, &m):
	case errors.Is(err, bridge.ErrNoEntry):
		m = mistake{http.StatusNotFound, "Nothing is recorded under this address. Rows are kept as long as the configuration's retain says."}
	default:
		p.Log.Error("console: "+err.Error(), "path", r.URL.Path)
		m = mistake{http.StatusInternalServerError, "The journal could not be asked or written; the log says why. Try again."}
	}
	if err := p.render(w, r, m.status, "error", page{Title: http.StatusText(m.status), Body: m.text}); err != nil {
		http.Error(w, m.text, m.status)
	}
}

// render renders a page whole before its first byte is sent, so that a failure shows as one.
func (p *pages) render(w http.ResponseWriter, r *http.Request, code int, name string, d page) error {
	s := sessionOf(r)
	d.May = s.role == Operator
	d.User, d.CSRF, d.Version, d.Now = s.user, s.csrf, p.Version, time.Now()
	d.Style, d.Script = p.static["style.css"].path, p.static["live.js"].path
	if p.Environments != nil {
		d.Environments = p.Options.Environments()
	}
	d.Icon = p.static["icon.svg"].path
	d.Zone = p.zone.name(d.Now) + d.Now.In(p.zone.Location).Format(" (UTC-07:00)")
	var b bytes.Buffer
	if err := p.html[name].ExecuteTemplate(&b, "frame.html", d); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, err := b.WriteTo(w)
	if err != nil {
		p.Log.Debug("console: " + err.Error()) // the reader has gone
	}
	return nil
}

// parsePages gives each page the frame around it.
func parsePages(z Zone) map[string]*template.Template {
	frame := template.Must(template.New("frame.html").Funcs(words).Funcs(template.FuncMap{"clock": z.Clock}).ParseFS(pageFiles, "pages/frame.html"))
	files, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		panic(err) // a malformed pattern of our own
	}
	all := map[string]*template.Template{}
	for _, f := range files {
		name := f[len("pages/") : len(f)-len(".html")]
		all[name] = template.Must(template.Must(frame.Clone()).ParseFS(pageFiles, f))
	}
	return all
}

// asset is a file beside the pages. Its address changes with its content, so it may be kept for good.
type asset struct {
	path, kind string
	data       []byte
}

func assets() map[string]asset {
	all := map[string]asset{}
	for name, kind := range map[string]string{
		"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		data, err := staticFiles.ReadFile("static/" + name)
		if err != nil {
			panic(err) // embedded
		}
		sum := sha256.Sum256(data)
		all[name] = asset{"/static/" + name + "?" + hex.EncodeToString(sum[:6]), kind, data}
	}
	return all
}

func (p *pages) asset(w http.ResponseWriter, r *http.Request) {
	a, ok := p.static[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(a.data) // the reader has gone
}
