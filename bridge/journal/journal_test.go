//go:build unix

package journal_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// now is when the tests' calls come in; the journal keeps what it is given.
var now = time.Date(2026, 11, 22, 4, 30, 0, 0, time.UTC)

// settle is how long tests let sends of a dead instance settle.
const settle = 100 * time.Millisecond

// bench holds one journal, of either engine, that can be closed and opened again.
type bench struct {
	*testing.T
	dsn string
	*journal.Journal
	cutter *cutter                 // that stands before it, if any
	reopen func() *journal.Journal // opens it again, otherwise than usual
}

// onBoth runs a test on an empty journal of each engine: what it says holds for both.
func onBoth(t *testing.T, test func(b *bench)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(newBench(t, sqliteDSN(t))) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(newBench(t, postgresJournal(t))) })
}

func sqliteDSN(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "bridge.db") }

func newBench(t *testing.T, dsn string) *bench {
	b := &bench{T: t, dsn: dsn}
	b.Journal = b.open("one")
	return b
}

// open opens another instance, or the same again.
func (b *bench) open(instance string) *journal.Journal {
	b.Helper()
	j, err := journal.Open(b.Context(), b.dsn, journal.Options{Instance: instance, Lease: time.Minute, Settle: settle})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := j.Close(); err != nil {
			b.Error(err)
		}
	})
	return j
}

// restart closes the journal and opens it again.
func (b *bench) restart() {
	b.Helper()
	if err := b.Close(); err != nil {
		b.Fatal(err)
	}
	if b.reopen != nil {
		b.Journal = b.reopen()
		return
	}
	b.Journal = b.open("one again")
}

// wish is what a taxpayer asks for in these tests.
func wish(document, taxpayer string) bridge.Entry {
	return bridge.Entry{
		Key: bridge.Key{Space: "irp", Document: document}, Taxpayer: taxpayer, Upstream: "nic", Ref: "ref-1", Caller: "sap",
		IRN: "IRN " + document, Reason: bridge.Duplicate, Remarks: "typed twice", Created: now, Expires: now.Add(30 * time.Minute),
	}
}

// begin writes a new wish down.
func (b *bench) begin(document string, sendNow bool) bridge.Entry {
	b.Helper()
	e, created, err := b.Begin(b.Context(), bridge.Begin{Entry: wish(document, "T1"), SendNow: sendNow})
	if err != nil || !created {
		b.Fatalf("Begin: created %v, %v", created, err)
	}
	return e
}

// finish ends the entry's last attempt.
func (b *bench) finish(e bridge.Entry, state bridge.State, o bridge.Outcome, more ...func(*bridge.Finish)) bridge.Entry {
	b.Helper()
	f := bridge.Finish{Entry: e.ID, State: state, Result: o, Outcome: o, At: now.Add(time.Second)}
	if n := len(e.Attempts); n > 0 {
		f.Attempt = e.Attempts[n-1].ID
	}
	for _, m := range more {
		m(&f)
	}
	got, err := b.Finish(b.Context(), &f)
	if err != nil {
		b.Fatal(err)
	}
	return got
}

func release(f *bridge.Finish) { f.Release = true }

func lookupAt(t time.Time) func(*bridge.Finish) {
	return func(f *bridge.Finish) { f.NextLookup = t }
}

func tell(asks ...bridge.Ask) func(*bridge.Finish) {
	return func(f *bridge.Finish) { f.Asks = asks }
}

// attempt writes the next send down.
func (b *bench) attempt(e bridge.Entry) bridge.Attempt {
	b.Helper()
	a, err := b.Attempt(b.Context(), e, now.Add(time.Minute))
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// find reads T1's entry.
func (b *bench) find(document string) bridge.Entry {
	b.Helper()
	e, err := b.Find(b.Context(), bridge.Key{Space: "irp", Document: document}, "T1")
	if err != nil {
		b.Fatal(err)
	}
	return e
}

func (b *bench) same(what string, got, want any) {
	b.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (b *bench) is(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("got error %v, want %v", err, want)
	}
}

// soon waits until ok, for what the engines do in their own time.
func (b *bench) soon(what string, ok func() bool) {
	b.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("not in time: %s", what)
		}
	}
}

