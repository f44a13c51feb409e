//go:build unix

package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// told is one caller's ask about an entry.
func told(e bridge.Entry, ref, caller string, c bridge.Class) bridge.Ask {
	a := bridge.Answer{Class: c, Ref: ref, Why: "logins held back until 02:52: 4 in 15m are used up"}
	switch c {
	case bridge.Cancelled:
		a.IRN, a.CancelDate = e.IRN, "2026-11-22 10:00:00"
	case bridge.Refused:
		a.Message = "2270: too late"
	default:
		a.Fault, a.RetryAfter = bridge.FaultUnknown, 5*time.Second
	}
	return bridge.Ask{
		Ref: ref, Caller: caller, Taxpayer: e.Taxpayer, Key: e.Key, IRN: e.IRN, Reason: "1", Remarks: "typed twice", Entry: e.ID,
		Received: now, Told: a, ToldAt: now.Add(time.Second), How: bridge.FromUpstream, SOAPIn: []byte("<in/>"), SOAPOut: []byte("<out/>"),
	}
}

func (b *bench) list(f bridge.Filter) []string {
	b.Helper()
	got, err := b.List(b.Context(), f)
	if err != nil {
		b.Fatal(err)
	}
	return documents(got)
}

func TestList(t *testing.T) {
	onBoth(t, func(b *bench) {
		b.finish(b.begin("aa1", true), bridge.Final, cancelled, release)
		b.finish(b.begin("aa2", true), bridge.Final, refused, release)
		b.begin("ab1", false)
		b.finish(b.begin("b", true), bridge.Open, unknown, release)
		other := wish("aa1", "T2")
		other.Caller, other.Upstream, other.Created = "oracle", "cleartax", now.Add(time.Hour)
		if _, _, err := b.Begin(b.Context(), bridge.Begin{Entry: other}); err != nil {
			b.Fatal(err)
		}
		all := []string{"aa1", "b", "ab1", "aa2", "aa1"}
		for _, c := range []struct {
			name string
			f    bridge.Filter
			want []string
		}{
			{"everything, newest first", bridge.Filter{}, all},
			{"document prefix", bridge.Filter{Document: "aa"}, []string{"aa1", "aa2", "aa1"}},
			{"a longer prefix", bridge.Filter{Document: "aa1"}, []string{"aa1", "aa1"}},
			{"taxpayer", bridge.Filter{Taxpayer: "T2"}, []string{"aa1"}},
			{"caller", bridge.Filter{Caller: "oracle"}, []string{"aa1"}},
			{"upstream", bridge.Filter{Upstream: "nic"}, all[1:]},
			{"cancelled", bridge.Filter{Class: bridge.Cancelled}, []string{"aa1"}},
			{"refused", bridge.Filter{Class: bridge.Refused}, []string{"aa2"}},
			{"doubtful", bridge.Filter{Open: true}, []string{"b"}},
			{"waiting", bridge.Filter{Waiting: true}, []string{"aa1", "ab1"}},
			{"since", bridge.Filter{Since: now.Add(time.Minute)}, []string{"aa1"}},
			{"until", bridge.Filter{Until: now.Add(time.Minute)}, all[1:]},
			{"a moment", bridge.Filter{Since: now, Until: now.Add(time.Microsecond)}, all[1:]},
			{"before time", bridge.Filter{Until: now}, nil},
			{"several", bridge.Filter{Document: "aa", Taxpayer: "T1", Class: bridge.Refused, Since: now}, []string{"aa2"}},
			{"limit", bridge.Filter{Limit: 2}, all[:2]},
		} {
			b.same(c.name, b.list(c.f), c.want)
			if n, err := b.Fitting(b.Context(), c.f, 3); err != nil || c.f.Limit == 0 && n != min(len(c.want), 3) {
				b.Errorf("%s: %d fit, %v, want %d, up to 3", c.name, n, err, len(c.want))
			}
		}
		newest, err := b.List(b.Context(), bridge.Filter{Upstream: "nic", Limit: 2})
		if err != nil {
			b.Fatal(err)
		}
		b.same("the next page", b.list(bridge.Filter{Upstream: "nic", Before: newest[1].ID}), []string{"aa2", "aa1"})
		b.same("whole entries", newest[0], b.find("b"))
	})
}

