package nic

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

const (
	maxRemarks = 100 // UTF-16 units; NIC's side counts as .NET does
	// gateHold is how long a refused credential is left alone, tokenHold how long after a refused fresh token.
	gateHold  = 5 * time.Minute
	tokenHold = time.Minute
	// lookupWindow: GET by IRN answers 2283 two to three days after the IRN's generation.
	lookupWindow = 48 * time.Hour
)

// Adapter is one taxpayer's way to NIC. It implements bridge.Upstream.
type Adapter struct {
	cfg        Config
	key        *rsa.PublicKey
	profile    bridge.Profile
	client     *upstream.Client
	guard      *upstream.Guard
	session    *upstream.Session[*session]
	logins     bridge.Rate
	troubles   atomic.Int32 // logins in a row that NIC's own trouble ended
	authHeader http.Header
	mask       upstream.Mask
	warnings   []string
}

var _ bridge.Upstream = (*Adapter)(nil)

// New checks the configuration and makes an adapter; it calls nobody. The error names every setting that is wrong,
// and no secret.
func New(cfg Config, shared *upstream.Shared) (*Adapter, error) {
	cfg = cfg.withDefaults()
	key, print, keyErr := parseKey(cfg.PublicKey)
	err := errors.Join(cfg.check(), keyErr)
	if keyErr == nil {
		err = errors.Join(err, cfg.checkLength(key))
	}
	client, clientErr := shared.Client(cfg.Settings)
	if err = errors.Join(err, clientErr); err != nil {
		return nil, fmt.Errorf("nic %s: %w", cfg.Name, err)
	}
	credential := cfg.credential(print)
	secrets := []string{cfg.Password, cfg.ClientSecret}
	if cfg.ClientID == "" {
		secrets = append(secrets, slices.Collect(maps.Values(cfg.Settings.Headers))...)
	}
	a := &Adapter{
		cfg:        cfg,
		key:        key,
		profile:    cfg.profile(credential),
		client:     client,
		guard:      shared.Guard(credential, gateHold),
		logins:     cfg.logins(),
		authHeader: cfg.header(),
		mask: upstream.NewMask("password", "appkey", "authtoken", "sek", "signedinvoice", "signedqrcode").
			With(secrets...),
		warnings: cfg.warnings(print),
	}
	a.session = upstream.SessionFor(shared, credential, a.login, a.form())
	return a, nil
}

func (c Config) profile(credential string) bridge.Profile {
	rules := upstream.IRPRules(fmt.Sprintf("utf16max=%d", maxRemarks))
	if c.RemarksTooLong == Truncate {
		rules.Remarks = ""
	}
	return bridge.Profile{
		Name:          c.Name,
		Kind:          "nic",
		Space:         upstream.IRPSpace(c.Settings),
		Zone:          upstream.IST,
		Credential:    credential,
		Cancels:       c.cancels(),
		LookupWindow:  lookupWindow,
		CallTimeout:   c.CallTimeout,
		LookupTimeout: c.LookupTimeout,
		Rules:         rules,
	}
}

// logins is NIC's limit with one in reserve: 5 in 15 minutes, documented for the sibling e-way-bill API.
func (c Config) logins() bridge.Rate {
	key := upstream.Digest(strings.TrimRight(c.Settings.BaseURL, "/"), c.client(), c.GSTIN, c.Username)
	return bridge.Rate{Key: "nic-login/" + key, Limit: 4, Per: 15 * time.Minute}
}

// cancels is the rate of a client id: NIC counts and blocks per client id, whichever of its taxpayers sends.
func (c Config) cancels() bridge.Rate {
	if c.CancelsPerMinute == 0 {
		return bridge.Rate{}
	}
	key := upstream.Digest(strings.TrimRight(c.Settings.BaseURL, "/"), c.client())
	return bridge.Rate{Key: "nic-cancel/" + key, Limit: c.CancelsPerMinute, Per: time.Minute}
}

// Profile implements bridge.Upstream.
func (a *Adapter) Profile() *bridge.Profile { return &a.profile }

// Warnings are what looks wrong in the configuration but may be meant, for people at start and in check.
func (a *Adapter) Warnings() []string { return a.warnings }

// Cancel implements bridge.Upstream (NIC e-invoice API, "Cancel IRN").
func (a *Adapter) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	return a.guard.Cancel(ctx, func(ctx context.Context) bridge.Outcome {
		plain := marshal(cancelRequest{c.Document, string(c.Reason), upstream.Cut(upstream.IRPRemarks(c), maxRemarks)})
		ans, trail, sent, err := a.call(ctx, upstream.ForCancel, plain, func(s *session) upstream.Request {
			return upstream.Request{
				Purpose: upstream.ForCancel, Fence: fence, Method: http.MethodPost, Path: a.cfg.CancelPath, Header: s.header,
				Body: sealedBody(s, plain), Timeout: a.cfg.CallTimeout,
			}
		})
		var o bridge.Outcome
		switch {
		case err != nil:
			o = upstream.NotSent(err)
			trail = append(trail, o.Exchanges...)
		case ans.verdict == tokenRefused:
			o = ans.refusedAgain()
		default:
			o = ans.outcome(c)
		}
		o.Exchanges, o.Sent = trail, sent
		return ans.words(o)
	})
}

// Lookup implements bridge.Upstream (NIC e-invoice API, "Get e-Invoice by IRN"). NIC names no cancel date.
func (a *Adapter) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return a.guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) { return a.lookup(ctx, c) })
}

// Probe implements bridge.Upstream.
func (a *Adapter) Probe(ctx context.Context) error {
	_, _, err := a.session.Get(ctx)
	return err
}

