package mastersindia

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// Adapter is Masters India as one taxpayer's upstream. It implements bridge.Upstream.
type Adapter struct {
	cfg        Config
	profile    bridge.Profile
	dialect    dialect
	visits     upstream.Visits[token, answer]
	loginGuard *upstream.Guard // in front of the account's logins
	mask       upstream.Mask
	warnings   []string
}

var _ bridge.Upstream = (*Adapter)(nil)

// New checks the configuration and makes an adapter; it calls nobody. Adapters of one account share its session. The
// error names every setting that is wrong, and no secret.
func New(cfg Config, shared *upstream.Shared) (*Adapter, error) {
	err := errors.Join(upstream.Prepare(&cfg), cfg.GSTIN())
	client, clientErr := shared.Client(cfg.Settings)
	if err = errors.Join(err, clientErr); err != nil {
		return nil, fmt.Errorf("mastersindia %s: %w", cfg.Name, err)
	}
	a := &Adapter{
		cfg:        cfg,
		profile:    cfg.profile(),
		dialect:    dialects[cfg.API],
		loginGuard: shared.Guard(client, cfg.account(), hold),
		mask: upstream.NewMask("access_token", "token", "password", "client_secret", "api_key", "signedinvoice", "signedqrcode").
			With(cfg.Password.Reveal(), cfg.ClientSecret.Reveal(), cfg.APIKey.Reveal()),
		warnings: cfg.warnings(),
	}
	a.visits = upstream.Visits[token, answer]{
		Client: client, Guard: shared.Guard(client, a.profile.Credential, hold), Session: upstream.SessionFor(shared, cfg.account(), a.login, upstream.Plain[token]()),
		Mask: a.mask, MaskOf: upstream.MaskOf[token](a.mask),
		Read: func(_ token, reply *upstream.Reply) (answer, upstream.Admission) {
			b := read(reply)
			return answer{reply, b}, upstream.Turned(b.refusesToken(reply.Status))
		},
		FreshRefused: answer.freshRefused,
	}
	return a, nil
}

// Profile implements bridge.Upstream.
func (a *Adapter) Profile() *bridge.Profile { return &a.profile }

// Warnings are what looks wrong in the configuration but may be meant, for people at start and in check.
func (a *Adapter) Warnings() []string { return a.warnings }

// Kind is Masters India's REST APIs.
var Kind = upstream.KindOf("mastersindia", New)

// Config is one taxpayer's way to Masters India. Each taxpayer's gate is its own: what the tax authority refuses one
// doesn't stop the others of the same account.
type Config struct {
	upstream.Settings `yaml:",inline"`
	irp.Keys          `yaml:",inline"`

	API          string        `yaml:"api" validate:"oneof=legacy v1" default:"legacy" doc:"Generation of the API."`
	Username     string        `yaml:"username" validate:"required_without=APIKey,excluded_with=APIKey" doc:"User of the account."`
	Password     bridge.Secret `yaml:"password" validate:"required_without=APIKey,excluded_with=APIKey" doc:"That user's password."`
	ClientID     string        `yaml:"client_id" validate:"required_if=API legacy" doc:"Client id of the account, for the legacy API."`
	ClientSecret bridge.Secret `yaml:"client_secret" validate:"required_if=API legacy" doc:"That client id's secret, for the legacy API."`
	APIKey       bridge.Secret `yaml:"api_key" validate:"excluded_if=API legacy,visible" doc:"What v1 takes in a header instead of a login."`
}

// The values of API.
const Legacy, V1 = "legacy", "v1"

// hold is how long a credential that was refused is left alone.
const hold = time.Minute

// warnings are what looks wrong but may be meant.
func (c Config) warnings() []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, c.Name+": "+fmt.Sprintf(format, args...)) }
	if upstream.KnownKind(c.BaseURL) == "nic" {
		warn("%s is the provider's encrypted gateway: use kind nic with this base_url", c.BaseURL)
	}
	for _, f := range []struct{ key, value string }{{"username", c.Username}, {"password", c.Password.Reveal()}} {
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
	return upstream.Digest("mastersindia", c.API, strings.TrimRight(c.BaseURL, "/"),
		c.Username, c.Password.Reveal(), c.ClientID, c.ClientSecret.Reveal(), c.APIKey.Reveal(), c.Proxy)
}

func (c Config) profile() bridge.Profile {
	p := irp.Profile(c.Settings, c.Keys, "mastersindia", upstream.Digest(c.account(), c.Taxpayer))
	if c.CancelsPerMinute > 0 {
		p.Cancels = bridge.Rate{Key: "cancel/" + c.account(), Limit: c.CancelsPerMinute, Per: time.Minute}
	}
	return p
}
