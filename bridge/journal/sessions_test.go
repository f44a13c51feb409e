//go:build unix

package journal_test

import (
	"slices"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

func (b *bench) logIn(j *journal.Journal, who string, generation int64, want bool) {
	b.Helper()
	if got, err := j.LogIn(b.Context(), "c", who, generation); err != nil || got != want {
		b.Errorf("%s's turn to replace session %d: %v, %v; want %v", who, generation, got, err, want)
	}
}

func (b *bench) keep(j *journal.Journal, generation int64, text string, want bool) bridge.Session {
	b.Helper()
	s := bridge.Session{Generation: generation, Until: time.Now().Add(time.Hour), Sealed: []byte(text)}
	if got, err := j.Keep(b.Context(), "c", s); err != nil || got != want {
		b.Errorf("session %d was kept: %v, %v; want %v", generation, got, err, want)
	}
	return s
}

func (b *bench) session(j *journal.Journal) bridge.Session {
	b.Helper()
	s, err := j.Session(b.Context(), "c")
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// A session outlives the process, and one login at a time replaces it, once.
func TestSessions(t *testing.T) {
	onBoth(t, func(b *bench) {
		if s := b.session(b.Journal); s.Generation != 0 || !s.Until.IsZero() || len(s.Sealed) > 0 {
			b.Errorf("before the first there is %+v", s)
		}
		b.logIn(b.Journal, "A", 0, true)
		b.logIn(b.Journal, "A", 0, true) // its own
		b.logIn(b.Journal, "B", 0, false)
		if err := b.Yield(b.Context(), "c", "B"); err != nil {
			b.Error(err)
		}
		b.logIn(b.Journal, "B", 0, false) // it wasn't B's to give
		want := b.keep(b.Journal, 1, "first", true)
		b.keep(b.Journal, 1, "late", false)
		b.logIn(b.Journal, "B", 0, false) // replaced already
		b.logIn(b.Journal, "B", 1, true)
		if err := b.Yield(b.Context(), "c", "B"); err != nil {
			b.Error(err)
		}
		b.restart()
		got := b.session(b.Journal)
		if off := got.Until.Sub(want.Until).Abs(); got.Generation != 1 || string(got.Sealed) != "first" || off > time.Second || !got.Renew.IsZero() {
			b.Errorf("after the restart there is %+v, want %+v", got, want)
		}
		b.logIn(b.Journal, "C", 1, true)
		b.keep(b.Journal, 2, "second", true)
		if got := b.session(b.Journal); got.Generation != 2 || !slices.Equal(got.Sealed, []byte("second")) {
			b.Errorf("replaced, it is %+v", got)
		}
	})
}

// Nobody waits for the turn of a process that had the file for itself and is gone.
func TestALoginsTurnEndsWithItsProcess(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	b.logIn(b.Journal, "A", 0, true)
	b.restart()
	b.logIn(b.Journal, "B", 0, true)
}

// Old sessions are pruned, whoever holds them; a turn that is taken stays.
func TestOldSessionsArePruned(t *testing.T) {
	onBoth(t, func(b *bench) {
		old := bridge.Session{Generation: 1, Until: time.Now().Add(-48 * time.Hour), Sealed: []byte("x")}
		for _, credential := range []string{"c", "d"} {
			if ok, err := b.Keep(b.Context(), credential, old); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
		b.logIn(b.Journal, "A", 1, true)
		if _, err := b.Prune(b.Context(), 24*time.Hour, time.Hour); err != nil {
			b.Fatal(err)
		}
		gone, err := b.Session(b.Context(), "d")
		if left := b.session(b.Journal); left.Generation != 1 || gone.Generation != 0 || err != nil {
			b.Errorf("left are %+v and %+v, %v", left, gone, err)
		}
	})
}
