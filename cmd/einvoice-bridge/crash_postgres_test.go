//go:build unix

package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"einvoice-bridge/fixtures/postgres"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// startPostgres starts a server of the test's own, or skips the test loudly where there is none.
func startPostgres(t *testing.T) *postgres.Server {
	t.Helper()
	pg, err := postgres.Start()
	if errors.Is(err, postgres.ErrNotInstalled) && os.Getenv("EINVOICE_BRIDGE_NO_SKIP") != "1" {
		t.Skip("SKIPPED: PostgreSQL is not installed: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pg.Stop)
	return pg
}

// Three instances on one PostgreSQL: any of them is killed, and now and then the database itself.
func TestCrashOfThreeInstances(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t)
	r := clearTaxRig(t, 3, pg.DSN("postgres"))
	hits := 0
	r.run(*kills, 16, func() {
		if hits++; hits%5 != 0 {
			r.killOne()
			return
		}
		if err := pg.Crash(); err != nil {
			t.Error(err)
		}
	})
}

// A rolling restart under load: every instance in turn is asked to stop and started again, and callers notice nothing
// but refused connections.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t)
	r := clearTaxRig(t, 3, pg.DSN("postgres"))
	n := 0
	r.run(6, 16, func() {
		i := r.instances[n%3]
		n++
		i.process.terminate()
		i.start(t)
	})
}

// Five instances that start at once and are restarted in turn share one login. Not beside others: where PostgreSQL is kept from
// writing the session down for too long, the next instance logs in for itself.
func TestInstancesShareASession(t *testing.T) {
	pg := startPostgres(t)
	r, logins := nicRig(t, 5, pg.DSN("postgres"))
	n := 0
	r.run(10, 16, func() {
		i := r.instances[n%5]
		n++
		i.process.terminate()
		i.start(t)
	})
	if n := logins.Load(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

// A stalled instance: stopped beyond its lease and woken up again, while others take its documents over. Its sends are
// fenced; what it still learns is evidence.
func TestStalledInstance(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t)
	r := clearTaxRig(t, 3, pg.DSN("postgres"))
	var once sync.Once
	r.run(*stalls, 16, func() {
		once.Do(func() { time.Sleep(time.Second) })
		p := r.instances[rand.IntN(3)].process.cmd.Process
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Error(err)
		}
		time.Sleep(stallTime)
		if err := p.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	})
}

// Two instances on one journal: a call that arrives at the second one while the first is sending joins it, whatever
// comes later is answered from the record, and the authority hears of the document once.
func TestTwoInstancesAreOne(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t)
	r := clearTaxRig(t, 2, pg.DSN("postgres"))
	for _, i := range r.instances {
		i.start(t)
	}
	irn := r.document(1)
	if err := r.sim.Arm(sandbox.Fault{Name: "hold", Operation: sandbox.Cancel, Times: 1}); err != nil {
		t.Fatal(err)
	}
	answers := make(chan string, 2)
	call := func(i *instance) {
		body, err := post(i.url, demo.Envelope(r.taxpayer, irn))
		if err != nil {
			t.Error(err)
		}
		answers <- string(body)
	}
	go call(r.instances[0])
	if _, err := r.sim.WaitFor(t.Context(), func(c sandbox.Record) bool { return c.Operation == sandbox.Cancel && c.Held }); err != nil {
		t.Fatal(err)
	}
	go call(r.instances[1])
	time.Sleep(300 * time.Millisecond) // the second call has arrived; nothing shows that from outside
	r.sim.Release()
	first, second := <-answers, <-answers
	third, err := post(r.instances[1].url, demo.Envelope(r.taxpayer, irn))
	if err != nil {
		t.Fatal(err)
	}
	if first != second || first != string(third) || !strings.Contains(first, "<code>200</code>") {
		t.Errorf("three callers, three answers:\n%s\n%s\n%s", first, second, third)
	}
	if doc, _ := r.sim.Document(irn); len(doc.Attempts) != 1 {
		t.Errorf("the authority heard of it %d times", len(doc.Attempts))
	}
	for _, i := range r.instances {
		i.process.terminate()
	}
}
