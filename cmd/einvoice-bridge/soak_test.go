//go:build linux

package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/fixtures/sandbox"
)

var soakFor = flag.Duration("soak", 20*time.Second, "how long TestSoak lasts (the long run: -run TestSoak -soak 30m -timeout 1h -v)")

// soakCallers is how many connections the ERPs have together.
const soakCallers = 128

// soakShare is the load, as a part of the most that the bridge can do.
const soakShare = 0.7

// soak is a rig under steady load.
type soak struct {
	*crashRig
	client *http.Client
	issued atomic.Int64 // documents
	late   atomic.Int64 // documents that had to wait for others to end
	asking sync.WaitGroup
}

// Under steady load, with the authority in trouble all the time, for as long as one likes: not one wrong answer, no
// call without an answer, nothing left open, and what the process holds does not grow.
func TestSoak(t *testing.T) {
	s := &soak{crashRig: clearTaxRig(t, 1, ""), client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		MaxConnsPerHost: soakCallers, MaxIdleConnsPerHost: soakCallers,
		IdleConnTimeout: 30 * time.Second, // before the bridge's 60 s, lest it closes a connection just as a call is sent
	}}}
	bridge := s.instances[0]
	bridge.start(t)
	peak := s.peak(3 * time.Second)
	t.Logf("at most %.0f calls/s; %.0f %% of it for %v", peak, 100*soakShare, *soakFor)
	stop := make(chan struct{})
	var trouble sync.WaitGroup
	trouble.Go(func() { s.trouble(stop) })
	samples := s.load(soakShare*peak, *soakFor)
	close(stop)
	trouble.Wait()
	ended := time.Now()
	s.asking.Wait()
	t.Logf("the last caller knew %v after the end of all trouble", time.Since(ended).Round(time.Second))
	bridge.process.terminate()
	for line := range strings.Lines(bridge.process.err.String()) {
		t.Errorf("in the log: %s", line)
	}
	s.verifyFlat(samples)
	s.verify(int(s.issued.Load()), nil)
	s.verifyAnswered()
}

// erp does with one more document what an ERP does: it asks until it knows. For one in ten two users ask at once; for
// another one somebody asks again later.
func (s *soak) erp() {
	n := s.issued.Add(1)
	irn := s.document(n)
	switch n % 10 {
	case 0:
		var other sync.WaitGroup
		other.Go(func() { s.ask(irn) })
		defer other.Wait()
	case 1:
		defer s.ask(irn)
	}
	s.ask(irn)
}

// ask repeats a call until its answer is final, as impatient users do.
func (s *soak) ask(irn string) {
	for !s.call(s.client, irn) {
		time.Sleep(time.Duration(200+rand.IntN(800)) * time.Millisecond)
	}
}

// unanswered are slower than callers wait (reply_within), or than the bridge itself does (timeout), or lookups that fail:
// callers are told that the outcome is unknown, and ask again.
var unanswered = []sandbox.Fault{
	{Name: "delay", Value: "2500", Operation: sandbox.Cancel},
	{Name: "late_commit", Value: "3500", Operation: sandbox.Cancel},
	{Name: "html_503", Operation: sandbox.Get},
}

// trouble arms one fault after the other, until stop is closed. None is left lying for the next: enough of them in a
// row would open the breaker, and then every call that is let through to see would meet one.
func (s *soak) trouble(stop <-chan struct{}) {
	defer s.sim.Disarm("")
	for {
		f := troubles[rand.IntN(len(troubles))]
		f.Operation = sandbox.Cancel
		if rand.IntN(10) == 0 {
			f = unanswered[rand.IntN(len(unanswered))]
		}
		f.Times = 1
		s.sim.Disarm("")
		if err := s.sim.Arm(f); err != nil {
			s.Error(err)
			return
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(10+rand.IntN(40)) * time.Millisecond):
		}
	}
}

// peak is how many calls a second the bridge answers when every caller calls as soon as it has its answer.
func (s *soak) peak(length time.Duration) float64 {
	began := time.Now()
	var wg sync.WaitGroup
	for range soakCallers {
		wg.Go(func() {
			for time.Since(began) < length {
				s.erp()
			}
		})
	}
	wg.Wait()
	return float64(s.calls.Load()) / time.Since(began).Seconds()
}

