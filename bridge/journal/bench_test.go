//go:build unix

package journal_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// BenchmarkCall is one call's share of the journal: Begin with its first send, Finish with one exchange and one ask.
// The disk's own fsync, measured in the same run, and the CPU time of this process are reported beside it.
func BenchmarkCall(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		benchmarkCall(b, "sqlite:"+filepath.Join(b.TempDir(), "bridge.db"))
		b.ReportMetric(80, "budget-cpu-µs/op")
		b.ReportMetric(200, "budget-allocs/op")
	})
	b.Run("postgres", func(b *testing.B) {
		benchmarkCall(b, postgresJournal(b))
		b.ReportMetric(200, "budget-cpu-µs/op")
		b.ReportMetric(280, "budget-allocs/op")
	})
}

func benchmarkCall(b *testing.B, dsn string) {
	j, err := journal.Open(b.Context(), dsn, journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	fsync := fsyncTime(b)
	var n atomic.Int64
	took := make([]time.Duration, b.N)
	b.SetParallelism(32)
	b.ReportAllocs()
	cpu := cpuTime()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			start := time.Now()
			call(b, j, i)
			took[i-1] = time.Since(start)
		}
	})
	b.StopTimer()
	cpu = cpuTime() - cpu
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(fsync.Microseconds()), "fsync-µs")
}

func call(b *testing.B, j *journal.Journal, n int64) {
	now := time.Now()
	irn := fmt.Sprintf("%016x%016x%016x%016x", uint64(n)*0x9E3779B97F4A7C15, n, uint64(n)*0xBF58476D1CE4E5B9, n)
	ref := fmt.Sprintf("%08x", n)
	e, created, err := j.Begin(b.Context(), bridge.Begin{SendNow: true, Entry: bridge.Entry{
		Key: bridge.Key{Space: "irp", Document: irn}, Taxpayer: "29AAFCD5862R000", Upstream: "nic", Ref: ref,
		Caller: "sap-pi", IRN: irn, Reason: bridge.Duplicate, Remarks: "wrong entry", Created: now, Expires: now.Add(time.Hour),
	}})
	if err != nil || !created {
		b.Error(err)
		return
	}
	o := bridge.Outcome{
		Class: bridge.Cancelled, Date: "2026-11-22 10:00:00", DateSource: bridge.DateUpstream, HTTPStatus: 200, Sent: true,
		Exchanges: []bridge.Exchange{{
			Purpose: "cancel", Method: "POST", URL: "https://example.com/eicore/v1.03/Invoice/Cancel",
			Request: strings.Repeat("q", 200), Response: strings.Repeat("r", 300), Status: 200, Start: now, Took: time.Millisecond,
		}},
	}
	f := bridge.Finish{
		Entry: e.ID, Attempt: e.Attempts[0].ID, Result: o, State: bridge.Final, Outcome: o, At: now, Release: true,
		Asks: []bridge.Ask{{
			Ref: ref, Caller: "sap-pi", Taxpayer: e.Taxpayer, Key: e.Key, IRN: irn, Reason: "1", Remarks: "wrong entry",
			Entry: e.ID, Received: now, Told: bridge.Answer{Class: bridge.Cancelled, IRN: irn, CancelDate: o.Date},
			ToldAt: now, How: bridge.FromUpstream, SOAPIn: make([]byte, 900), SOAPOut: make([]byte, 700),
		}},
	}
	if _, err := j.Finish(b.Context(), &f); err != nil {
		b.Error(err)
	}
}

// BenchmarkFind reads an entry with its one attempt, as a call does whose authority has a budget.
func BenchmarkFind(b *testing.B) {
	j, err := journal.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "bridge.db"), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	e := wish("a", "T1")
	if _, _, err := j.Begin(b.Context(), bridge.Begin{Entry: e, SendNow: true}); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := j.Find(ctx, e.Key, e.Taxpayer); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkList reads pages of 50 from a journal of a million entries.
