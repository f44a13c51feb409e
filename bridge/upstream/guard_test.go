package upstream_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

// What the guard promises: after so many failures in a row it opens for so long.
const (
	tripAfter   = 5
	reopenAfter = 15 * time.Second
)

func guardWith(budget bridge.Budget) *upstream.Guard {
	return guardAt(upstream.NewShared(budget, slog.New(slog.DiscardHandler)), "https://api.example", "c")
}

func guardAt(shared *upstream.Shared, base, credential string) *upstream.Guard {
	return shared.Guard(clientAt(shared, base), credential, time.Minute)
}

func clientAt(shared *upstream.Shared, base string) *upstream.Client {
	client, err := shared.Client(upstream.Settings{BaseURL: base})
	if err != nil {
		panic(err)
	}
	return client
}

func sent(class bridge.Class, status int) bridge.Outcome {
	return bridge.Outcome{Class: class, HTTPStatus: status, Exchanges: []bridge.Exchange{{}}}
}

func cancelWith(g *upstream.Guard, o bridge.Outcome) bridge.Outcome {
	return through(context.Background(), g, func(context.Context) bridge.Outcome { return o })
}

func through(ctx context.Context, g *upstream.Guard, call func(context.Context) bridge.Outcome) bridge.Outcome {
	return *g.Cancel(ctx, func(ctx context.Context) *bridge.Outcome {
		o := call(ctx)
		return &o
	})
}

func lookupWith(g *upstream.Guard, err error) error {
	_, err = g.Lookup(context.Background(), func(context.Context) (bridge.DocumentState, error) { return bridge.DocumentState{}, err })
	return err
}

func TestBreakerCountsOnlyUnavailability(t *testing.T) {
	tests := []struct {
		name  string
		o     bridge.Outcome
		opens bool
	}{
		{"connect error", sent(bridge.NotApplied, 0), true},
		{"timeout after writing", sent(bridge.Unknown, 0), true},
		{"503", sent(bridge.Unknown, 503), true},
		{"408", sent(bridge.Unknown, 408), true},
		{"502 with a verdict in it", sent(bridge.Refused, 502), false},
		{"refused", sent(bridge.Refused, 200), false},
		{"credentials refused", sent(bridge.Misconfigured, 401), false},
		{"429", sent(bridge.NotApplied, 429), false},
		{"temporary error code on 200", sent(bridge.Unknown, 200), false},
		{"held back on this side", bridge.Outcome{Class: bridge.NotApplied}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shared := upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler))
			g := guardAt(shared, "https://api.example", "c")
			for range 2 * tripAfter {
				cancelWith(g, tt.o)
			}
			info := shared.Hosts()[0]
			if open := info.Breaker == "open"; open != tt.opens || info.Trips > 0 != tt.opens {
				t.Errorf("breaker %+v", info)
			}
		})
	}
}

func TestOpenBreakerAnswersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardWith(&upstreamtest.Budget{})
		for range tripAfter {
			down := sent(bridge.Unknown, 503)
			down.Message = "HTTP 503 without an answer that can be read"
			cancelWith(g, down)
		}
		time.Sleep(5 * time.Second)
		why := "breaker open until 00:00:15 UTC after failures in a row, the last: HTTP 503 without an answer that can be read"
		o := through(t.Context(), g, func(context.Context) bridge.Outcome {
			t.Error("called")
			return bridge.Outcome{}
		})
		if o.Class != bridge.NotApplied || o.RetryAfter != 10*time.Second || o.Sent || len(o.Exchanges) != 0 {
			t.Errorf("outcome %+v", o)
		}
		if o.Message != why {
			t.Errorf("message %q, want %q", o.Message, why)
		}
		if err := lookupWith(g, nil); !errors.Is(err, bridge.ErrUnavailable) || !strings.HasPrefix(err.Error(), why) {
			t.Errorf("lookup: %v", err)
		}
	})
}

func TestHalfOpenBreakerLetsOneCallThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardWith(&upstreamtest.Budget{})
		for range tripAfter {
			cancelWith(g, sent(bridge.Unknown, 503))
		}
		time.Sleep(reopenAfter + 1)
		probe, end := make(chan bridge.Outcome), make(chan struct{})
		go func() {
			cancelWithin := func(context.Context) bridge.Outcome { <-end; return sent(bridge.Cancelled, 200) }
			probe <- through(context.Background(), g, cancelWithin)
		}()
		synctest.Wait()
		if o := cancelWith(g, sent(bridge.Cancelled, 200)); o.Class != bridge.NotApplied {
			t.Errorf("a second call went through beside the probe: %+v", o)
		}
		close(end)
		if o := <-probe; o.Class != bridge.Cancelled {
			t.Errorf("probe: %+v", o)
		}
		if o := cancelWith(g, sent(bridge.Cancelled, 200)); o.Class != bridge.Cancelled {
			t.Errorf("after the probe: %+v", o)
		}
	})
}

// An outage is the host's: what one taxpayer's calls have found out, the others need not. Another host, and the same one
// by another way, are not concerned.
func TestAnOutageIsFoundOutOnce(t *testing.T) {
	shared := upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler))
	ours := guardAt(shared, "https://api.example/v1", "a")
	for range tripAfter {
		cancelWith(ours, sent(bridge.Unknown, 503))
	}
	proxied, err := shared.Client(upstream.Settings{BaseURL: "https://api.example/v1", Proxy: "http://proxy.example:3128"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		guard *upstream.Guard
		shut  bool
	}{
		"another taxpayer":        {guardAt(shared, "https://api.example/v1", "b"), true},
		"another path and port":   {guardAt(shared, "https://API.example:443/v2", "c"), true},
		"a changed configuration": {guardAt(shared.Next(), "https://api.example/v1", "a"), true},
		"another port":            {guardAt(shared, "https://api.example:8443/v1", "a"), false},
		"another host":            {guardAt(shared, "https://api2.example/v1", "a"), false},
		"through a proxy":         {shared.Guard(proxied, "a", time.Minute), false},
	} {
		o := cancelWith(tt.guard, sent(bridge.Cancelled, 200))
		if shut := o.Class == bridge.NotApplied; shut != tt.shut {
			t.Errorf("%s: %+v, want it shut: %v", name, o, tt.shut)
		}
	}
}

// A refused password shuts the gate of that credential, and neither another's nor the host.
func TestARefusedPasswordIsItsOwnersAlone(t *testing.T) {
	budget := &upstreamtest.Budget{}
	shared := upstream.NewShared(budget, slog.New(slog.DiscardHandler))
	for range 2 * tripAfter {
		cancelWith(guardAt(shared, "https://api.example", "a"), sent(bridge.Misconfigured, 401))
	}
	for credential, want := range map[string]bool{"a": true, "b": false} {
		err := guardAt(shared, "https://api.example", credential).Admit(t.Context())
		if shut := err != nil; shut != want {
			t.Errorf("%s: %v, want it shut: %v", credential, err, want)
		}
	}
	if hosts := shared.Hosts(); len(hosts) != 1 || hosts[0].Host != "https://api.example" || hosts[0].Breaker != "closed" {
		t.Errorf("hosts %+v", hosts)
	}
}

// A sign-on service of its own has a breaker of its own: while it is down nobody waits for it, and who has a session goes on.
func TestASignOnServiceDownStopsNoCallWithASession(t *testing.T) {
	shared := upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler))
	signOn, guard := clientAt(shared, "https://sign-on.example"), guardAt(shared, "https://api.example", "c")
	logins := 0
	session := upstream.SessionFor(shared, "c", upstream.Through(signOn, func(context.Context, upstream.Why, string) (l upstream.Lease[string], _ []bridge.Exchange, _ error) {
		logins++
		return l, nil, &upstream.Failure{Outcome: bridge.Outcome{Class: bridge.NotApplied, Message: "HTTP 503", HTTPStatus: 503,
			Exchanges: []bridge.Exchange{{Purpose: "login", URL: "https://sign-on.example/token"}}}}
	}), upstream.Plain[string]())
	var o bridge.Outcome
	for range 2 * tripAfter {
		o = through(t.Context(), guard, func(ctx context.Context) bridge.Outcome {
			_, _, err := session.Get(ctx)
			return *upstream.NotSent(err)
		})
	}
	if logins != tripAfter || o.Class != bridge.NotApplied || !strings.HasPrefix(o.Message, "breaker open until ") {
		t.Errorf("%d logins, then %+v", logins, o)
	}
	if o := cancelWith(guard, sent(bridge.Cancelled, 200)); o.Class != bridge.Cancelled {
		t.Errorf("with a session: %+v", o)
	}
}

