package mastersindia

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// Adapter is Masters India as one taxpayer's upstream. It implements bridge.Upstream.
type Adapter struct {
	cfg      Config
	profile  bridge.Profile
	dialect  dialect
	visits   upstream.Visits[*token, answer]
	desk     *upstream.Guard // in front of the account's logins
	mask     upstream.Mask
	warnings []string
}

var _ bridge.Upstream = (*Adapter)(nil)

// New checks the configuration and makes an adapter; it calls nobody. Adapters of one account share its session. The
// error names every setting that is wrong, and no secret.
func New(cfg Config, shared *upstream.Shared) (*Adapter, error) {
	cfg = cfg.withDefaults()
	client, err := shared.Client(cfg.Settings)
	if err = errors.Join(cfg.check(), err); err != nil {
		return nil, fmt.Errorf("mastersindia %s: %w", cfg.Name, err)
	}
	a := &Adapter{
		cfg:     cfg,
		profile: cfg.profile(),
		dialect: dialects[cfg.API],
		desk:    shared.Guard(client, cfg.account(), hold),
		mask: upstream.NewMask("access_token", "token", "password", "client_secret", "api_key", "signedinvoice", "signedqrcode").
			With(cfg.Password, cfg.ClientSecret, cfg.APIKey),
		warnings: cfg.warnings(),
	}
	a.visits = upstream.Visits[*token, answer]{
		Client: client, Guard: shared.Guard(client, a.profile.Credential, hold), Session: upstream.SessionFor(shared, cfg.account(), a.login, a.form()),
		Mask: a.mask, MaskOf: func(t *token) upstream.Mask { return t.mask },
		Read: func(_ *token, reply upstream.Reply) (answer, upstream.Admission) {
			b := read(reply)
			return answer{reply, b}, upstream.Turned(b.refusesToken(reply.Status))
		},
		Twice: answer.twice,
	}
	return a, nil
}

// Profile implements bridge.Upstream.
func (a *Adapter) Profile() *bridge.Profile { return &a.profile }

// Warnings are what looks wrong in the configuration but may be meant, for people at start and in check.
func (a *Adapter) Warnings() []string { return a.warnings }

// Config is one taxpayer's way to Masters India.
type Config struct {
	Name string // of the upstream in the configuration, for logs and metrics
	// GSTIN is the taxpayer. Its gate is its own: what the tax authority refuses one taxpayer doesn't stop the others of
	// the same account.
	GSTIN    string
	Settings upstream.Settings

	API                    string // "legacy" (default) or "v1"
	Username, Password     string
	ClientID, ClientSecret string // legacy only
	// APIKey is what v1 takes in a header instead of a login, and of the four above.
	APIKey string

	RemarksTooLong   string // "refuse" (default) or "truncate": what happens above 100 characters
	CancelsPerMinute int    // of the account; 0: no limit known

	CallTimeout, LoginTimeout, LookupTimeout time.Duration // default 30 s, 10 s, 10 s
}

// The values of API and RemarksTooLong.
const (
	Legacy, V1       = "legacy", "v1"
	Refuse, Truncate = "refuse", "truncate"
)

const (
	maxRemarks = 100 // UTF-16 units, as NIC behind this provider takes them
	// hold is how long a credential that was refused is left alone.
	hold = time.Minute
	// lookupWindow: NIC behind this provider answers 2283 two to three days after the IRN's generation.
	lookupWindow = 48 * time.Hour
)

func (c Config) withDefaults() Config {
	c.GSTIN = strings.ToUpper(strings.TrimSpace(c.GSTIN))
	or(&c.API, Legacy)
	or(&c.RemarksTooLong, Refuse)
	or(&c.CallTimeout, 30*time.Second)
	or(&c.LoginTimeout, 10*time.Second)
	or(&c.LookupTimeout, 10*time.Second)
	return c
}

func or[T comparable](value *T, fallback T) {
	if *value == *new(T) {
		*value = fallback
	}
}

// check names everything that is wrong, by configuration key, without any value that could be secret.
func (c Config) check() error {
	var errs []error
	type setting struct{ key, value string }
	needed := []setting{{"gstin", c.GSTIN}}
	login := []setting{{"username", c.Username}, {"password", c.Password}}
	switch {
	case c.APIKey == "" && c.API == Legacy:
		needed = append(append(needed, login...), setting{"client_id", c.ClientID}, setting{"client_secret", c.ClientSecret})
	case c.APIKey == "":
		needed = append(needed, login...)
	case c.API != V1:
		errs = append(errs, errors.New("api_key needs api: v1; the legacy API takes a token only"))
	case !printable(c.APIKey):
		errs = append(errs, errors.New("api_key has blanks or control characters and can't be sent in a header"))
	}
	for _, f := range needed {
		if f.value == "" {
			errs = append(errs, errors.New(f.key+" is missing"))
		}
	}
	for _, f := range login {
		if c.APIKey != "" && f.value != "" {
			errs = append(errs, errors.New("api_key stands for a login: drop "+f.key+", or the key"))
		}
	}
	if c.API != Legacy && c.API != V1 {
		errs = append(errs, fmt.Errorf("api is %q, must be %s or %s", c.API, Legacy, V1))
	}
	if c.RemarksTooLong != Refuse && c.RemarksTooLong != Truncate {
		errs = append(errs, fmt.Errorf("remarks_too_long is %q, must be %s or %s", c.RemarksTooLong, Refuse, Truncate))
	}
	return errors.Join(errs...)
}

// rawHosts are the provider's gateways that speak NIC's own, encrypted protocol.
var rawHosts = []string{"api.mastersindia.co", "proapi.mastersindia.co"}

// warnings are what looks wrong but may be meant.
func (c Config) warnings() []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, c.Name+": "+fmt.Sprintf(format, args...)) }
	u, err := url.Parse(c.Settings.BaseURL)
	if err != nil {
		return nil
	}
	host := u.Hostname()
	if slices.Contains(rawHosts, host) {
		warn("%s is the provider's encrypted gateway: use kind nic with this base_url", host)
	}
	for _, f := range []struct{ key, value string }{{"username", c.Username}, {"password", c.Password}} {
		if f.value != strings.TrimFunc(f.value, special) {
			warn("%s begins or ends with a special character, which the provider's sign-on forbids", f.key)
		}
	}
	return all
}

func special(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// account is the digest of what logs in: its session, its logins and its rate.
func (c Config) account() string {
	return upstream.Digest("mastersindia", c.API, strings.TrimRight(c.Settings.BaseURL, "/"),
		c.Username, c.Password, c.ClientID, c.ClientSecret, c.APIKey, c.Settings.Proxy)
}

func (c Config) profile() bridge.Profile {
	p := bridge.Profile{
		Name:          c.Name,
		Kind:          "mastersindia",
		Space:         irp.Space(c.Settings),
		Zone:          upstream.IST,
		Credential:    upstream.Digest(c.account(), c.GSTIN),
		LookupWindow:  lookupWindow,
		CallTimeout:   c.CallTimeout,
		LookupTimeout: c.LookupTimeout,
		Rules:         irp.Rules(fmt.Sprintf("utf16max=%d", maxRemarks)),
	}
	if c.RemarksTooLong == Truncate {
		p.Rules.Remarks = ""
	}
	if c.CancelsPerMinute > 0 {
		p.Cancels = bridge.Rate{Key: "cancel/" + c.account(), Limit: c.CancelsPerMinute, Per: time.Minute}
	}
	return p
}