// orphans claims what was left behind, once sends of the dead have settled.
func (b *bench) orphans(j *journal.Journal) (waiting []bridge.Entry) {
	b.Helper()
	time.Sleep(2 * settle)
	waiting, err := j.Orphans(b.Context(), now)
	if err != nil {
		b.Fatal(err)
	}
	return waiting
}

func documents(entries []bridge.Entry) (names []string) {
	for _, e := range entries {
		names = append(names, e.Key.Document)
	}
	return names
}

var (
	cancelled = bridge.Outcome{
		Class: bridge.Cancelled, Date: "2026-11-22 10:00:00", DateSource: bridge.DateUpstream, HTTPStatus: 200,
		UpstreamRef: "x-1", Sent: true,
	}
	refused = bridge.Outcome{
		Class: bridge.Refused, Code: "2270", Message: "2270: The allowed cancellation time limit is crossed", HTTPStatus: 200,
		Unclassified: true, Alarm: "look at it", Sent: true,
	}
	notApplied = bridge.Outcome{Class: bridge.NotApplied, HTTPStatus: 429, RetryAfter: 7 * time.Second}
	unknown    = bridge.Outcome{Class: bridge.Unknown, Message: "connection reset", Sent: true}
)

func TestBegin(t *testing.T) {
	onBoth(t, func(b *bench) {
		t := wish("a", "T1")
		waiting := b.begin("a", false)
		want := t
		want.ID, want.State, want.Updated = waiting.ID, bridge.Accepted, now
		b.same("a wish that waits", waiting, want)

		sending := b.begin("b", true)
		if sending.ID <= waiting.ID {
			b.Errorf("ids don't grow: %d after %d", sending.ID, waiting.ID)
		}
		want = wish("b", "T1")
		want.ID, want.State, want.Updated = sending.ID, bridge.Sending, now
		want.Attempts = []bridge.Attempt{{ID: sending.Attempts[0].ID, Kind: bridge.SendCancel, Start: now, By: "one", Upstream: "nic"}}
		b.same("one that leaves at once", sending, want)
		b.same("on disk", b.find("b"), sending)

		again := wish("b", "T1")
		again.Ref, again.Reason = "ref-2", bridge.Others
		got, created, err := b.Begin(b.Context(), bridge.Begin{Entry: again, SendNow: true})
		if created || err != nil {
			b.Fatalf("created %v, %v", created, err)
		}
		b.same("a repeat gets the entry as it is", got, sending)
		b.same("and writes nothing", b.find("b"), sending)

		_, err = b.Find(b.Context(), t.Key, "T2")
		b.is(err, bridge.ErrNoEntry)
	})
}

func TestAnotherTaxpayerWaits(t *testing.T) {
	onBoth(t, func(b *bench) {
		mine := b.begin("a", true)
		_, _, err := b.Begin(b.Context(), bridge.Begin{Entry: wish("a", "T2"), SendNow: true})
		b.is(err, bridge.ErrBusy)
		_, err = b.Find(b.Context(), mine.Key, "T2")
		b.is(err, bridge.ErrNoEntry)

		released := make(chan struct{})
		go func() {
			ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
			defer cancel()
			b.AwaitRelease(ctx, mine.Key)
			close(released)
		}()
		b.finish(mine, bridge.Final, cancelled, release)
		<-released
		theirs, created, err := b.Begin(b.Context(), bridge.Begin{Entry: wish("a", "T2")})
		if err != nil || !created {
			b.Fatalf("created %v, %v", created, err)
		}
		if theirs.Outcome.Class != bridge.None || theirs.ID == mine.ID {
			b.Errorf("answers cross taxpayers: %+v", theirs)
		}
		b.is(b.MaySend(b.Context(), &theirs), nil)
		b.is(b.MaySend(b.Context(), &mine), bridge.ErrLostLease)
	})
}