// A login at the host of the calls is part of the call that needs it: the one that is let through to see may log in.
func TestTheProbeMayLogIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler))
		guard := guardAt(shared, "https://api.example", "c")
		for range tripAfter {
			cancelWith(guard, sent(bridge.Unknown, 503))
		}
		time.Sleep(reopenAfter + 1)
		login := func(context.Context, upstream.Why, string) (upstream.Lease[string], []bridge.Exchange, error) {
			return upstream.Lease[string]{Token: "t", Until: time.Now().Add(time.Hour)}, []bridge.Exchange{{Purpose: "login"}}, nil
		}
		session := upstream.SessionFor(shared, "c", upstream.Through(clientAt(shared, "https://api.example/token"), login), upstream.Plain[string]())
		o := through(t.Context(), guard, func(ctx context.Context) bridge.Outcome {
			if _, _, err := session.Get(ctx); err != nil {
				return *upstream.NotSent(err)
			}
			return sent(bridge.Cancelled, 200)
		})
		if o.Class != bridge.Cancelled || shared.Hosts()[0].Breaker != "closed" {
			t.Errorf("%+v, hosts %+v", o, shared.Hosts())
		}
	})
}

func TestLookupsCountForTheBreaker(t *testing.T) {
	g := guardWith(&upstreamtest.Budget{})
	for range tripAfter {
		lookupWith(g, &upstream.Failure{Outcome: sent(bridge.NotApplied, 0)})
	}
	if err := lookupWith(g, nil); !errors.Is(err, bridge.ErrUnavailable) {
		t.Errorf("lookup with the breaker open: %v", err)
	}
}

func TestGateShuts(t *testing.T) {
	wait := bridge.Outcome{Class: bridge.NotApplied, HTTPStatus: 429, RetryAfter: 7 * time.Second, Message: "HTTP 429"}
	longer := bridge.Outcome{Class: bridge.Misconfigured, HTTPStatus: 200, RetryAfter: 5 * time.Minute}
	tests := []struct {
		name string
		o    bridge.Outcome
		want time.Duration
	}{
		{"credentials refused", sent(bridge.Misconfigured, 401), time.Minute},
		{"credentials refused, with a time", longer, 5 * time.Minute},
		{"429 with Retry-After", wait, 7 * time.Second},
		{"429 without", sent(bridge.NotApplied, 429), 0},
		{"one document's trouble", sent(bridge.Misconfigured, 0), 0},
		{"cancelled", sent(bridge.Cancelled, 200), 0},
		{"unknown", bridge.Outcome{Class: bridge.Unknown, HTTPStatus: 503, RetryAfter: time.Minute}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				budget := &upstreamtest.Budget{}
				g := guardWith(budget)
				cancelWith(g, tt.o)
				gate, shut, _ := budget.Gate(t.Context(), "c")
				if shut != (tt.want > 0) || shut && time.Until(gate.Until) != tt.want {
					t.Fatalf("gate %+v, shut %v", gate, shut)
				}
				err := g.Admit(t.Context(), bridge.Rate{})
				if shut != (err != nil) {
					t.Fatalf("Admit: %v", err)
				}
				if !shut {
					return
				}
				if o := upstream.NotSent(err); o.Class != tt.o.Class || o.RetryAfter != tt.want {
					t.Errorf("held back with %+v", o)
				}
				if !errors.Is(err, bridge.ErrUnavailable) {
					t.Error("a lookup that the gate stops was not tried")
				}
				time.Sleep(tt.want)
				if err := g.Admit(t.Context(), bridge.Rate{}); err != nil {
					t.Errorf("after the wait: %v", err)
				}
			})
		})
	}
}

