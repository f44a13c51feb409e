package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"einvoice-bridge/fixtures/sandbox/demo"
)

// A real HAProxy that reaches the callers' port alone, set up as the guide has it and, beside that, with no address to ask
// at: it sends nothing to an instance whose journal is gone, nor to one that drains, which still answers.
func TestBalancerAsksTheCallersPort(t *testing.T) {
	t.Parallel()
	haproxy := tool(t, "haproxy", "haproxy")
	_, rest, _ := strings.Cut(guide(t, "operations.md"), "```haproxy\n")
	backend, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the guide has no HAProxy set-up")
	}
	var bridges []*process
	var paths []string
	var sim demo.Simulator
	for n := range 2 {
		sims, path, url, ready := served(t)
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, append(text, "drain: 30s\n"...), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		p := spawn(t, "serve", "-c", path)
		p.await(ready)
		bridges, paths, sim = append(bridges, p), append(paths, path), sims[0]
		address := fmt.Sprintf("10.1.0.1%d:8080", n+1)
		if !strings.Contains(backend, address) {
			t.Fatalf("the set-up lacks %s", address)
		}
		backend = strings.Replace(backend, address, strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/api.einvoice.php"), 1)
	}
	bare := strings.NewReplacer("backend bridge", "backend bare", "httpchk GET /healthz", "httpchk").Replace(backend)
	ports := freePorts(t, 2)
	cfg := filepath.Join(t.TempDir(), "haproxy.cfg")
	err := os.WriteFile(cfg, []byte("defaults\n  mode http\n  timeout connect 5s\n  timeout client 75s\n  timeout server 75s\n"+
		"frontend a\n  bind "+ports[0]+"\n  default_backend bridge\nfrontend b\n  bind "+ports[1]+"\n  default_backend bare\n"+backend+bare), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(haproxy, "-db", "-f", cfg)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })

	// told wants ten calls in a row, by either way, answered so.
	told := func(what, want string) {
		t.Helper()
		in := demo.Envelope(sim.Taxpayer, sim.Success)
		last := ""
		for end, right := time.Now().Add(30*time.Second), 0; right < 10; time.Sleep(20 * time.Millisecond) {
			right++
			for _, port := range ports {
				resp, err := http.Post("http://"+port+"/api.einvoice.php", soapType, strings.NewReader(in))
				if err != nil {
					right, last = 0, err.Error()
					continue
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if !strings.Contains(string(body), want) {
					right, last = 0, string(body)
				}
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %s", what, last)
			}
		}
	}
	told("both are ready", "<code>200</code>")
	if err := os.Remove(filepath.Join(filepath.Dir(paths[0]), "bridge.db")); err != nil {
		t.Fatal(err)
	}
	told("one has no journal", "<code>200</code>")
	if err := bridges[1].cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	told("the other drains", "No server is available to handle this request")
	select {
	case <-bridges[1].done:
		t.Error("it drains no more: nothing was tried")
	default:
	}
}
