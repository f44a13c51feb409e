//go:build unix

package journal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// two opens a second instance on a new PostgreSQL journal.
func two(t *testing.T) (b *bench, second *journal.Journal) {
	t.Helper()
	t.Parallel()
	b = newBench(t, postgresJournal(t))
	return b, b.open("two")
}

func TestBusyElsewhere(t *testing.T) {
	b, second := two(t)
	e := b.begin("a", true)
	for _, taxpayer := range []string{"T1", "T2"} {
		_, _, err := second.Begin(t.Context(), bridge.Begin{Entry: wish("a", taxpayer)})
		b.is(err, bridge.ErrBusy)
	}
	_, err := second.Attempt(t.Context(), e, now)
	b.is(err, bridge.ErrLostLease)
	b.is(second.MaySend(t.Context(), &e), bridge.ErrLostLease)

	start := time.Now()
	heard := make(chan time.Duration)
	go func() {
		second.AwaitRelease(t.Context(), e.Key)
		heard <- time.Since(start)
	}()
	time.Sleep(100 * time.Millisecond)
	b.finish(e, bridge.Final, cancelled, release)
	<-heard
	got, created, err := second.Begin(t.Context(), bridge.Begin{Entry: wish("a", "T1")})
	if err != nil || created {
		t.Fatal(created, err)
	}
	b.same("the same answer on every instance", got.Outcome, cancelled)
}

// Whoever waits for a document hears at once when it is given back, not at the next poll.
func TestReleaseIsHeard(t *testing.T) {
	b, second := two(t)
	best := time.Hour
	for i := range 5 { // the best of five: the machine may be busy
		e := b.begin(fmt.Sprint("doc", i), false)
		heard := make(chan time.Time)
		go func() {
			second.AwaitRelease(t.Context(), e.Key)
			heard <- time.Now()
		}()
		time.Sleep(50 * time.Millisecond)
		start := time.Now()
		if err := b.Release(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		best = min(best, (<-heard).Sub(start))
	}
	if best > 500*time.Millisecond {
		t.Errorf("heard after %s", best)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	b.begin("kept", false)
	start := time.Now()
	second.AwaitRelease(ctx, wish("kept", "T1").Key)
	if took := time.Since(start); took > time.Second {
		t.Errorf("waited %s beyond its context", took)
	}
}

// A dead instance's documents pass on: what waits as soon as the lease has run out, what may have been sent only when
// it has settled, and then to be looked up.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	dsn := postgresJournal(t)
	b := &bench{T: t, dsn: dsn}
	o := journal.Options{Instance: "dies", Lease: 2 * time.Second, Settle: 1500 * time.Millisecond}
	var err error
	if b.Journal, err = journal.Open(t.Context(), dsn, o); err != nil {
		t.Fatal(err)
	}
	o.Instance = "lives"
	second, err := journal.Open(t.Context(), dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()

	waits, sent := b.begin("waits", false), b.begin("sent", true)
	time.Sleep(2500 * time.Millisecond) // longer than a lease: it is renewed while its holder lives
	b.is(b.MaySend(t.Context(), &sent), nil)
	if got, err := second.Orphans(t.Context(), now); err != nil || got != nil {
		t.Fatal(documents(got), err)
	}
	b.Die()
	died := time.Now()

	b.soon("waiting taken over", func() bool {
		got, err := second.Orphans(t.Context(), now)
		return err == nil && len(got) == 1 && got[0].ID == waits.ID
	})
	_, _, err = second.Begin(t.Context(), bridge.Begin{Entry: wish("sent", "T1")})
	if time.Since(died) < time.Second {
		b.is(err, bridge.ErrBusy)
	}
	b.soon("sent taken over", func() bool {
		_, err := second.Orphans(t.Context(), now)
		due, err2 := second.Due(t.Context(), now, 10)
		return err == nil && err2 == nil && len(due) == 1 && due[0].ID == sent.ID && due[0].State == bridge.Open
	})
	if d := time.Since(died); d < 1500*time.Millisecond {
		t.Errorf("taken over after %s, before it can have settled", d)
	}
}

// An instance that was stopped for a while has lost its documents. It must not send, but what it learned counts.
func TestStaleInstance(t *testing.T) {
	b, second := two(t)
	refusedLate, cancelledLate, waits := b.begin("refused", true), b.begin("cancelled", true), b.begin("waits", false)
	b.forget()
	time.Sleep(2 * settle)
	for _, e := range []bridge.Entry{refusedLate, cancelledLate, waits} {
		got, created, err := second.Begin(t.Context(), bridge.Begin{Entry: wish(e.Key.Document, "T1")})
		if err != nil || created {
			t.Fatal(created, err)
		}
		if e.State == bridge.Sending {
			b.same("to be looked up", got.State, bridge.Open)
		}
	}
	_, err := b.Attempt(t.Context(), waits, now)
	b.is(err, bridge.ErrLostLease)
	b.same("nothing is written", b.find("waits"), waits)

	got := b.finish(refusedLate, bridge.Final, refused, release)
	b.same("evidence", got.Attempts[0].Outcome, refused)
	b.same("is left to the new holder", got.State, bridge.Open)
	b.same("cancelled is the truth whoever brings it", b.finish(cancelledLate, bridge.Final, cancelled, release).Outcome, cancelled)

	for _, e := range []bridge.Entry{refusedLate, cancelledLate} { // a stale release takes nothing from the new holder
		b.is(second.MaySend(t.Context(), &e), nil)
		_, _, err := b.Begin(t.Context(), bridge.Begin{Entry: wish(e.Key.Document, "T1")})
		b.is(err, bridge.ErrBusy)
	}
}

// At most one instance holds a document, whatever taxpayers ask for it at the same moment.
func TestOneHolder(t *testing.T) {
	b, second := two(t)
	instances := []*journal.Journal{b.Journal, second, b.open("three")}
	var holders, most atomic.Int64
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			j := instances[i%3]
			e, _, err := j.Begin(t.Context(), bridge.Begin{Entry: wish("a", fmt.Sprint("T", i))})
			for ; errors.Is(err, bridge.ErrBusy); e, _, err = j.Begin(t.Context(), bridge.Begin{Entry: wish("a", fmt.Sprint("T", i))}) {
				j.AwaitRelease(t.Context(), wish("a", "").Key)
			}
			if err != nil {
				t.Error(err)
				return
			}
			if n := holders.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Millisecond)
			holders.Add(-1)
			if err := j.Release(t.Context(), e); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d holders at once", most.Load())
	}
}