// call makes one call, and the same once more at NIC's other system when the answer is 2148: the IRN is registered there,
// and nothing was carried out here (NIC e-invoice API, "Cancel IRN", header irp; checked 2026-11). What that system makes
// of a token or of settings with which this one has just answered says nothing about them: then 2148 stands.
func (a *Adapter) call(ctx context.Context, purpose upstream.Purpose, plain []byte, build func(*session) upstream.Request) (ans answer, trail []bridge.Exchange, sent bool, err error) {
	ans, trail, sent, err = a.ask(ctx, purpose, plain, build)
	if err != nil || !ans.elsewhere() {
		return ans, trail, sent, err
	}
	held, logins, err := a.session.Get(ctx)
	trail = append(trail, logins...)
	if err != nil {
		return ans, trail, sent, err
	}
	there := *held.Token
	there.header = a.cfg.crossHeader(there.header)
	other := read(a.client.Do(ctx, build(&there)), &there)
	trail, sent = append(trail, other.Exchange(there.mask, plain, other.plainBody())), sent || other.Written
	switch {
	case other.elsewhere():
		other.where = "neither NIC1 nor NIC2 has this IRN: was it registered at another IRP, or in another environment than base_url's?"
	case other.letIn():
	default:
		ans.where = "this IRN is registered at NIC's other system, " + a.cfg.otherIRP() + ", which did not let the call in: cancel it on that system's portal, or there with access of its own"
		return ans, trail, sent, nil
	}
	return other, trail, sent, nil
}

// ask makes one call under the session, and the same once more after a new login when it was stopped at the gate. A
// lookup whose reply can't be decrypted is repeated, too; a cancel never is. sent tells whether a byte of either has left.
// An error means that there was no session to call with.
func (a *Adapter) ask(ctx context.Context, purpose upstream.Purpose, plain []byte, build func(*session) upstream.Request) (ans answer, trail []bridge.Exchange, sent bool, err error) {
	for replayed := false; ; replayed = true {
		held, logins, err := a.session.Get(ctx)
		trail = append(trail, logins...)
		if err != nil {
			return ans, trail, sent, err
		}
		s := held.Token
		ans = read(a.client.Do(ctx, build(s)), s)
		trail, sent = append(trail, ans.Exchange(s.mask, plain, ans.plainBody())), sent || ans.Written
		switch ans.verdict {
		case tokenRefused:
			a.session.Drop(held)
		case sealed:
			a.session.Forget(held)
		}
		again := ans.verdict == tokenRefused || ans.verdict == sealed && purpose == upstream.ForLookup
		if !again || replayed {
			return ans, trail, sent, nil
		}
	}
}

func (a *Adapter) lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	route, _, _ := strings.Cut(a.cfg.GetPath, "?")
	ans, trail, _, err := a.call(ctx, upstream.ForLookup, nil, func(s *session) upstream.Request {
		return upstream.Request{
			Purpose: upstream.ForLookup, Method: http.MethodGet, Path: strings.ReplaceAll(a.cfg.GetPath, irnPlace, url.QueryEscape(c.Document)), Route: route,
			Header: s.header, Timeout: a.cfg.LookupTimeout,
		}
	})
	if err != nil {
		o := upstream.NotSent(err)
		o.Exchanges = append(trail, o.Exchanges...)
		return bridge.DocumentState{}, &upstream.Failure{Outcome: o}
	}
	state := bridge.DocumentState{Exchanges: trail}
	switch ans.verdict {
	case answered:
		state.Status, state.Text = ans.state(c)
		return state, nil
	case tokenRefused:
		return bridge.DocumentState{}, a.failed(ctx, ans, ans.refusedAgain(), trail)
	case sealed:
		o := ans.Outcome(bridge.NotApplied, "the lookup's data can't be decrypted")
		return bridge.DocumentState{}, a.failed(ctx, ans, o, trail)
	}
	switch o := ans.outcome(c); o.Class {
	case bridge.Refused, bridge.AlreadyCancelled, bridge.Unclear:
		// 2148, 2154 and 2283 say that this system has no record (any more), others that it won't show it: no proof.
		state.Text = ans.words(o).Message
		return state, nil
	default:
		if o.HTTPStatus == http.StatusNotFound {
			o.Class = bridge.NotApplied // a wrong lookup_path is no reason to stop cancels
		}
		return bridge.DocumentState{}, a.failed(ctx, ans, o, trail)
	}
}

// failed ends a lookup that got no answer.
func (a *Adapter) failed(ctx context.Context, ans answer, o bridge.Outcome, trail []bridge.Exchange) error {
	o.Exchanges = trail
	return a.guard.Fail(ctx, ans.words(o))
}

// state reads the decrypted reply to a GET by IRN.
func (a answer) state(c bridge.Cancellation) (bridge.DocumentStatus, string) {
	if !a.about(c) {
		return bridge.StatusUnknown, "NIC's reply is about another document"
	}
	switch status := strings.TrimSpace(a.doc.Status); strings.ToUpper(status) {
	case "ACT":
		return bridge.StatusActive, status
	case "CNL":
		return bridge.StatusCancelled, status
	case "REJ":
		return bridge.StatusOther, status
	default:
		return bridge.StatusUnknown, "status " + status
	}
}

// sealedBody is {"Data":"…"}. Base64 needs no escaping.
func sealedBody(s *session, plain []byte) []byte {
	data := seal(s.block, plain)
	var b bytes.Buffer
	b.Grow(base64.StdEncoding.EncodedLen(len(data)) + 11)
	b.WriteString(`{"Data":"`)
	b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), data))
	b.WriteString(`"}`)
	return b.Bytes()
}
