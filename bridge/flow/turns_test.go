package flow

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
)

// rates is a Budget that books whatever take lets through; gates shut until a time.
type rates struct {
	bridge.Budget
	gates map[string]bridge.Gate
	take  func(turn int64) (wait time.Duration)

	mu       sync.Mutex
	booked   []int64
	returned []time.Time
}

func (b *rates) Gate(_ context.Context, key string) (bridge.Gate, bool, error) {
	g, ok := b.gates[key]
	return g, ok && time.Now().Before(g.Until), nil
}

func (b *rates) Take(_ context.Context, _ bridge.Rate, turn int64) (time.Time, time.Duration, error) {
	if b.take != nil {
		if wait := b.take(turn); wait > 0 {
			return time.Time{}, wait, nil
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.booked = append(b.booked, turn)
	return time.Now(), 0, nil
}

func (b *rates) Return(_ context.Context, _ bridge.Rate, at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.returned = append(b.returned, at)
	return nil
}

// account is a taxpayer's credential under the rate that all share.
func account(credential string) *bridge.Profile {
	return &bridge.Profile{Credential: credential, Cancels: bridge.Rate{Key: "shared", Limit: 12, Per: time.Minute}}
}

// queued waits for a turn for at most so long, and returns a function that tells how that ended and when.
func queued(ts *turns, p *bridge.Profile, id int64, most time.Duration) func() (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	done, start := make(chan struct{}), time.Now()
	var took time.Duration
	var err error
	go func() {
		defer close(done)
		defer cancel()
		_, err = ts.wait(ctx, p, id)
		took = time.Since(start)
	}()
	synctest.Wait()
	return func() (time.Duration, error) { <-done; return took, err }
}

// Who waits for a gate of his own holds up nobody: neither those behind him nor those who come while he waits.
func TestTurnsBehindAGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := time.Now().Add(10 * time.Minute)
		b := &rates{gates: map[string]bridge.Gate{"A": {Class: bridge.NotApplied, Until: until}}}
		ts := &turns{budget: b, by: map[string]*line{}}
		first := queued(ts, account("A"), 1, 30*time.Minute)
		for id := int64(2); id < 4; id++ {
			if took, err := queued(ts, account("B"), id, time.Hour)(); err != nil || took > 0 {
				t.Errorf("turn %d, whose gate is open, came after %s: %v", id, took, err)
			}
			time.Sleep(7 * time.Second)
		}
		if took, err := first(); err != nil || took < 10*time.Minute || took > 10*time.Minute+time.Second {
			t.Errorf("the one behind the gate had its turn after %s: %v", took, err)
		}
		b.gates["A"] = bridge.Gate{Class: bridge.Misconfigured, Until: time.Now().Add(time.Minute)}
		if _, err := queued(ts, account("A"), 4, time.Hour)(); !errors.As(err, new(*shutError)) {
			t.Errorf("refused credentials: got %v", err)
		}
	})
}

// Turns come in the order of entries, whoever came first.
func TestTurnsGoByEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opens := time.Now().Add(20 * time.Second)
		b := &rates{take: func(int64) time.Duration { return time.Until(opens) }}
		ts := &turns{budget: b, by: map[string]*line{}}
		var ends []func() (time.Duration, error)
		for _, id := range []int64{3, 1, 4, 2} {
			ends = append(ends, queued(ts, account("A"), id, time.Hour))
		}
		for _, end := range ends {
			if took, err := end(); err != nil || took < 20*time.Second {
				t.Errorf("after %s: %v", took, err)
			}
		}
		if !slices.Equal(b.booked, []int64{1, 2, 3, 4}) {
			t.Errorf("booked in the order %v", b.booked)
		}
	})
}

// While the budget takes its time, whoever counts those who wait, or enters or leaves the line, does not wait for it.
func TestTurnsWhileTheBudgetHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &rates{take: func(int64) time.Duration { time.Sleep(time.Minute); return 0 }}
		ts := &turns{budget: b, by: map[string]*line{}}
		one, two := queued(ts, account("A"), 1, time.Second), queued(ts, account("A"), 2, time.Hour)
		start := time.Now()
		if n := ts.waiting(); n != 2 || time.Since(start) > 0 {
			t.Errorf("%d wait, found out after %s", n, time.Since(start))
		}
		if took, err := one(); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("left after %s: %v", took, err)
		}
		if took, err := two(); err != nil || took != 2*time.Minute {
			t.Errorf("had its turn after %s: %v", took, err)
		}
		if !slices.Equal(b.booked, []int64{1, 2}) || len(b.returned) != 1 {
			t.Errorf("booked %v, and %d given back: want the one who had left", b.booked, len(b.returned))
		}
	})
}

// A silence belongs to one send: what another instance has sent meanwhile begins a new one.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &quiet{}
		for _, look := range []struct {
			after      time.Duration
			entry      int64
			send       int64
			seen, know time.Duration
		}{
			{0, 1, 10, 0, 0}, {time.Minute, 1, 10, time.Minute, time.Minute}, {time.Second, 2, 20, 0, 0},
			{time.Second, 1, 11, 0, 0}, {time.Second, 1, 11, time.Second, time.Second},
		} {
			time.Sleep(look.after)
			if d := q.of(look.entry, look.send); d != look.know {
				t.Errorf("send %d: quiet for %s, want %s", look.send, d, look.know)
			}
			if d := q.seen(look.entry, look.send); d != look.seen {
				t.Errorf("send %d: seen quiet for %s, want %s", look.send, d, look.seen)
			}
		}
		if q.forget(2); q.of(2, 20) != 0 || q.of(1, 11) == 0 && len(q.since) != 1 {
			t.Errorf("after forgetting one: %v", q.since)
		}
	})
}
