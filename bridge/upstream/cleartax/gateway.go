package cleartax

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

const (
	// hold is how long a refused token is left alone.
	hold = time.Minute
	// margin widens every window of a rate: ClearTax's minute does not begin when ours does.
	margin = 2 * time.Second
	// defaultTokenHeader; one old page of the vendor says x-clear-auth-token.
	defaultTokenHeader = "x-cleartax-auth-token"
)

// gateway is the way to either product with one static token.
type gateway struct {
	profile  bridge.Profile
	client   *upstream.Client
	guard    *upstream.Guard
	header   http.Header // of every call
	mask     upstream.Mask
	warnings []string
}

// Profile implements bridge.Upstream.
func (g *gateway) Profile() *bridge.Profile { return &g.profile }

// Warnings are what looks wrong in the configuration but may be meant, for people at start and in check.
func (g *gateway) Warnings() []string { return g.warnings }

// cancel makes the one call that cancels, if q's fence lets it. The outcome is what its status alone decides.
func (g *gateway) cancel(ctx context.Context, q upstream.Request) (upstream.Reply, bridge.Outcome) {
	q.Purpose, q.Timeout = upstream.ForCancel, g.profile.CallTimeout
	r, id := g.do(ctx, q)
	o := verdict(r)
	o.UpstreamRef = id
	return r, o
}

// do makes a call and returns its request id, which the vendor's support asks for. It is no idempotency key.
func (g *gateway) do(ctx context.Context, q upstream.Request) (upstream.Reply, string) {
	id := uuid.NewString()
	q.Header = g.header.Clone()
	q.Header["x-request-id"] = []string{id}
	if q.Body != nil {
		q.Header["Content-Type"] = []string{"application/json"}
	}
	return g.client.Do(ctx, q), id
}

// verdict is what the status alone decides, whatever the body says: doubt and waiting (Reply.Verdict), and a token or
// an address that are wrong. Otherwise the class is None.
func verdict(r upstream.Reply) bridge.Outcome {
	redirect := r.Status >= 300 && r.Status < 400
	switch {
	case r.Status == http.StatusUnauthorized:
		o := r.Outcome(bridge.Misconfigured, "HTTP 401: the token was refused")
		o.Alarm = tokenAlarm("HTTP 401")
		return o
	case redirect, r.Status == http.StatusMethodNotAllowed, r.Status == http.StatusUnsupportedMediaType, r.Status == http.StatusNotImplemented:
		return misplaced(r)
	}
	return r.Verdict()
}

// tokenAlarm is for a token that ClearTax refuses. It is static: nothing but a person can get another one.
func tokenAlarm(how string) string {
	return "ClearTax refuses the token (" + how + "): it was revoked, has expired or belongs to another environment; " +
		"generate one in the console, once for all who use it"
}

func misplaced(r upstream.Reply) bridge.Outcome {
	o := r.Outcome(bridge.Misconfigured, fmt.Sprintf("HTTP %d: not an address of ClearTax", r.Status))
	o.Alarm = fmt.Sprintf("base_url does not answer as ClearTax does (HTTP %d): check it", r.Status)
	return o
}

// unread is the outcome of a reply of which neither status nor body decides.
func unread(o bridge.Outcome) bridge.Outcome {
	o.Class, o.Message = bridge.Unknown, fmt.Sprintf("HTTP %d without an answer that can be read", o.HTTPStatus)
	return o
}

// yesOrNo reads a field Success, which is a Boolean in the vendor's schemas and text in its samples.
func yesOrNo(s upstream.Scalar) (yes, no bool) {
	switch strings.ToLower(string(s)) {
	case "true", "y", "yes":
		return true, false
	case "false", "n", "no":
		return false, true
	}
	return false, false
}

// dated completes a cancelled outcome with the date that the reply names, else with the time of the reply.
func dated(o bridge.Outcome, r upstream.Reply, date upstream.Scalar, zone *time.Location) bridge.Outcome {
	if o.Date, o.DateSource = upstream.IRPDate(string(date)), bridge.DateUpstream; o.Date == "" {
		o.Date, o.DateSource = r.Date().In(zone).Format(time.DateTime), bridge.DateReply
	}
	return o
}

// isJSON tells whether the whole body is JSON: an error page of ClearTax itself, not of something in front of it.
func isJSON(r upstream.Reply) bool { return r.Err == nil && json.Valid(r.Body) }

// marshal writes compact JSON with <, > and & as they are.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // structs of strings
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// access is the part of both configurations that leads in.
type access struct {
	name, environment  string
	settings           upstream.Settings
	token, tokenHeader string
}

// open makes the gateway's connection, guard and header. The credential is a digest over the access and whom it is for.
func (a access) open(kind string, shared *upstream.Shared, taxpayer ...string) (gateway, error) {
	client, err := shared.Client(a.settings)
	if err != nil {
		return gateway{}, err
	}
	credential := upstream.Digest(append([]string{kind, client.BaseURL(), a.tokenHeader, a.token}, taxpayer...)...)
	return gateway{
		profile:  bridge.Profile{Name: a.name, Kind: kind, Credential: credential},
		client:   client,
		guard:    shared.Guard(credential, hold),
		header:   http.Header{a.tokenHeader: {a.token}, "Accept": {"application/json"}},
		mask:     upstream.NewMask("signedinvoice", "signedqrcode").With(a.token),
		warnings: a.warn(),
	}, nil
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