func TestAttempt(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.finish(b.begin("a", true), bridge.Final, refused)
		e.Ref, e.Caller, e.IRN, e.Reason, e.Remarks, e.Upstream = "ref-2", "oracle", "irn A", bridge.Others, "other", "cleartax"
		a := b.attempt(e)
		want := e
		want.State, want.Outcome, want.Updated = bridge.Sending, bridge.Outcome{}, now.Add(time.Minute)
		want.Attempts = append(want.Attempts, bridge.Attempt{ID: a.ID, Kind: bridge.SendCancel, Start: now.Add(time.Minute), By: "one", Upstream: "cleartax"})
		b.same("a send takes the entry up again, with the new request", b.find("a"), want)
	})
}

// look is a lookup that has ended.
func look(o bridge.Outcome, start time.Time) *bridge.Attempt {
	return &bridge.Attempt{Kind: bridge.AskState, Start: start, End: start.Add(time.Second), Outcome: o, Upstream: "cleartax"}
}

// A lookup is written down when it has ended, once, with what it exchanged and with what follows from it.
func TestLook(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.finish(b.begin("a", true), bridge.Open, unknown, lookupAt(now.Add(time.Hour)))
		exchanges := []bridge.Exchange{{Purpose: "lookup", Method: "GET", URL: "https://x", Status: 200, Response: "ACT", Start: now, Took: time.Second}}
		active := bridge.Outcome{Class: bridge.NotApplied, Message: "ACT", Exchanges: exchanges}
		f := bridge.Finish{Entry: e.ID, State: bridge.Open, Outcome: unknown, NextLookup: now.Add(2 * time.Hour), At: now.Add(time.Minute), Look: look(active, now)}
		got, err := b.Finish(b.Context(), &f)
		if err != nil {
			b.Fatal(err)
		}
		want := e
		want.NextLookup, want.Updated = now.Add(2*time.Hour), now.Add(time.Minute)
		want.Attempts = append(want.Attempts, *look(bridge.Outcome{Class: bridge.NotApplied, Message: "ACT"}, now))
		want.Attempts[1].ID, want.Attempts[1].By = got.Attempts[1].ID, "one"
		b.same("given back", got, want)
		b.same("on disk", b.find("a"), want)
		if f.Look.By != "" || f.Look.Outcome.Exchanges == nil {
			b.Error("the caller's own was changed")
		}
		story, err := b.Show(b.Context(), "a")
		if err != nil {
			b.Fatal(err)
		}
		b.same("exchanges", story[0].Entry.Attempts[1].Outcome.Exchanges, exchanges)

		if got, err = b.Finish(b.Context(), &f); err != nil { // its caller didn't hear of it
			b.Fatal(err)
		}
		b.same("written again, it is there once", len(got.Attempts), 2)
		f.Look = look(active, now.Add(time.Minute))
		if got, err = b.Finish(b.Context(), &f); err != nil {
			b.Fatal(err)
		}
		b.same("another one", len(got.Attempts), 3)
		b.same("on disk, too", len(b.find("a").Attempts), 3)
	})
}

// What a lookup showed is evidence whoever has the document by now; what follows from it is not, but for cancelled.
func TestLookWithoutLease(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.finish(b.begin("a", true), bridge.Open, unknown, lookupAt(now.Add(time.Hour)), release)
		seen := func(o bridge.Outcome, start time.Time) bridge.Entry {
			got, err := b.Finish(b.Context(), &bridge.Finish{Entry: e.ID, State: bridge.Final, Outcome: o, At: now, Look: look(o, start)})
			if err != nil {
				b.Fatal(err)
			}
			return got
		}
		got := seen(notApplied, now)
		b.same("kept", len(got.Attempts), 2)
		b.same("no verdict", got.State, bridge.Open)
		got = seen(cancelled, now.Add(time.Second))
		b.same("but cancelled is one", got.Outcome, cancelled)
		b.same("kept after the end", len(seen(notApplied, now.Add(time.Minute)).Attempts), 4)
	})
}

func TestAttemptIsRefused(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.begin("withdrawn", false)
		if _, err := b.Withdraw(b.Context(), e.ID, "ravi"); err != nil {
			b.Fatal(err)
		}
		_, err := b.Attempt(b.Context(), e, now)
		b.is(err, bridge.ErrNotWaiting)

		e = b.finish(b.begin("cancelled", true), bridge.Final, cancelled)
		_, err = b.Attempt(b.Context(), e, now)
		b.is(err, bridge.ErrNotWaiting)

		e = b.begin("released", false)
		if err := b.Release(b.Context(), e); err != nil {
			b.Fatal(err)
		}
		b.is(b.MaySend(b.Context(), &e), bridge.ErrLostLease)
		_, err = b.Attempt(b.Context(), e, now)
		b.is(err, bridge.ErrLostLease)
		b.same("nothing is written", b.find("released"), e)
	})
}