func BenchmarkList(b *testing.B) {
	for engine, dsn := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(b.TempDir(), "bridge.db") },
		"postgres": func() string { return postgresJournal(b) },
	} {
		b.Run(engine, func(b *testing.B) {
			dsn := dsn()
			j, err := journal.Open(b.Context(), dsn, journal.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			million(b, engine, dsn)
			middle := now.Add(500_000 * time.Second)
			for _, c := range []struct {
				name string
				f    bridge.Filter
			}{
				{"newest", bridge.Filter{}},
				{"page-in-the-middle", bridge.Filter{Before: 500_000}},
				{"document-prefix-8", bridge.Filter{Document: "d0012345"}},
				{"document-prefix-4", bridge.Filter{Document: "d001"}},
				{"document-prefix-2", bridge.Filter{Document: "d0"}},
				{"document-of-taxpayer", bridge.Filter{Document: "d001", Taxpayer: "T3"}},
				{"taxpayer", bridge.Filter{Taxpayer: "T3", Before: 500_000}},
				{"caller-rare", bridge.Filter{Caller: "rare"}},
				{"upstream-common", bridge.Filter{Upstream: "nic", Before: 500_000}},
				{"class-common", bridge.Filter{Class: bridge.Cancelled}},
				{"class-common-in-the-middle", bridge.Filter{Class: bridge.Cancelled, Before: 500_000}},
				{"class-rare", bridge.Filter{Class: bridge.Misconfigured, Caller: "sap"}},
				{"open", bridge.Filter{Open: true}},
				{"told-otherwise", bridge.Filter{ToldOtherwise: true}},
				{"at-14:03", bridge.Filter{Since: middle, Until: middle.Add(time.Minute)}},
			} {
				b.Run(c.name, func(b *testing.B) {
					for b.Loop() {
						c.f.Limit = 50
						if _, err := j.List(b.Context(), c.f); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			b.Run("stats", func(b *testing.B) {
				for b.Loop() {
					if _, err := j.Stats(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// million fills the journal with entries of a second each, past its writer: most cancelled, one in a thousand open, one in ten told to
// try again before that.
func million(b *testing.B, engine, dsn string) {
	b.Helper()
	db, err := sql.Open(map[string]string{"sqlite": "sqlite", "postgres": "pgx"}[engine], strings.TrimPrefix(dsn, "sqlite:"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, query := range []string{
		`WITH RECURSIVE c(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM c WHERE i < 1000000)
		INSERT INTO entries (space, document, taxpayer, upstream, ref, caller, irn, reason, remarks, created, expires, started, who)
		SELECT 'irp', 'd' || substr(CAST(10000000 + i * 7919 % 10000000 AS TEXT), 2) || '0123456789012345678901234567890123456789012345678901234567890',
			'T' || CAST(i % 5 AS TEXT), CASE WHEN i % 100 = 0 THEN 'myinvois' ELSE 'nic' END, 'r' || CAST(i AS TEXT),
			CASE WHEN i % 200000 = 0 THEN 'rare' ELSE 'sap' END, 'irn', '1', 'remarks', $1 + i * 1000000, CAST($1 AS BIGINT), $1 + i * 1000000, 'i' FROM c`,
		`INSERT INTO ends (entry, state, class, outcome, updated, next_lookup, told, version, sent_upstream, sent_ended, ask_ref,
			ask_caller, ask_irn, ask_reason, ask_remarks, ask_received, ask_class, ask_told, ask_told_at, ask_how)
		SELECT id, CASE WHEN id % 1000 = 0 THEN 'open' ELSE 'final' END,
			CASE WHEN id % 1000 = 0 THEN 'unknown' WHEN id % 50000 = 1 THEN 'misconfigured' WHEN id % 20 = 1 THEN 'refused' ELSE 'cancelled' END,
			'{"date":"2026-11-22 10:00:00"}', created, CASE WHEN id % 1000 = 0 THEN CAST($1 AS BIGINT) ELSE 0 END,
			CASE WHEN id % 3000 = 10 OR id % 20 = 1 THEN 2 ELSE 1 END, 1, upstream, created, ref, caller, irn, reason, '', created,
			CASE WHEN id % 1000 = 0 THEN 'unknown' WHEN id % 20 = 1 THEN 'refused' ELSE 'cancelled' END, '{}', created, 'upstream'
			FROM entries WHERE created > $1`,
		`INSERT INTO asks (entry, ref, caller, taxpayer, space, document, irn, reason, remarks, received, class, told, told_at, how)
			SELECT id, 'a' || ref, caller, taxpayer, space, '', 'irn', '1', '', created, 'not_applied', '{}', created, 'upstream'
			FROM entries WHERE created > $1 AND id % 10 = 0`,
	} {
		if _, err := db.ExecContext(b.Context(), query, now.UnixMicro()); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := db.ExecContext(b.Context(), map[string]string{"sqlite": "SELECT 1", "postgres": "VACUUM ANALYZE"}[engine]); err != nil {
		b.Fatal(err)
	}
}

// fsyncTime is the median of 200 fsyncs of 16 KB each.
func fsyncTime(tb testing.TB) time.Duration {
	f, err := os.Create(filepath.Join(tb.TempDir(), "fsync"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var took []time.Duration
	for range 200 {
		_, _ = f.Write(make([]byte, 16<<10))
		start := time.Now()
		if err := f.Sync(); err != nil {
			tb.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