func TestExport(t *testing.T) {
	onBoth(t, func(b *bench) {
		var want []string
		for i := range 1100 { // more than two pages
			want = append([]string{fmt.Sprint(i)}, want...)
		}
		b.fill(len(want))
		var got []bridge.Entry
		for e, err := range b.Export(b.Context(), bridge.Filter{}) {
			if err != nil {
				b.Fatal(err)
			}
			got = append(got, e)
		}
		b.same("all, newest first", documents(got), want)
		n := 0
		for range b.Export(b.Context(), bridge.Filter{Limit: 700}) {
			n++
		}
		b.same("limit", n, 700)
	})
}

// Whoever walks through what was told otherwise misses none, however many there are.
func TestExportToldOtherwise(t *testing.T) {
	onBoth(t, func(b *bench) {
		b.fill(1300)
		if err := b.Do(b.Context(), "UPDATE ends SET told = 2 WHERE entry % 2 = 0"); err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, err := range b.Export(b.Context(), bridge.Filter{ToldOtherwise: true}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		b.same("walked", n, 650)
	})
}

// fill writes n cancelled entries past the journal, documents "0" to n-1.
func (b *bench) fill(n int) {
	b.Helper()
	err := b.Do(b.Context(), `WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i + 1 < $2)
		INSERT INTO entries (space, document, taxpayer, upstream, ref, caller, irn, reason, remarks, created, expires, started, who)
		SELECT 'irp', CAST(i AS TEXT), 'T1', 'nic', 'r', 'sap', 'irn', '1', '', $1, $1, $1, 'one' FROM c`, now.UnixMicro(), n)
	if err == nil {
		err = b.Do(b.Context(), `INSERT INTO ends (entry, state, class, outcome, updated, next_lookup, told, version, sent_upstream, sent_ended)
			SELECT id, 'final', 'cancelled', '{}', created, 0, 0, 1, 'nic', created FROM entries`)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// A caller was told something, and the truth came out differently, unless he has asked again since.
func TestToldOtherwise(t *testing.T) {
	type telling struct {
		caller string
		class  bridge.Class
	}
	cases := []struct {
		name  string
		first []telling // told while the outcome was first
		was   bridge.Outcome
		is    bridge.Outcome // in the end
		then  []telling      // told after that
		want  bool
	}{
		{"the truth", []telling{{"sap", bridge.Refused}}, refused, refused, nil, false},
		{"refused, but cancelled", []telling{{"sap", bridge.Refused}}, refused, cancelled, nil, true},
		{"not applied, but cancelled", []telling{{"sap", bridge.NotApplied}}, notApplied, cancelled, nil, true},
		{"not applied, then refused", []telling{{"sap", bridge.NotApplied}}, notApplied, refused, nil, false},
		{"not known", []telling{{"sap", bridge.Unknown}}, notApplied, cancelled, nil, false},
		{"asked again", []telling{{"sap", bridge.NotApplied}}, notApplied, cancelled, []telling{{"sap", bridge.Cancelled}}, false},
		{"somebody else asked", []telling{{"sap", bridge.NotApplied}}, notApplied, cancelled, []telling{{"oracle", bridge.Cancelled}}, true},
		{"two callers, one knows", []telling{{"sap", bridge.NotApplied}, {"oracle", bridge.Unknown}}, notApplied, cancelled, []telling{{"sap", bridge.Cancelled}}, false},
	}
	onBoth(t, func(b *bench) {
		var want []string
		calls := 0
		for _, c := range cases {
			e := b.begin(c.name, true)
			asks := func(all []telling) (asks []bridge.Ask) {
				for _, x := range all {
					calls++
					asks = append(asks, told(e, fmt.Sprint("ref", calls), x.caller, x.class))
				}
				return asks
			}
			b.finish(e, bridge.Final, c.was, tell(asks(c.first)...))
			if c.is.Class != c.was.Class {
				b.finish(e, bridge.Final, c.is)
			}
			if err := b.Tell(b.Context(), asks(c.then)...); err != nil {
				b.Fatal(err)
			}
			if c.want {
				want = append([]string{c.name}, want...)
			}
		}
		b.same("listed", b.list(bridge.Filter{ToldOtherwise: true}), want)
		s, err := b.Stats(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.same("counted", s.ToldOtherwise, len(want))
	})
}

// A call that the bridge refused for its own reasons says nothing about the document.
func TestRefusedByCheckIsNoContradiction(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.finish(b.begin("a", true), bridge.Final, cancelled)
		bad := told(e, "ref-2", "sap", bridge.Refused)
		bad.Entry, bad.How = 0, bridge.FromCheck
		if err := b.Tell(b.Context(), bad); err != nil {
			b.Fatal(err)
		}
		b.same("listed", b.list(bridge.Filter{ToldOtherwise: true}), []string(nil))
	})
}

func TestShow(t *testing.T) {
	onBoth(t, func(b *bench) {
		early := told(wish("a", "T1"), "ref-0", "sap", bridge.Refused)
		early.How, early.Reason, early.ToldAt = bridge.FromCheck, "7", now
		if err := b.Tell(b.Context(), early); err != nil {
			b.Fatal(err)
		}
		e := b.begin("a", true)
		ask := told(e, "ref-1", "sap", bridge.Cancelled)
		exchanges := []bridge.Exchange{{Purpose: "cancel", Method: "POST", URL: "https://x", Request: "q", Status: 200, Response: "r", Start: now, Took: time.Second}}
		o := cancelled
		o.Exchanges = exchanges
		want := b.finish(e, bridge.Final, o, tell(ask))
		late := told(e, "ref-2", "oracle", bridge.Unknown)
		late.Entry = 0 // told at a deadline, by somebody who didn't know the entry
		if err := b.Tell(b.Context(), late); err != nil {
			b.Fatal(err)
		}
		late.Entry = e.ID
		want.Attempts[0].Outcome.Exchanges = exchanges

		story := []bridge.Story{{Entry: want, Asks: []bridge.Ask{early, ask, late}}}
		for _, what := range []string{fmt.Sprint(e.ID), "a", "ref-0", "ref-1", "ref-2"} {
			got, err := b.Show(b.Context(), what)
			if err != nil {
				b.Fatal(what, err)
			}
			b.same("by "+what, got, story)
		}
		_, err := b.Show(b.Context(), "b")
		b.is(err, bridge.ErrNoEntry)
	})
}

// A call that never came to an entry has a story as well, and each taxpayer has his own.
func TestShowWithoutEntry(t *testing.T) {
	onBoth(t, func(b *bench) {
		for _, taxpayer := range []string{"T1", "T2"} {
			a := told(wish("a", taxpayer), "ref "+taxpayer, "sap", bridge.Refused)
			a.How = bridge.FromCheck
			if err := b.Tell(b.Context(), a); err != nil {
				b.Fatal(err)
			}
		}
		got, err := b.Show(b.Context(), "a")
		if err != nil || len(got) != 2 {
			b.Fatalf("%d stories, %v", len(got), err)
		}
		got, err = b.Show(b.Context(), "ref T2")
		if err != nil || len(got) != 1 {
			b.Fatalf("%d stories, %v", len(got), err)
		}
		b.same("taxpayer", got[0].Entry.Taxpayer, "T2")
		b.same("asks", len(got[0].Asks), 1)
	})
}

// What callers send may be anything; it is kept all the same.
func TestOddText(t *testing.T) {
	onBoth(t, func(b *bench) {
		a := told(wish(strings.Repeat("x", 5000)+"\x00", "T\xff"), "ref-1", "sap", bridge.Refused)
		a.IRN, a.Remarks, a.How = strings.Repeat("ü", 3000), "nul \x00, bad \xff", bridge.FromCheck
		if err := b.Tell(b.Context(), a); err != nil {
			b.Fatal(err)
		}
		got, err := b.Show(b.Context(), "ref-1")
		if err != nil || len(got) != 1 {
			b.Fatalf("%d stories, %v", len(got), err)
		}
		b.same("remarks", got[0].Asks[0].Remarks, "nul \uFFFD, bad \uFFFD")
	})
}

func TestResolve(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.finish(b.begin("a", true), bridge.Open, unknown, lookupAt(now.Add(time.Hour)))
		operator, err := journal.OpenBeside(b.Context(), b.dsn) // while the service runs
		if err != nil {
			b.Fatal(err)
		}
		defer operator.Close()
		for _, o := range []bridge.Outcome{{Class: bridge.Unknown}, {Class: bridge.Misconfigured}, {Class: bridge.Cancelled}, {Class: bridge.Cancelled, Date: "22.11.2026"}} {
			if _, err := operator.Resolve(b.Context(), e.ID, o, "ravi", "why", true); err == nil {
				b.Errorf("resolved as %+v", o)
			}
		}
		before := time.Now()
		got, err := operator.Resolve(b.Context(), e.ID, bridge.Outcome{Class: bridge.Cancelled, Date: "2026-11-22 10:00:00"}, "ravi", "seen in the portal", false)
		if err != nil {
			b.Fatal(err)
		}
		b.same("on disk", b.find("a"), got)
		b.same("told as his word", got.Outcome, bridge.Outcome{Class: bridge.Cancelled, Date: "2026-11-22 10:00:00", DateSource: bridge.DateOperator})
		word := got.ByHand()
		if word == nil {
			b.Fatal("rests on the authority's word")
		}
		b.same("who", word.By, "ravi")
		b.same("why", word.Outcome.Alarm, "seen in the portal")
		b.same("kind", word.Kind, bridge.ResolveHand)
		if word.Start.Before(before.Add(-time.Minute)) || word.Start.After(time.Now().Add(time.Minute)) || !word.End.Equal(word.Start) {
			b.Errorf("when: %s to %s", word.Start, word.End)
		}

		_, err = b.Attempt(b.Context(), e, now)
		b.is(err, bridge.ErrNotWaiting)
		b.same("the flight under way notices", b.finish(e, bridge.Open, unknown).Outcome.Class, bridge.Cancelled)
		if _, err := operator.Resolve(b.Context(), e.ID, refused, "ravi", "oops", true); err == nil {
			b.Error("cancelled is final")
		}
		_, err = operator.Resolve(b.Context(), 4711, refused, "ravi", "", false)
		b.is(err, bridge.ErrNoEntry)
	})
}

