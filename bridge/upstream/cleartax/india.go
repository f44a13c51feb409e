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

// maxRemarks is the longest CnlRem, in characters (ClearTax E-Invoicing API, Cancel IRN).
const maxRemarks = 100

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
	g.profile.Space = upstream.IRPSpace(c.Settings)
	g.profile.Zone = upstream.IST
	if c.CancelsPerMinute > 0 {
		g.profile.Cancels = perMinute(g.profile.Credential+" cancels", c.CancelsPerMinute, 0)
	}
	g.profile.LookupWindow = lookupWindow
	g.profile.CallTimeout, g.profile.LookupTimeout = c.CallTimeout, c.LookupTimeout
	g.profile.Rules = upstream.IRPRules(remarks)
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

// Cancel implements bridge.Upstream (ClearTax E-Invoicing API, Cancel IRN).
func (in *India) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	return in.guard.Cancel(ctx, func(ctx context.Context) bridge.Outcome {
		remarks := []rune(upstream.IRPRemarks(c))
		body := in.route.body(cancelRequestIN{c.Document, string(c.Reason), strings.TrimSpace(string(remarks[:min(len(remarks), maxRemarks)]))})
		r, o := in.cancel(ctx, upstream.Request{Fence: fence, Method: in.route.method, Path: in.route.cancelPath, Body: body})
		ref := o.UpstreamRef
		o = in.words(classifyIN(r, o, in.route, c.Document))
		o.UpstreamRef = ref
		o.Exchanges = []bridge.Exchange{r.Exchange(in.mask, body, r.Body)}
		return o
	})
}

// Lookup implements bridge.Upstream (ClearTax E-Invoicing API, Get Invoice by IRN and Get E-Invoice by IRN). Neither
// names a cancel date.
func (in *India) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return in.guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) { return in.ask(ctx, c.Document) })
}

func (in *India) ask(ctx context.Context, irn string) (bridge.DocumentState, error) {
	if err := in.guard.Admit(ctx); err != nil {
		return bridge.DocumentState{}, err
	}
	r, id := in.do(ctx, upstream.Request{
		Purpose: upstream.ForLookup, Method: http.MethodGet, Path: in.route.getPath + url.QueryEscape(irn), Timeout: in.profile.LookupTimeout,
		Route: in.route.getPath + "{irn}",
	})
	state, o := readLookupIN(r, in.route, irn)
	state.Text, o = in.mask.Text(state.Text), in.words(o)
	state.Exchanges = []bridge.Exchange{r.Exchange(in.mask, nil, r.Body)}
	if o.Class == bridge.None {
		return state, nil
	}
	o.UpstreamRef, o.Exchanges = id, state.Exchanges
	return state, in.guard.Fail(ctx, o)
}

// Probe implements bridge.Upstream: there is no login, so it asks for an IRN that nobody has.
func (in *India) Probe(ctx context.Context) error {
	_, err := in.ask(ctx, strings.Repeat("0", 64))
	return err
}

// words hides in an outcome's texts what the vendor may have quoted.
func (in *India) words(o bridge.Outcome) bridge.Outcome {
	o.Message, o.Alarm = in.mask.Text(o.Message), in.mask.Text(o.Alarm)
	return o
}
