package flow_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/flow"
)

// change gives the Service new terms, as a reload does.
func (b *bench) change(route map[string]bridge.Upstream, change func(*flow.Terms)) *flow.Terms {
	t := b.cfg
	t.Route = func(taxpayer string) (bridge.Upstream, bool) {
		up, ok := route[taxpayer]
		return up, ok
	}
	if change != nil {
		change(&t)
	}
	b.changed.Store(&t)
	b.service.Change(&t)
	return &t
}

// other is another way to the same authority.
func (b *bench) other(name string) *authority {
	p := *b.authority.profile
	p.Name, p.Credential = name, name
	return &authority{profile: &p, running: map[string]int{}, cancel: outcomes(cancelled), lookup: states(bridge.StatusCancelled)}
}

// What is in flight ends with the adapter that it has, the next call meets the new one; a document keeps its history,
// whoever carries it.
func TestTermsChangeWhileACallIsInFlight(t *testing.T) {
	run(t, func(b *bench) {
		var wg sync.WaitGroup
		wg.Go(func() { b.wantCode("in flight", b.ask(), 200) })
		time.Sleep(time.Second)
		other := b.other("cleartax")
		b.change(map[string]bridge.Upstream{gstin: other}, nil)
		b.wantCode("joins what is in flight", b.ask(), 200)
		wg.Wait()
		b.wantSends("by the old way", 1, 0)
		b.wantCode("the history stays", b.ask(), 200)
		b.wantCode("another document", b.ask(func(r *bridge.Request) { r.IRN = fmt.Sprintf("%064x", 1) }), 200)
		if sends, _ := other.counts(); sends != 1 {
			b.Errorf("%d sends by the new way, want the other document's", sends)
		}
	}, script(func(int, bridge.Cancellation) bridge.Outcome { time.Sleep(10 * time.Second); return cancelled }, nil))
}

// A call that was let in under terms is carried out under them, whatever came in between.
func TestCallsKeepTheirTerms(t *testing.T) {
	run(t, func(b *bench) {
		old := b.change(map[string]bridge.Upstream{gstin: b.authority}, nil)
		b.change(nil, nil)
		a := b.service.Cancel(old, &bridge.Request{Ref: "r", Caller: "erp", Taxpayer: gstin, IRN: irn, Reason: "1", Received: time.Now(),
			Until: time.Now().Add(time.Minute)})
		b.wantCode("under the old terms", a, 200)
		if a := b.ask(); a.Fault != bridge.FaultMisconfigured {
			b.Errorf("under the new terms, which know no taxpayer: %+v", a)
		}
	}, script(outcomes(cancelled), nil))
}

// How long a refusal stands is the new configuration's from the next call on.
func TestChangedTimes(t *testing.T) {
	run(t, func(b *bench) {
		b.ask()
		b.change(map[string]bridge.Upstream{gstin: b.authority}, func(c *flow.Terms) { c.RepeatRefusalsAfter = time.Second })
		time.Sleep(2 * time.Second)
		b.ask()
		b.wantSends("asked again after a second", 2, 0)
	}, script(outcomes(refused), nil))
}

// A lower rate holds for those who come now, also behind those who wait already; what waits is not lost.
func TestChangedRate(t *testing.T) {
	run(t, func(b *bench) {
		var wg sync.WaitGroup
		send := func(n int) { b.ask(func(r *bridge.Request) { r.IRN = fmt.Sprintf("%064x", n) }) }
		for n := range 14 {
			time.Sleep(time.Millisecond)
			wg.Go(func() { send(n) })
		}
		time.Sleep(time.Second)
		slower := b.other("nic")
		slower.profile.Cancels.Limit = 1
		b.change(map[string]bridge.Upstream{gstin: slower}, nil)
		wg.Go(func() { send(99) })
		time.Sleep(time.Second)
		b.wantSends("the first minute", 12, 0)
		time.Sleep(70 * time.Second)
		b.wantSends("what waited", 14, 0)
		if sends, _ := slower.counts(); sends != 0 {
			b.Error("a thirteenth was sent within the minute, of one that is allowed")
		}
		time.Sleep(time.Minute)
		if sends, _ := slower.counts(); sends != 1 {
			b.Errorf("%d sent under the new rate, want 1", sends)
		}
		wg.Wait()
	}, script(outcomes(cancelled), nil), paced)
}

// A doubtful cancellation whose taxpayer leaves the configuration stays as it is, with an alarm an hour, and is settled
// when he comes back. What he had waiting is given up when its time is over.
func TestTaxpayerGone(t *testing.T) {
	run(t, func(b *bench) {
		b.ask()
		key := bridge.Key{Space: "irp", Document: irn}
		b.change(nil, nil)
		before, _ := b.journal.Find(b.Context(), key, gstin)
		_, lookups := b.authority.counts()
		time.Sleep(3*time.Hour + time.Minute)
		b.wantSends("while he is gone", 1, lookups)
		after, err := b.journal.Find(b.Context(), key, gstin)
		if err != nil || before.State != bridge.Open || after.State != bridge.Open || len(after.Attempts) != len(before.Attempts) {
			b.Errorf("before %s, after %s, %v", before.State, after.State, err)
		}
		if n := b.seen.count(bridge.AlarmStray); n < 3 || n > 4 {
			b.Errorf("%d alarms in three hours, want one an hour", n)
		}
		b.authority.lookup = states(bridge.StatusCancelled)
		b.change(map[string]bridge.Upstream{gstin: b.authority}, nil)
		time.Sleep(time.Hour)
		if e, err := b.journal.Find(b.Context(), key, gstin); err != nil || e.Outcome.Class != bridge.Cancelled {
			b.Errorf("after he came back: %s, %v", e.Outcome.Class, err)
		}
	}, script(outcomes(unknown), func(int) (bridge.DocumentState, error) { return bridge.DocumentState{}, errors.New("down") }))
	run(t, func(b *bench) {
		for n := range 12 {
			b.ask(func(r *bridge.Request) { r.IRN = fmt.Sprintf("%064x", n) })
		}
		var wg sync.WaitGroup
		wg.Go(func() { b.ask(func(r *bridge.Request) { r.Until = r.Received.Add(5 * time.Second) }) })
		time.Sleep(time.Second)
		b.close()
		wg.Wait()
		b.known = func(string) bool { return false }
		b.open()
		time.Sleep(31 * time.Minute)
		e, err := b.journal.Find(b.Context(), bridge.Key{Space: "irp", Document: irn}, gstin)
		if err != nil || e.State != bridge.Final || e.Outcome.Class != bridge.NotApplied || b.seen.count(bridge.AlarmExpired) != 1 {
			b.Errorf("waiting: %s %s with %d alarms, %v", e.State, e.Outcome.Class, b.seen.count(bridge.AlarmExpired), err)
		}
		b.wantSends("given up", 12, 0)
	}, script(outcomes(cancelled), nil), paced)
}
