package myinvois

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// Config is one taxpayer's way to MyInvois.
type Config struct {
	Name     string            // in the configuration, for logs and metrics
	Settings upstream.Settings // the way to the API; its proxy, CA and certificate serve the login too
	// IdentityURL is the base URL of the login; empty: the API's own, which is the same host today.
	IdentityURL  string
	ClientID     string
	ClientSecret string
	// SpareSecret is the client id's second secret. It is tried once when the first one is refused.
	SpareSecret string
	// OnBehalfOf is the TIN, or TIN:ROB, that an intermediary represents; empty for a taxpayer's own system.
	OnBehalfOf string
	// IRNMap leads from ids that callers know to UUIDs.
	IRNMap map[string]string
	// FetchCancelDate asks for the document's details after each cancel, for the authority's own date.
	FetchCancelDate bool

	// What the client id may do in a minute; 0 is what LHDN documents: 12, 12 and 125.
	CancelsPerMinute, LoginsPerMinute, LookupsPerMinute int

	CallTimeout, LoginTimeout, LookupTimeout time.Duration // 0: 30 s, 10 s, 10 s
}

const (
	// hold is how long refused credentials are left alone.
	hold = time.Minute
	// margin widens every window: the authority's minute does not begin when ours does.
	margin = 2 * time.Second
	// lookupWindow is far longer than a cancel can be in doubt; documents stay readable for months.
	lookupWindow = 7 * 24 * time.Hour
)

// Adapter is one taxpayer's way to MyInvois. It implements bridge.Upstream.
type Adapter struct {
	cfg             Config
	profile         bridge.Profile
	visits          upstream.Visits[token, upstream.Reply]
	identity        *upstream.Client
	account         *upstream.Guard // the door in front of the client id, whomever it represents
	logins, lookups bridge.Rate
	mask            upstream.Mask
	log             *slog.Logger

	hourly     hourly
	onBehalfOf string // as MyInvois writes it
	secrets    secrets
	warnings   []string
}

var _ bridge.Upstream = (*Adapter)(nil)

// New checks the configuration and makes an adapter; it calls nobody. The error names every setting that is wrong,
// never its value.
func New(c Config, shared *upstream.Shared) (*Adapter, error) {
	c = c.withDefaults()
	api, apiErr := shared.Client(c.Settings)
	settings := c.Settings
	settings.BaseURL = c.IdentityURL
	identity, identityErr := shared.Client(settings)
	if identityErr != nil && apiErr == nil {
		apiErr = fmt.Errorf("identity_url: %w", identityErr)
	}
	if err := errors.Join(c.check(), apiErr); err != nil {
		return nil, fmt.Errorf("myinvois %s: %w", c.Name, err)
	}
	a := &Adapter{cfg: c, identity: identity, log: shared.Log(), onBehalfOf: normalTIN(c.OnBehalfOf)}
	a.mask = upstream.NewMask("client_secret", "access_token").With(c.ClientSecret, c.SpareSecret)
	a.secrets.first, a.secrets.spare = c.ClientSecret, c.SpareSecret
	// LHDN counts by client id, whoever is represented; a token belongs to one taxpayer.
	account := upstream.Digest("myinvois account", api.BaseURL(), c.ClientID)
	credential := upstream.Digest("myinvois", api.BaseURL(), identity.BaseURL(), c.ClientID, c.ClientSecret, c.SpareSecret, a.onBehalfOf)
	a.profile = c.profile(account, credential)
	a.logins = perMinute(account+" logins", c.LoginsPerMinute)
	a.lookups = perMinute(account+" details", c.LookupsPerMinute)
	a.warnings = c.warnings(a.onBehalfOf)
	a.account = shared.Guard(api, account, hold)
	a.visits = upstream.Visits[token, upstream.Reply]{
		Client: api, Guard: shared.Guard(api, credential, hold),
		Session: upstream.SessionFor(shared, credential, upstream.Through(identity, a.login), upstream.Plain[token]()),
		Mask:    a.mask, MaskOf: func(t token) upstream.Mask { return a.mask.With(string(t)) },
		Read: func(_ token, reply upstream.Reply) (upstream.Reply, upstream.Admission) {
			return reply, upstream.Turned(reply.Status == http.StatusUnauthorized)
		},
		Again: a.again,
	}
	return a, nil
}

func (c Config) withDefaults() Config {
	c.IdentityURL = or(c.IdentityURL, c.Settings.BaseURL)
	c.CancelsPerMinute = or(c.CancelsPerMinute, 12)
	c.LoginsPerMinute = or(c.LoginsPerMinute, 12)
	c.LookupsPerMinute = or(c.LookupsPerMinute, 125)
	c.CallTimeout = or(c.CallTimeout, 30*time.Second)
	c.LoginTimeout = or(c.LoginTimeout, 10*time.Second)
	c.LookupTimeout = or(c.LookupTimeout, 10*time.Second)
	return c
}

func (c Config) profile(account, credential string) bridge.Profile {
	return bridge.Profile{
		Name:          c.Name,
		Kind:          "myinvois",
		Space:         upstream.Space("myinvois", upstream.Environment(c.Settings.Environment, c.Settings.BaseURL)),
		Zone:          upstream.MYT,
		Credential:    credential,
		Cancels:       perMinute(account, c.CancelsPerMinute),
		LookupWindow:  lookupWindow,
		CallTimeout:   c.CallTimeout,
		LookupTimeout: c.LookupTimeout,
		Rules:         c.rules(),
	}
}

