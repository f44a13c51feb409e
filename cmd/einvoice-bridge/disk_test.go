//go:build linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// answer is what an address says, in time.
func answer(url string) (status int, body string, err error) {
	client := http.Client{Timeout: 3 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// The journal's file disappears while it serves: not ready, an alarm, and nothing is sent.
func TestJournalDeletedWhileServing(t *testing.T) {
	sims, path, url, ready := served(t)
	s := sims[0]
	p := spawn(t, "serve", "-c", path)
	p.await(ready)
	if err := os.Remove(filepath.Join(filepath.Dir(path), "bridge.db")); err != nil {
		t.Fatal(err)
	}
	if status, body, err := answer(ready); status != http.StatusServiceUnavailable || !strings.Contains(body, "deleted, moved or replaced") {
		t.Errorf("/readyz: %d %s, %v", status, body, err)
	}
	body, err := post(url, demo.Envelope(s.Taxpayer, s.Success))
	if err != nil || !strings.Contains(string(body), bridge.FaultBusy) {
		t.Errorf("a call: %s, %v", body, err)
	}
	if doc, _ := s.Log.Document(s.Success); len(doc.Attempts) != 0 {
		t.Error("what is written nowhere was sent")
	}
	p.kill()
	if log := p.err.String(); !strings.Contains(log, "alarm=journal") {
		t.Errorf("no alarm:\n%s", log)
	}
}

// A second serve is refused that reaches the file through a link to its folder, or through another mount.
func TestSecondServeByAnotherName(t *testing.T) {
	t.Parallel()
	_, path, _, ready := served(t)
	p := spawn(t, "serve", "-c", path)
	p.await(ready)
	dir, other := filepath.Dir(path), t.TempDir()
	ways := map[string]string{"a link": filepath.Join(other, "link"), "a mount": filepath.Join(other, "mount")}
	if err := os.Symlink(dir, ways["a link"]); err != nil {
		t.Fatal(err)
	}
	mounted(t, ways["a mount"], "--bind", dir)
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			second := filepath.Join(t.TempDir(), "bridge.yaml")
			text, err := os.ReadFile(path)
			if err == nil {
				moved := strings.Replace(string(text), "sqlite:"+dir, "sqlite:"+way, 1)
				err = os.WriteFile(second, []byte(strings.ReplaceAll(moved, "file:", "file:"+dir+"/")), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			p := spawn(t, "serve", "-c", second)
			select {
			case err = <-p.done:
			case <-time.After(30 * time.Second):
				t.Fatal("two serve with one journal")
			}
			if err == nil || !strings.Contains(p.err.String(), "another process serves with this file") {
				t.Errorf("%v\n%s", err, p.err.String())
			}
		})
	}
	p.terminate()
}

// mounted mounts for the time of the test.
func mounted(t *testing.T, at string, args ...string) {
	t.Helper()
	need(t, "mount")
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", append(args, at)...).CombinedOutput(); err != nil {
		skipOrFail(t, fmt.Sprintf("mounting is not possible here: %v %s", err, out))
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", at).Run() })
}

// skipOrFail skips a test loudly where it can't run; in CI that is a failure.
func skipOrFail(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("EINVOICE_BRIDGE_NO_SKIP") == "1" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
}

// icebox is a bridge whose journal lies on a file system that can be frozen, as it is for a snapshot.
type icebox struct {
	*testing.T
	sim              demo.Simulator
	url, ready, disk string
	path             string
	frozen           atomic.Bool
}

// The file system under the journal is frozen: every call is answered in time and with the truth, the process lives, and
// says that it is not ready. Thawed, it goes on.
func TestFrozenDisk(t *testing.T) {
	t.Parallel()
	b := newIcebox(t)
	p := spawn(t, "serve", "-c", b.path)
	p.await(b.ready)

	// What was written last has been read by nobody: the first reader notes in the log's index how far it goes.
	b.ask(1)
	b.freeze(10*time.Second, 4, func(caller, n int) { b.ask(1) })
	p.await(b.ready)

	// New documents.
	b.freeze(20*time.Second, 8, func(caller, n int) { b.ask(caller<<20 + n) })
	p.await(b.ready)
	if body := b.ask(1 << 30); !strings.Contains(body, "<code>200</code>") {
		t.Errorf("afterwards: %s", body)
	}
	if out, err := runCommand(t, "journal", "list", "-c", b.path, "--open"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	p.terminate()
	noOverlap(t, b.sim.Log)
	for _, doc := range b.sim.Log.Documents() {
		if doc.Commits() > 1 {
			t.Errorf("%s is cancelled %d times", doc.ID, doc.Commits())
		}
	}
}

func newIcebox(t *testing.T) *icebox {
	t.Helper()
	need(t, "fsfreeze")
	need(t, "mkfs.ext4")
	dir, ports := t.TempDir(), freePorts(t, 2)
	b := &icebox{T: t, url: "http://" + ports[0] + "/einvoice", ready: "http://" + ports[1] + "/readyz",
		disk: t.TempDir(), path: filepath.Join(dir, "bridge.yaml")}
	image := filepath.Join(t.TempDir(), "image")
	b.run("truncate", "-s", "64M", image)
	b.run("mkfs.ext4", "-q", image)
	mounted(t, b.disk, "-o", "loop", image)
	sims, err := demo.New(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	urls, closeAll, err := demo.Listen(sims, func(s demo.Simulator) http.Handler { return s.Handler })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeAll)
	for _, s := range sims {
		if s.Name == "cleartax-in" {
			b.sim = s
		}
	}
	text := demo.Config(sims, urls, ports[0], dir, fmt.Sprintf("console: {listen: %q}\nlog: {level: warn}\nreply_within: 5s\n", ports[1]))
	if err := os.WriteFile(b.path, []byte(strings.Replace(text, "sqlite:"+dir, "sqlite:"+b.disk, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *icebox) run(name string, args ...string) {
	b.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		b.Fatalf("%s: %v %s", name, err, out)
	}
}

// ask wants an answer in time: success, or, while the disk is away, a Fault.
func (b *icebox) ask(document int) string {
	frozen, start := b.frozen.Load(), time.Now()
	body, err := post(b.url, demo.Envelope(b.sim.Taxpayer, fmt.Sprintf("%064x", document)))
	took, text := time.Since(start), string(body)
	frozen = frozen || b.frozen.Load()
	if err != nil || !strings.Contains(text, "<code>200</code>") && !(frozen && strings.Contains(text, "<faultstring>")) || took > 7*time.Second {
		b.Errorf("document %d, after %s: %v %s", document, took, err, text)
	}
	return text
}

// freeze keeps the disk frozen for a while, during which callers ask.
func (b *icebox) freeze(d time.Duration, callers int, ask func(caller, n int)) {
	b.Helper()
	b.frozen.Store(true)
	var all sync.WaitGroup
	b.run("fsfreeze", "-f", b.disk)
	thaw := sync.OnceFunc(func() { b.run("fsfreeze", "-u", b.disk) })
	defer thaw()
	for caller := range callers {
		all.Go(func() {
			for n := 0; b.frozen.Load() && !b.Failed(); n++ {
				ask(caller, n)
			}
		})
	}
	alive := strings.Replace(b.ready, "readyz", "healthz", 1)
	for deadline := time.Now().Add(d); time.Now().Before(deadline) && !b.Failed(); time.Sleep(time.Second) {
		for range 200 { // the collector runs
			if status, _, err := answer(alive); status != http.StatusOK {
				b.Errorf("/healthz: %d, %v", status, err)
				break
			}
		}
		if status, _, err := answer(b.ready); status != http.StatusServiceUnavailable {
			b.Errorf("/readyz: %d, %v", status, err)
		}
	}
	thaw()
	b.frozen.Store(false)
	all.Wait()
}
