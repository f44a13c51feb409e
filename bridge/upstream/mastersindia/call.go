package mastersindia

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// Cancel implements bridge.Upstream.
func (a *Adapter) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	return a.guard.Cancel(ctx, func(ctx context.Context) bridge.Outcome {
		v := visit{Adapter: a, mask: a.mask}
		return v.ended(v.cancel(ctx, c, fence))
	})
}

// Lookup implements bridge.Upstream. The provider names no cancel date.
func (a *Adapter) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return a.guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) {
		v := visit{Adapter: a, mask: a.mask}
		state, err := v.lookup(ctx, c)
		if err != nil {
			return bridge.DocumentState{}, a.guard.Fail(ctx, v.ended(upstream.NotSent(err)))
		}
		state.Text, state.Exchanges = v.mask.Text(state.Text), v.trail
		return state, nil
	})
}

// Probe implements bridge.Upstream. It only logs in: every call for a document is one at the tax authority, too. With a
// key there is no login, and only a call for a document could try it.
func (a *Adapter) Probe(ctx context.Context) error {
	if a.cfg.APIKey != "" {
		return a.client.Reach(ctx)
	}
	_, _, err := a.session.Get(ctx)
	return err
}

// visit is one Cancel or Lookup: its calls in order, and whether its one new login is spent.
type visit struct {
	*Adapter
	trail    []bridge.Exchange
	replayed bool
	sent     bool // a byte of a cancel may have left this machine
	mask     upstream.Mask
}

// ended completes an outcome with all that was said, and takes secrets out of its texts.
func (v *visit) ended(o bridge.Outcome) bridge.Outcome {
	o.Exchanges, o.Sent = append(v.trail, o.Exchanges...), v.sent
	o.Message, o.Alarm = v.mask.Text(o.Message), v.mask.Text(o.Alarm)
	return o
}

// cancel sends one cancel.
func (v *visit) cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	reply, b, err := v.call(ctx, func(token string) upstream.Request {
		q := v.dialect.cancel(token, c)
		q.Fence, q.Timeout = fence, v.cfg.CallTimeout
		return q
	})
	if err != nil {
		return upstream.NotSent(err)
	}
	return classify(reply, b, c.Document)
}

// lookup tells the document's state.
func (v *visit) lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	reply, b, err := v.call(ctx, func(token string) upstream.Request {
		q := v.dialect.lookup(token, c)
		q.Timeout = v.cfg.LookupTimeout
		return q
	})
	if err != nil {
		return bridge.DocumentState{}, err
	}
	if b.Results != nil && b.Results.success() && reply.Status/100 == 2 {
		return b.Results.state(c.Document), nil
	}
	o := classify(reply, b, c.Document)
	said := o.Class == bridge.Refused || o.Class == bridge.AlreadyCancelled || o.Class == bridge.Unclear
	if b.Results != nil && b.reason() != "" && said {
		// 2148, 2154 and 2283 say that this portal has no record (any more), others that it won't show it: no proof.
		return bridge.DocumentState{Text: o.Message}, nil
	}
	if b.Results == nil && !b.gateway && !signOnErrors[string(b.Error)] {
		o.Class = bridge.NotApplied // a get that goes astray (the path is assumed for v1) is no reason to stop cancels
	}
	return bridge.DocumentState{}, unanswered(o)
}

// unanswered is a question that brought no answer: it changed nothing, whatever the reply would have meant to a cancel.
func unanswered(o bridge.Outcome) error {
	o = upstream.BeforeCancel(o)
	if o.Class != bridge.Misconfigured {
		o.Class = bridge.NotApplied
	}
	return &upstream.Failure{Outcome: o}
}

// call makes one call with the session's token. A call that was turned away because of its token is made again after a
// new login, once per visit. The error is a *upstream.Failure: whatever it says, the call had no effect.
func (v *visit) call(ctx context.Context, build func(token string) upstream.Request) (upstream.Reply, body, error) {
	if v.cfg.APIKey != "" {
		return v.keyed(ctx, build(""))
	}
	for {
		held, trail, err := v.session.Get(ctx)
		v.trail = append(v.trail, trail...)
		if err != nil {
			return upstream.Reply{}, body{}, err
		}
		reply := v.send(ctx, build(held.Token.value), held.Token)
		b := read(reply)
		if !b.refusesToken(reply.Status) {
			return reply, b, nil
		}
		v.session.Drop(held)
		if v.replayed {
			o := reply.Outcome(bridge.Misconfigured, strings.TrimSpace(fmt.Sprintf("HTTP %d %s", reply.Status, b.reason())))
			o.Alarm = "Masters India refuses a token that it has just issued: check api, and whether the account may cancel"
			return upstream.Reply{}, body{}, &upstream.Failure{Outcome: upstream.BeforeCancel(o)}
		}
		v.replayed = true
	}
}

// keyed makes one call with the account's key (the vendor's v1 pages, "Authentication": header Authorization or api_key).
// One that is turned away is not made again: no login would make it another key.
func (v *visit) keyed(ctx context.Context, q upstream.Request) (upstream.Reply, body, error) {
	q.Header["api_key"] = []string{v.cfg.APIKey}
	reply := v.send(ctx, q, &token{mask: v.Adapter.mask})
	b := read(reply)
	turnedAway := reply.Status == http.StatusUnauthorized || reply.Status == http.StatusForbidden
	if reply.Err != nil || b.Results != nil || b.gateway || !turnedAway {
		return reply, b, nil
	}
	o := reply.Outcome(bridge.Misconfigured, strings.TrimSpace(fmt.Sprintf("HTTP %d %s", reply.Status, b.reason())))
	o.Alarm = "Masters India refuses the api_key (" + o.Message + "): check it, base_url, and whether the account may cancel"
	return upstream.Reply{}, body{}, &upstream.Failure{Outcome: upstream.BeforeCancel(o)}
}

func (v *visit) send(ctx context.Context, q upstream.Request, t *token) upstream.Reply {
	v.mask = t.mask
	reply := v.client.Do(ctx, q)
	v.trail = append(v.trail, reply.Exchange(v.mask, q.Body, reply.Body))
	v.sent = v.sent || q.Purpose == upstream.ForCancel && reply.Written
	return reply
}