// What contradicts the record needs insisting, and the error says so.
func TestResolveContradicts(t *testing.T) {
	seen := bridge.Outcome{Class: bridge.Cancelled, Date: "2026-11-22 10:00:00"}
	on := func(date string) bridge.Outcome { return bridge.Outcome{Class: bridge.Cancelled, Date: date} }
	sending := func(b *bench, name string) bridge.Entry { return b.begin(name, true) }
	accepted := func(b *bench, name string) bridge.Entry { return b.begin(name, false) }
	ended := func(state bridge.State, o bridge.Outcome) func(*bench, string) bridge.Entry {
		return func(b *bench, name string) bridge.Entry {
			return b.finish(b.begin(name, true), state, o, lookupAt(now))
		}
	}
	byHand := func(b *bench, name string) bridge.Entry {
		e, err := b.Resolve(b.Context(), ended(bridge.Open, unknown)(b, name).ID, bridge.Outcome{Class: bridge.Refused, Message: "too late"}, "asha", "portal", false)
		if err != nil {
			b.Fatal(err)
		}
		return e
	}
	onBoth(t, func(b *bench) {
		for _, c := range []struct {
			name   string
			record func(*bench, string) bridge.Entry
			word   bridge.Outcome
			says   string // empty: it needs no insisting
		}{
			{"a doubt, cancelled", ended(bridge.Open, unknown), seen, ""},
			{"a doubt, refused", ended(bridge.Open, unknown), refused, ""},
			{"a doubt, not applied", ended(bridge.Open, unknown), bridge.Outcome{Class: bridge.NotApplied}, ""},
			{"one that waits, cancelled", accepted, seen, ""},
			{"not applied, cancelled", ended(bridge.Final, notApplied), seen, ""},
			{"refused, cancelled", ended(bridge.Final, refused), seen, "2270"},
			{"refused, not applied", ended(bridge.Final, refused), notApplied, "the authority refused it"},
			{"refused, in other words", ended(bridge.Final, refused), bridge.Outcome{Class: bridge.Refused, Message: "other"}, ""},
			{"refused by hand, cancelled", byHand, seen, ""},
			{"on its way, cancelled", sending, seen, "on its way right now"},
			{"on its way, not applied", sending, notApplied, "on its way right now"},
			{"an hour before the request, in a zone of its own", ended(bridge.Open, unknown), on("2026-11-22 03:30:00"), ""},
			{"less than a day before the request", ended(bridge.Open, unknown), on("2026-11-21 04:31:00"), ""},
			{"more than a day before the request", ended(bridge.Open, unknown), on("2026-11-21 04:29:00"), "before the request of 2026-11-22 04:30:00 UTC"},
			{"a year before the request", ended(bridge.Open, unknown), on("2025-11-22 10:00:00"), "before the request"},
		} {
			e := c.record(b, c.name)
			got, err := b.Resolve(b.Context(), e.ID, c.word, "ravi", "ticket 815", false)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "--yes") {
					b.Errorf("%s: got error %v, want one that says %q and what to do", c.name, err, c.says)
				}
				b.same(c.name+" changes nothing", b.find(c.name), e)
				got, err = b.Resolve(b.Context(), e.ID, c.word, "ravi", "ticket 815", true)
			}
			if err != nil {
				b.Errorf("%s: %v", c.name, err)
				continue
			}
			b.same(c.name+": state", got.State, bridge.Final)
			b.same(c.name+": class", got.Outcome.Class, c.word.Class)
			b.same(c.name+": the doubt is closed", got.NextLookup, time.Time{})
			b.same(c.name+": on whose word", got.ByHand().By, "ravi")
			b.same(c.name+": nothing is lost", len(got.Attempts), len(e.Attempts)+1)
		}
	})
}

