package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/fixtures/sandbox/demo"
	"einvoice-bridge/fixtures/sandbox/nic"
)

// startBench starts a bridge on a journal on disk, in front of NIC's demo.Simulator, which takes every IRN.
func startBench(tb testing.TB) *app.App {
	tb.Helper()
	dir := tb.TempDir()
	sims, err := demo.New(dir, true)
	if err != nil {
		tb.Fatal(err)
	}
	sims = sims[:1]
	urls, closeAll, err := demo.Listen(sims, func(s demo.Simulator) http.Handler { return s.Handler })
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(closeAll)
	f, err := config.Parse([]byte(demo.Config(sims, urls, "127.0.0.1:0", dir, demo.Quiet)), dir, os.LookupEnv, app.FileKinds)
	if err != nil {
		tb.Fatal(err)
	}
	return serving(tb, f)
}

// fsyncTime is the median time that the disk below dir takes for one small durable write.
func fsyncTime(tb testing.TB, dir string) time.Duration {
	tb.Helper()
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var all []time.Duration
	for range 50 {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			tb.Fatal(err)
		}
		start := time.Now()
		if err := f.Sync(); err != nil {
			tb.Fatal(err)
		}
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// The whole path: 32 callers over real sockets, journal on disk with fsync, NIC's encryption, masked exchanges kept.
// Load generator and simulator run in the same process and share the processors.
func BenchmarkWholePath(b *testing.B) {
	a := startBench(b)
	url := a.PublicURL() + server.Paths[0]
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	const callers = 32
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, callers)
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				start := time.Now()
				if err := cancelOnce(client, url, randomIRN()); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(200, "budget-µs/op")
	b.ReportMetric(600, "budget-allocs/op")
	b.ReportMetric(float64(fsyncTime(b, b.TempDir()).Microseconds()), "fsync-µs")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

func randomIRN() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

func cancelOnce(client *http.Client, url, irn string) error {
	resp, err := client.Post(url, soapType, bytes.NewReader([]byte(demo.Envelope(nic.DemoGSTIN, irn))))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && !bytes.Contains(body, []byte("<code>200</code>")) {
		err = fmt.Errorf("answer: %s", body)
	}
	return err
}