func TestGateIsSeenElsewhere(t *testing.T) {
	b, second := two(t)
	if _, ok, err := second.Gate(t.Context(), "cred"); ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := b.Shut(t.Context(), "cred", bridge.Gate{Class: bridge.Misconfigured, Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := b.Gate(t.Context(), "cred"); !ok || err != nil {
		t.Error("not shut at once where it was shut", err)
	}
	b.soon("seen", func() bool { _, ok, err := second.Gate(t.Context(), "cred"); return ok && err == nil })
}

// Instances that start at once on an empty database take turns with its tables.
func TestStartTogether(t *testing.T) {
	t.Parallel()
	b := &bench{T: t, dsn: postgres(t)}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			j, err := journal.Open(t.Context(), b.dsn, journal.Options{Instance: fmt.Sprint("i", i)})
			if err != nil {
				t.Error(err)
				return
			}
			defer j.Close()
			if _, _, err := j.Begin(t.Context(), bridge.Begin{Entry: wish(fmt.Sprint(i), "T1")}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// A lease that could not be given back when it should is given back at the next beat, and is not renewed for ever.
func TestForgottenLease(t *testing.T) {
	b, second := two(t)
	e := b.begin("a", false)
	b.Forget(e)
	b.forget() // its time comes
	if err := b.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := second.Begin(t.Context(), bridge.Begin{Entry: wish("a", "T1")}); err != nil {
		t.Error(err)
	}
}

// The server goes away and comes back: calls fail meanwhile, with an error that says so, and work again afterwards.
func TestConnectionsLost(t *testing.T) {
	b, _ := two(t)
	b.begin("before", true)
	admin(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+databaseOf(b.dsn)+"'")
	b.soon("written again", func() bool {
		_, created, err := b.Begin(t.Context(), bridge.Begin{Entry: wish("after", "T1")})
		return err == nil && created || func() bool { _, err := b.Find(t.Context(), wish("after", "T1").Key, "T1"); return err == nil }()
	})
	b.find("before")
}

// What durability and a hung server hang on is set on every connection.
func TestPostgresSettings(t *testing.T) {
	b, _ := two(t)
	for name, want := range map[string]string{
		"synchronous_commit": "on", "statement_timeout": "10s", "lock_timeout": "5s", "application_name": "einvoice-bridge",
	} {
		got, err := b.Setting(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		b.same(name, got, want)
	}
}
