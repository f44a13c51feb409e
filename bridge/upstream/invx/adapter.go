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

	visits   upstream.Visits[*token, answer]
	slots    upstream.Slots // of the organisation
	theodore *upstream.Client
	desk     *upstream.Guard // in front of the user's logins, whatever organisation they are for
	mask     upstream.Mask
	ids      docIDs
}

var _ bridge.Upstream = (*Adapter)(nil)

// New checks the configuration and makes an adapter; it calls nobody. Adapters of one user share its session, adapters
// of one organisation its calls at once. The error names every setting that is wrong, and no secret.
func New(cfg Config, shared *upstream.Shared) (*Adapter, error) {
	cfg = cfg.withDefaults()
	err := cfg.check()
	client, clientErr := shared.Client(cfg.Settings)
	way := cfg.Settings
	way.BaseURL = cfg.AuthURL
	theodore, authErr := shared.Client(way)
	if authErr != nil {
		authErr = errors.New("auth_url: " + authErr.Error())
	}
	if err = errors.Join(err, clientErr, authErr); err != nil {
		return nil, fmt.Errorf("invx %s: %w", cfg.Name, err)
	}
	a := &Adapter{
		cfg:      cfg,
		profile:  cfg.profile(),
		shared:   shared,
		slots:    shared.Slots(cfg.org(), cfg.Parallel),
		theodore: theodore,
		desk:     shared.Guard(theodore, cfg.user(), hold),
		mask:     upstream.NewMask("token", "password").With(cfg.Password),
	}
	a.visits = upstream.Visits[*token, answer]{
		Client: client, Guard: shared.Guard(client, a.profile.Credential, hold),
		Session: upstream.SessionFor(shared, cfg.user(), upstream.Through(theodore, a.login), a.form()),
		Mask:    a.mask, MaskOf: func(t *token) upstream.Mask { return t.mask },
		Read: admission, Do: a.send, Twice: answer.twice,
	}
	return a, nil
}

// Profile implements bridge.Upstream.
func (a *Adapter) Profile() *bridge.Profile { return &a.profile }

// Config is one taxpayer's way to InvX.
type Config struct {
	Name string // of the upstream in the configuration, for logs and metrics
	// GSTIN is the taxpayer. Its gate is its own: what the tax authority refuses one taxpayer doesn't stop the others of
	// the same organisation.
	GSTIN string

	Settings upstream.Settings // the way to InvX; BaseURL ends before /invx
	AuthURL  string            // theodore's base URL, its version included; same proxy and certificates as InvX
	OrgID    string
	Username string // theodore's handle, an e-mail address
	Password string

	// CallHeaders go with every call to InvX; {token} and {org} stand for the session's token and OrgID. None: the pair
	// that Vayana documents.
	CallHeaders map[string]string
	// Query is added to the search for an IRN, e.g. doctype. It can't replace the IRN and the seller.
	Query map[string]string

	RemarksTooLong   string // "refuse" (default) or "truncate": what happens above 100 characters
	CancelsPerMinute int    // 0: no limit known
	Parallel         int    // calls at once per organisation; default 5

	CallTimeout, LoginTimeout, LookupTimeout time.Duration // default 30 s, 10 s, 10 s
}

// The values of RemarksTooLong.
const (
	Refuse   = "refuse"
	Truncate = "truncate"
)

const (
	maxRemarks = 100 // UTF-16 units, as NIC behind InvX takes them
	// hold is how long a credential that was refused is left alone.
	hold = time.Minute
	// lookupWindow: InvX keeps documents without a stated end; after a week only a person can tell more.
	lookupWindow = 7 * 24 * time.Hour
)

// defaultHeaders are documented for Vayana's enriched API; InvX's own page of common headers is not public.
var defaultHeaders = map[string]string{
	"X-FLYNN-N-USER-TOKEN": "{token}",
	"X-FLYNN-N-ORG-ID":     "{org}",
}

func (c Config) withDefaults() Config {
	c.GSTIN = strings.ToUpper(strings.TrimSpace(c.GSTIN))
	or(&c.RemarksTooLong, Refuse)
	or(&c.Parallel, 5)
	or(&c.CallTimeout, 30*time.Second)
	or(&c.LoginTimeout, 10*time.Second)
	or(&c.LookupTimeout, 10*time.Second)
	if len(c.CallHeaders) == 0 {
		c.CallHeaders = defaultHeaders
	}
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
	for _, f := range []struct{ key, value string }{
		{"gstin", c.GSTIN}, {"auth_url", c.AuthURL}, {"org_id", c.OrgID}, {"username", c.Username}, {"password", c.Password},
	} {
		if f.value == "" {
			errs = append(errs, errors.New(f.key+" is missing"))
		}
	}
	if strings.Contains(c.OrgID, "..") || strings.ContainsAny(c.OrgID, `/\`) || !printable(c.OrgID) {
		errs = append(errs, errors.New("org_id may not have slashes, dots in a row or control characters"))
	}
	for name, value := range c.CallHeaders {
		if !printable(name+value) || strings.ContainsAny(name, " :") {
			errs = append(errs, fmt.Errorf("call_headers: %q is no header", name))
		}
	}
	if c.RemarksTooLong != Refuse && c.RemarksTooLong != Truncate {
		errs = append(errs, fmt.Errorf("remarks_too_long is %q, must be %s or %s", c.RemarksTooLong, Refuse, Truncate))
	}
	return errors.Join(errs...)
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// user is the digest of a user of theodore: its session and its logins.
func (c Config) user() string {
	return upstream.Digest("theodore", strings.TrimRight(c.AuthURL, "/"), c.Username, c.Password, c.Settings.Proxy)
}

// org is the digest of an organisation as that user reaches it: its calls at once and its rate.
func (c Config) org() string {
	fields := []string{"invx", c.user(), strings.TrimRight(c.Settings.BaseURL, "/"), c.OrgID}
	for _, headers := range []map[string]string{c.CallHeaders, c.Settings.Headers} {
		var names []string
		for name, value := range headers {
			names = append(names, name+": "+value)
		}
		slices.Sort(names)
		fields = append(fields, upstream.Digest(names...))
	}
	return upstream.Digest(fields...)
}

func (c Config) profile() bridge.Profile {
	p := bridge.Profile{
		Name:          c.Name,
		Kind:          "invx",
		Space:         c.space(),
		Zone:          upstream.IST,
		Credential:    upstream.Digest(c.org(), c.GSTIN),
		LookupWindow:  lookupWindow,
		CallTimeout:   c.CallTimeout,
		LookupTimeout: c.LookupTimeout,
		Rules:         irp.Rules(fmt.Sprintf("utf16max=%d", maxRemarks)),
	}
	if c.RemarksTooLong == Truncate {
		p.Rules.Remarks = ""
	}
	if c.CancelsPerMinute > 0 {
		p.Cancels = bridge.Rate{Key: "cancel/" + c.org(), Limit: c.CancelsPerMinute, Per: time.Minute}
	}
	return p
}

// space goes by theodore's host, too: InvX's own are not published, while theodore's tell the sandbox (Vayana,
// "Integrating").
func (c Config) space() string {
	if upstream.Environment("", c.AuthURL) != upstream.Production {
		c.Settings.BaseURL = c.AuthURL
	}
	return irp.Space(c.Settings)
}
