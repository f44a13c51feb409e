package access

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Caller is somebody who may call.
type Caller struct {
	Name      string
	Within    time.Duration // from a call to its answer, at most
	TroubleAs TroubleAs
	WSSE      WSSE

	all       bool
	taxpayers map[string]bool
	from      []netip.Prefix
	login     *login

	certificates []pattern // one of them must be shown; none: no certificate is asked for

	now       func() time.Time
	most      int // calls in flight; 0: no limit
	perMinute float64
	*meter
}

// meter counts a caller's calls.
type meter struct {
	mu       sync.Mutex
	inFlight int
	budget   float64   // calls that may start now
	filled   time.Time // zero: not limited so far
}

// login is what the caller shows instead of a token, secrets hashed.
type login struct {
	username, clientID     string
	password, clientSecret *hash
}

func newCaller(cfg CallerConfig, now func() time.Time) (*Caller, error) {
	c := &Caller{
		Name: cfg.Name, Within: cfg.Within, TroubleAs: cfg.TroubleAs, WSSE: cfg.WSSE,
		all: cfg.AllTaxpayers, taxpayers: map[string]bool{},
		now: now, most: cfg.InFlight, perMinute: float64(cfg.PerMinute),
	}
	if c.TroubleAs == "" {
		c.TroubleAs = TroubleAsFault
	}
	if c.WSSE == "" {
		c.WSSE = WSSEIgnore
	}
	for _, t := range cfg.Taxpayers {
		c.taxpayers[t] = true
	}
	var err error
	if c.from, err = Prefixes(cfg.Addresses); err != nil {
		return nil, fmt.Errorf("addresses: %w", err)
	}
	for _, s := range cfg.Certificates {
		is, err := newPattern(s)
		if err != nil {
			return nil, fmt.Errorf("certificates: %w", err)
		}
		c.certificates = append(c.certificates, is)
	}
	switch {
	case c.TroubleAs != TroubleAsFault && c.TroubleAs != TroubleAsReply:
		return nil, fmt.Errorf("trouble_as is %q, must be fault or reply", c.TroubleAs)
	case c.WSSE != WSSEIgnore && c.WSSE != WSSECheck:
		return nil, fmt.Errorf("wsse is %q, must be ignore or check", c.WSSE)
	case cfg.Within <= 0:
		return nil, errors.New("needs a reply_within above zero")
	case cfg.InFlight < 0 || cfg.PerMinute < 0:
		return nil, errors.New("limits can't be negative")
	case cfg.Login == nil:
		return c, nil
	}
	c.login, err = newLogin(*cfg.Login)
	return c, err
}

func newLogin(cfg LoginConfig) (*login, error) {
	if cfg.Username == "" || cfg.ClientID == "" {
		return nil, errors.New("login needs username and client_id")
	}
	if cfg.Password == "" && cfg.ClientSecret == "" {
		return &login{cfg.Username, cfg.ClientID, unmatchable(nil), unmatchable(nil)}, nil
	}
	password, err := parseHash(cfg.Password)
	if err != nil {
		return nil, fmt.Errorf("login password: %w", err)
	}
	secret, err := parseHash(cfg.ClientSecret)
	if err != nil {
		return nil, fmt.Errorf("login client_secret: %w", err)
	}
	return &login{cfg.Username, cfg.ClientID, password, secret}, nil
}

// May says whether the caller may act for a taxpayer, given as in the configuration: trimmed and upper-cased.
func (c *Caller) May(taxpayer string) bool { return c.all || c.taxpayers[taxpayer] }

// Enter counts one call in. When the caller has too many in flight, or started too many within the last minute, it
// returns how long to wait and the call must not be carried out; otherwise Leave must follow.
func (c *Caller) Enter() (wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 0 && c.inFlight >= c.most {
		return time.Second, false
	}
	if c.perMinute > 0 {
		now := c.now()
		if c.filled.IsZero() {
			c.budget, c.filled = c.perMinute, now
		}
		c.budget = min(c.perMinute, c.budget+now.Sub(c.filled).Minutes()*c.perMinute)
		c.filled = now
		if c.budget < 1 {
			return time.Duration((1 - c.budget) / c.perMinute * float64(time.Minute)), false
		}
		c.budget--
	}
	c.inFlight++
	return 0, true
}

// Leave counts one call out.
func (c *Caller) Leave() {
	c.mu.Lock()
	c.inFlight--
	c.mu.Unlock()
}
