//go:build unix

package journal_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// tiring is a context that is over when it has been asked for the n-th time: in the middle of whatever asks it.
type tiring struct {
	context.Context
	left atomic.Int64
	end  context.CancelFunc
}

func newTiring(ctx context.Context, n int64) *tiring {
	c := &tiring{}
	c.Context, c.end = context.WithCancel(ctx)
	c.left.Store(n)
	return c
}

func (c *tiring) Err() error {
	if c.left.Add(-1) < 0 {
		c.end()
	}
	return c.Context.Err()
}

// leave fills the journal with n entries that nobody carries, past it.
func (b *bench) leave(n int, state bridge.State, class bridge.Class) {
	b.Helper()
	err := b.Do(b.Context(), `WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i + 1 < $2)
		INSERT INTO entries (space, document, taxpayer, upstream, ref, caller, irn, reason, remarks, created, expires, started, who)
		SELECT 'irp', CAST(i AS TEXT), 'T1', 'nic', 'r', 'sap', 'irn', '1', '', $1, $1, 0, '' FROM c`, now.UnixMicro(), n)
	if err == nil && state != bridge.Sending {
		err = b.Do(b.Context(), `INSERT INTO ends (entry, state, class, outcome, updated, next_lookup, told, version, sent_upstream, sent_ended)
			SELECT id, $1, $2, '{}', created, $3, 0, 1, '', 0 FROM entries`, string(state), class.String(), now.Add(-time.Second).UnixMicro())
	}
	if err != nil {
		b.Fatal(err)
	}
}

// When the context is over in the middle of a scan, whatever was claimed comes back, with its lease, and the rest can
// be claimed by whoever comes: nothing is stranded.
func TestClaimsComeBack(t *testing.T) {
	const n = 2000
	for name, c := range map[string]struct {
		state bridge.State
		class bridge.Class
		claim func(context.Context, *journal.Journal) ([]bridge.Entry, error)
	}{
		"orphans": {bridge.Accepted, bridge.None, func(ctx context.Context, j *journal.Journal) ([]bridge.Entry, error) { return j.Orphans(ctx, now) }},
		"due":     {bridge.Open, bridge.Unknown, func(ctx context.Context, j *journal.Journal) ([]bridge.Entry, error) { return j.Due(ctx, now, n) }},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(b *bench) {
				b.leave(n, c.state, c.class)
				got, err := c.claim(newTiring(b.Context(), n), b.Journal)
				b.is(err, context.Canceled)
				if len(got) == 0 || len(got) == n {
					b.Fatalf("%d were claimed; the scan was not cut in the middle", len(got))
				}
				for _, e := range got {
					b.is(b.MaySend(b.Context(), &e), nil)
				}
				other := b.Journal
				if b.dsn[0] == 'p' {
					other = b.open("two")
				} else if c.state == bridge.Open { // there what is ours may be among what is due
					for _, e := range got {
						b.finish(e, bridge.Final, notApplied)
					}
				}
				b.soon("the rest is claimed", func() bool { // a lease of a claim that was cut off is given back in a moment
					more, err := c.claim(b.Context(), other)
					if err != nil {
						b.Fatal(err)
					}
					got = append(got, more...)
					return len(got) >= n
				})
				ids := map[int64]bool{}
				for _, e := range got {
					ids[e.ID] = true
				}
				b.same("each once", []int{len(got), len(ids)}, []int{n, n})
			})
		})
	}
}

// Entries come in the journal's order, however they were claimed.
func TestClaimsInOrder(t *testing.T) {
	onBoth(t, func(b *bench) {
		b.leave(300, bridge.Accepted, bridge.None)
		got, err := b.Orphans(b.Context(), now)
		if err != nil {
			b.Fatal(err)
		}
		if !slices.IsSortedFunc(got, func(x, y bridge.Entry) int { return int(x.ID - y.ID) }) || len(got) != 300 {
			b.Errorf("%d, out of order: %v", len(got), documents(got))
		}
	})
}

// An entry that can't be read keeps nobody from the others, and no lease.
func TestBrokenEntry(t *testing.T) {
	onBoth(t, func(b *bench) {
		b.leave(5, bridge.Accepted, bridge.None)
		if err := b.Do(b.Context(), "UPDATE ends SET outcome = 'garbage' WHERE entry = (SELECT id FROM entries WHERE document = '2')"); err != nil {
			b.Fatal(err)
		}
		got, err := b.Orphans(b.Context(), now)
		if err == nil {
			b.Error("nobody hears of it")
		}
		b.same("the others", documents(got), []string{"0", "1", "3", "4"})
		if err := b.Do(b.Context(), "UPDATE ends SET outcome = '{}' WHERE outcome = 'garbage'"); err != nil {
			b.Fatal(err)
		}
		got, err = b.Orphans(b.Context(), now)
		b.is(err, nil)
		b.same("mended", documents(got), []string{"2"})
	})
}

// Many that were being sent become open in few commits.
func TestOrphansShareCommits(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	b.leave(500, bridge.Sending, bridge.None)
	before, _, _ := b.Commits()
	if _, err := b.Orphans(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	after, _, _ := b.Commits()
	if n := after - before; n > 250 {
		t.Errorf("%d commits for 500 entries", n)
	}
	due, err := b.Due(t.Context(), now, 1000)
	if err != nil {
		t.Fatal(err)
	}
	b.same("open", fmt.Sprint(len(due)), "500")
}
