package journal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// leases are the documents that this instance may send for, and what it knows of their entries. With SQLite there is
// one instance and this is all there is; with PostgreSQL each has a row behind it, see shared.
type leases struct {
	now     func() time.Time // wall clock
	mu      sync.Mutex
	byKey   map[bridge.Key]*lease
	byEntry map[int64]*lease
}

// term is when a lease runs out, by both clocks: the monotonic one stands still while a machine sleeps, the wall clock
// may be set back. Zero: not before it is given back.
type term struct{ monotonic, wall time.Time }

type lease struct {
	key      bridge.Key
	taxpayer string
	until    term
	known    *entryRow // the entry as last written or read; nil when unknown
	freed    chan struct{}
}

// take gives the document's lease to the taxpayer. It is fresh when he didn't have it before; taking it twice is no
// error, but one release ends it. ok is false while another taxpayer has it.
func (ls *leases) take(k bridge.Key, taxpayer string) (fresh, ok bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l, held := ls.byKey[k]; held {
		return false, l.taxpayer == taxpayer
	}
	ls.byKey[k] = &lease{key: k, taxpayer: taxpayer, freed: make(chan struct{})}
	return true, true
}

// hold notes that a lease that was taken is good until then.
func (ls *leases) hold(k bridge.Key, taxpayer string, until term) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l, ok := ls.byKey[k]; ok && l.taxpayer == taxpayer {
		l.until = until
	}
}

// drop ends a lease that the taxpayer has, and wakes who waits for it here.
func (ls *leases) drop(k bridge.Key, taxpayer string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l, ok := ls.byKey[k]
	if !ok || l.taxpayer != taxpayer {
		return
	}
	delete(ls.byKey, k)
	if l.known != nil {
		delete(ls.byEntry, l.known.ID)
	}
	close(l.freed)
}

// valid tells whether the lease is held and has not run out.
func (ls *leases) valid(k bridge.Key, taxpayer string) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l, ok := ls.byKey[k]
	if !ok || l.taxpayer != taxpayer {
		return false
	}
	return l.until == term{} || time.Now().Before(l.until.monotonic) && ls.now().Round(0).Before(l.until.wall)
}

// held tells whether the lease is ours, run out or not.
func (ls *leases) held(k bridge.Key, taxpayer string) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l, ok := ls.byKey[k]
	return ok && l.taxpayer == taxpayer
}

// remember notes an entry as it is on disk now.
func (ls *leases) remember(r *entryRow) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l, ok := ls.byKey[r.Key]; ok && l.taxpayer == r.Taxpayer {
		l.known = r
		ls.byEntry[r.ID] = l
	}
}

// recall returns what is known of an entry, or nil. The row is shared: copy before changing it.
func (ls *leases) recall(entry int64) *entryRow {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l, ok := ls.byEntry[entry]; ok {
		return l.known
	}
	return nil
}

// size is how many entries are recalled.
func (ls *leases) size() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.byEntry)
}

// freed is closed when the document's lease is given back; nil when nobody here has it.
func (ls *leases) freed(k bridge.Key) <-chan struct{} {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l, ok := ls.byKey[k]; ok {
		return l.freed
	}
	return nil
}

// MaySend re-checks the lease by the wall clock; it touches no disk.
func (j *Journal) MaySend(_ context.Context, e *bridge.Entry) error {
	if !j.leases.valid(e.Key, e.Taxpayer) {
		return bridge.ErrLostLease
	}
	return nil
}

// Release gives the document's lease back without evidence. Here it is given back at once, whatever the error.
func (j *Journal) Release(ctx context.Context, e bridge.Entry) error {
	if j.shared == nil {
		j.leases.drop(e.Key, e.Taxpayer)
		return nil
	}
	err := j.write(ctx, e.Key.Document, func(t *tx) error {
		j.shared.drop(t, e.Key, e.Taxpayer)
		return nil
	}, nil)
	j.letGo(e.Key, e.Taxpayer, err != nil)
	if err != nil {
		return fmt.Errorf("giving %s of %s back: %w", e.Key.Document, e.Taxpayer, err)
	}
	return nil
}

// take makes the lease ours in t until the given time; false while somebody else has it. One that is not fresh was ours
// once: it is no more.
func (j *Journal) take(t *tx, k bridge.Key, taxpayer string, fresh bool) (until term, ok bool) {
	if j.shared == nil {
		return term{}, true
	}
	return j.prolong(t, takeLease, k, taxpayer, !fresh, time.Duration(j.shared.settle.Load()).Microseconds())
}

// keep renews a lease in t; false when it has passed to somebody else: then it isn't ours here any more either.
func (j *Journal) keep(t *tx, k bridge.Key, taxpayer string) (until term, ok bool) {
	if j.shared == nil {
		return term{}, true
	}
	return j.prolong(t, keepLease, k, taxpayer, true)
}

// prolong is what take and keep have in common; ours says that the lease is noted here, until it turns out not to be ours.
func (j *Journal) prolong(t *tx, query string, k bridge.Key, taxpayer string, ours bool, more ...any) (until term, ok bool) {
	s := j.shared
	until = s.term()
	ok = t.Exec(query, append([]any{k.Space, k.Document, taxpayer, s.owner, s.lease.Microseconds()}, more...)...) == 1
	if !ok && ours && t.Err == nil {
		j.leases.drop(k, taxpayer)
	}
	return until, ok
}

// letGo ends a lease here, and, if there may be a row of it, in the database as soon as may be: nobody waits for that.
func (j *Journal) letGo(k bridge.Key, taxpayer string, row bool) {
	j.leases.drop(k, taxpayer)
	if row && j.shared != nil {
		later(func(ctx context.Context) { j.giveBack(ctx, k, taxpayer) })
	}
}

// giveBack gives back a lease that is not held here (any more). When it can't, the next beat tries again.
func (j *Journal) giveBack(ctx context.Context, k bridge.Key, taxpayer string) {
	_ = j.write(ctx, k.Document, func(t *tx) error {
		if !j.leases.held(k, taxpayer) {
			j.shared.drop(t, k, taxpayer)
		}
		return nil
	}, nil)
}

// renewed takes in what is left of this instance's leases: those that it holds run on, those that it has let go of
// without being able to say so are given back now.
func (j *Journal) renewed(ctx context.Context, rows map[bridge.Key]string, until term) {
	for k, taxpayer := range rows {
		if j.leases.held(k, taxpayer) {
			j.leases.hold(k, taxpayer, until)
		} else {
			j.giveBack(ctx, k, taxpayer)
		}
	}
}

// RaiseSettle raises Options.Settle, for calls that may take longer from now on. It is never lowered while the process
// runs: sends that began before may still be under way.
func (j *Journal) RaiseSettle(d time.Duration) {
	if s := j.shared; s != nil && d > time.Duration(s.settle.Load()) {
		s.settle.Store(int64(d))
	}
}

// AwaitRelease waits until the document's lease may be free.
func (j *Journal) AwaitRelease(ctx context.Context, k bridge.Key) {
	freed := j.leases.freed(k)
	switch {
	case freed != nil:
		select {
		case <-freed:
		case <-ctx.Done():
		}
	case j.shared != nil:
		j.shared.wait(ctx, k)
	}
}
