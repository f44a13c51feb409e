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
	"sync"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// MalaysiaConfig is one taxpayer's way to ClearTax in Malaysia.
type MalaysiaConfig struct {
	Name        string // in the configuration, for logs and metrics
	Environment string // a label such as "sandbox" or "production"
	Settings    upstream.Settings

	Token       string
	TokenHeader string // default x-cleartax-auth-token
	TIN         string // x-clear-tin
	Branch      string // x-clear-branch, where the account has branches
	InvoiceType string // SALES (default), SALES_B2C, or PURCHASE for what the taxpayer issued as the buyer (self-billed)
	// Account names the ClearTax account; document ids are unique in it. Default: the TIN.
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
	return access{c.Name, c.Environment, c.Settings, c.Token, c.TokenHeader}
}

// Malaysia is one taxpayer's way to ClearTax in Malaysia. It implements bridge.Upstream.
type Malaysia struct {
	gateway
	invoiceType string
	lookups     bridge.Rate
	ids         ids
}

var _ bridge.Upstream = (*Malaysia)(nil)

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
	g.profile.Space = "cleartax-my/" + c.Account
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

// Cancel implements bridge.Upstream (ClearTax E-Invoicing Malaysia API, Cancel E-Invoice).
func (m *Malaysia) Cancel(ctx context.Context, c bridge.Cancellation) bridge.Outcome {
	if !documentID.MatchString(c.Document) {
		code, message := refusalMY("irn", "must be up to 128 letters, digits, dots, hyphens and underscores")
		return bridge.Outcome{Class: bridge.Refused, Code: code, Message: message}
	}
	return m.guard.Cancel(ctx, func(ctx context.Context) bridge.Outcome {
		doc, trail, o := m.resolve(ctx, c.Document)
		if o.Class != bridge.None {
			o.Exchanges = trail
			return o
		}
		body := marshal(cancelRequestMY{Reason: reasonMY(c), Action: "CANCEL"})
		r, o := m.cancel(ctx, upstream.Request{
			Method: http.MethodPut, Path: documentsMY + "/" + url.PathEscape(doc.id) + "/state?" + m.query("", ""), Body: body,
			Route: documentsMY + "/{id}/state",
		})
		o = classifyMY(r, o, doc.uuid)
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

// named is a document by ClearTax's own id, and by LHDN's where it is known.
type named struct{ id, uuid string }

// resolve finds the document id for what the caller sent. An id in the form of a UUID is asked for as such first; a
// document id may look like one, so that is asked for next. The outcome's class is None when there is one to cancel.
func (m *Malaysia) resolve(ctx context.Context, irn string) (named, []bridge.Exchange, bridge.Outcome) {
	if !lhdnUUID.MatchString(irn) {
		return named{id: irn}, nil, bridge.Outcome{}
	}
	if doc, ok := m.ids.get(irn); ok {
		return doc, nil, bridge.Outcome{}
	}
	found, trail, err := m.find(ctx, irn)
	switch {
	case err != nil:
		return named{}, trail, upstream.NotSent(err)
	case found.id == "":
		return named{}, trail, found.refusal()
	}
	return found.named, trail, bridge.Outcome{}
}

// find asks for a document by what the caller sent, as UUID where it has the form, then as document id. The pair of
// numbers is remembered.
func (m *Malaysia) find(ctx context.Context, irn string) (found foundMY, trail []bridge.Exchange, err error) {
	names := []string{"document-id"}
	if doc, ok := m.ids.get(irn); ok {
		irn = doc.id
	} else if lhdnUUID.MatchString(irn) {
		names = []string{"uuid", "document-id"}
	}
	for _, name := range names {
		var e bridge.Exchange
		var asked bool
		found, e, asked, err = m.ask(ctx, name, irn)
		if asked {
			trail = append(trail, e)
		}
		if err != nil {
			return foundMY{}, trail, withTrail(err, trail)
		}
		if found.id != "" {
			if len(names) == 2 {
				m.ids.put(irn, found.named)
			}
			return found, trail, nil
		}
	}
	return found, trail, nil
}

// ask makes one lookup (ClearTax E-Invoicing Malaysia API, Get Document via UUID). Nothing found is no error.
func (m *Malaysia) ask(ctx context.Context, name, value string) (found foundMY, e bridge.Exchange, asked bool, err error) {
	if err := m.guard.Admit(ctx, m.lookups); err != nil {
		return found, e, false, err
	}
	r, id := m.do(ctx, upstream.Request{
		Purpose: "lookup", Method: http.MethodGet, Path: documentsMY + "?" + m.query(name, value), Timeout: m.profile.LookupTimeout,
	})
	found, o := readLookupMY(r, verdict(r), name, value)
	if o.Class != bridge.None {
		o.UpstreamRef = id
		err = m.guard.Fail(ctx, o)
	}
	return found, r.Exchange(m.mask, nil, r.Body), true, err
}

// withTrail gives a failure the exchanges that led to it.
func withTrail(err error, trail []bridge.Exchange) error {
	f, ok := errors.AsType[*upstream.Failure](err)
	if !ok || len(trail) == 0 {
		return err
	}
	o := f.Outcome
	o.Exchanges = trail
	return &upstream.Failure{Outcome: o}
}

// Lookup implements bridge.Upstream.
func (m *Malaysia) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return m.guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) {
		found, trail, err := m.find(ctx, c.Document)
		state := found.state()
		state.Exchanges = trail
		return state, err
	})
}

// Probe implements bridge.Upstream: there is no login, so it asks for a document that can't exist.
func (m *Malaysia) Probe(ctx context.Context) error {
	_, _, _, err := m.ask(ctx, "document-id", "einvoice-bridge-probe")
	return err
}

// ids remembers which document id belongs to a UUID. The pairs never change, so that forgetting them costs a lookup
// and nothing else.
type ids struct {
	mu sync.Mutex
	of map[string]named
}

const maxIDs = 10_000

func (i *ids) get(irn string) (named, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	doc, ok := i.of[irn]
	return doc, ok
}

func (i *ids) put(irn string, doc named) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.of == nil || len(i.of) >= maxIDs {
		i.of = map[string]named{}
	}
	i.of[irn] = doc
}
