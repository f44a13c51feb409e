package upstream

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// Shared is what all adapters of one process have in common. Adapters with the same credentials meet in it, whatever
// their names in the configuration: they share connections, session, breaker and rates.
type Shared struct {
	// RoundTripper replaces the network in tests; nil means real connections. Set it before the first Client.
	RoundTripper http.RoundTripper

	budget bridge.Budget
	log    *slog.Logger

	mu       sync.Mutex
	pools    map[string]http.RoundTripper
	guards   map[string]*Guard
	sessions map[sessionKey]sessionInfo
	slots    map[string]Slots
}

type sessionKey struct {
	credential string
	token      reflect.Type
}

type sessionInfo interface{ info() SessionInfo }

// NewShared makes an empty Shared. Every login asks budget first.
func NewShared(budget bridge.Budget, log *slog.Logger) *Shared {
	return &Shared{
		budget:   budget,
		log:      log,
		pools:    map[string]http.RoundTripper{},
		guards:   map[string]*Guard{},
		sessions: map[sessionKey]sessionInfo{},
		slots:    map[string]Slots{},
	}
}

// Log is where adapters write what no caller hears: odd replies, failed renewals. Never a secret.
func (s *Shared) Log() *slog.Logger { return s.log }

// Client is the way to the base URL of the settings. Clients with the same proxy, CA and certificate share a pool of
// connections. An error names the setting that is wrong, without its value.
func (s *Shared) Client(set Settings) (*Client, error) {
	base, static, err := set.check()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := Digest(base, set.Proxy, string(set.CA), string(set.Certificate), string(set.Key))
	pool := s.pools[key]
	if pool == nil {
		if pool = s.RoundTripper; pool == nil {
			if pool, err = newTransport(set); err != nil {
				return nil, err
			}
		}
		s.pools[key] = pool
	}
	return &Client{base: base, static: static, pool: pool}, nil
}

// Guard is the door in front of a credential (bridge.Profile.Credential). hold is how long its gate stays shut after
// the authority refused the credential.
func (s *Shared) Guard(credential string, hold time.Duration) *Guard {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guards[credential]
	if g == nil {
		g = newGuard(s.budget, s.log, credential, hold)
		s.guards[credential] = g
	}
	return g
}

// SessionFor is the session of a credential: the first call makes it, later ones with the same credential and token
// type get the same one and their login is not used.
func SessionFor[T any](s *Shared, credential string, login Login[T]) *Session[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sessionKey{credential, reflect.TypeFor[T]()}
	if have, ok := s.sessions[key]; ok {
		return have.(*Session[T])
	}
	session := &Session[T]{login: login, log: s.log, credential: credential}
	s.sessions[key] = session
	return session
}

// Sessions lists every session for the console and metrics, in no order.
func (s *Shared) Sessions() []SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]SessionInfo, 0, len(s.sessions))
	for _, session := range s.sessions {
		list = append(list, session.info())
	}
	return list
}

// Guards lists every guard for the console and metrics, in no order.
func (s *Shared) Guards() []GuardInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]GuardInfo, 0, len(s.guards))
	for _, g := range s.guards {
		list = append(list, g.info())
	}
	return list
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
