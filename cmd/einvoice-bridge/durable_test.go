package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// need skips a test loudly where a tool is missing; in CI a missing tool is a failure.
func need(t *testing.T, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err == nil {
		return path
	}
	if os.Getenv("EINVOICE_BRIDGE_NO_SKIP") == "1" {
		t.Fatalf("%s is not installed", tool)
	}
	t.Skipf("SKIPPED: %s is not installed", tool)
	return ""
}

// served writes a configuration with fixed ports in front of the demo's simulators.
func served(t *testing.T) (sims []demo.Simulator, path, url, ready string) {
	t.Helper()
	ports := freePorts(t, 2)
	sims, path = sandboxed(t, func(text string) string {
		text = strings.Replace(text, `listen: "127.0.0.1:0"`, fmt.Sprintf("listen: %q", ports[0]), 1)
		return strings.Replace(text, `console: {listen: "127.0.0.1:0"}`, fmt.Sprintf("console: {listen: %q}", ports[1]), 1)
	})
	return sims, path, "http://" + ports[0] + "/api.einvoice.php", "http://" + ports[1] + "/readyz"
}

// kill -9 between attempt and outcome leaves a row that says so; the next start finds out what became of it.
func TestKilledInAnAttempt(t *testing.T) {
	sims, path, url, ready := served(t)
	s := sims[0]
	if err := s.Log.Arm(sandbox.Fault{Name: "hold", Operation: sandbox.Cancel, Times: 1}); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, "serve", "-c", path)
	p.await(ready)
	go func() { _, _ = post(url, demo.Envelope(s.Taxpayer, s.Success)) }() // dies with the bridge
	if _, err := s.Log.WaitFor(t.Context(), func(r sandbox.Record) bool { return r.Operation == sandbox.Cancel && r.Held }); err != nil {
		t.Fatal(err)
	}
	p.kill()
	s.Log.Release()

	dsn := "sqlite:" + filepath.Join(filepath.Dir(path), "bridge.db")
	key := bridge.Key{Space: "irp/sandbox", Document: s.Success}
	e := findEntry(t, dsn, key, s.Taxpayer)
	if e.State != bridge.Sending || len(e.Attempts) != 1 || !e.Attempts[0].End.IsZero() || e.Attempts[0].Outcome.Class != bridge.None {
		t.Errorf("after the kill the journal says %s, %+v", e.State, e.Attempts)
	}

	p = spawn(t, "serve", "-c", path)
	p.await(ready)
	body, err := post(url, demo.Envelope(s.Taxpayer, s.Success))
	if err != nil || !strings.Contains(string(body), "<code>200</code>") {
		t.Errorf("the repeat gets %s, %v", body, err)
	}
	p.terminate()
	if doc, _ := s.Log.Document(s.Success); doc.Commits() != 1 || len(doc.Attempts) != 1 {
		t.Errorf("sent %d times, cancelled %d times; once is enough", len(doc.Attempts), doc.Commits())
	}
}

func findEntry(t *testing.T, dsn string, key bridge.Key, taxpayer string) bridge.Entry {
	t.Helper()
	j, err := journal.Open(t.Context(), dsn, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	e, err := j.Find(t.Context(), key, taxpayer)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A kill can't show what a power cut would: that the attempt was on the disk itself before the first byte left. The
// kernel's own account of the system calls can.
func TestAttemptIsSyncedBeforeTheFirstByte(t *testing.T) {
	strace := need(t, "strace")
	sims, path, url, ready := served(t)
	trace := filepath.Join(t.TempDir(), "trace")
	p := &process{tb: t, done: make(chan error, 1)}
	p.cmd = exec.Command(strace, "-f", "-y", "-s", "64", "-e", "trace=fsync,fdatasync,read,write", "-o", trace, os.Args[0], "serve", "-c", path)
	p.cmd.Env = append(os.Environ(), "EINVOICE_BRIDGE_MAIN=1")
	p.cmd.Stderr = &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	p.await(ready)
	for _, irn := range []string{sims[0].Success, sims[0].Refusal} {
		if _, err := post(url, demo.Envelope(sims[0].Taxpayer, irn)); err != nil {
			t.Fatal(err)
		}
	}
	if err := exec.Command("pkill", "-TERM", "-P", fmt.Sprint(p.cmd.Process.Pid)).Run(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		t.Fatal("did not end")
	}
	if calls := syncOrder(t, trace); calls != 2 {
		t.Errorf("%d cancels in the trace, want 2", calls)
	}
}

// syncOrder reads a trace and wants, for each cancel, an fsync of the journal between the last answer and the cancel's
// first byte, and another between the cancel and the answer.
func syncOrder(t *testing.T, trace string) (cancels int) {
	t.Helper()
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	synced := false
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		switch {
		case strings.Contains(line, "sync(") && strings.Contains(line, "bridge.db") && !strings.Contains(line, "<unfinished"),
			strings.Contains(line, "sync resumed>"):
			synced = true
		case strings.Contains(line, "write(") && strings.Contains(line, "POST /eicore/v1.03/Invoice/Cancel"):
			if cancels++; !synced {
				t.Errorf("the cancel left before the attempt was on disk: %s", line)
			}
			synced = false
		case strings.Contains(line, "write(") && strings.Contains(line, "HTTP/1.1 200 OK"): // to a caller, or to readiness before
			if cancels > 0 && !synced {
				t.Errorf("answered before the outcome was on disk: %s", line)
			}
			synced = false // what comes next needs its own
		}
	}
	return cancels
}