func TestWithdraw(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.begin("a", false)
		got, err := b.Withdraw(b.Context(), e.ID, "ravi")
		if err != nil {
			b.Fatal(err)
		}
		b.same("state", got.State, bridge.Final)
		b.same("class", got.Outcome.Class, bridge.NotApplied)
		b.same("kind", got.Attempts[0].Kind, bridge.TakeBack) // no word on the document
		_, err = b.Withdraw(b.Context(), e.ID, "ravi")
		b.is(err, bridge.ErrNotWaiting)
		_, err = b.Withdraw(b.Context(), b.begin("b", true).ID, "ravi")
		b.is(err, bridge.ErrNotWaiting)
	})
}

func TestPrune(t *testing.T) {
	onBoth(t, func(b *bench) {
		ago := func(days int) time.Time { return time.Now().AddDate(0, 0, -days) }
		write := func(document string, days int, state bridge.State) {
			e := wish(document, "T1")
			e.Created = ago(days)
			e, _, err := b.Begin(b.Context(), bridge.Begin{Entry: e, SendNow: true})
			if err != nil {
				b.Fatal(err)
			}
			o := cancelled
			if state == bridge.Open {
				o = unknown
			}
			o.Exchanges = []bridge.Exchange{{Purpose: "cancel"}}
			ask := told(e, "ref "+document, "sap", o.Class)
			ask.ToldAt = ago(days)
			b.finish(e, state, o, tell(ask), release, func(f *bridge.Finish) { f.At = ago(days) })
		}
		for i := range 150 { // more than one batch
			write(fmt.Sprint("ancient", i), 500, bridge.Final)
		}
		write("old", 40, bridge.Final)
		write("fresh", 1, bridge.Final)
		write("ancient but open", 500, bridge.Open)
		refusal := told(wish("nowhere", "T1"), "ref", "sap", bridge.Refused)
		refusal.ToldAt = ago(500)
		if err := b.Tell(b.Context(), refusal); err != nil {
			b.Fatal(err)
		}
		if _, err := b.Prune(b.Context(), 400*24*time.Hour, 30*24*time.Hour); err != nil {
			b.Fatal(err)
		}
		b.same("left", b.list(bridge.Filter{}), []string{"ancient but open", "fresh", "old"})
		for document, bodies := range map[string]bool{"ancient but open": true, "fresh": true, "old": false} {
			s, err := b.Show(b.Context(), document)
			if err != nil {
				b.Fatal(document, err)
			}
			b.same(document+": exchanges", s[0].Entry.Attempts[0].Outcome.Exchanges != nil, bodies)
			b.same(document+": SOAP", s[0].Asks[0].SOAPIn != nil && s[0].Asks[0].SOAPOut != nil, bodies)
		}
		_, err := b.Show(b.Context(), "nowhere")
		b.is(err, bridge.ErrNoEntry)
		_, err = b.Show(b.Context(), "ref ancient1")
		b.is(err, bridge.ErrNoEntry)
	})
}

