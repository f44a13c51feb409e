package cleartax

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// IndiaConfig is one taxpayer's way to ClearTax in India.
type IndiaConfig struct {
	Name     string // in the configuration, for logs and metrics
	Settings upstream.Settings

	Token       string
	TokenHeader string // default x-cleartax-auth-token
	GSTIN       string
	Branch      string // header branch, only on the government-compatible route
	Route       string // "govt" (default) or "v2"

	RemarksTooLong string // "refuse" (default) or "truncate": what happens above 100 characters

	CancelsPerMinute           int           // default: no limit; the vendor publishes none
	CallTimeout, LookupTimeout time.Duration // default 30 s, 10 s
}

// The values of Route and RemarksTooLong.
const (
	Govt, V2         = "govt", "v2"
	Refuse, Truncate = "refuse", "truncate"
)

func (c IndiaConfig) withDefaults() IndiaConfig {
	c.GSTIN = strings.ToUpper(strings.TrimSpace(c.GSTIN))
	c.TokenHeader = cmp.Or(c.TokenHeader, defaultTokenHeader)
	c.Route = cmp.Or(c.Route, Govt)
	c.RemarksTooLong = cmp.Or(c.RemarksTooLong, Refuse)
	c.CallTimeout = cmp.Or(c.CallTimeout, 30*time.Second)
	c.LookupTimeout = cmp.Or(c.LookupTimeout, 10*time.Second)
	return c
}

var gstin = regexp.MustCompile(`^[0-9A-Z]{15}$`)

func (c IndiaConfig) check() error {
	errs := []error{c.access().check()}
	if !gstin.MatchString(c.GSTIN) {
		errs = append(errs, fmt.Errorf("gstin %q is not 15 letters and digits", c.GSTIN))
	}
	if strings.ContainsFunc(c.Branch, func(r rune) bool { return r < ' ' || r > '~' }) {
		errs = append(errs, errors.New("branch has characters that can't be sent in a header"))
	}
	if c.Route != Govt && c.Route != V2 {
		errs = append(errs, fmt.Errorf("route is %q, must be %s or %s", c.Route, Govt, V2))
	}
	if c.RemarksTooLong != Refuse && c.RemarksTooLong != Truncate {
		errs = append(errs, fmt.Errorf("remarks_too_long is %q, must be %s or %s", c.RemarksTooLong, Refuse, Truncate))
	}
	return errors.Join(errs...)
}

func (c IndiaConfig) access() access {
	return access{c.Name, c.Settings.Environment, c.Settings, c.Token, c.TokenHeader}
}

// lookupWindow: behind the gateway, NIC shows an IRN for two to three days after its generation.
const lookupWindow = 48 * time.Hour

// India is one taxpayer's way to ClearTax in India. It implements bridge.Upstream.
type India struct {
	gateway
	route route
}

var _ bridge.Upstream = (*India)(nil)

// NewIndia checks the configuration and makes an adapter; it calls nobody. The error names every setting that is
// wrong, and no secret.
func NewIndia(c IndiaConfig, shared *upstream.Shared) (*India, error) {
	c = c.withDefaults()
	g, err := c.access().open("cleartax-in", shared, c.GSTIN, c.Branch)
	if err := errors.Join(c.check(), err); err != nil {
		return nil, fmt.Errorf("cleartax-in %s: %w", c.Name, err)
	}
	g.header["gstin"] = []string{c.GSTIN}
	remarks := fmt.Sprintf("max=%d", maxRemarks)
	if c.RemarksTooLong == Truncate {
		remarks = ""
	}
	g.profile.Space = irp.Space(c.Settings)
	g.profile.Zone = upstream.IST
	if c.CancelsPerMinute > 0 {
		g.profile.Cancels = perMinute(g.profile.Credential+" cancels", c.CancelsPerMinute, 0)
	}
	g.profile.LookupWindow = lookupWindow
	g.profile.CallTimeout, g.profile.LookupTimeout = c.CallTimeout, c.LookupTimeout
	g.profile.Rules = irp.Rules(remarks)
	in := &India{gateway: g, route: v2}
	if c.Route == Govt {
		in.route = govt
		g.header["x-cleartax-product"] = []string{"EInvoice"}
		if c.Branch != "" {
			g.header["branch"] = []string{c.Branch}
		}
	}
	return in, nil
}

// MalaysiaConfig is one taxpayer's way to ClearTax in Malaysia.
type MalaysiaConfig struct {
	Name     string // in the configuration, for logs and metrics
	Settings upstream.Settings

	Token       string
	TokenHeader string // default x-cleartax-auth-token
	TIN         string // x-clear-tin
	Branch      string // x-clear-branch, where the account has branches
	InvoiceType string // SALES (default), SALES_B2C, or PURCHASE for what the taxpayer issued as the buyer (self-billed)
	// Account names the ClearTax account whose documents these are. Default: the TIN.
	Account string

	CancelsPerMinute, LookupsPerMinute int           // default 1,000 each
	CallTimeout, LookupTimeout         time.Duration // default 30 s, 10 s
}

