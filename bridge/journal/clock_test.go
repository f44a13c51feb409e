//go:build unix

package journal_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// clocked plays a story on an SQLite journal whose wall clock it can set, in time that passes at once.
func clocked(t *testing.T, story func(b *bench, w *wallClock)) {
	dsn := sqliteDSN(t)
	synctest.Test(t, func(t *testing.T) {
		w := &wallClock{}
		b := &bench{T: t, dsn: dsn}
		b.reopen = func() *journal.Journal {
			j, err := journal.Open(t.Context(), dsn, journal.Options{Instance: "one", Now: w.now})
			if err != nil {
				t.Fatal(err)
			}
			return j
		}
		b.Journal = b.reopen()
		story(b, w)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

const day = 24 * time.Hour

// whileClosed restarts, with do between: the next process can't know what the clock has done.
func (b *bench) whileClosed(do func()) {
	b.Helper()
	if err := b.Close(); err != nil {
		b.Fatal(err)
	}
	do()
	b.Journal = b.reopen()
}

// A clock that is set while the bridge runs, forward or back, makes no room under a rate and opens no gate before its time or
// after it, and nothing that waits expires: not here, and not in the next process.
func TestClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{day, time.Hour, -time.Hour, -day} {
		clocked(t, func(b *bench, w *wallClock) {
			rate := bridge.Rate{Key: "k", Limit: 2, Per: time.Minute}
			take := func() time.Duration {
				_, wait, err := b.Take(b.Context(), rate, bridge.Last)
				if err != nil {
					b.Fatal(err)
				}
				return wait
			}
			shut := func() bool {
				_, ok, err := b.Gate(b.Context(), "cred")
				if err != nil {
					b.Fatal(err)
				}
				return ok
			}
			if err := b.Shut(b.Context(), "cred", bridge.Gate{Class: bridge.Misconfigured, Until: w.now().Add(30 * time.Minute)}); err != nil {
				b.Fatal(err)
			}
			e := wish("a", "T1")
			e.Created, e.Expires = w.now(), w.now().Add(40*time.Minute)
			e, _, err := b.Begin(b.Context(), bridge.Begin{Entry: e})
			if err != nil {
				b.Fatal(err)
			}
			take()
			time.Sleep(10 * time.Second)
			take()
			w.set(by)
			if wait := take(); wait < 49*time.Second || wait > 51*time.Second {
				b.Errorf("%v: room in %v, not in 50 s", by, wait)
			}
			if !shut() {
				b.Errorf("%v: a gate is open", by)
			}
			b.restart()
			if wait := take(); wait < 49*time.Second || wait > 51*time.Second {
				b.Errorf("%v, after a restart: room in %v, not in 50 s", by, wait)
			}
			if e, err = b.Find(b.Context(), e.Key, e.Taxpayer); err != nil || e.Expires.Sub(w.now()).Round(time.Second) != 40*time.Minute-10*time.Second {
				b.Errorf("%v: what waits expires in %v, %v", by, e.Expires.Sub(w.now()), err)
			}
			if !shut() {
				b.Errorf("%v, after a restart: a gate is open", by)
			}
			time.Sleep(30 * time.Minute)
			if shut() {
				b.Errorf("%v: a gate stays shut", by)
			}
		})
	}
}

// The clock of a shared record is the server's, whatever this machine's says.
func TestClockOfTheServer(t *testing.T) {
	b, _ := two(t)
	j, err := journal.Open(t.Context(), b.dsn, journal.Options{Instance: "ahead", Now: func() time.Time { return time.Now().Add(day) }})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if off := time.Until(j.Now()).Abs(); off > time.Minute {
		t.Errorf("it is %s off", off)
	}
}

// Sends that a clock which was ahead has booked count as sent when it is set back, and then age like others.
func TestSendsOfTheFuture(t *testing.T) {
	clocked(t, func(b *bench, w *wallClock) {
		rate := bridge.Rate{Key: "k", Limit: 3, Per: time.Minute}
		take := func() (time.Time, time.Duration) {
			booked, wait, err := b.Take(b.Context(), rate, bridge.Last)
			if err != nil {
				b.Fatal(err)
			}
			return booked, wait
		}
		w.set(day)
		first, _ := take()
		take()
		b.whileClosed(func() { w.set(-day) })
		if _, wait := take(); wait > 0 {
			b.Fatalf("the third of three waits %s", wait)
		}
		if _, wait := take(); wait == 0 || wait > time.Minute+time.Millisecond {
			b.Fatalf("the fourth of three waits %s", wait)
		}
		if left, err := b.Room(b.Context(), rate); left != 0 || err != nil {
			b.Errorf("room for %d, %v", left, err)
		}
		if err := b.Return(b.Context(), rate, first); err != nil {
			b.Fatal(err)
		}
		if _, wait := take(); wait > 0 {
			b.Error("a booking has lost its name when the clock was set back")
		}
		time.Sleep(time.Minute + time.Millisecond)
		for n := range 3 {
			if _, wait := take(); wait > 0 {
				b.Fatalf("after a minute there is room for %d of 3: wait %s", n, wait)
			}
		}
	})
}

// A gate that was shut by a clock that was ahead opens after an hour, also when the bridge is started meanwhile.
func TestGateOfTheFuture(t *testing.T) {
	clocked(t, func(b *bench, w *wallClock) {
		shut := func() bool {
			g, ok, err := b.Gate(b.Context(), "cred")
			if err != nil || ok && g.Until.After(w.now().Add(time.Hour)) {
				b.Fatal(g, err)
			}
			return ok
		}
		w.set(day)
		if err := b.Shut(b.Context(), "cred", bridge.Gate{Class: bridge.Misconfigured, Until: w.now().Add(time.Minute)}); err != nil {
			b.Fatal(err)
		}
		if !shut() {
			b.Fatal("not shut")
		}
		b.whileClosed(func() { w.set(-day) })
		if !shut() {
			b.Fatal("opened by the clock")
		}
		time.Sleep(50 * time.Minute)
		b.restart()
		if !shut() {
			b.Fatal("opened by a restart")
		}
		time.Sleep(11 * time.Minute)
		if shut() {
			b.Error("still shut")
		}
	})
}

// An entry that was changed by a clock that was ahead is carried on all the same.
func TestUpdatedInTheFuture(t *testing.T) {
	clocked(t, func(b *bench, w *wallClock) {
		future := w.now().Add(day)
		e := b.finish(b.begin("a", true), bridge.Final, notApplied, func(f *bridge.Finish) { f.At = future })
		b.same("updated", e.Updated, future.UTC().Truncate(time.Microsecond))
		e, err := b.Requeue(b.Context(), e)
		if err != nil {
			b.Fatal(err)
		}
		e.Attempts = append(e.Attempts, b.attempt(e))
		e = b.finish(e, bridge.Open, unknown, lookupAt(future.Add(day)), release)
		due, err := b.Due(b.Context(), w.now(), 10)
		if err != nil {
			b.Fatal(err)
		}
		b.same("looked up, not in two days", documents(due), []string{"a"})
		got, err := b.Resolve(b.Context(), e.ID, refused, "ravi", "why", false)
		if err != nil || got.Updated.After(w.now()) {
			b.Error(got.Updated, err)
		}
	})
}

// A last use that a clock which was ahead has noted does not hide later ones.
func TestTokenUsedInTheFuture(t *testing.T) {
	clocked(t, func(b *bench, w *wallClock) {
		if err := b.Issue(b.Context(), bridge.Token{Hash: "h1", Caller: "sap", Issued: now}); err != nil {
			b.Fatal(err)
		}
		used := func() time.Time {
			b.restart() // writes it down
			all, err := b.Issued(b.Context())
			if err != nil || len(all) != 1 {
				b.Fatal(all, err)
			}
			return all[0].Used
		}
		w.set(day)
		if _, err := b.Token(b.Context(), "h1"); err != nil {
			b.Fatal(err)
		}
		if !used().After(w.now().Add(-time.Hour)) {
			b.Error("not noted")
		}
		w.set(-day)
		if _, err := b.Token(b.Context(), "h1"); err != nil {
			b.Fatal(err)
		}
		if got := used(); got.After(w.now()) {
			b.Errorf("used at %s, now it is %s", got, w.now())
		}
	})
}

// Leases and heads that PostgreSQL's clock wrote before it was set back don't outlive that.
func TestLeaseOfTheFuture(t *testing.T) {
	b, second := two(t)
	ours, theirs := b.begin("ours", true), b.begin("theirs", false)
	c, err := pgx.Connect(t.Context(), b.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := c.Exec(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	ahead := func(document string) (d time.Duration) {
		t.Helper()
		var us int64
		if err := c.QueryRow(t.Context(), "SELECT until - "+journal.Clock+" FROM leases WHERE document = $1", document).Scan(&us); err != nil {
			t.Fatal(err)
		}
		return time.Duration(us) * time.Microsecond
	}
	exec("UPDATE leases SET until = until + 86400000000")
	exec("UPDATE leases SET owner = 'dead' WHERE document = 'theirs'")
	if err := b.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := ahead("ours"); d > time.Minute {
		t.Errorf("a living one's lease reaches %s ahead", d)
	}
	if d := ahead("theirs"); d > 5*time.Minute || d < time.Minute {
		t.Errorf("a dead one's lease reaches %s ahead", d)
	}
	b.is(b.MaySend(t.Context(), &ours), nil)
	_, _, err = second.Begin(t.Context(), bridge.Begin{Entry: wish(theirs.Key.Document, "T1")})
	b.is(err, bridge.ErrBusy)

	rate := bridge.Rate{Key: "k", Limit: 1, Per: time.Minute}
	exec("INSERT INTO heads (key, instance, entry, until) VALUES ('k', 'dead', 1, " + journal.Clock + " + 86400000000)")
	if _, wait, err := b.Take(t.Context(), rate, 7); wait > 0 || err != nil {
		t.Errorf("a dead one's head keeps us waiting: %s, %v", wait, err)
	}
}

// An instance that is listed as alive was heard of lately, by the clock as it is now.
func TestInstanceOfTheFuture(t *testing.T) {
	b, _ := two(t)
	if err := b.Do(t.Context(), "INSERT INTO instances (id, started, seen) VALUES ('dead', 0, "+journal.Clock+" + 3600000000)"); err != nil {
		t.Fatal(err)
	}
	s, err := b.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.same("instances", len(s.Instances), 2)
}
