package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

// desk is an API behind numbered tokens. Its answers are one word each, in the order of the calls.
type desk struct {
	answers []string
	asked   []string // what came: token and body
	logins  int
	noLogin error
	again   error
	twice   bool
	budget  upstreamtest.Budget
}

const deskToken = "secret-token-"

func (d *desk) login(context.Context, upstream.Why, string) (upstream.Lease[string], []bridge.Exchange, error) {
	trail := []bridge.Exchange{{Purpose: "login"}}
	if d.logins++; d.noLogin != nil {
		return upstream.Lease[string]{}, trail, d.noLogin
	}
	return upstream.Lease[string]{Token: fmt.Sprint(deskToken, d.logins), Until: time.Now().Add(time.Hour)}, trail, nil
}

func (d *desk) visits() *upstream.Visits[string, *upstream.Reply] {
	shared := upstream.NewShared(&d.budget, slog.New(slog.DiscardHandler))
	shared.RoundTripper = upstreamtest.Network(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		d.asked = append(d.asked, strings.TrimPrefix(r.Header.Get("Token"), deskToken)+" "+string(body))
		if a := d.answers[len(d.asked)-1]; a != "unreachable" {
			return upstreamtest.Respond(200, a), nil
		}
		return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	})
	client := clientAt(shared, "https://api.example")
	w := &upstream.Visits[string, *upstream.Reply]{
		Client: client, Guard: shared.Guard(client, "c", time.Minute),
		Session: upstream.SessionFor(shared, "c", d.login, upstream.Plain[string]()),
		MaskOf:  func(token string) upstream.Mask { return upstream.Mask{}.With(token) },
		Read: func(_ string, r *upstream.Reply) (*upstream.Reply, upstream.Admission) {
			return r, map[string]upstream.Admission{`"away"`: upstream.TurnedAway, `"odd"`: upstream.Suspect}[string(r.Body)]
		},
		BeforeReplay: func(context.Context, *upstream.Request) error { return d.again },
	}
	if d.twice {
		w.FreshRefused = func(r *upstream.Reply) bridge.Outcome {
			return r.Outcome(bridge.Misconfigured, "turned away twice")
		}
	}
	return w
}

func order(purpose upstream.Purpose, body string) func(string) (*upstream.Request, error) {
	return func(token string) (*upstream.Request, error) {
		return &upstream.Request{
			Purpose: purpose, Fence: upstreamtest.Free, Method: http.MethodPost, Path: "/", Body: []byte(body), Header: http.Header{"Token": {token}},
		}, nil
	}
}

// What was certainly stopped at the gate is made again, once, with a new token. A reply that can't be read with what the
// session has ends the session, too, but no cancel is repeated for it: it may have been carried out.
func TestVisitCallsAgainOnlyWhatWasStopped(t *testing.T) {
	const cancel, lookup = upstream.ForCancel, upstream.ForLookup
	for name, tt := range map[string]struct {
		purpose upstream.Purpose
		desk    *desk
		asked   string // tokens and bodies that came
		said    string // the answer, or the outcome's text
		trail   string
		sent    bool
	}{
		"let in":                 {cancel, &desk{answers: []string{`"yes"`}}, "1 x", `"yes"`, "login cancel", true},
		"turned away once":       {cancel, &desk{answers: []string{`"away"`, `"yes"`}}, "1 x, 2 x", `"yes"`, "login cancel login cancel", true},
		"turned away twice":      {cancel, &desk{answers: []string{`"away"`, `"away"`}, twice: true}, "1 x, 2 x", "turned away twice", "login cancel login cancel", true},
		"twice, for the adapter": {cancel, &desk{answers: []string{`"away"`, `"away"`}}, "1 x, 2 x", `"away"`, "login cancel login cancel", true},
		"odd cancel":             {cancel, &desk{answers: []string{`"odd"`}, twice: true}, "1 x", `"odd"`, "login cancel", true},
		"odd lookup":             {lookup, &desk{answers: []string{`"odd"`, `"yes"`}}, "1 x, 2 x", `"yes"`, "login lookup login lookup", false},
		"odd lookup twice":       {lookup, &desk{answers: []string{`"odd"`, `"odd"`}, twice: true}, "1 x, 2 x", `"odd"`, "login lookup login lookup", false},
		"no session":             {cancel, &desk{noLogin: errors.New("no luck")}, "", "stopped before the cancel was sent: no luck", "login", false},
		"unreachable by then":    {cancel, &desk{answers: []string{`"away"`, "unreachable"}}, "1 x, 2 x", "", "login cancel login cancel", true},
		"no room for another":    {cancel, &desk{answers: []string{`"away"`}, again: errors.New("no room")}, "1 x", "stopped before the cancel was sent: no room", "login cancel", true},
	} {
		t.Run(name, func(t *testing.T) {
			o := tt.desk.visits().Cancel(t.Context(), func(ctx context.Context, v *upstream.Visit[string, *upstream.Reply]) *bridge.Outcome {
				r, err := v.Call(ctx, order(tt.purpose, "x"))
				if err != nil {
					return upstream.NotSent(err)
				}
				o := r.Outcome(bridge.Refused, string(r.Body))
				return &o
			})
			var trail []string
			for _, e := range o.Exchanges {
				trail = append(trail, e.Purpose)
			}
			if got := strings.Join(tt.desk.asked, ", "); got != tt.asked || o.Message != tt.said || o.Sent != tt.sent || strings.Join(trail, " ") != tt.trail {
				t.Errorf("asked %q, said %q, sent %v, trail %v", got, o.Message, o.Sent, trail)
			}
		})
	}
}

