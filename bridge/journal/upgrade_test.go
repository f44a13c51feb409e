//go:build unix

package journal_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// beforeEnds is the last version of the tables in which an entry's row said how it stood.
const beforeEnds = 8

// manyEnds leaves one entry of every kind in the journal.
func manyEnds(b *bench) {
	b.Helper()
	o := cancelled
	o.Exchanges = []bridge.Exchange{{Purpose: "cancel", Request: "q", Response: "r"}}
	e := b.begin("straight", true)
	b.finish(e, bridge.Final, o, tell(told(e, "r1", "sap", bridge.Cancelled), told(e, "r2", "oracle", bridge.Cancelled)))
	e = b.begin("late truth", true)
	b.finish(e, bridge.Final, refused, tell(told(e, "r3", "sap", bridge.Refused)))
	b.finish(e, bridge.Final, cancelled)
	e = b.begin("waited", false)
	a := b.attempt(e)
	e.Attempts = append(e.Attempts, a)
	b.finish(e, bridge.Final, refused, tell(told(e, "r4", "sap", bridge.Refused)))
	e = b.begin("sent again", true)
	e = b.finish(e, bridge.Final, notApplied, tell(told(e, "r5", "sap", bridge.NotApplied)))
	e.Upstream, e.Ref, e.Caller, e.IRN, e.Remarks = "cleartax", "r6", "oracle", "another spelling", "once more"
	e.Attempts = append(e.Attempts, b.attempt(e))
	b.finish(e, bridge.Open, unknown, tell(told(e, "r6", "sap", bridge.Unknown)), lookupAt(now.Add(time.Hour)))
	b.begin("waits", false)
	b.begin("being sent", true)
}

// all is everything that the journal tells of its entries.
func all(b *bench) (stories []bridge.Story, stats bridge.Stats) {
	b.Helper()
	for _, document := range b.list(bridge.Filter{}) {
		s, err := b.Show(b.Context(), document)
		if err != nil {
			b.Fatal(document, err)
		}
		stories = append(stories, s...)
	}
	stats, err := b.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	stats.Instances = nil
	return stories, stats
}

// What is on record comes through a change of its tables, there and back, word for word; and what was being sent is in doubt.
func TestEndsGetTablesOfTheirOwn(t *testing.T) {
	onBoth(t, func(b *bench) {
		manyEnds(b)
		stories, stats := all(b)
		b.same("stories", len(stories), 6)
		again := stories[2] // newest first
		b.same("asked by another, in other words", []string{again.Entry.Caller, again.Entry.IRN, again.Entry.Remarks}, []string{"oracle", "another spelling", "once more"})
		first := wish("sent again", "T1")
		first.ID = again.Entry.ID
		b.same("who asked first", again.Asks[0], told(first, "r5", "sap", bridge.NotApplied))
		b.same("how the first send ended", again.Entry.Attempts[0].Outcome, notApplied)
		b.same("where to", []string{again.Entry.Attempts[0].Upstream, again.Entry.Attempts[1].Upstream}, []string{"nic", "cleartax"})
		b.Die()
		if err := journal.Downgrade(b.Context(), b.dsn, beforeEnds); err != nil {
			b.Fatal(err)
		}
		b.Journal = b.open("one again")
		gotStories, gotStats := all(b)
		b.same("stories", gotStories, stories)
		b.same("counted", gotStats, stats)
		b.same("told otherwise", b.list(bridge.Filter{ToldOtherwise: true}), []string{"late truth"})
		b.forget()
		b.same("what waited is carried on", documents(b.orphans(b.Journal)), []string{"waits"})
		b.soon("what was being sent is in doubt", func() bool {
			_ = b.orphans(b.Journal)
			return b.find("being sent").State == bridge.Open
		})
		b.same("calls are told once, whichever table has them", len(b.retold("straight", "r1").Asks), 2)
	})
}

// retold tells a call again, and shows its document.
func (b *bench) retold(document, ref string) bridge.Story {
	b.Helper()
	if err := b.Tell(b.Context(), told(b.find(document), ref, "sap", bridge.Cancelled)); err != nil {
		b.Fatal(err)
	}
	s, err := b.Show(b.Context(), document)
	if err != nil || len(s) != 1 {
		b.Fatal(err, len(s))
	}
	return s[0]
}

// A change of the tables that is broken off, however often, begins anew and loses nothing.
func TestUpgradeBrokenOff(t *testing.T) {
	const n = 4_000
	onBoth(t, func(b *bench) {
		b.fill(n)
		if err := b.Close(); err != nil {
			b.Fatal(err)
		}
		if err := journal.Downgrade(b.Context(), b.dsn, beforeEnds); err != nil {
			b.Fatal(err)
		}
		broken := 0
		for long := 5 * time.Millisecond; ; long += long / 4 {
			ctx, cancel := context.WithTimeout(b.Context(), long)
			j, err := journal.Open(ctx, b.dsn, journal.Options{Instance: "one again"})
			cancel()
			if err == nil {
				b.Journal = j
				break
			}
			broken++
		}
		b.Cleanup(func() { _ = b.Close() })
		if broken < 3 {
			b.Errorf("it was broken off %d times only", broken)
		}
		found, err := b.Fitting(b.Context(), bridge.Filter{Class: bridge.Cancelled}, 2*n)
		b.is(err, nil)
		b.same("entries", found, n)
		for _, i := range []int{0, n / 2, n - 1} {
			b.same("class", b.find(fmt.Sprint(i)).Outcome.Class, bridge.Cancelled)
		}
	})
}
