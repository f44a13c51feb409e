//go:build unix

package main

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge/journal"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// A switchover that keeps connections: the old server is fenced read-only, another one writes. Every call before, during
// and after it succeeds, and the bridge is not restarted.
func TestSwitchoverKeepsConnections(t *testing.T) {
	t.Parallel()
	psql := need(t, "psql")
	old, next := startPostgres(t), startPostgres(t)
	for _, s := range []string{old.DSN("postgres"), next.DSN("postgres")} { // as if one followed the other
		j, err := journal.Open(t.Context(), s, journal.Options{})
		if err == nil {
			err = j.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	dsn := "postgres:///postgres?" + url.Values{"host": {old.Dir + "," + next.Dir}, "user": {"postgres"}, "target_session_attrs": {"read-write"}}.Encode()
	sims, path, call, ready := served(t)
	s := sims[0]
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "journal:") {
			lines[i] = fmt.Sprintf("journal: %q", dsn)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, "serve", "-c", path)
	p.await(ready)
	ask := func(n int) {
		body, err := post(call, demo.Envelope(s.Taxpayer, fmt.Sprintf("%064x", n)))
		if err != nil || !strings.Contains(string(body), "<code>204</code>") { // the sandbox has no such invoice
			t.Errorf("call %d: %v %s", n, err, body)
		}
	}
	for n := range 10 {
		ask(n)
	}
	for _, sql := range []string{"ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"} {
		if out, err := exec.Command(psql, "-h", old.Dir, "-U", "postgres", "-c", sql).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	time.Sleep(3 * time.Second) // until each session has heard of it: here the new server has nothing of what the old one took
	for n := 10; n < 60; n++ {
		ask(n)
	}
	p.await(ready)
	out, err := exec.Command(psql, "-h", next.Dir, "-U", "postgres", "-Atc", "SELECT count(*) FROM entries").Output()
	if n, bad := strconv.Atoi(strings.TrimSpace(string(out))); err != nil || bad != nil || n < 49 { // one may have been under way
		t.Errorf("the new server has %s of the 50 calls (%v)", out, err)
	}
	p.terminate()
}
