package journaltest

import (
	"context"
	"slices"
	"time"

	"einvoice-bridge/bridge"
)

// Take implements bridge.Budget.
func (i *Instance) Take(ctx context.Context, r bridge.Rate, turn int64) (booked time.Time, wait time.Duration, err error) {
	if r.Limit <= 0 {
		return time.Time{}, 0, nil
	}
	err = i.do(ctx, "Take", true, func() error {
		booked, wait = i.book(r, turn, time.Now())
		return nil
	}, func() { i.giveBack(r, booked) })
	if err != nil {
		return time.Time{}, 0, err
	}
	return booked, wait, nil
}

// book books a send if the window has room and nobody on another instance is before turn.
func (i *Instance) book(r bridge.Rate, turn int64, now time.Time) (booked time.Time, wait time.Duration) {
	sends := i.m.sends[r.Key]
	if n := len(sends); n >= r.Limit {
		if age := now.Sub(sends[n-r.Limit]); age <= r.Per { // one exactly Per ago still counts
			wait = r.Per - age + time.Microsecond
		}
	}
	if wait == 0 && i.behind(r.Key, turn, now) {
		wait = behindWait
	}
	heads := i.m.heads[r.Key]
	if wait > 0 {
		if turn == bridge.Last {
			return time.Time{}, wait
		}
		if heads == nil {
			heads = map[*Instance]head{}
			i.m.heads[r.Key] = heads
		}
		heads[i] = head{turn, now.Add(headFresh)}
		return time.Time{}, min(wait, askAgain)
	}
	if turn != bridge.Last {
		delete(heads, i)
	}
	booked = stored(now)
	if n := len(sends); n > 0 && !booked.After(sends[n-1]) {
		booked = sends[n-1].Add(time.Microsecond) // each has a name of its own
	}
	i.m.sends[r.Key] = append(sends, booked)
	return booked, 0
}

// behind tells whether another instance waits with a lower turn.
func (i *Instance) behind(key string, turn int64, now time.Time) bool {
	for j, h := range i.m.heads[key] {
		if j != i && h.turn < turn && now.Before(h.until) {
			return true
		}
	}
	return false
}

// Return implements bridge.Budget.
func (i *Instance) Return(ctx context.Context, r bridge.Rate, booked time.Time) error {
	return i.do(ctx, "Return", true, func() error {
		i.giveBack(r, booked)
		return nil
	}, nil)
}

func (i *Instance) giveBack(r bridge.Rate, booked time.Time) {
	sends := i.m.sends[r.Key]
	if at := slices.IndexFunc(sends, booked.Equal); at >= 0 {
		i.m.sends[r.Key] = slices.Delete(slices.Clone(sends), at, at+1)
	}
}

// Shut implements bridge.Budget.
func (i *Instance) Shut(ctx context.Context, credential string, g bridge.Gate) error {
	return i.do(ctx, "Shut", true, func() error {
		g.Until = time.Now().Add(min(g.Until.Round(0).Sub(i.now().Round(0)), gateMost))
		if was, ok := i.m.gates[credential]; !ok || g.Until.After(was.Until) {
			i.m.gates[credential] = g
		}
		return nil
	}, nil)
}

// Gate implements bridge.Budget.
func (i *Instance) Gate(ctx context.Context, credential string) (g bridge.Gate, ok bool, err error) {
	err = i.do(ctx, "Gate", false, func() error {
		if g, ok = i.m.gates[credential]; ok {
			left := time.Until(g.Until)
			g.Until, ok = stored(i.now().Add(left)), left > 0
		}
		return nil
	}, nil)
	if err != nil || !ok {
		return bridge.Gate{}, false, err
	}
	return g, true, nil
}
