package invx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// Adapter is InvX as one taxpayer's upstream. It implements bridge.Upstream.
type Adapter struct {
	cfg     Config
	profile bridge.Profile
	shared  *upstream.Shared

	visits     upstream.Visits[*token, answer]
	slots      upstream.Slots // of the organisation
	theodore   *upstream.Client
	loginGuard *upstream.Guard // in front of the user's logins, whatever organisation they are for
	mask       upstream.Mask
	ids        upstream.Memory[string, string] // the docId of an IRN, which never changes
}

var _ bridge.Upstream = (*Adapter)(nil)

// New checks the configuration and makes an adapter; it calls nobody. Adapters of one user share its session, adapters
// of one organisation its calls at once. The error names every setting that is wrong, and no secret.
func New(cfg Config, shared *upstream.Shared) (*Adapter, error) {
	err := errors.Join(upstream.Prepare(&cfg), cfg.GSTIN())
	if len(cfg.CallHeaders) == 0 {
		cfg.CallHeaders = defaultHeaders
	}
	client, clientErr := shared.Client(cfg.Settings)
	way := cfg.Settings
	way.BaseURL = cfg.AuthURL
	theodore, _ := shared.Client(way) // what it is refused for client is refused for, too
	if err = errors.Join(err, clientErr); err != nil {
		return nil, fmt.Errorf("invx %s: %w", cfg.Name, err)
	}
	a := &Adapter{
		cfg:        cfg,
		profile:    cfg.profile(),
		shared:     shared,
		slots:      shared.Slots(cfg.org(), cfg.Parallel),
		theodore:   theodore,
		loginGuard: shared.Guard(theodore, cfg.user(), hold),
		mask:       upstream.NewMask("token", "password").With(cfg.Password.Reveal()),
	}
	a.visits = upstream.Visits[*token, answer]{
		Client: client, Guard: shared.Guard(client, a.profile.Credential, hold),
		Session: upstream.SessionFor(shared, cfg.user(), upstream.Through(theodore, a.login), a.form()),
		Mask:    a.mask, MaskOf: func(t *token) upstream.Mask { return t.mask },
		Read: admission, Do: a.send, FreshRefused: answer.freshRefused,
	}
	return a, nil
}

// Profile implements bridge.Upstream.
func (a *Adapter) Profile() *bridge.Profile { return &a.profile }

// Kind is InvX.
var Kind = upstream.KindOf("invx", New)

// Config is one taxpayer's way to InvX. Each taxpayer's gate is its own: what the tax authority refuses one doesn't stop
// the others of the same organisation.
type Config struct {
	upstream.Settings `yaml:",inline"` // BaseURL ends before /invx
	irp.Keys          `yaml:",inline"`

	AuthURL  string        `yaml:"auth_url" validate:"required,address" doc:"Address of the login (theodore), its version included." example:"https://services.vayana.com/theodore/apis/v1"`
	OrgID    string        `yaml:"org_id" validate:"required,segment" doc:"Id of the organisation."`
	Username string        `yaml:"username" validate:"required" doc:"User of theodore, an e-mail address."`
	Password bridge.Secret `yaml:"password" validate:"required" doc:"That user's password."`

	CallHeaders map[string]bridge.Secret `yaml:"call_headers" validate:"dive,keys,header,endkeys,value" doc:"Headers on every call to InvX instead of the pair that Vayana documents; {token} and {org} stand for the session's token and org_id."`
	Query       map[string]bridge.Secret `yaml:"query" doc:"What is added to the search for an IRN. It can't replace the IRN and the seller." example:"{doctype: INV}"`
	Parallel    int                      `yaml:"parallel" validate:"min=0" default:"5" doc:"Calls at once that the organisation may make."`
}

const (
	// hold is how long a credential that was refused is left alone.
	hold = time.Minute
	// lookupWindow: InvX keeps documents without a stated end; after a week only a person can tell more.
	lookupWindow = 7 * 24 * time.Hour
)

// defaultHeaders are documented for Vayana's enriched API; InvX's own page of common headers is not public.
var defaultHeaders = map[string]bridge.Secret{
	"X-FLYNN-N-USER-TOKEN": "{token}",
	"X-FLYNN-N-ORG-ID":     "{org}",
}

// user is the digest of a user of theodore: its session and its logins.
func (c Config) user() string {
	return upstream.Digest("theodore", strings.TrimRight(c.AuthURL, "/"), c.Username, c.Password.Reveal(), c.Proxy)
}

// org is the digest of an organisation as that user reaches it: its calls at once and its rate.
func (c Config) org() string {
	fields := []string{"invx", c.user(), strings.TrimRight(c.BaseURL, "/"), c.OrgID}
	for _, headers := range []map[string]bridge.Secret{c.CallHeaders, c.Headers} {
		var names []string
		for name, value := range headers {
			names = append(names, name+": "+value.Reveal())
		}
		slices.Sort(names)
		fields = append(fields, upstream.Digest(names...))
	}
	return upstream.Digest(fields...)
}

func (c Config) profile() bridge.Profile {
	p := irp.Profile(c.Settings, c.Keys, "invx", upstream.Digest(c.org(), c.Taxpayer))
	p.Space, p.LookupWindow = c.space(), lookupWindow
	if c.CancelsPerMinute > 0 {
		p.Cancels = bridge.Rate{Key: "cancel/" + c.org(), Limit: c.CancelsPerMinute, Per: time.Minute}
	}
	return p
}

// space goes by theodore's host, too: InvX's own are not published, while theodore's tell the sandbox (Vayana,
// "Integrating").
func (c Config) space() string {
	if upstream.Environment("", c.AuthURL) != upstream.Production {
		c.BaseURL = c.AuthURL
	}
	return irp.Space(c.Settings)
}