// A repeat that has to wait its turn is queued like a new one, and survives like one.
func TestRequeue(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.finish(b.begin("a", true), bridge.Final, notApplied)
		e.Ref, e.Reason, e.Expires = "ref-2", bridge.Others, now.Add(24*time.Hour)
		got, err := b.Requeue(b.Context(), e)
		if err != nil {
			b.Fatal(err)
		}
		want := e
		want.State, want.Outcome, want.Updated = bridge.Accepted, bridge.Outcome{}, got.Updated
		b.same("queued", got, want)
		b.same("on disk", b.find("a"), want)
		_, err = b.Requeue(b.Context(), got)
		b.is(err, bridge.ErrNotWaiting)
		b.Die()
		b.forget()
		b.Journal = b.open("two")
		b.same("carried on after a crash", documents(b.orphans(b.Journal)), []string{"a"})

		done := b.finish(b.begin("b", true), bridge.Final, cancelled)
		_, err = b.Requeue(b.Context(), done)
		b.is(err, bridge.ErrNotWaiting)
		if err := b.Release(b.Context(), done); err != nil {
			b.Fatal(err)
		}
		_, err = b.Requeue(b.Context(), done)
		b.is(err, bridge.ErrLostLease)
	})
}

func TestFinish(t *testing.T) {
	exchanges := []bridge.Exchange{{Purpose: "cancel", Method: "POST", URL: "https://x", Request: "{}", Status: 200, Start: now, Took: time.Second}}
	cases := []struct {
		name    string
		state   bridge.State
		outcome bridge.Outcome
	}{
		{"cancelled", bridge.Final, cancelled},
		{"refused", bridge.Final, refused},
		{"not applied", bridge.Final, notApplied},
		{"misconfigured", bridge.Final, bridge.Outcome{Class: bridge.Misconfigured, Alarm: "1005: invalid token"}},
		{"doubtful", bridge.Open, unknown},
		{"to be sent again", bridge.Accepted, bridge.Outcome{}},
	}
	onBoth(t, func(b *bench) {
		ended := map[string]bridge.Entry{}
		for _, c := range cases {
			e := b.begin(c.name, true)
			result := c.outcome
			result.Exchanges = exchanges
			got := b.finish(e, c.state, result, lookupAt(now.Add(30*time.Second)))
			want := e
			want.State, want.Outcome, want.Updated = c.state, c.outcome, now.Add(time.Second)
			want.Attempts[0].End, want.Attempts[0].Outcome = now.Add(time.Second), c.outcome
			if c.state == bridge.Open {
				want.NextLookup = now.Add(30 * time.Second)
			}
			b.same(c.name+": given back", got, want)
			b.same(c.name+": on disk", b.find(c.name), want)
			ended[c.name] = want
		}
		b.restart()
		for name, want := range ended {
			b.same(name+": after a restart", b.find(name), want)
		}
	})
}

// Late truth wins: whoever learns that a document is cancelled may say so, whenever.
func TestLateTruth(t *testing.T) {
	onBoth(t, func(b *bench) {
		for name, o := range map[string]bridge.Outcome{"refused": refused, "not applied": notApplied} {
			e := b.finish(b.begin(name, true), bridge.Final, o, release)
			b.same(name+" is corrected without a lease", b.finish(e, bridge.Final, cancelled).Outcome, cancelled)
		}
		e := b.finish(b.begin("open", true), bridge.Open, unknown, release)
		b.same("so is doubt", b.finish(e, bridge.Final, cancelled).State, bridge.Final)

		e = b.find("refused")
		later := cancelled
		later.Date = "2026-11-23 11:11:11"
		for _, o := range []bridge.Outcome{refused, notApplied, later} {
			b.same("cancelled stays", b.finish(e, bridge.Final, o).Outcome, cancelled)
		}
		b.same("also when a flight still doubts", b.finish(e, bridge.Open, unknown).State, bridge.Final)
	})
}