func TestStats(t *testing.T) {
	onBoth(t, func(b *bench) {
		b.begin("waiting", false)
		later := wish("waiting longer", "T1")
		later.Expires = now.Add(time.Hour)
		if _, _, err := b.Begin(b.Context(), bridge.Begin{Entry: later}); err != nil {
			b.Fatal(err)
		}
		b.finish(b.begin("open", true), bridge.Open, unknown)
		e := b.finish(b.begin("done", true), bridge.Final, cancelled)
		for i, at := range []time.Duration{0, time.Minute, time.Hour + time.Minute} {
			a := told(e, fmt.Sprint(i), "sap", bridge.Cancelled)
			a.ToldAt = now.Add(at)
			if err := b.Tell(b.Context(), a); err != nil {
				b.Fatal(err)
			}
		}
		s, err := b.Stats(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if len(s.Instances) != 1 || s.Instances[0].Name != "one" || time.Since(s.Instances[0].Seen) > time.Minute {
			b.Errorf("instances: %+v", s.Instances)
		}
		s.Instances = nil
		b.same("stats", s, bridge.Stats{Open: 1, OldestOpen: now, Waiting: 2, NextExpiry: now.Add(30 * time.Minute)})

		counts, err := b.Counts(b.Context(), now, now.Add(2*time.Hour), time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		b.same("calls by hour", counts, []bridge.Count{{From: now, Class: bridge.Cancelled, Calls: 2}, {From: now.Add(time.Hour), Class: bridge.Cancelled, Calls: 1}})
	})
}

func TestBackup(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	e := b.finish(b.begin("a", true), bridge.Final, cancelled)
	path := filepath.Join(t.TempDir(), "copy's.db")
	reader, err := journal.OpenReader(t.Context(), b.dsn) // as journal backup does, beside the service
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := reader.Backup(t.Context(), path); err == nil {
		t.Error("overwrote a backup")
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v %v", info.Mode(), err)
	}
	restored := newBench(t, "sqlite:"+path)
	b.same("restored", restored.find("a"), e)
}

// A reader looks on while the service writes, and changes nothing.
func TestReader(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.begin("a", true)
		reader, err := journal.OpenReader(b.Context(), b.dsn)
		if err != nil {
			b.Fatal(err)
		}
		defer reader.Close()
		got, err := reader.List(b.Context(), bridge.Filter{})
		b.is(err, nil)
		b.same("listed", got, []bridge.Entry{e})
		if _, _, err := reader.Begin(b.Context(), bridge.Begin{Entry: wish("b", "T1")}); err == nil {
			b.Error("wrote")
		}
		if _, err := reader.Withdraw(b.Context(), e.ID, "ravi"); err == nil {
			b.Error("withdrew")
		}
		if _, _, err := reader.Take(b.Context(), bridge.Rate{Key: "k", Limit: 1, Per: time.Minute}, bridge.Last); err == nil {
			b.Error("booked")
		}

		_ = b.Close()
		alone, err := journal.OpenReader(b.Context(), b.dsn) // with no service running
		if err != nil {
			b.Fatal(err)
		}
		defer alone.Close()
		got, err = alone.List(b.Context(), bridge.Filter{})
		b.is(err, nil)
		b.same("listed without a service", got, []bridge.Entry{e})
	})
}

// An operator who can't wait for the next lookup has it made due, once nobody is at it.
func TestLookUpSoon(t *testing.T) {
	onBoth(t, func(b *bench) {
		later := now.Add(time.Hour)
		e := b.finish(b.begin("a", true), bridge.Open, unknown, lookupAt(later), release)
		if err := b.LookUpSoon(b.Context(), e.ID); err != nil {
			b.Fatal(err)
		}
		due, err := b.Due(b.Context(), time.Now().Add(time.Second), 10)
		if err != nil {
			b.Fatal(err)
		}
		b.same("due", documents(due), []string{"a"})
		b.finish(due[0], bridge.Final, cancelled, release)
		b.is(b.LookUpSoon(b.Context(), e.ID), bridge.ErrNotWaiting)
		b.is(b.LookUpSoon(b.Context(), 999), bridge.ErrNoEntry)
	})
}
