package upstream

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// Shared is what the adapters of one configuration have in common. Adapters with the same credentials meet in it,
// whatever their names in the configuration: they share connections, session, breaker and rates.
type Shared struct {
	// RoundTripper replaces the network in tests; nil means real connections. Set it before the first Client.
	RoundTripper http.RoundTripper

	budget bridge.Budget
	log    *slog.Logger
	vault  *vault // nil: sessions end with the process
	name   string // of the upstream that this view is for; empty: all
	*registry
}

// registry is what adapters have asked for so far.
type registry struct {
	mu       sync.Mutex
	pools    outlasting[string, way]
	hosts    outlasting[string, *breaker]
	guards   outlasting[guardKey, *Guard]
	sessions outlasting[sessionKey, sessionInfo]
	slots    outlasting[slotsKey, Slots]
	uses     map[use]bool
}

// use notes that an upstream uses a credential or a host.
type use struct{ upstream, of string }

type guardKey struct {
	credential string
	host       *breaker
}

type sessionKey struct {
	credential string
	token      reflect.Type
}

type sessionInfo interface{ info() SessionInfo }

// NewShared makes an empty Shared. Every login asks budget first.
func NewShared(budget bridge.Budget, log *slog.Logger) *Shared {
	return (&Shared{budget: budget, log: log, registry: &registry{}}).Next()
}

// Next is for the adapters of a changed configuration: what they ask for and is here already they get, so that
// connections, sessions and breakers outlast the change. What none of them asks for is forgotten. Nothing of s changes.
func (s *Shared) Next() *Shared {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Shared{RoundTripper: s.RoundTripper, budget: s.budget, log: s.log, vault: s.vault, registry: &registry{
		pools: s.pools.next(), hosts: s.hosts.next(), guards: s.guards.next(), sessions: s.sessions.next(), slots: s.slots.next(), uses: map[use]bool{},
	}}
}

// For is the view of one upstream's adapters: the same registry, with a note of what they ask for. Hosts, Credentials and
// Sessions of the view are this upstream's.
func (s *Shared) For(upstream string) *Shared {
	view := *s
	view.name = upstream
	return &view
}

// shows tells whether the credential or host is one of the view's upstream. It needs the lock.
func (s *Shared) shows(of string) bool { return s.name == "" || s.uses[use{s.name, of}] }

// outlasting holds things of one sort. What the configuration before had of it is taken over when it is asked for.
type outlasting[K comparable, V any] struct{ now, before map[K]V }

func (s outlasting[K, V]) next() outlasting[K, V] {
	return outlasting[K, V]{map[K]V{}, maps.Clone(s.now)}
}

func (s outlasting[K, V]) get(key K, fresh func() V) V {
	v, ok := s.now[key]
	if !ok {
		if v, ok = s.before[key]; !ok {
			v = fresh()
		}
		s.now[key] = v
	}
	return v
}

// Log is where adapters write what no caller hears: odd replies, failed renewals. Never a secret.
func (s *Shared) Log() *slog.Logger { return s.log }

// Client is the way to the base URL of the settings, which have been prepared. Clients with the same proxy, CA and certificate share a pool of
// connections, and a breaker where they have the same host, too: a way in that is wrong for one of them says nothing about
// the others. An error names the setting that is wrong, without its value.
func (s *Shared) Client(set Settings) (_ *Client, err error) {
	base, static := strings.TrimRight(set.BaseURL, "/"), http.Header{}
	for name, value := range set.Headers {
		static[name] = []string{value.Reveal()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	settings := []string{set.Proxy, set.CA, set.ClientCertificate, set.ClientKey.Reveal()}
	key := Digest(append([]string{base}, settings...)...)
	pool := s.pools.get(key, func() (pool way) {
		if s.RoundTripper != nil {
			return netHTTP{s.RoundTripper}
		}
		pool, err = newWay(set)
		return pool
	})
	if err != nil {
		delete(s.pools.now, key)
		return nil, err
	}
	origin := originOf(base)
	key = Digest(append([]string{"host", origin}, settings...)...)
	host := s.hosts.get(key, func() *breaker { return newBreaker(s.log, origin) })
	s.uses[use{s.name, key}] = true
	return &Client{base: base, static: static, pool: pool, host: host}, nil
}

// Guard is the door in front of a credential (bridge.Profile.Credential) at the client's host. hold is how long its gate
// stays shut after the authority refused the credential.
func (s *Shared) Guard(c *Client, credential string, hold time.Duration) *Guard {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guards.get(guardKey{credential, c.host}, func() *Guard {
		return &Guard{host: c.host, budget: s.budget, log: s.log, credential: credential, hold: hold}
	})
	s.uses[use{s.name, credential}] = true
	return g
}

// SessionFor is the session of a credential. All that ask with the same credential and token type hold the same token;
// each logs in its own way when its turn comes, so that a changed way is used from the next login on. The form is how
// the token is kept when sessions outlive the process: see Seal.
func SessionFor[T any](s *Shared, credential string, login Login[T], form Form[T]) *Session[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.sessions.get(sessionKey{credential, reflect.TypeFor[T]()}, func() sessionInfo {
		return &holder[T]{log: s.log, credential: credential, vault: s.vault}
	})
	s.uses[use{s.name, credential}] = true
	return &Session[T]{login, form, have.(*holder[T])}
}

// Sessions lists the sessions for the console and metrics, in no order.
func (s *Shared) Sessions() []SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []SessionInfo
	for key, session := range s.sessions.now {
		if s.shows(key.credential) {
			list = append(list, session.info())
		}
	}
	return list
}

// Hosts lists the hosts for the console and metrics, in no order.
func (s *Shared) Hosts() []HostInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []HostInfo
	for key, host := range s.hosts.now {
		if s.shows(key) {
			list = append(list, host.info())
		}
	}
	return list
}

// Credentials lists those whose gates can be shut, for the console and metrics, in no order.
func (s *Shared) Credentials() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]bool{}
	for key := range s.guards.now {
		if s.shows(key.credential) {
			found[key.credential] = true
		}
	}
	return slices.Collect(maps.Keys(found))
}

// Digest is the SHA-256 over the fields, each with its length before it so that no two lists of fields collide. It
// stands for credentials wherever they are a key: bridge.Profile.Credential, sessions, budgets.
func Digest(fields ...string) string {
	h := sha256.New()
	var length [8]byte
	for _, f := range fields {
		binary.BigEndian.PutUint64(length[:], uint64(len(f)))
		h.Write(length[:])
		h.Write([]byte(f))
	}
	return hex.EncodeToString(h.Sum(nil))
}
