package cleartax

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

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
	user := upstream.Digest("cleartax-my user", g.client.BaseURL(), c.Token)
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

var (
	documentID = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)
	lhdnUUID   = regexp.MustCompile(`^[0-9A-Z]{26}$`)
)

// Cancel implements bridge.Upstream (ClearTax E-Invoicing Malaysia API, Cancel E-Invoice). The document comes by its UUID;
// the call names it by ClearTax's id.
func (m *Malaysia) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	if !lhdnUUID.MatchString(c.Document) {
		code, message := refusalMY("irn", "must be a document of ClearTax or a LHDN UUID")
		return bridge.Outcome{Class: bridge.Refused, Code: code, Message: message}
	}
	return m.guard.Cancel(ctx, func(ctx context.Context) bridge.Outcome {
		id, trail, o := m.nameNow(ctx, c.Document)
		if o.Class != bridge.None {
			o.Exchanges = trail
			return o
		}
		body := marshal(cancelRequestMY{Reason: reasonMY(c), Action: "CANCEL"})
		r, o := m.cancel(ctx, upstream.Request{
			Fence: fence, Method: http.MethodPut, Path: documentsMY + "/" + url.PathEscape(id) + "/state?" + m.query("", ""), Body: body,
			Route: documentsMY + "/{id}/state",
		})
		o = classifyMY(r, o, named{id: id, uuid: c.Document})
		o.Exchanges = append(trail, r.Exchange(m.mask, body, r.Body))
		return o
	})
}

const documentsMY = "/einvoice/v1/documents"

// query is einvoice-type and one more parameter.
func (m *Malaysia) query(name, value string) string {
	q := url.Values{"einvoice-type": {m.invoiceType}}
	if name != "" {
		q.Set(name, value)
	}
	return q.Encode()
}

// Lookup implements bridge.Upstream.
func (m *Malaysia) Lookup(ctx context.Context, c bridge.Cancellation) (state bridge.DocumentState, err error) {
	q := byUUID(c.Document)
	old := !lhdnUUID.MatchString(c.Document) // on record by a document id, as before ids were resolved
	if old {
		q = question{name: "document-id", value: c.Document}
	}
	return m.guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) {
		found, trail, err := m.find(ctx, q)
		state := found.state()
		if old && state.Status != bridge.StatusCancelled { // it may name another document by now
			state.Status, state.Text = bridge.StatusUnknown, "the document is not on record by its LHDN UUID"
		}
		state.Exchanges = trail
		return state, err
	})
}

// Probe implements bridge.Upstream: there is no login, so it asks for a document that can't exist.
func (m *Malaysia) Probe(ctx context.Context) error {
	_, _, err := m.find(ctx, question{name: "document-id", value: "einvoice-bridge-probe"})
	return err
}
