package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"einvoice-bridge/fixtures/sandbox/demo"
)

var unreadFlag = flag.Duration("unread", time.Second, "how long TestNobodyReadsTheLog calls on once the log's queue is full; 60s is the full size")

// A full pipe behind standard error: nobody waits for it, nor does SIGTERM; what is lost is counted, and said when the
// reader is back.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	sims, path, url, ready := served(t)
	verbose(t, path)
	p, out := spawnPiped(t, path)
	p.await(ready)
	answered(t, sims[0], url, 400)
	for range 4500 { // with a fat document: more than pipe and queue hold
		if _, err := post(url, demo.Envelope(sims[0].Taxpayer, strings.Repeat("X", 1000))); err != nil {
			t.Fatal(err)
		}
	}
	lost := metricValue(t, strings.Replace(ready, "readyz", "metrics", 1), "einvoice_log_lines_lost_total")
	if lost == 0 {
		t.Fatal("no line is lost: the test has not filled the queue")
	}
	calls, slowest := 0, time.Duration(0)
	for begun := time.Now(); time.Since(begun) < *unreadFlag; calls++ {
		start := time.Now()
		answered(t, sims[0], url, 1)
		slowest = max(slowest, time.Since(start))
	}
	t.Logf("%d calls answered while nobody reads, the slowest after %v", calls, slowest)
	lost = metricValue(t, strings.Replace(ready, "readyz", "metrics", 1), "einvoice_log_lines_lost_total")
	said := make(chan string)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			if strings.Contains(s.Text(), "log lines were lost") {
				said <- s.Text()
			}
		}
	}()
	select {
	case line := <-said:
		if !strings.Contains(line, fmt.Sprintf("lines=%.0f", lost)) {
			t.Errorf("the metric says %.0f, the line %s", lost, line)
		}
	case <-time.After(20 * time.Second):
		t.Error("the reader is back and hears of no lost line")
	}
	p.terminate()
}

// The end of the process waits for nobody who doesn't read.
func TestStopsThoughNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	sims, path, url, ready := served(t)
	verbose(t, path)
	p, _ := spawnPiped(t, path)
	p.await(ready)
	answered(t, sims[0], url, 400)
	start := time.Now()
	p.terminate()
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("the end took %s", took)
	}
}

// Whoever reads standard error dies, and the bridge goes on.
func TestReaderOfTheLogDies(t *testing.T) {
	t.Parallel()
	sims, path, url, ready := served(t)
	verbose(t, path)
	p, out := spawnPiped(t, path)
	p.await(ready)
	out.Close()
	answered(t, sims[0], url, 20)
	if lost := metricValue(t, strings.Replace(ready, "readyz", "metrics", 1), "einvoice_log_lines_lost_total"); lost < 20 {
		t.Errorf("%.0f lines are lost, want each of 20", lost)
	}
	p.terminate()
	if doc, _ := sims[0].Log.Document(sims[0].Success); doc.Commits() != 1 {
		t.Errorf("cancelled %d times", doc.Commits())
	}
}

// verbose makes the configuration log a line for every call.
func verbose(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Replace(string(text), "log: {level: warn}", "log: {level: info}", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// spawnPiped serves with a pipe as standard error that nobody reads yet.
func spawnPiped(t *testing.T, path string) (*process, *os.File) {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{tb: t, cmd: exec.Command(os.Args[0], "serve", "-c", path), done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), "EINVOICE_BRIDGE_MAIN=1")
	p.cmd.Stderr = in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Signal(syscall.SIGKILL); out.Close() })
	return p, out
}

// answered makes calls and wants the truth of each.
func answered(t *testing.T, s demo.Simulator, url string, n int) {
	t.Helper()
	for range n {
		body, err := post(url, demo.Envelope(s.Taxpayer, s.Success))
		if err != nil || !strings.Contains(string(body), "<code>200</code>") {
			t.Fatalf("got %v, %s", err, body)
		}
	}
}

// metricValue reads one metric without labels.
func metricValue(t *testing.T, url, name string) (v float64) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if n, _ := fmt.Sscanf(line, name+" %g", &v); n == 1 {
			return v
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
