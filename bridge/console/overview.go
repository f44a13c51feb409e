package console

import (
	"net/http"
	"time"

	"einvoice-bridge/bridge"
)

const (
	fewShown   = 10  // rows of a short list
	mostWaited = 500 // waiting entries that are counted by upstream
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
	Upstreams []upstreamRow
}

type upstreamRow struct {
	Upstream
	Waiting int
	Recent  Recent
}

func (p *pages) overview(w http.ResponseWriter, r *http.Request) error {
	ctx, now := r.Context(), time.Now()
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
	o.Chart = newChart(counts, o.Span, from)
	for _, u := range p.Upstreams(ctx) {
		o.Upstreams = append(o.Upstreams, upstreamRow{u, waiting[u.Name], p.Metrics.Recent(u.Name)})
	}
	return p.render(w, r, http.StatusOK, "overview", page{Title: "Overview", Tab: "/", Live: true, Body: o})
}

// Health is an upstream's state in a word and a colour: the worst of what there is.
func (u upstreamRow) Health() badge {
	for _, g := range u.Gates {
		if g.Class == bridge.Misconfigured {
			return badge{"credentials refused", "misconfigured"}
		}
	}
	switch {
	case u.Open > 0 && u.Open == u.Hosts:
		return badge{"breaker open", "unknown"}
	case u.Open > 0:
		return badge{"breaker open for some", "unknown"}
	case time.Now().Before(u.LoginsHeld):
		return badge{"logins held back", "not_applied"}
	case len(u.Gates) > 0:
		return badge{"asked us to wait", "not_applied"}
	case u.HalfOpen > 0:
		return badge{"trying again", "not_applied"}
	}
	return badge{"in order", "cancelled"}
}