func (c MalaysiaConfig) withDefaults() MalaysiaConfig {
	c.TIN = strings.ToUpper(strings.TrimSpace(c.TIN))
	c.TokenHeader = cmp.Or(c.TokenHeader, defaultTokenHeader)
	c.InvoiceType = cmp.Or(c.InvoiceType, "SALES")
	c.Account = cmp.Or(strings.TrimSpace(c.Account), c.TIN)
	c.CallTimeout = cmp.Or(c.CallTimeout, 30*time.Second)
	c.LookupTimeout = cmp.Or(c.LookupTimeout, 10*time.Second)
	return c
}

func (c MalaysiaConfig) check() error {
	errs := []error{c.access().check()}
	if c.TIN == "" || !sendable(c.TIN) {
		errs = append(errs, errors.New("tin is missing or has characters that no TIN has"))
	}
	if strings.ContainsFunc(c.Branch, func(r rune) bool { return r < ' ' || r > '~' }) {
		errs = append(errs, errors.New("branch has characters that can't be sent in a header"))
	}
	switch c.InvoiceType {
	case "SALES", "PURCHASE", "SALES_B2C":
	default:
		errs = append(errs, fmt.Errorf("einvoice_type is %q, must be SALES, PURCHASE or SALES_B2C", c.InvoiceType))
	}
	return errors.Join(errs...)
}

func (c MalaysiaConfig) access() access {
	return access{c.Name, c.Settings.Environment, c.Settings, c.Token, c.TokenHeader}
}

// Malaysia is one taxpayer's way to ClearTax in Malaysia. It implements bridge.Upstream, and bridge.Resolver since callers
// name a document by ClearTax's id or by LHDN's.
type Malaysia struct {
	gateway
	invoiceType string
	lookups     bridge.Rate
	ids         ids
}

var (
	_ bridge.Upstream = (*Malaysia)(nil)
	_ bridge.Resolver = (*Malaysia)(nil)
)

// NewMalaysia checks the configuration and makes an adapter; it calls nobody. The error names every setting that is
// wrong, and no secret.
func NewMalaysia(c MalaysiaConfig, shared *upstream.Shared) (*Malaysia, error) {
	c = c.withDefaults()
	g, err := c.access().open("cleartax-my", shared, c.TIN, c.Branch)
	if err := errors.Join(c.check(), err); err != nil {
		return nil, fmt.Errorf("cleartax-my %s: %w", c.Name, err)
	}
	g.header["x-clear-tin"] = []string{c.TIN}
	if c.Branch != "" {
		g.header["x-clear-branch"] = []string{c.Branch}
	}
	user := upstream.Digest("cleartax-my user", g.visits.Client.BaseURL(), c.Token)
	g.profile.Space = upstream.Space("cleartax-my/"+c.Account, upstream.Environment(c.Settings.Environment, c.Settings.BaseURL))
	g.profile.Zone = upstream.MYT
	g.profile.Cancels = perMinute(user+" cancels", c.CancelsPerMinute, 1000)
	g.profile.LookupWindow = 7 * 24 * time.Hour
	g.profile.CallTimeout, g.profile.LookupTimeout = c.CallTimeout, c.LookupTimeout
	g.profile.Rules = bridge.Rules{Document: "pathsafe,max=128", Normal: strings.TrimSpace, Refusal: refusalMY}
	return &Malaysia{gateway: g, invoiceType: c.InvoiceType, lookups: perMinute(user+" lookups", c.LookupsPerMinute, 1000)}, nil
}

// refusalMY words a broken rule as LHDN, which stands behind ClearTax, words such errors; ClearTax publishes no codes.
func refusalMY(field, rule string) (code, message string) {
	code, text := "BadArgument", "invalid argument"
	if field == "irn" {
		code, text = "NotFound", "unknown document"
	}
	return code, code + ": " + text + " (" + field + " " + rule + ")"
}

// access is the part of both configurations that leads in.
type access struct {
	name, environment  string
	settings           upstream.Settings
	token, tokenHeader string
}

func (a access) check() error {
	var errs []error
	switch {
	case a.token == "":
		errs = append(errs, errors.New("token is missing"))
	case !sendable(a.token):
		errs = append(errs, errors.New("token has blanks or characters that can't be sent in a header"))
	}
	if strings.Trim(a.tokenHeader, "-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		errs = append(errs, errors.New("token_header is not the name of a header"))
	}
	return errors.Join(errs...)
}

// sendable is text without blanks and control characters, in ASCII.
func sendable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// warn says what looks wrong but may be meant.
func (a access) warn() []string {
	u, err := url.Parse(a.settings.BaseURL)
	if err != nil {
		return nil
	}
	var all []string
	host, label := u.Hostname(), strings.ToLower(a.environment)
	sandbox := strings.Contains(host, "sandbox")
	known := strings.HasSuffix(host, ".clear.in") || strings.HasSuffix(host, ".cleartax.com")
	if sandbox && strings.HasPrefix(label, "prod") || !sandbox && known && strings.Contains(label, "sandbox") {
		all = append(all, fmt.Sprintf("%s: environment is %q, but the base URL's host is %s", a.name, a.environment, host))
	}
	return all
}

func perMinute(key string, limit, otherwise int) bridge.Rate {
	return bridge.Rate{Key: key, Limit: cmp.Or(limit, otherwise), Per: time.Minute + margin}
}

// Profile implements bridge.Upstream.
func (g *gateway) Profile() *bridge.Profile { return &g.profile }

// Warnings are what looks wrong in the configuration but may be meant, for people at start and in check.
func (g *gateway) Warnings() []string { return g.warnings }
