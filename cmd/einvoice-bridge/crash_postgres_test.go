//go:build unix

package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"einvoice-bridge/fixtures/postgres"
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
	if testing.Short() {
		t.Skip("skipped in short mode: the crash harness takes some seconds")
	}
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
	if testing.Short() {
		t.Skip("skipped in short mode: the crash harness takes some seconds")
	}
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

// A stalled instance: stopped beyond its lease and woken up again, while others take its documents over. Its sends are
// fenced; what it still learns is evidence.
func TestStalledInstance(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped in short mode: an instance is stalled beyond its lease")
	}
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
