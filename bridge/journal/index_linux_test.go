package journal_test

import (
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge/journal"
)

// A command of another process works beside the service, by the index that the service keeps; a database shell is kept
// out, since it would go by another.
func TestIndexIsShared(t *testing.T) {
	dsn := sqliteDSN(t)
	said, kill := another(t, dsn, "service")
	if said != "ok" {
		t.Fatal(said)
	}
	if said, _ := another(t, dsn, "shell"); said == "ok" {
		t.Errorf("a shell beside the service: %s", said)
	}
	if said, _ := another(t, dsn, "command"); said != "ok" {
		t.Errorf("a command beside the service: %s", said)
	}
	j, err := journal.OpenReader(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := j.Issued(t.Context()); err != nil || len(all) != 1 || all[0].Caller != "by a command" {
		t.Errorf("a reader beside the service: %v, %v", all, err)
	}
	kill()
	if _, err := j.Issued(t.Context()); err == nil || !strings.Contains(err.Error(), "has stopped") { // lest it keep the next from starting
		t.Errorf("a reader whose service has gone: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// The next service waits for whoever goes by the index of the one before, and for whoever has made his own.
func TestNextServiceWaitsForCommands(t *testing.T) {
	dsn := sqliteDSN(t)
	_, kill := another(t, dsn, "service")
	_, killCommand := another(t, dsn, "command")
	kill()
	for _, kill := range []func(){killCommand, nil} {
		if kill == nil { // now without a service before it
			j, err := journal.OpenReader(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := j.Issued(t.Context()); err != nil {
				t.Fatal(err)
			}
			kill = func() { _ = j.Close() }
		}
		start := time.Now()
		time.AfterFunc(500*time.Millisecond, kill)
		said, end := another(t, dsn, "service")
		if took := time.Since(start); said != "ok" || took < 500*time.Millisecond {
			t.Errorf("after %s: %s", took, said)
		}
		end()
	}
}
