//go:build unix

package journal_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
	"einvoice-bridge/bridge/journal/journaltest"
)

func TestConformSQLite(t *testing.T) {
	journaltest.Conform(t, func(t *testing.T) journaltest.Cluster { return cluster(t, sqliteDSN(t), journal.Options{}) })
}

func TestConformPostgres(t *testing.T) {
	postgres(t) // skips once, not case by case
	journaltest.Conform(t, func(t *testing.T) journaltest.Cluster {
		c := cluster(t, postgresJournal(t), journal.Options{Lease: 2 * time.Second, Settle: 1500 * time.Millisecond})
		c.Several = true
		return c
	})
}

// wallClock is a process's, which tests can set.
type wallClock struct {
	mu   sync.Mutex
	step time.Duration
}

func (w *wallClock) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.step)
}

func (w *wallClock) set(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.step += d
}

func cluster(t *testing.T, dsn string, o journal.Options) journaltest.Cluster {
	clocks := map[journaltest.Process]*wallClock{}
	return journaltest.Cluster{
		Join: func(name string) journaltest.Process {
			w, o := &wallClock{}, o
			o.Instance, o.Now = name, w.now
			j, err := journal.Open(t.Context(), dsn, o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { j.Close() })
			clocks[j] = w
			return j
		},
		Kill:  func(p journaltest.Process) { p.(*journal.Journal).Die() },
		Cut:   func(p journaltest.Process) { p.(*journal.Journal).Freeze() },
		Mend:  func(journaltest.Process) {},
		Lease: o.Lease, Settle: o.Settle,
		Step: func(p journaltest.Process, d time.Duration) { clocks[p].set(d) },
		Asks: func(p journaltest.Process, entry int64) []bridge.Ask {
			stories, err := p.(*journal.Journal).Show(t.Context(), fmt.Sprint(entry))
			if err != nil || len(stories) != 1 {
				t.Fatal(len(stories), err)
			}
			return stories[0].Asks
		},
	}
}
