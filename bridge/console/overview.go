package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"einvoice-bridge/bridge"
)

const (
	fewShown   = 10  // rows of a short list
	mostWaited = 500 // waiting entries that are counted by upstream

	fewRejected = 5
	lately      = 24 * time.Hour
)

// overview is the state of the whole, what needs a person first.
type overview struct {
	Stats     bridge.Stats
	Load      bridge.Load
	Open      []bridge.Entry // doubtful, newest first
	Otherwise []bridge.Entry
	Span      span
	Spans     []span
	Chart     chart
	Failed    []bridge.Entry    // lately
	Rejected  []bridge.Rejected // lately
	Upstreams []upstreamRow
	Expiries  []Expiry
}

type upstreamRow struct {
	Upstream
	Waiting int
	Recent  Recent
	Failed  int       // cancellations that came to nothing in the trouble at hand
	Since   time.Time // the first of them was asked for
	zone    Zone
}

func (p *pages) overview(w http.ResponseWriter, r *http.Request) error {
	ctx, now := r.Context(), time.Now().In(p.zone.Location)
	o := overview{Span: spanOf(r.URL.Query().Get("span")), Spans: spans, Load: p.Metrics.load()}
	from := o.Span.from(now)
	var counts []bridge.Count
	waiting := map[string]int{}
	for _, read := range []func() error{
		func() (err error) { o.Stats, err = p.Records.Stats(ctx); return },
		func() (err error) { counts, err = p.counter.of(ctx, o.Span, from, now); return },
		func() (err error) {
			o.Open, err = p.Records.List(ctx, bridge.Filter{Open: true, Limit: fewShown})
			return
		},
		func() (err error) {
			o.Otherwise, err = p.Records.List(ctx, bridge.Filter{ToldOtherwise: true, Limit: fewShown})
			return
		},
		func() (err error) { o.Expiries, err = p.Expiries(ctx); return },
		func() (err error) { o.Failed, err = p.failed(ctx, now); return },
		func() (err error) {
			o.Rejected, err = p.Records.Rejected(ctx, bridge.RejectedFilter{Since: now.Add(-lately), Limit: fewRejected})
			return
		},
		func() error {
			list, err := p.Records.List(ctx, bridge.Filter{Waiting: true, Limit: mostWaited})
			for _, e := range list {
				waiting[e.Upstream]++
			}
			return err
		},
	} {
		if err := read(); err != nil {
			return err
		}
	}
	o.Chart = newChart(counts, o.Span, from, p.zone)
	for _, u := range p.Upstreams(ctx) {
		row := upstreamRow{Upstream: u, Waiting: waiting[u.Name], Recent: p.Metrics.Recent(u.Name), zone: p.zone}
		if row.Trouble().Word != "" {
			var err error
			if row.Failed, row.Since, err = p.failing(ctx, u.Name, now); err != nil {
				return err
			}
		}
		o.Upstreams = append(o.Upstreams, row)
	}
	slices.SortStableFunc(o.Upstreams, func(a, b upstreamRow) int { return cmp.Compare(b.Health().rank(), a.Health().rank()) })
	return p.render(w, r, http.StatusOK, "overview", page{Title: "Overview", Tab: "/", Live: true, Body: o})
}

// failed are the newest entries that ended in trouble, newest first.
func (p *pages) failed(ctx context.Context, now time.Time) (all []bridge.Entry, err error) {
	for _, class := range []bridge.Class{bridge.NotApplied, bridge.Misconfigured} {
		some, err := p.Records.List(ctx, bridge.Filter{Class: class, Since: now.Add(-lately), Limit: fewShown})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b bridge.Entry) int { return cmp.Compare(b.ID, a.ID) })
	return all[:min(len(all), fewShown)], nil
}

// failing counts the cancellations that an upstream has failed since it last carried one out or refused one, and says when the
// first was asked for.
func (p *pages) failing(ctx context.Context, upstream string, now time.Time) (n int, since time.Time, err error) {
	newest, err := p.Records.List(ctx, bridge.Filter{Upstream: upstream, Since: now.Add(-lately), Limit: mostWaited})
	for _, e := range newest {
		switch e.Outcome.Class {
		case bridge.NotApplied, bridge.Misconfigured:
			n, since = n+1, e.Created
		case bridge.Cancelled, bridge.Refused:
			return n, since, err
		}
	}
	return n, since, err
}

// Health is an upstream's state in a word and a colour: the worst of what there is.
func (u upstreamRow) Health() badge {
	if t := u.Trouble(); t.Word != "" {
		return t.badge
	}
	switch {
	case u.HalfOpen > 0:
		return badge{"trying again", "not_applied"}
	case u.Recent.Last.IsZero() && u.Recent.Troubled.IsZero() && u.Sessions == 0:
		return badge{"not tried yet", "none"}
	case !u.Recent.Troubled.IsZero() && !u.Recent.Troubled.Before(u.Recent.Last):
		return badge{"last try failed", "not_applied"}
	}
	return badge{"healthy", "cancelled"}
}

// obstacle is what stands between an upstream and its cancellations, and what to do about it.
type obstacle struct {
	badge
	Text, Do string
}

// rank puts those in trouble first.
func (b badge) rank() int {
	return slices.Index([]string{"not_applied", "unknown", "misconfigured"}, b.Colour)
}

// Trouble is the worst that there is; its word is empty when there is none.
func (u upstreamRow) Trouble() obstacle {
	var asked bridge.Gate
	for _, g := range u.Gates {
		if g.Class == bridge.Misconfigured {
			return obstacle{badge{"credentials refused", "misconfigured"}, "refuses what it is asked with, and nothing is sent with that until " + u.zone.Clock(g.Until) + ": " + g.Text,
				"Put the configuration right (or the account, at the provider) and reload."}
		}
		asked = g
	}
	switch {
	case u.Open > 0:
		word, some := "breaker open", ""
		if u.Open < u.Hosts {
			word, some = "breaker open for some", fmt.Sprintf(", at %d of its %d hosts", u.Open, u.Hosts)
		}
		return obstacle{badge{word, "unknown"}, "can't be reached or fails" + some + "; callers are told to come back later",
			"It is tried again by itself. If it stays so, ask the provider whether it is down, and look whether this machine reaches it."}
	case time.Now().Before(u.LoginsHeld):
		return obstacle{badge{"logins held back", "not_applied"}, "gets no login until " + u.zone.Clock(u.LoginsHeld) + "; without one nothing can be carried out or looked up",
			"Nothing: the authority allows few logins, and the next is made by itself. A seal in the configuration makes restarts need none."}
	case !asked.Until.IsZero():
		return obstacle{badge{"asked us to wait", "not_applied"}, "has asked us to wait until " + u.zone.Clock(asked.Until) + ": " + asked.Text,
			"Nothing: what waits is carried out then."}
	}
	return obstacle{}
}