func TestEvidenceWithoutLease(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.begin("a", true)
		open := b.finish(bridge.Entry{ID: e.ID}, bridge.Open, unknown, lookupAt(now), release)
		got := b.finish(e, bridge.Final, refused)
		b.same("the attempt's evidence is kept", got.Attempts[0].Outcome, refused)
		b.same("the entry is the business of whoever has it now", got.State, open.State)

		again := b.finish(e, bridge.Final, notApplied)
		b.same("evidence is never overwritten", again.Attempts[0].Outcome, refused)

		_, err := b.Journal.Finish(b.Context(), &bridge.Finish{Entry: 4711, State: bridge.Final, Outcome: refused})
		b.is(err, bridge.ErrNoEntry)
	})
}

func TestDue(t *testing.T) {
	onBoth(t, func(b *bench) {
		for name, at := range map[string]time.Time{"second": now.Add(-time.Minute), "first": now.Add(-time.Hour), "later": now.Add(time.Hour), "never": {}} {
			b.finish(b.begin(name, true), bridge.Open, unknown, lookupAt(at), release)
		}
		b.finish(b.begin("settled", true), bridge.Final, cancelled, release)

		one, err := b.Due(b.Context(), now, 1)
		if err != nil {
			b.Fatal(err)
		}
		b.same("the longest due first", documents(one), []string{"first"})
		b.is(b.MaySend(b.Context(), &one[0]), nil)
		b.finish(one[0], bridge.Final, cancelled, release)

		all, err := b.Due(b.Context(), now, 10)
		if err != nil {
			b.Fatal(err)
		}
		b.same("then the rest that is due", documents(all), []string{"second"})
		b.same("with its attempts", len(all[0].Attempts), 1)
	})
}

// What a dead process leaves behind: what waits is carried out, in order; what may have left is looked up.
func TestOrphans(t *testing.T) {
	onBoth(t, func(b *bench) {
		b.begin("waits", false)
		b.begin("sent", true)
		b.begin("waits too", false)
		if got := b.orphans(b.Journal); got != nil {
			b.Fatalf("claimed what this instance carries: %v", documents(got))
		}
		b.Die()
		b.forget()
		b.Journal = b.open("two")
		if due, err := b.Due(b.Context(), now, 10); err != nil || due != nil {
			b.Fatal(documents(due), err)
		}
		got := b.orphans(b.Journal)
		b.same("waiting", documents(got), []string{"waits", "waits too"})
		b.same("only once", b.orphans(b.Journal), []bridge.Entry(nil))
		b.is(b.MaySend(b.Context(), &got[0]), nil)

		due, err := b.Due(b.Context(), now, 10)
		if err != nil {
			b.Fatal(err)
		}
		b.same("to look up", documents(due), []string{"sent"})
		b.same("its attempt may have been sent", due[0].Attempts[0].Outcome.Class, bridge.None)
		b.same("nobody knows", due[0].Outcome.Class, bridge.Unknown)
	})
}

// A repeat may come before the service has looked for orphans.
func TestBeginAfterCrash(t *testing.T) {
	onBoth(t, func(b *bench) {
		b.begin("sent", true)
		b.Die()
		b.forget()
		b.Journal = b.open("two")
		time.Sleep(2 * settle)
		e, created, err := b.Begin(b.Context(), bridge.Begin{Entry: wish("sent", "T1"), SendNow: true})
		if err != nil || created {
			b.Fatal(created, err)
		}
		b.same("state", e.State, bridge.Open)
		b.same("attempts", len(e.Attempts), 1)
		if e.NextLookup.IsZero() {
			b.Error("no lookup is due")
		}
	})
}

// forget lets the leases of dead instances run out at once, as if their time had passed.
func (b *bench) forget() {
	if j, err := journal.OpenBeside(b.Context(), b.dsn); err != nil {
		b.Fatal(err)
	} else {
		defer j.Close()
		if b.dsn[0] == 'p' {
			if err := j.Do(b.Context(), `UPDATE leases SET until = `+journal.Clock); err != nil {
				b.Fatal(err)
			}
		}
	}
}
