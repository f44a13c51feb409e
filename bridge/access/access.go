package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"einvoice-bridge/bridge"
)

// Config lists everybody who may call.
type Config struct {
	Callers   []CallerConfig
	TokenLife time.Duration        // of issued tokens
	Now       func() time.Time     // nil: time.Now
	Passed    func() time.Duration // since any moment, whoever sets the clock; nil: by Now, as far as that is monotonic
}

// CallerConfig is one caller. Each of Certificates is "sha256:" and a certificate's fingerprint, "subject:" and its
// whole distinguished name, or "dns:" and one of its alternative names.
type CallerConfig struct {
	Name         string
	Tokens       []string // long-lived ones, each "sha256:" and 64 hexadecimal digits
	Taxpayers    []string // whom the caller may act for
	AllTaxpayers bool
	Within       time.Duration // reply_within, above zero
	TroubleAs    TroubleAs     // "": TroubleAsFault
	Addresses    []string      // CIDRs or addresses that calls may come from; none: anywhere
	Certificates []string      // of which the connection must show one; none: it need not
	InFlight     int           // calls at a time; 0: only the server's own limit
	PerMinute    int           // calls; 0: no limit
	WSSE         WSSE          // "": WSSEIgnore
	Login        *LoginConfig  // nil: the caller can't use access_new_token, Basic or UsernameToken
}

// LoginConfig is what a caller shows to access_new_token. Password and ClientSecret are "argon2id:" and a PHC string.
// Without both, the login is good only for Owner: access_new_token is relayed to the provider.
type LoginConfig struct {
	Username, Password     string
	ClientID, ClientSecret string
}

// TroubleAs is how a caller wants to hear of trouble.
type TroubleAs string

// The ways to tell trouble: as a SOAP fault, or as a six-part reply with code 503 for callers that can't read faults.
const (
	TroubleAsFault TroubleAs = "fault"
	TroubleAsReply TroubleAs = "reply"
)

// WSSE is what a WS-Security UsernameToken of a caller is worth.
type WSSE string

// A UsernameToken is ignored, or checked against the caller's login; then it may also stand for the access token.
const (
	WSSEIgnore WSSE = "ignore"
	WSSECheck  WSSE = "check"
)

// Access knows all callers. It is safe for concurrent use.
type Access struct {
	life      time.Duration
	now       func() time.Time
	tokens    bridge.Tokens
	callers   map[string]*Caller // by name
	byToken   map[string]*Caller // by hash of a long-lived token
	byUser    map[string]*Caller
	byClient  map[string]*Caller // first of that client id
	passwords *passwords
	hashes    map[string]*hash // by their text
	*memory
}

// memory outlasts a change of the configuration: without it one would let callers begin anew on their limits, and
// guessers on their guesses.
type memory struct {
	slow  *slowdown
	seen  *seen
	reads singleflight.Group

	mu     sync.Mutex
	meters map[string]*meter // by caller's name
}

// meter is the caller's for good: one who leaves the configuration and comes back finds his old one.
func (m *memory) meter(caller string) *meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.meters[caller] == nil {
		m.meters[caller] = &meter{}
	}
	return m.meters[caller]
}

// New checks the configuration and returns who may call. All problems are told at once.
func New(cfg Config, tokens bridge.Tokens) (*Access, error) {
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	passed := cfg.Passed
	if start := now(); passed == nil {
		passed = func() time.Duration { return now().Sub(start) }
	}
	a := &Access{now: now, tokens: tokens, memory: &memory{slow: newSlowdown(now), seen: newSeen(passed), meters: map[string]*meter{}}}
	return a.Next(cfg)
}

// Next is New for a changed configuration: tokens, limits and failed guesses are counted on. Nothing of a changes; its
// callers may still be let in by it.
func (a *Access) Next(cfg Config) (*Access, error) {
	next := &Access{
		life: cfg.TokenLife, now: a.now, tokens: a.tokens, memory: a.memory, hashes: map[string]*hash{},
		callers: map[string]*Caller{}, byToken: map[string]*Caller{},
		byUser: map[string]*Caller{}, byClient: map[string]*Caller{},
	}
	return next, next.take(cfg.Callers, a)
}

// take takes all callers in. A hash that the one before knew already is the same, with what matched it last.
func (a *Access) take(callers []CallerConfig, before *Access) error {
	var errs []error
	var costliest *hash
	for _, c := range callers {
		caller, err := a.add(c, before.hashes)
		if err != nil {
			errs = append(errs, fmt.Errorf("caller %q: %w", c.Name, err))
			continue
		}
		if l := caller.login; l != nil {
			costliest = costlier(costlier(costliest, l.password), l.clientSecret)
		}
	}
	a.passwords = newPasswords(costliest, before.passwords)
	return errors.Join(errs...)
}

// add takes one caller in.
func (a *Access) add(cfg CallerConfig, known map[string]*hash) (*Caller, error) {
	c, err := newCaller(cfg, a.now)
	if err != nil {
		return nil, err
	}
	c.meter = a.meter(c.Name)
	if l := c.login; l != nil && cfg.Login.Password != "" {
		l.password = a.keep(cfg.Login.Password, l.password, known)
		l.clientSecret = a.keep(cfg.Login.ClientSecret, l.clientSecret, known)
	}
	if c.Name == "" || a.callers[c.Name] != nil {
		return nil, errors.New("needs a name of its own")
	}
	a.callers[c.Name] = c
	for i, t := range cfg.Tokens {
		digest, err := tokenDigest(t)
		if err != nil {
			return nil, fmt.Errorf("token %d: %w", i+1, err)
		}
		if other := a.byToken[digest]; other != nil {
			return nil, fmt.Errorf("token %d is also one of caller %q", i+1, other.Name)
		}
		a.byToken[digest] = c
	}
	if c.login == nil {
		return c, nil
	}
	if other := a.byUser[c.login.username]; other != nil {
		return nil, fmt.Errorf("has the login username of caller %q", other.Name)
	}
	a.byUser[c.login.username] = c
	if a.byClient[c.login.clientID] == nil {
		a.byClient[c.login.clientID] = c
	}
	return c, nil
}

// keep notes a hash under its text, and gives the one that was known before instead if there is one.
func (a *Access) keep(text string, h *hash, known map[string]*hash) *hash {
	if before := known[text]; before != nil {
		h = before
	}
	a.hashes[text] = h
	return h
}

// tokenDigest reads a long-lived token of the configuration. Clear text is refused, and not repeated in the error.
func tokenDigest(s string) (string, error) {
	digest, ok := strings.CutPrefix(s, "sha256:")
	if raw, err := hex.DecodeString(digest); !ok || err != nil || len(raw) != sha256.Size {
		return "", errors.New(`is not "sha256:" and 64 hexadecimal digits; tokens are not kept in clear text`)
	}
	return strings.ToLower(digest), nil
}

// Callers are the names of all who may call.
func (a *Access) Callers() []string { return slices.Sorted(maps.Keys(a.callers)) }

// NewToken makes an access token: 40 lower-case hexadecimal digits, 160 bits of randomness.
func NewToken() string {
	raw := make([]byte, 20)
	rand.Read(raw) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(raw)
}

// HashToken is how a token is kept: its SHA-256 in hexadecimal digits.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	var digits [2 * sha256.Size]byte // half of what EncodeToString allocates; each call comes through here
	hex.Encode(digits[:], sum[:])
	return string(digits[:])
}

// Prefixes reads a list of CIDRs and single addresses.
func Prefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			addr, err := netip.ParseAddr(s)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address nor a CIDR", s)
			}
			p = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
