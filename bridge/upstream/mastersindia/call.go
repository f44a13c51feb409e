package mastersindia

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

type visit = upstream.Visit[token, answer]

// answer is a reply as it was read.
type answer struct {
	reply *upstream.Reply
	*body
}

// Cancel implements bridge.Upstream.
func (a *Adapter) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	return *a.visits.Cancel(ctx, func(ctx context.Context, v *visit) *bridge.Outcome {
		ans, err := a.call(ctx, v, func(t token) *upstream.Request {
			q := a.dialect.cancel(string(t), c)
			q.Fence, q.Timeout = fence, a.profile.CallTimeout
			return q
		})
		return ans.end(err, c.Document)
	})
}

// end is what became of a cancel.
//
//go:noinline // an Outcome would stand on the stack of every call that waits
func (ans answer) end(err error, irn string) *bridge.Outcome {
	if err != nil {
		return upstream.NotSent(err)
	}
	o := classify(ans.reply, ans.body, irn)
	return &o
}

// Lookup implements bridge.Upstream. The provider names no cancel date.
func (a *Adapter) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return a.visits.Lookup(ctx, func(ctx context.Context, v *visit) (bridge.DocumentState, error) {
		ans, err := a.call(ctx, v, func(t token) *upstream.Request {
			q := a.dialect.lookup(string(t), c)
			q.Timeout = a.profile.LookupTimeout
			return q
		})
		if err != nil {
			return bridge.DocumentState{}, err
		}
		return ans.found(c.Document)
	})
}

// Probe implements bridge.Upstream. It only logs in: every call for a document is one at the tax authority, too. With a
// key there is no login, and only a call for a document could try it.
func (a *Adapter) Probe(ctx context.Context) error {
	if a.cfg.APIKey != "" {
		return a.visits.Client.Reach(ctx)
	}
	_, _, err := a.visits.Session.Get(ctx)
	return err
}

// call makes a call under the session's token, or with the account's key (the vendor's v1 pages, "Authentication": header
// Authorization or api_key).
func (a *Adapter) call(ctx context.Context, v *visit, build func(t token) *upstream.Request) (answer, error) {
	if a.cfg.APIKey == "" {
		return v.Call(ctx, func(t token) (*upstream.Request, error) { return build(t), nil })
	}
	return a.callWithKey(ctx, v, build(""))
}

// callWithKey makes a call once, even if it is turned away: no login would make it another key.
func (a *Adapter) callWithKey(ctx context.Context, v *visit, q *upstream.Request) (answer, error) {
	ans, _, err := v.Send(ctx, "", with(q, "api_key", a.cfg.APIKey.Reveal()))
	if err != nil {
		return ans, err
	}
	turnedAway := ans.reply.Status == http.StatusUnauthorized || ans.reply.Status == http.StatusForbidden
	if ans.reply.Err != nil || ans.Results != nil || ans.gateway || !turnedAway {
		return ans, nil
	}
	o := ans.turnedAway()
	o.Alarm = "Masters India refuses the api_key (" + o.Message + "): check it, base_url, and whether the account may cancel"
	return ans, &upstream.Failure{Outcome: upstream.BeforeCancel(o)}
}

// freshRefused is the end after a fresh token was turned away, too.
func (ans answer) freshRefused() bridge.Outcome {
	o := ans.turnedAway()
	o.Alarm = "Masters India refuses a token that it has just issued: check api, and whether the account may cancel"
	return o
}

func (ans answer) turnedAway() bridge.Outcome {
	return ans.reply.Outcome(bridge.Misconfigured, strings.TrimSpace(fmt.Sprintf("HTTP %d %s", ans.reply.Status, ans.reason())))
}
