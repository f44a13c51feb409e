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
	"go.opentelemetry.io/otel/trace"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/soap"
)

// Canceller carries cancellations to their answers; flow.Service does.
type Canceller interface {
	// Cancel keeps the request, and may change it.
	Cancel(*bridge.Request) bridge.Answer
	// Recall is the answer that is on record for a call; ok is false when there is none. It takes no new work.
	Recall(*bridge.Request) (a bridge.Answer, ok bool)
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
	// Flavour of the WSDL behind a plain ?wsdl; empty stands for SavedWSDL if there is one, else for rpc-literal at the
	// provider's own path, as the provider has it, and document at the other.
	Flavour string
	// SavedWSDL is an operator's own description, served with nothing but its address changed.
	SavedWSDL []byte
	// Ready says why a balancer should send no calls here, or nil; a nil Ready never does.
	Ready func(context.Context) error
	// Form puts a form on the page for people that cancels for real.
	Form bool
	// Forward relays unknown operations to the provider; nil answers them with a fault.
	Forward *Forward
	// Rehearsal hears of what Forward.Rehearse relays; nil: nobody does.
	Rehearsal Rehearsal
	// Check is what a cancellation would be refused with before anything is sent; "" when it would be carried out. It is
	// asked in a rehearsal alone; nil: nothing is refused.
	Check func(bridge.Request) string
	// InFlight bounds the calls that are being answered at a time. No caller, no upstream and nothing
	// that nobody has logged in for takes all of them, see places.go. Half of that on top is for calls that are turned
	// away: all that is done for them is to ask the record.
	InFlight int
	// Upstreams are the names of those that Upstream may say.
	Upstreams []string
	// Upstream names the upstream that a taxpayer's cancellations go to, if the taxpayer is known; nil: there is but one.
	Upstream func(taxpayer string) (name string, known bool)
	// Recorded tells whether anything is on record of a taxpayer, or the record can't be read: a taxpayer that is not
	// configured any more may have cancellations in doubt, and none of them may be told as refused. Nil: there is nothing.
	Recorded func(ctx context.Context, taxpayer string) bool
	// Crowd bounds connections; like the listeners it is New's for good.
	Crowd Crowd
	// TrustedProxies are CIDRs or addresses whose X-Forwarded-For is believed.
	TrustedProxies []string
	// Read, Write and Idle time of connections; 0 stands for 10 s, 15 s and 60 s. Writing starts when the answer is there.
	ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	Log                                    *slog.Logger
	Tracer                                 trace.Tracer // nil: no traces
	// Refused, if set, is told of every request that did not reach the Canceller, for metrics.
	Refused func(Refusal)
	// Rejected, if set, is told of every call that was refused for what it is, for the record. It must not block.
	Rejected func(bridge.Rejected)
}

// Server answers callers. Its zero value is of no use; see New.
type Server struct {
	opt   Options // that it was made with: its listeners and times don't change
	app   *fiber.App
	desk  atomic.Pointer[Desk] // open now
	bound []net.Listener
	crowd *crowd
	traffic
}

// traffic is what all desks of a server count together.
type traffic struct {
	places   places
	recalls  places // turned away, and the record is being asked
	draining atomic.Bool
	lastTLS  tlsUses
	lenient  leniencies
	health   health
	// lingering are the connections that are listened to after their answer.
	lingering atomic.Int64
}

// Desk is what callers meet under one configuration: all of Options but its listeners, ready to answer. A call ends at
// the desk where it began.
type Desk struct {
	opt       Options
	publicURL string
	trusted   []netip.Prefix
	relay     *relay
	decoders  []*soap.Decoder                 // by listener
	documents map[string]map[string]*document // by path, by flavour
	plain     map[string]string               // flavour of a plain ?wsdl, by path
	page      *page
	*traffic
}