// One new login is all that a visit may cost, however many calls it makes.
func TestVisitSpendsOneNewLogin(t *testing.T) {
	d := desk{answers: []string{`"away"`, `"yes"`, `"away"`}, twice: true}
	o := d.visits().Cancel(t.Context(), func(ctx context.Context, v *upstream.Visit[string, *upstream.Reply]) *bridge.Outcome {
		if _, err := v.Call(ctx, order(upstream.ForLookup, "where")); err != nil {
			t.Error(err)
		}
		_, err := v.Call(ctx, order(upstream.ForCancel, "cancel"))
		return upstream.NotSent(err)
	})
	if got := strings.Join(d.asked, ", "); got != "1 where, 2 where, 2 cancel" || o.Class != bridge.Misconfigured || d.logins != 2 {
		t.Errorf("asked %q, %d logins, %+v", got, d.logins, o)
	}
	if _, shut, _ := d.budget.Gate(t.Context(), "c"); !shut {
		t.Error("the gate stays open behind a fresh token that was refused")
	}
}

// A lookup that brought no answer keeps what was said, for people; what an authority quotes shows no token.
func TestVisitKeepsTheTrailAndNoSecret(t *testing.T) {
	d := desk{answers: []string{`"token ` + deskToken + `1 is odd"`}}
	state, err := d.visits().Lookup(t.Context(), func(ctx context.Context, v *upstream.Visit[string, *upstream.Reply]) (bridge.DocumentState, error) {
		r, err := v.Call(ctx, order(upstream.ForLookup, "x"))
		if err != nil {
			return bridge.DocumentState{}, err
		}
		return bridge.DocumentState{}, upstream.Unanswered(r.Outcome(bridge.Refused, string(r.Body)))
	})
	if len(state.Exchanges) != 2 || state.Exchanges[1].Response != `"token *** is odd"` {
		t.Errorf("exchanges %+v", state.Exchanges)
	}
	if o := upstream.NotSent(err); o.Class != bridge.NotApplied || o.Message != `"token *** is odd"` || len(o.Exchanges) != 2 {
		t.Errorf("%+v", o)
	}
}

// A process whose leases are lost learns nothing about the host.
func TestALostLeaseOpensNoBreaker(t *testing.T) {
	d := desk{}
	w := d.visits()
	for range 2 * tripAfter {
		o := w.Cancel(t.Context(), func(ctx context.Context, v *upstream.Visit[string, *upstream.Reply]) *bridge.Outcome {
			r, err := v.Call(ctx, func(string) (*upstream.Request, error) {
				return &upstream.Request{Purpose: upstream.ForCancel, Fence: upstreamtest.Lost, Method: http.MethodPost, Path: "/"}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			o := r.Verdict()
			return &o
		})
		if len(o.Exchanges) == 0 || o.Sent {
			t.Fatalf("not tried: %+v", o)
		}
	}
}
