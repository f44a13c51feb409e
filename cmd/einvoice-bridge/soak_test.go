//go:build linux

package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

var (
	soakFor  = flag.Duration("soak", 20*time.Second, "how long TestSoak lasts; from one minute on under siege (the long run: -run TestSoak -soak 30m -timeout 1h -v)")
	soakSeed = flag.Uint64("soakseed", 1, "decides the order of attacks in TestSoak")
)

// soakCallers is how many documents the ERPs work on together.
const soakCallers = 128

// soakShare is the load, as a part of the most that the bridge can do.
const soakShare = 0.7

// soak is a rig under steady load.
type soak struct {
	*crashRig
	client, attacker *http.Client
	issued           atomic.Int64 // documents
	late             atomic.Int64 // documents that had to wait for others to end
	asking           sync.WaitGroup
	siege            *siege // nil in short runs: each attack has a test of its own
}

// Under steady load, with the authority in trouble all the time, for as long as one likes: not one wrong answer, no
// call without an answer, nothing left open, and what the process holds does not grow. A long run has all attacks beside.
func TestSoak(t *testing.T) {
	dsn, disk := "", ""
	if *soakFor >= time.Minute {
		if disk = ownDisk(t); disk != "" {
			dsn = "sqlite:" + filepath.Join(disk, "bridge.db")
		}
	}
	s := &soak{crashRig: clearTaxRig(t, 1, dsn), client: newSoakClient(), attacker: newSoakClient()}
	bridge := s.instances[0]
	if *soakFor >= time.Minute {
		besiege(s, *soakSeed, min(10*time.Second, *soakFor/36), disk)
	} else {
		bridge.start(t)
	}
	peak := s.peak(min(20*time.Second, *soakFor/7))
	t.Logf("at most %.0f calls/s; %.0f %% of it for %v, seed %d", peak, 100*soakShare, *soakFor, *soakSeed)
	stop := make(chan struct{})
	var trouble sync.WaitGroup
	trouble.Go(func() { s.trouble(stop) })
	if s.siege != nil {
		trouble.Go(func() { s.siege.run(stop, time.Now().Add(*soakFor*2/5)) })
		trouble.Go(func() { s.siege.watchHealth(stop) })
	}
	samples := s.load(soakShare*peak, *soakFor)
	close(stop)
	trouble.Wait()
	ended := time.Now()
	s.asking.Wait()
	t.Logf("the last caller knew %v after the end of all trouble", time.Since(ended).Round(time.Second))
	late := s.rest()
	if left := s.open(); len(left) > 0 {
		t.Errorf("%d are open in the end: %v", len(left), left)
	}
	if s.siege == nil {
		for line := range strings.Lines(bridge.process.err.String()) {
			t.Errorf("in the log: %s", line)
		}
	}
	s.verifyFlat(samples)
	s.verify(int(s.issued.Load()), late)
	s.verifyAnswered()
	if s.siege != nil {
		s.siege.verify()
	}
}

// newSoakClient waits longer than the bridge may take (reply_within), and closes idle connections before it does (60 s),
// lest it closes one just as a call is sent.
func newSoakClient() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		MaxConnsPerHost: 2 * soakCallers, MaxIdleConnsPerHost: 2 * soakCallers, IdleConnTimeout: 30 * time.Second,
	}}
}

// ownDisk mounts a file system for the journal that can be frozen and filled; empty where that can't be.
func ownDisk(t *testing.T) string {
	image, at := filepath.Join(t.TempDir(), "image"), t.TempDir()
	for _, args := range [][]string{{"truncate", "-s", "24G", image}, {"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, at}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Logf("no disk of its own, so none that is frozen or full: %v %s", err, out)
			return ""
		}
	}
	t.Cleanup(func() {
		_ = exec.Command("fsfreeze", "-u", at).Run()
		_ = exec.Command("umount", "-l", at).Run()
	})
	return at
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
	under := make(chan struct{}, soakCallers)
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

// watch samples the process again and again until ended is closed, and reports every minute. Under siege it does so in
// the pauses, and begins anew with each process.
func (s *soak) watch(every time.Duration, ended <-chan struct{}) (samples []sample) {
	began, deaths := time.Now(), 0
	told := began
	for {
		select {
		case <-ended:
			s.report(time.Since(began), samples)
			return samples
		case <-time.After(every):
		}
		if g := s.siege; g != nil {
			g.up.RLock()
			if len(g.deaths) > deaths {
				samples, deaths = nil, len(g.deaths)
			}
			if g.quiet() {
				samples = append(samples, s.sample())
			}
			g.up.RUnlock()
		} else {
			samples = append(samples, s.sample())
		}
		if time.Since(told) >= time.Minute && len(samples) > 0 {
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
	began := time.Now()
	metrics := s.metrics()
	took := time.Since(began)
	var wal float64
	if info, err := os.Stat(strings.TrimPrefix(s.journal, "sqlite:") + "-wal"); err == nil {
		wal = float64(info.Size())
	}
	return sample{
		resident: s.resident(), heap: s.number(metrics, "go_memstats_heap_alloc_bytes"),
		goroutines: s.number(metrics, "go_goroutines"), files: float64(len(files)), wal: wal, scrape: took,
	}
}

func (s *soak) resident() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.instances[0].process.cmd.Process.Pid))
	if err != nil {
		s.Error(err)
	}
	return 1024 * s.number(string(status), "VmRSS:")
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
	n, calls := len(samples), float64(soakCallers)
	if n < 8 {
		s.Errorf("only %d samples", n)
		return
	}
	if s.siege != nil { // attackers' come on top, and what they have left behind
		calls *= 4
	}
	for _, c := range []struct {
		what          string
		of            func(sample) float64
		share, beside float64 // what the end may have more than the beginning
	}{
		{"bytes resident", func(x sample) float64 { return x.resident }, 0.1, 8 << 20},
		{"bytes of heap", func(x sample) float64 { return x.heap }, 0.25, 8 << 20},
		{"goroutines", func(x sample) float64 { return x.goroutines }, 0.1, calls},
		{"open files", func(x sample) float64 { return x.files }, 0.1, calls},
	} {
		before, after := middle(samples[n/4:n/2], c.of), middle(samples[3*n/4:], c.of)
		s.Logf("%s: %.0f, at the end %.0f", c.what, before, after)
		if raced() && c.what == "bytes resident" {
			continue // of which the race detector has most
		}
		if s.siege != nil && *soakFor < 10*time.Minute {
			continue // both quarters must have seen all attacks
		}
		if after > before*(1+c.share)+c.beside {
			s.Errorf("%s grew from %.0f to %.0f", c.what, before, after)
		}
	}
	most := 32.0 * (1 << 20)
	if s.siege != nil { // with readers that stay
		most *= 4
	}
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
	counts, unanswered := map[string]int{}, map[string]int{} // by code; by minute
	for _, all := range s.answers {
		for _, a := range all {
			if counts[a.code]++; a.code == "none" && (s.siege == nil || !s.siege.dead(a.at)) {
				unanswered[a.at.Format("15:04")]++
			}
		}
	}
	if len(unanswered) > 0 {
		s.Errorf("calls that were not answered: %v", unanswered)
	}
	s.Logf("answers by code: %v; %d attempts at the authority", counts, s.attempts())
}
