//go:build unix

package journal_test

import (
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
// The disk's own fsync, measured in the same run, is reported beside it.
func BenchmarkCall(b *testing.B) {
	dir := b.TempDir()
	j, err := journal.Open(b.Context(), "sqlite:"+filepath.Join(dir, "bridge.db"), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	fsync := fsyncTime(b, dir)
	var n atomic.Int64
	took := make([]time.Duration, b.N)
	b.SetParallelism(32)
	b.ReportAllocs()
	cpu := cpuTime()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			start := time.Now()
			i := n.Add(1)
			call(b, j, i)
			took[i-1] = time.Since(start)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-us/call")
	slices.Sort(took)
	b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[b.N-1].Microseconds())/1000, "max-ms")
	b.ReportMetric(float64(fsync.Microseconds()), "fsync-us")
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
		Class: bridge.Cancelled, Date: "2026-11-22 10:00:00", DateSource: bridge.DateUpstream, HTTPStatus: 200, Written: true,
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
	if _, err := j.Finish(b.Context(), f); err != nil {
		b.Error(err)
	}
}

// fsyncTime is the median of 200 fsyncs of 16 KB each.
func fsyncTime(tb testing.TB, dir string) time.Duration {
	f, err := os.Create(filepath.Join(dir, "fsync"))
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
