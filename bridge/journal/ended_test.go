//go:build unix

package journal_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// Up to some entry all have ended, as far as that is kept: never beyond one that is being sent, and not beyond the last one
// there is, whose number SQLite gives again once it is pruned.
func TestEnded(t *testing.T) {
	onBoth(t, func(b *bench) {
		raised := func(what string, to int64) {
			b.Helper()
			b.soon(what, func() bool { // PostgreSQL's others may have something under way
				_ = b.orphans(b.Journal)
				upto, err := b.Ended(b.Context())
				return err == nil && upto == to
			})
		}
		b.fill(1200)
		raised("all have ended", 1200)
		e := b.begin("being sent", true)
		if err := b.Do(b.Context(), "UPDATE entries SET document = document || ' before'"); err != nil {
			b.Fatal(err)
		}
		if err := b.Do(b.Context(), "UPDATE entries SET document = 'being sent' WHERE id = $1", e.ID); err != nil {
			b.Fatal(err)
		}
		if err := b.Do(b.Context(), `WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i + 1 < 1200)
			INSERT INTO entries (space, document, taxpayer, upstream, ref, caller, irn, reason, remarks, created, expires, started, who)
			SELECT 'irp', CAST(i AS TEXT), 'T1', 'nic', 'r', 'sap', 'irn', '1', '', $1, $1, $1, 'one' FROM c`, now.UnixMicro()); err != nil {
			b.Fatal(err)
		}
		if err := b.Do(b.Context(), `INSERT INTO ends (entry, state, class, outcome, updated, next_lookup, told, version, sent_upstream, sent_ended)
			SELECT id, 'final', 'cancelled', '{}', created, 0, 0, 1, 'nic', created FROM entries WHERE id > $1`, e.ID); err != nil {
			b.Fatal(err)
		}
		raised("one is being sent", 1200)
		b.finish(e, bridge.Final, cancelled)
		raised("that has ended, too", e.ID+1200)

		if _, err := b.Prune(b.Context(), time.Hour, time.Hour); err != nil {
			b.Fatal(err)
		}
		b.begin("after all were pruned", true)
		b.Die()
		b.forget()
		b.Journal = b.open("survivor")
		b.soon("what was being sent is in doubt", func() bool {
			_ = b.orphans(b.Journal)
			return b.find("after all were pruned").State == bridge.Open
		})
	})
}

// What is pruned makes room in the file for what comes.
func TestPrunedMakesRoom(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	for i := range 200 {
		e := b.begin(fmt.Sprint(i), true)
		ask := told(e, fmt.Sprint("r", i), "sap", bridge.Cancelled)
		ask.SOAPIn = []byte(strings.Repeat("<in/>", 500))
		b.finish(e, bridge.Final, cancelled, tell(ask))
	}
	if _, err := b.Prune(t.Context(), 1000*24*time.Hour, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", strings.TrimPrefix(b.dsn, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var free, rows int
	if err := db.QueryRow("SELECT count(*) FROM ends WHERE entry > 0").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow("PRAGMA freelist_count").Scan(&free); err != nil {
		t.Fatal(err)
	}
	if rows != 200 || free < 100 {
		t.Errorf("%d rows, %d free pages", rows, free)
	}
}

// A caller may be told before the send has ended, at his deadline. He is on record once, with what he was told last, and what
// he was told counts when the truth is known.
func TestToldBeforeTheEnd(t *testing.T) {
	onBoth(t, func(b *bench) {
		story := func(document string) bridge.Story {
			s, err := b.Show(b.Context(), document)
			if err != nil || len(s) != 1 || len(s[0].Asks) != 1 || len(s[0].Entry.Attempts) != 1 {
				b.Fatalf("%v, %+v", err, s)
			}
			return s[0]
		}
		tellOnce := func(a bridge.Ask) {
			if err := b.Tell(b.Context(), a); err != nil {
				b.Fatal(err)
			}
		}
		for _, c := range []struct {
			document string
			early    bridge.Class
			want     []string // told otherwise
		}{{"doubt", bridge.Unknown, nil}, {"not applied", bridge.NotApplied, []string{"not applied"}}} {
			e := b.begin(c.document, true)
			tellOnce(told(e, "ref "+c.document, "sap", c.early))
			b.same("while it is being sent", story(c.document).Entry.State, bridge.Sending)
			b.same("on record", b.finish(e, bridge.Final, cancelled), b.find(c.document))
			b.same("how the send ended", story(c.document).Entry.Attempts[0].Outcome.Class, bridge.Cancelled)
			b.same("told otherwise", b.list(bridge.Filter{ToldOtherwise: true}), c.want)
			tellOnce(told(e, "ref "+c.document, "sap", bridge.Cancelled))
			b.same("told last", story(c.document).Asks[0].Told.Class, bridge.Cancelled)
			b.same("told otherwise", b.list(bridge.Filter{ToldOtherwise: true}), []string(nil))
		}
		e := b.begin("both at once", true)
		tellOnce(told(e, "ref", "sap", bridge.Unknown))
		b.finish(e, bridge.Final, cancelled, tell(told(e, "ref", "sap", bridge.Cancelled)))
		b.same("told in the end", story("both at once").Asks[0].Told.Class, bridge.Cancelled)
	})
}