// New checks the options and makes a server that does not listen yet.
func New(o Options) (*Server, error) {
	if len(o.Listeners) == 0 {
		return nil, errors.New("server needs at least one address to listen on")
	}
	o.ReadTimeout = orElse(o.ReadTimeout, 10*time.Second)
	o.WriteTimeout = orElse(o.WriteTimeout, 15*time.Second)
	o.IdleTimeout = orElse(o.IdleTimeout, 60*time.Second)
	s := &Server{opt: o, traffic: traffic{places: newPlaces(), recalls: newPlaces(), lastTLS: tlsUses{last: map[tlsUse]time.Time{}}, lenient: leniencies{told: map[leniency]bool{}}}}
	s.crowd = newCrowd(o.Crowd, s.desk.Load)
	d, err := s.Prepare(o)
	if err != nil {
		return nil, err
	}
	s.Open(d)
	s.app = s.newApp(o)
	return s, nil
}

// Prepare checks options and renders what they describe. Nobody meets the desk before Open, and listeners and times of
// connections stay those of New.
func (s *Server) Prepare(o Options) (*Desk, error) {
	if o.Contract == nil || o.Decoder == nil || o.Access == nil || o.Canceller == nil {
		return nil, errors.New("server needs a contract, a decoder, access and a canceller")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Refused == nil {
		o.Refused = func(Refusal) {}
	}
	if o.Upstream == nil {
		o.Upstream = func(string) (string, bool) { return "", true }
	}
	d := &Desk{opt: o, publicURL: strings.TrimRight(o.PublicURL, "/"), traffic: &s.traffic}
	if d.publicURL == "" {
		d.publicURL = s.address()
	}
	var err error
	if d.trusted, err = access.Prefixes(o.TrustedProxies); err != nil {
		return nil, fmt.Errorf("trusted proxies: %w", err)
	}
	for _, l := range o.Listeners {
		d.decoders = append(d.decoders, o.Decoder.With(l.Accept))
	}
	if o.Forward != nil {
		if d.relay, err = newRelay(*o.Forward); err != nil {
			return nil, err
		}
	}
	return d, d.describe()
}

// Open opens a desk: calls that come from now on are answered there, those in flight where they began.
func (s *Server) Open(d *Desk) {
	d.showPools()
	s.desk.Store(d)
}

// PublicURL is where callers reach the bridge: the configured one, or the first listener's address.
func (s *Server) PublicURL() string { return s.desk.Load().publicURL }

// address is where the first listener is reached.
func (s *Server) address() string {
	first := s.opt.Listeners[0]
	if len(s.bound) > 0 {
		return first.scheme() + "://" + s.bound[0].Addr().String()
	}
	return first.scheme() + "://" + first.Address
}

func orElse[T comparable](v, otherwise T) T {
	if v == *new(T) {
		return otherwise
	}
	return v
}

// Listen binds every address. Until Serve, callers wait in the queue of the socket.
func (s *Server) Listen() error {
	log := s.desk.Load().opt.Log
	for i, l := range s.opt.Listeners {
		ln, err := l.bind(log, i, s.crowd, &s.lingering)
		if err != nil {
			s.closeListeners()
			return fmt.Errorf("listen on %s: %w", l.Address, err)
		}
		s.bound = append(s.bound, ln)
	}
	if s.opt.PublicURL != "" {
		return nil
	}
	d, err := s.Prepare(s.opt) // again: the port may have been left to the system
	if err != nil {
		s.closeListeners()
		return err
	}
	s.Open(d)
	log.Warn("public_url is not set; the WSDL tells callers the address that the bridge listens on", "address", d.publicURL)
	return nil
}

func (s *Server) closeListeners() {
	for _, ln := range s.bound {
		ln.Close()
	}
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
		return fmt.Errorf("shut down with %d calls in flight: %w", s.Calls(), err)
	}
	return nil
}

// Calls is how many calls are being answered now.
func (s *Server) Calls() int { return s.places.count() }

// Crowd tells who is connected, and what for.
func (s *Server) Crowd() bridge.Crowd { return s.crowd.report() }

// Pools tells who holds the places.
func (s *Server) Pools() []bridge.Pool {
	most := s.desk.Load().opt.InFlight
	return append(s.places.report(most), s.recalls.report(recallsMost(most))...)
}
