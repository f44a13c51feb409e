package myinvois

import (
	"cmp"
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

// Kind is MyInvois.
var Kind = upstream.KindOf("myinvois", New)

// Config is one taxpayer's way to MyInvois.
type Config struct {
	upstream.Settings `yaml:",inline"`

	// What stands for a credential keeps calls away from MyInvois that it blocks clients for: without, or with a made-up,
	// client id (MyInvois SDK, Login as Taxpayer System).
	ClientID     string        `yaml:"client_id" validate:"required,visible" doc:"Client id of the ERP that was registered at MyInvois."`
	ClientSecret bridge.Secret `yaml:"client_secret" validate:"required,visible" doc:"One of its two secrets."`
	SpareSecret  bridge.Secret `yaml:"spare_secret" validate:"omitempty,visible" doc:"The other one. It is tried once when the first is refused."`
	OnBehalfOf   string        `yaml:"on_behalf_of" doc:"The TIN, or TIN:ROB, that an intermediary represents; a taxpayer's own system leaves it out." example:"C25845632020"`
	IdentityURL  string        `yaml:"identity_url" validate:"omitempty,address" doc:"Address of the login, where it isn't base_url's." example:"https://preprod-api.myinvois.hasil.gov.my"`

	IRNMap           map[string]string `yaml:"irn_map" validate:"dive,len=26,alphanum" doc:"From ids that callers know to UUIDs, for a few." example:"{\"ERP-2026-0001\": F9D425P6DS7D8IU8F9D425P6DS}"`
	FetchCancelDate  bool              `yaml:"fetch_cancel_date" doc:"Whether to ask for the authority's own time of each cancel: one call more."`
	LoginsPerMinute  int               `yaml:"logins_per_minute" validate:"min=0" default:"12" doc:"Logins that the client id may make in a minute."`
	LookupsPerMinute int               `yaml:"lookups_per_minute" validate:"min=0" default:"125" doc:"Documents that the client id may ask for in a minute."`
}

const (
	// hold is how long refused credentials are left alone.
	hold = time.Minute
	// lookupWindow is far longer than a cancel can be in doubt; documents stay readable for months.
	lookupWindow = 7 * 24 * time.Hour
)

// Adapter is one taxpayer's way to MyInvois. It implements bridge.Upstream.
type Adapter struct {
	cfg             Config
	profile         bridge.Profile
	visits          upstream.Visits[token, *upstream.Reply]
	identity        *upstream.Client
	clientGuard     *upstream.Guard // the door in front of the client id, whomever it represents
	logins, lookups bridge.Rate
	mask            upstream.Mask
	log             *slog.Logger

	alarms     upstream.Memory[string, time.Time] // of refusals, when each went out last
	onBehalfOf string                             // as MyInvois writes it
	secrets    secrets
	warnings   []string
}

var _ bridge.Upstream = (*Adapter)(nil)

// New checks the configuration and makes an adapter; it calls nobody. The error names every setting that is wrong,
// never its value.
func New(c Config, shared *upstream.Shared) (*Adapter, error) {
	err := errors.Join(upstream.Prepare(&c), c.check())
	c.CancelsPerMinute = cmp.Or(c.CancelsPerMinute, 12) // as LHDN documents
	c.IdentityURL = cmp.Or(c.IdentityURL, c.BaseURL)
	api, apiErr := shared.Client(c.Settings)
	login := c.Settings
	login.BaseURL = c.IdentityURL
	identity, _ := shared.Client(login) // what it is refused for api is refused for, too
	if err = errors.Join(err, apiErr); err != nil {
		return nil, fmt.Errorf("myinvois %s: %w", c.Name, err)
	}
	a := &Adapter{cfg: c, identity: identity, log: shared.Log(), onBehalfOf: normalTIN(c.OnBehalfOf)}
	a.mask = upstream.NewMask("client_secret", "access_token").With(c.ClientSecret.Reveal(), c.SpareSecret.Reveal())
	a.secrets.first, a.secrets.spare = c.ClientSecret.Reveal(), c.SpareSecret.Reveal()
	// LHDN counts by client id, whoever is represented; a token belongs to one taxpayer.
	account := upstream.Digest("myinvois account", api.BaseURL(), c.ClientID)
	credential := upstream.Digest("myinvois", api.BaseURL(), identity.BaseURL(), c.ClientID, c.ClientSecret.Reveal(), c.SpareSecret.Reveal(), a.onBehalfOf)
	a.profile = c.profile(account, credential)
	a.logins = upstream.PerMinute(account+" logins", c.LoginsPerMinute)
	a.lookups = upstream.PerMinute(account+" details", c.LookupsPerMinute)
	a.warnings = c.warnings(a.onBehalfOf)
	a.clientGuard = shared.Guard(api, account, hold)
	a.visits = upstream.Visits[token, *upstream.Reply]{
		Client: api, Guard: shared.Guard(api, credential, hold),
		Session: upstream.SessionFor(shared, credential, upstream.Through(identity, a.login), upstream.Plain[token]()),
		Mask:    a.mask, MaskOf: upstream.MaskOf[token](a.mask),
		Read: func(_ token, reply *upstream.Reply) (*upstream.Reply, upstream.Admission) {
			return reply, upstream.Turned(reply.Status == http.StatusUnauthorized)
		},
		BeforeReplay: a.bookReplay,
	}
	return a, nil
}

func (c Config) profile(account, credential string) bridge.Profile {
	return bridge.Profile{
		Name:          c.Name,
		Kind:          "myinvois",
		Space:         upstream.Space("myinvois", upstream.Environment(c.Environment, c.BaseURL)),
		Zone:          upstream.MYT,
		Credential:    credential,
		Cancels:       upstream.PerMinute(account, c.CancelsPerMinute),
		LookupWindow:  lookupWindow,
		CallTimeout:   c.CallTimeout.D(),
		LookupTimeout: c.LookupTimeout.D(),
		Rules:         c.rules(),
	}
}

// rules: with an irn_map any id may come, and what leads nowhere is refused by Cancel.
func (c Config) rules() bridge.Rules {
	document := "len=26,alphanum"
	if len(c.IRNMap) > 0 {
		document = "pathsafe,max=128"
	}
	return bridge.Rules{Document: document, Normal: c.normal, Refusal: upstream.LHDNRefusal}
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

func (c Config) check() error {
	if c.OnBehalfOf != "" && !isTIN(c.OnBehalfOf) {
		return errors.New("on_behalf_of is neither a TIN nor TIN:ROB")
	}
	return nil
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
	api, identity := host(c.BaseURL), host(c.IdentityURL)
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
