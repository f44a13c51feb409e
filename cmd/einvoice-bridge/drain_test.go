package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"einvoice-bridge/fixtures/sandbox/demo"
)

// SIGTERM with a drain: the load balancer is told first, callers are answered meanwhile and sent elsewhere for their
// next call, and only then does the door close.
func TestDrainsBeforeItStops(t *testing.T) {
	sims, path, url, ready := served(t)
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(text, "drain: 2s\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := spawn(t, "serve", "-c", path)
	p.await(ready)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for {
		resp, err := http.Get(ready)
		if err != nil {
			t.Fatal("the balancer is told nothing: ", err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), "stopping") {
			break
		}
		time.Sleep(time.Millisecond)
	}
	resp, err := http.Post(url, soapType, strings.NewReader(demo.Envelope(sims[0].Taxpayer, sims[0].Success)))
	if err != nil {
		t.Fatal("the door is closed before the balancer can know: ", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), "<status>Success</status>") || !resp.Close {
		t.Errorf("while draining: the connection closes: %t, %v, %s", resp.Close, err, body)
	}
	if err := <-p.done; err != nil {
		t.Errorf("%v\n%s", err, p.err.String())
	}
	if _, err := post(url, "late"); err == nil {
		t.Error("still answered after the drain")
	}
}
