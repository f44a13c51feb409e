package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/soap"
)

// Canceller carries one cancellation to its answer; bridge.Service does.
type Canceller interface {
	Cancel(bridge.Request) bridge.Answer
}

// Paths that calls are posted to. The first is the provider's own, so that callers need only change a host name.
var Paths = []string{"/api.einvoice.php", "/einvoice"}

// Options are what a Server is made of. Contract, Decoder, Access, Canceller and at least one Listener are needed.
type Options struct {
	Listeners []Listener
	// PublicURL is where callers reach the bridge, without the paths; empty stands for the first listener's address.
	PublicURL string
	Contract  *soap.Contract
	Decoder   *soap.Decoder
	Access    *access.Access
	Canceller Canceller
	// Flavour of the WSDL behind a plain ?wsdl; empty stands for the package's default, or for SavedWSDL if there is one.
	Flavour string
	// SavedWSDL is an operator's own description, served with nothing but its address changed.
	SavedWSDL []byte
	// Forward relays unknown operations to the provider; nil answers them with a fault.
	Forward *Forward
	// InFlight bounds the calls that are being answered at a time; 0 stands for 2,000.
	InFlight int
	// TrustedProxies are CIDRs or addresses whose X-Forwarded-For is believed.
	TrustedProxies []string
	// Read, Write and Idle time of connections; 0 stands for 10 s, 15 s and 60 s. Writing starts when the answer is there.
	ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	Log                                    *slog.Logger
	// Refused, if set, is told of every request that did not reach the Canceller, for metrics.
	Refused func(Refusal)
}

// Server answers callers. Its zero value is of no use; see New.
type Server struct {
	// PublicURL is where callers reach the bridge: the configured one or, after Listen, the first listener's address.
	PublicURL string

	opt       Options
	app       *fiber.App
	trusted   []netip.Prefix
	relay     *relay
	inFlight  atomic.Int64
	draining  atomic.Bool
	lastTLS   tlsUses
	documents map[string]map[string]*document // by path, by flavour
	page      *page
	bound     []net.Listener
}

// New checks the options and makes a server that does not listen yet.
func New(o Options) (*Server, error) {
	switch {
	case o.Contract == nil || o.Decoder == nil || o.Access == nil || o.Canceller == nil:
		return nil, errors.New("server needs a contract, a decoder, access and a canceller")
	case len(o.Listeners) == 0:
		return nil, errors.New("server needs at least one address to listen on")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Refused == nil {
		o.Refused = func(Refusal) {}
	}
	o.InFlight = orElse(o.InFlight, 2000)
	o.ReadTimeout = orElse(o.ReadTimeout, 10*time.Second)
	o.WriteTimeout = orElse(o.WriteTimeout, 15*time.Second)
	o.IdleTimeout = orElse(o.IdleTimeout, 60*time.Second)
	s := &Server{PublicURL: strings.TrimRight(o.PublicURL, "/"), opt: o, lastTLS: tlsUses{last: map[string]time.Time{}}}
	var err error
	if s.trusted, err = access.Prefixes(o.TrustedProxies); err != nil {
		return nil, fmt.Errorf("trusted proxies: %w", err)
	}
	if o.Forward != nil {
		if s.relay, err = newRelay(*o.Forward, o.Decoder); err != nil {
			return nil, err
		}
	}
	s.app = s.newApp()
	return s, nil
}

func orElse[T comparable](v, otherwise T) T {
	if v == *new(T) {
		return otherwise
	}
	return v
}

// Listen binds every address and renders the descriptions. Until Serve, callers wait in the queue of the socket.
func (s *Server) Listen() error {
	for _, l := range s.opt.Listeners {
		ln, err := l.bind(s.opt.Log)
		if err != nil {
			s.closeListeners()
			return fmt.Errorf("listen on %s: %w", l.Address, err)
		}
		s.bound = append(s.bound, ln)
	}
	if s.PublicURL == "" {
		s.PublicURL = s.opt.Listeners[0].scheme() + "://" + s.bound[0].Addr().String()
		s.opt.Log.Warn("public_url is not set; the WSDL tells callers the address that the bridge listens on", "address", s.PublicURL)
	}
	err := s.describe()
	if err != nil {
		s.closeListeners()
	}
	return err
}

func (s *Server) closeListeners() {
	for _, ln := range s.bound {
		ln.Close()
	}
}

// Addrs are the bound addresses, in the order of Options.Listeners.
func (s *Server) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, ln := range s.bound {
		addrs = append(addrs, ln.Addr())
	}
	return addrs
}

// Serve answers callers until Shutdown, which makes it return nil, or until a listener breaks.
func (s *Server) Serve() error {
	ended := make(chan error, len(s.bound))
	for _, ln := range s.bound {
		go func() { ended <- s.app.Server().Serve(ln) }()
	}
	for range s.bound {
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			s.closeListeners()
			return fmt.Errorf("serve: %w", err)
		}
	}
	return nil
}

// Drain has each connection closed with its next answer, so that callers and balancers come back elsewhere. Calls are
// still accepted, until Shutdown.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown stops accepting and waits until every call in flight is answered or ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closeListeners() // the engine closes only those that it accepts from already
	if err := s.app.Server().ShutdownWithContext(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("shut down with %d calls in flight: %w", s.inFlight.Load(), err)
	}
	return nil
}

// Calls is how many calls are being answered now.
func (s *Server) Calls() int { return int(s.inFlight.Load()) }