func perMinute(key string, limit int) bridge.Rate {
	return bridge.Rate{Key: key, Limit: limit, Per: time.Minute + margin}
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// rules: with an irn_map any id may come, and what leads nowhere is refused by Cancel.
func (c Config) rules() bridge.Rules {
	document := "len=26,alphanum"
	if len(c.IRNMap) > 0 {
		document = "pathsafe,max=128"
	}
	return bridge.Rules{Document: document, Normal: c.normal, Refusal: refusal}
}

// normal is the document's UUID for an id as the caller writes it, in upper case as all of MyInvois' are. What is no UUID
// and leads to none stays as it is.
func (c Config) normal(irn string) string {
	irn = strings.TrimSpace(irn)
	if uuid, ok := c.IRNMap[irn]; ok {
		irn = uuid
	}
	if isUUID(irn) {
		irn = strings.ToUpper(irn)
	}
	return irn
}

// refusal words a broken rule as MyInvois words such errors.
func refusal(field, rule string) (code, message string) {
	code, text := "BadArgument", "invalid argument"
	if field == "irn" {
		code, text = "NotFound", "unknown document"
	}
	return code, code + ": " + text + " (" + field + " " + rule + ")"
}

// isUUID tells whether s can be a document's UUID (MyInvois SDK, Cancel Document: 26 Latin alphanumerics). An empty
// one in the path would be another call altogether.
func isUUID(s string) bool {
	other := func(r rune) bool { return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') }
	return len(s) == 26 && !strings.ContainsFunc(s, other)
}

// Profile implements bridge.Upstream.
func (a *Adapter) Profile() *bridge.Profile { return &a.profile }

// Warnings are what looks wrong in the configuration but may be meant, for people at start and in check.
func (a *Adapter) Warnings() []string { return a.warnings }

// check keeps calls away from MyInvois that it blocks clients for: without, or with a made-up, client id
// (MyInvois SDK, Login as Taxpayer System).
func (c Config) check() error {
	var errs []error
	for _, f := range [...]struct{ key, value string }{{"client_id", c.ClientID}, {"client_secret", c.ClientSecret}} {
		switch {
		case f.value == "":
			errs = append(errs, errors.New(f.key+" is missing"))
		case strings.ContainsFunc(f.value, func(r rune) bool { return r <= ' ' || r > '~' }):
			errs = append(errs, errors.New(f.key+" has blanks or characters that no MyInvois credential has"))
		}
	}
	if c.OnBehalfOf != "" && !isTIN(c.OnBehalfOf) {
		errs = append(errs, errors.New("on_behalf_of is neither a TIN nor TIN:ROB"))
	}
	for irn, uuid := range c.IRNMap {
		if !isUUID(uuid) {
			errs = append(errs, fmt.Errorf("irn_map: %q leads to something that is no UUID (26 letters and digits)", irn))
		}
	}
	return errors.Join(errs...)
}

// Hosts of MyInvois, for warnings only.
const (
	productionHost = "api.myinvois.hasil.gov.my"
	sandboxHost    = "preprod-api.myinvois.hasil.gov.my"
	portalSuffix   = "myinvois.hasil.gov.my"
)

// warnings are what looks wrong but may be meant. tin is on_behalf_of as it is sent.
func (c Config) warnings(tin string) []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, c.Name+": "+fmt.Sprintf(format, args...)) }
	if tin != c.OnBehalfOf {
		warn("on_behalf_of %s is sent as MyInvois writes it, %s", c.OnBehalfOf, tin)
	}
	api, identity := host(c.Settings.BaseURL), host(c.IdentityURL)
	if api != productionHost && api != sandboxHost && strings.HasSuffix(api, portalSuffix) {
		warn("%s is the portal for people, not the API; its hosts are %s and %s", api, productionHost, sandboxHost)
	}
	if api == productionHost && identity == sandboxHost || api == sandboxHost && identity == productionHost {
		warn("base_url and identity_url belong to different environments; tokens of one are refused by the other")
	}
	return all
}

func host(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// tinOrROB is a TIN, with the number of the business registration where one person has several (MyInvois SDK, Login as
// Intermediary System).
var tinOrROB = regexp.MustCompile(`^[A-Za-z]{1,2}[0-9]{5,13}(:[0-9A-Za-z-]{1,40})?$`)

func isTIN(s string) bool { return tinOrROB.MatchString(strings.TrimSpace(s)) }

// normalTIN writes a TIN as MyInvois keeps it (MyInvois SDK, FAQ): individuals under IG, which replaced OG and SG; all
// others without zeros after the letters and with a zero at the end. EI are LHDN's general TINs, taken as they are.
func normalTIN(s string) string {
	tin, rob, hasROB := strings.Cut(strings.ToUpper(strings.TrimSpace(s)), ":")
	letters := strings.TrimRight(tin, "0123456789")
	digits := tin[len(letters):]
	switch letters {
	case "", "EI":
	case "IG", "OG", "SG":
		letters = "IG"
	default:
		digits = strings.TrimLeft(digits, "0")
		if !strings.HasSuffix(digits, "0") {
			digits += "0"
		}
	}
	if tin = letters + digits; hasROB {
		tin += ":" + rob
	}
	return tin
}
