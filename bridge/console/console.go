package console

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"einvoice-bridge/bridge/rehearsal"
)

// Options is what the console shows and asks.
type Options struct {
	Metrics *Metrics
	// Ready says why the bridge should get no traffic, or nil: journal not writable, shutting down.
	Ready   func(ctx context.Context) error
	Version string
	// Zone is what times are shown and typed in; nil is the machine's own.
	Zone *time.Location
	// Notes are what /readyz says beside being ready, by name: what a load balancer can do nothing about.
	Notes func() map[string]string

	Records Records
	// Environments are those of the configured upstreams, each once: what is done here is real, or it is not.
	Environments func() []string
	Upstreams    func(ctx context.Context) []Upstream
	Callers      func() []Caller
	Settings     func(ctx context.Context) Settings
	// Reload takes up the changed configuration file; by is who wants it. How it went is in Settings.Last.
	Reload func(by string)
	// Rehearsal says what the rehearsal has shown since then.
	Rehearsal func(ctx context.Context, since time.Time) (*rehearsal.Report, error)
	// Expiries are what ends some day, the first to end first.
	Expiries func(ctx context.Context) ([]Expiry, error)
	// TestAlarm sends an alarm that is none, for by, and tells whether it was taken.
	TestAlarm func(by string) error
	// NewToken makes an access token and the hash that it is kept by.
	NewToken func() (token, hash string)
	// SignIn lets operators in; nil lets in everybody who reaches the listener.
	SignIn SignIn
	// SignedIn is single sign-on; nil is none.
	SignedIn SignedIn
	// Log hears who changed what.
	Log *slog.Logger
}

// New returns the console's handler.
func New(o Options) http.Handler {
	o.Metrics.Register(state{o.Records, o.Upstreams})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics.registry, promhttp.HandlerOpts{Registry: o.Metrics.registry}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		status(w, http.StatusOK, map[string]string{"status": "alive", "version": o.Version})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := o.Ready(ctx); err != nil {
			status(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready", "why": err.Error()})
			return
		}
		all := map[string]string{"status": "ready"}
		if o.Notes != nil {
			maps.Copy(all, o.Notes())
		}
		status(w, http.StatusOK, all)
	})
	mux.Handle("/", newPages(o))
	return mux
}

func status(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the reader has gone; nobody is left to tell
}

// NewServer gives the handler a server with every timeout set; the console's requests are short, exports excepted.
func NewServer(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
}