// load begins documents at a steady rate, whatever becomes of them, and samples the process meanwhile.
func (s *soak) load(callsPerSecond float64, length time.Duration) []sample {
	const callsPerDocument = 1.2 // see erp
	under := make(chan struct{}, 4*soakCallers)
	began, begun := time.Now(), 0.0
	ended, samples := make(chan struct{}), make(chan []sample)
	go func() { samples <- s.watch(min(time.Second, length/40), ended) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for now := began; now.Sub(began) < length; now = <-tick.C {
		due := now.Sub(began).Seconds() * callsPerSecond / callsPerDocument
		for ; begun < due && time.Since(began) < length; begun++ { // on a slow machine not all come to be begun
			if len(under) == cap(under) {
				s.late.Add(1)
			}
			under <- struct{}{}
			s.asking.Go(func() {
				s.erp()
				<-under
			})
		}
	}
	close(ended)
	return <-samples
}

// watch samples the process again and again until ended is closed, and reports every minute.
func (s *soak) watch(every time.Duration, ended <-chan struct{}) (samples []sample) {
	began := time.Now()
	told := began
	for {
		select {
		case <-ended:
			s.report(time.Since(began), samples)
			return samples
		case <-time.After(every):
		}
		samples = append(samples, s.sample())
		if time.Since(told) >= time.Minute {
			s.report(time.Since(began), samples)
			told = time.Now()
		}
	}
}

// sample is what the bridge's process holds at a moment.
type sample struct {
	resident, heap, wal, goroutines, files float64 // bytes, and counts
	scrape                                 time.Duration
}

func (s *soak) sample() sample {
	pid := s.instances[0].process.cmd.Process.Pid
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		s.Error(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		s.Error(err)
	}
	began := time.Now()
	metrics := s.metrics()
	took := time.Since(began)
	var wal float64
	if info, err := os.Stat(strings.TrimPrefix(s.journal, "sqlite:") + "-wal"); err == nil {
		wal = float64(info.Size())
	}
	return sample{
		resident: 1024 * s.number(string(status), "VmRSS:"), heap: s.number(metrics, "go_memstats_heap_alloc_bytes"),
		goroutines: s.number(metrics, "go_goroutines"), files: float64(len(files)), wal: wal, scrape: took,
	}
}

func (s *soak) metrics() string {
	resp, err := http.Get(strings.TrimSuffix(s.instances[0].ready, "/readyz") + "/metrics")
	if err != nil {
		s.Error(err)
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Error(err)
	}
	return string(text)
}

// number is what follows a name at the beginning of a line.
func (s *soak) number(text, name string) float64 {
	s.Helper()
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				s.Error(err)
			}
			return n
		}
	}
	s.Errorf("there is no %s in\n%s", name, text)
	return 0
}

func (s *soak) report(after time.Duration, samples []sample) {
	now := samples[len(samples)-1]
	s.Logf("%v: %d documents, %d calls, %d late; %.1f MB resident, %.1f MB heap, %.0f goroutines, %.0f files, log of the journal %.1f MB; metrics took %v",
		after.Round(time.Second), s.issued.Load(), s.calls.Load(), s.late.Load(), now.resident/(1<<20), now.heap/(1<<20), now.goroutines, now.files, now.wal/(1<<20), now.scrape.Round(time.Millisecond))
}

// verifyFlat compares the second quarter of the time with the last one, by their medians; the first is for warming up.
// Goroutines and files come and go with calls in flight, of which each connection has one at most.
// The journal's log is copied back every 2 MB, but only when no reader is in the way.
func (s *soak) verifyFlat(samples []sample) {
	s.Helper()
	n := len(samples)
	for _, c := range []struct {
		what          string
		of            func(sample) float64
		share, beside float64 // what the end may have more than the beginning
	}{
		{"bytes resident", func(x sample) float64 { return x.resident }, 0.1, 8 << 20},
		{"bytes of heap", func(x sample) float64 { return x.heap }, 0.25, 8 << 20},
		{"goroutines", func(x sample) float64 { return x.goroutines }, 0.1, soakCallers},
		{"open files", func(x sample) float64 { return x.files }, 0.1, soakCallers},
	} {
		before, after := middle(samples[n/4:n/2], c.of), middle(samples[3*n/4:], c.of)
		s.Logf("%s: %.0f, at the end %.0f", c.what, before, after)
		if raced() && c.what == "bytes resident" {
			continue // of which the race detector has most
		}
		if after > before*(1+c.share)+c.beside {
			s.Errorf("%s grew from %.0f to %.0f", c.what, before, after)
		}
	}
	const most = 32 << 20
	if wal := slices.MaxFunc(samples, func(a, b sample) int { return int(a.wal - b.wal) }).wal; wal > most {
		s.Errorf("the journal's log grew to %.0f bytes", wal)
	}
}

// raced tells whether this is a build with the race detector.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func middle(samples []sample, of func(sample) float64) float64 {
	var all []float64
	for _, x := range samples {
		all = append(all, of(x))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// verifyAnswered wants an answer to every call, though it be a fault.
func (s *soak) verifyAnswered() {
	s.Helper()
	counts := map[string]int{}
	for irn, all := range s.answers {
		for _, a := range all {
			if counts[a.code]++; a.code == "none" {
				s.Errorf("%s: a call was not answered", irn)
			}
		}
	}
	s.Logf("answers by code: %v; %d attempts at the authority", counts, s.attempts())
}
