package cleartax

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// The kinds are ClearTax's two products, which share nothing but their token.
var (
	IndiaKind    = upstream.KindOf("cleartax-in", NewIndia)
	MalaysiaKind = upstream.KindOf("cleartax-my", NewMalaysia)
)

// Access is what leads in to both.
type Access struct {
	upstream.Settings `yaml:",inline"`

	Token bridge.Secret `yaml:"token" validate:"required,visible" doc:"Token from ClearTax's console."`
	// One old page of the vendor says x-clear-auth-token.
	TokenHeader string `yaml:"token_header" validate:"header" default:"x-cleartax-auth-token" doc:"Header that the token stands in."`
	Branch      string `yaml:"branch" validate:"printascii" doc:"Branch, where the account has several."`
}

// IndiaConfig is one taxpayer's way to ClearTax in India.
type IndiaConfig struct {
	Access   `yaml:",inline"`
	irp.Keys `yaml:",inline"`

	Route string `yaml:"route" validate:"oneof=govt v2" default:"govt" doc:"Which of ClearTax's routes: the government-compatible one, or v2."`
}

// The values of Route.
const Govt, V2 = "govt", "v2"

// India is one taxpayer's way to ClearTax in India. It implements bridge.Upstream.
type India struct {
	gateway
	route route
}

var _ bridge.Upstream = (*India)(nil)

// NewIndia checks the configuration and makes an adapter; it calls nobody. The error names every setting that is
// wrong, and no secret.
func NewIndia(c IndiaConfig, shared *upstream.Shared) (*India, error) {
	err := errors.Join(upstream.Prepare(&c), c.GSTIN())
	g, openErr := c.open("cleartax-in", shared, c.Taxpayer, upstream.IST)
	if err = errors.Join(err, openErr); err != nil {
		return nil, fmt.Errorf("cleartax-in %s: %w", c.Name, err)
	}
	g.header["gstin"] = []string{c.Taxpayer}
	g.profile.Space = irp.Space(c.Settings)
	if c.CancelsPerMinute > 0 {
		g.profile.Cancels = upstream.PerMinute(g.profile.Credential+" cancels", c.CancelsPerMinute)
	}
	g.profile.LookupWindow = 48 * time.Hour // behind the gateway, NIC shows an IRN for two to three days after its generation
	g.profile.Rules = c.Rules(fmt.Sprintf("max=%d", maxRemarks))
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
	Access `yaml:",inline"`

	TIN              string `yaml:"tin" validate:"omitempty,visible" doc:"The taxpayer's TIN, where callers name the taxpayer otherwise."`
	InvoiceType      string `yaml:"einvoice_type" validate:"oneof=SALES PURCHASE SALES_B2C" default:"SALES" doc:"Which documents; PURCHASE is for what the taxpayer issued as the buyer (self-billed)."`
	Account          string `yaml:"account" doc:"Name for the ClearTax account whose documents these are, where several tokens lead to one. Without it, the TIN."`
	LookupsPerMinute int    `yaml:"lookups_per_minute" validate:"min=0" default:"1000" doc:"Lookups that the token may make in a minute."`
}

// Malaysia is one taxpayer's way to ClearTax in Malaysia. It implements bridge.Upstream, and bridge.Resolver since callers
// name a document by ClearTax's id or by LHDN's.
type Malaysia struct {
	gateway
	invoiceType string
	lookups     bridge.Rate
	ids         upstream.Memory[string, known] // by UUID
}

var (
	_ bridge.Upstream = (*Malaysia)(nil)
	_ bridge.Resolver = (*Malaysia)(nil)
)

// NewMalaysia checks the configuration and makes an adapter; it calls nobody. The error names every setting that is
// wrong, and no secret.
func NewMalaysia(c MalaysiaConfig, shared *upstream.Shared) (*Malaysia, error) {
	c.TIN = cmp.Or(strings.TrimSpace(c.TIN), c.Taxpayer)
	err := upstream.Prepare(&c)
	if c.TIN = strings.ToUpper(c.TIN); c.TIN == "" {
		err = errors.Join(err, errors.New("tin is missing"))
	}
	g, openErr := c.open("cleartax-my", shared, c.TIN, upstream.MYT)
	if err = errors.Join(err, openErr); err != nil {
		return nil, fmt.Errorf("cleartax-my %s: %w", c.Name, err)
	}
	g.header["x-clear-tin"] = []string{c.TIN}
	if c.Branch != "" {
		g.header["x-clear-branch"] = []string{c.Branch}
	}
	user := upstream.Digest("cleartax-my user", g.visits.Client.BaseURL(), c.Token.Reveal())
	g.profile.Space = upstream.Space("cleartax-my/"+cmp.Or(strings.TrimSpace(c.Account), c.TIN), upstream.Environment(c.Environment, c.BaseURL))
	g.profile.Cancels = upstream.PerMinute(user+" cancels", cmp.Or(c.CancelsPerMinute, 1000))
	g.profile.LookupWindow = 7 * 24 * time.Hour
	g.profile.Rules = bridge.Rules{Document: "pathsafe,max=128", Normal: strings.TrimSpace, Refusal: upstream.LHDNRefusal}
	return &Malaysia{gateway: g, invoiceType: c.InvoiceType, lookups: upstream.PerMinute(user+" lookups", c.LookupsPerMinute)}, nil
}

// production is how ClearTax names the hosts that aren't a sandbox.
var production = regexp.MustCompile(`\.(clear\.in|cleartax\.com)$`)

// Profile implements bridge.Upstream.
func (g *gateway) Profile() *bridge.Profile { return &g.profile }

// Warnings are what looks wrong in the configuration but may be meant, for people at start and in check.
func (g *gateway) Warnings() []string { return g.warnings }
