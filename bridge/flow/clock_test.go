package flow_test

import (
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// A clock that is set back lets no refusal be repeated for longer than it may be.
func TestClockSetBackAfterARefusal(t *testing.T) {
	for _, back := range []time.Duration{20 * time.Second, time.Hour} {
		run(t, func(b *bench) {
			b.ask()
			time.Sleep(30 * time.Second)
			b.step.Add(-int64(back))
			b.ask()
			b.wantSends("within the minute", 1, 0)
			time.Sleep(37 * time.Second) // a tenth slower: 66 s in all
			b.ask()
			b.wantSends("after it", 2, 0)
		}, script(outcomes(refused), nil))
	}
}

// A clock that is set back puts no lookup off.
func TestClockSetBackInDoubt(t *testing.T) {
	for _, back := range []time.Duration{5 * time.Minute, 90 * time.Minute} {
		run(t, func(b *bench) {
			b.ask(func(r *bridge.Request) { r.Until = r.Received.Add(2 * time.Second) })
			time.Sleep(10 * time.Second)
			_, before := b.authority.counts()
			b.step.Add(-int64(back))
			time.Sleep(40 * time.Second)
			if _, after := b.authority.counts(); after <= before {
				b.Errorf("set back by %s: no lookup within 40 s, %d before", back, before)
			}
		}, script(outcomes(unknown), nil))
	}
}

// A clock that is set ahead ends nothing that waits its turn.
func TestClockSetAheadWhileWaiting(t *testing.T) {
	run(t, func(b *bench) {
		b.authority.profile.Cancels = bridge.Rate{Key: "k", Limit: 1, Per: time.Minute}
		b.ask()
		answer := make(chan bridge.Answer)
		go func() {
			answer <- b.ask(func(r *bridge.Request) { r.IRN = irn[:63] + "0"; r.Until = r.Received.Add(2 * time.Minute) })
		}()
		time.Sleep(10 * time.Second)
		b.step.Add(int64(3 * time.Hour))
		b.wantCode("it has its turn", <-answer, 200)
		b.wantSends("all", 2, 0)
	}, script(outcomes(cancelled), nil))
}

// Nor is what was told to wait given up for it, when it has to be sent once more.
func TestClockSetAheadAfterItWasPromised(t *testing.T) {
	run(t, func(b *bench) {
		b.authority.profile.Cancels = bridge.Rate{Key: "k", Limit: 1, Per: time.Minute}
		b.ask()
		if a := b.ask(func(r *bridge.Request) { r.IRN = irn[:63] + "0"; r.Until = r.Received.Add(5 * time.Second) }); a.Fault != bridge.FaultWaiting {
			b.Fatalf("told %+v", a)
		}
		b.step.Add(int64(24 * time.Hour))
		time.Sleep(10 * time.Minute)
		b.step.Add(-int64(24 * time.Hour))
		b.wantSends("all", 3, 0)
		e, err := b.journal.Find(b.Context(), bridge.Key{Space: "irp", Document: irn[:63] + "0"}, gstin)
		if err != nil || e.Outcome.Class != bridge.Cancelled {
			b.Errorf("it ended %s %s, %v", e.State, e.Outcome.Class, err)
		}
	}, script(outcomes(cancelled, notApplied, cancelled), nil))
}