// What holds a call back says until when and why: to the minute when that is some way off, never too early.
func TestHeldBackSaysUntilWhenAndWhy(t *testing.T) {
	for _, tt := range []struct {
		away time.Duration
		want string
	}{
		{7 * time.Second, "calls held back until 00:00:37 UTC: HTTP 429"},
		{4 * time.Minute, "calls held back until 00:05 UTC: HTTP 429"}, // 00:04:30
		{24 * time.Hour, "calls held back until 01:01 UTC: HTTP 429"},  // an hour is the most that a gate stays shut
	} {
		synctest.Test(t, func(t *testing.T) {
			budget := &upstreamtest.Budget{}
			g := guardWith(budget)
			time.Sleep(30 * time.Second)
			g.Shut(t.Context(), bridge.Gate{Class: bridge.NotApplied, Until: time.Now().Add(tt.away), Text: "HTTP 429"})
			if gate, _, _ := budget.Gate(t.Context(), "c"); time.Until(gate.Until) != min(tt.away, time.Hour) {
				t.Errorf("shut until %v", gate.Until)
			}
			if o := upstream.NotSent(g.Admit(t.Context())); o.Message != tt.want || o.Sent {
				t.Errorf("message %q, want %q", o.Message, tt.want)
			}
		})
	}
}

func TestFailShutsTheGateOfALogin(t *testing.T) {
	budget := &upstreamtest.Budget{}
	err := guardWith(budget).Fail(t.Context(), sent(bridge.Misconfigured, 400))
	if _, shut, _ := budget.Gate(t.Context(), "c"); !shut || upstream.NotSent(err).Class != bridge.Misconfigured {
		t.Errorf("shut %v, err %v", shut, err)
	}
	err = guardWith(budget).Fail(t.Context(), bridge.Outcome{Class: bridge.Unknown, Sent: true})
	if o := upstream.NotSent(err); o.Class != bridge.NotApplied || o.Sent {
		t.Errorf("a doubtful login is %+v for the cancel", o)
	}
}

func TestAdmitKeepsTheLoginRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardWith(&upstreamtest.Budget{})
		rate := bridge.Rate{Key: "login/c", Limit: 2, Per: time.Minute}
		for range 2 {
			if err := g.Admit(t.Context(), rate); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
		}
		err := g.Admit(t.Context(), rate)
		want := "logins held back until 00:01:00 UTC: 2 in 1m are used up"
		if o := upstream.NotSent(err); o.Class != bridge.NotApplied || o.RetryAfter != 40*time.Second || o.Message != want {
			t.Errorf("third login: %+v", o)
		}
		time.Sleep(40 * time.Second)
		if err := g.Admit(t.Context(), rate); err != nil {
			t.Error(err)
		}
	})
}

// brokenBudget is a journal that can't be reached.
type brokenBudget struct{ bridge.Budget }

var errDisk = errors.New("disk full")

func (brokenBudget) Gate(context.Context, string) (bridge.Gate, bool, error) {
	return bridge.Gate{}, false, errDisk
}
func (brokenBudget) Shut(context.Context, string, bridge.Gate) error { return errDisk }

func TestNoLoginWhenTheGatesCantBeRead(t *testing.T) {
	g := guardWith(brokenBudget{})
	o := upstream.NotSent(g.Admit(t.Context(), bridge.Rate{}))
	if o.Class != bridge.NotApplied || !strings.Contains(o.Alarm, "disk full") {
		t.Errorf("outcome %+v", o)
	}
	if o := cancelWith(g, sent(bridge.Misconfigured, 401)); o.Class != bridge.Misconfigured {
		t.Errorf("a gate that can't be shut changed the outcome: %+v", o)
	}
}
