package journal_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// other is the test binary as another process that has a journal open, the way that the test says. It says on standard output how it fares, and stays until its standard input ends.
func other(dsn, how string) int {
	ctx, say := context.Background(), func(text string) { _, _ = os.Stdout.WriteString(text + "\n") }
	var err error
	switch how {
	case "service":
		_, err = journal.Open(ctx, dsn, journal.Options{})
	case "command":
		var j *journal.Journal
		if j, err = journal.OpenBeside(ctx, dsn); err == nil {
			err = j.Issue(ctx, bridge.Token{Hash: "hash", Caller: "by a command"})
		}
	case "shell":
		var db *sql.DB
		if db, err = sql.Open("sqlite", strings.TrimPrefix(dsn, "sqlite:")); err == nil {
			_, err = db.Exec("DELETE FROM tokens")
		}
	}
	if err != nil {
		say(err.Error())
		return 1
	}
	say("ok")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// another starts such a process; the returned function kills it.
func another(t *testing.T, dsn, how string) (said string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], how)
	cmd.Env = append(os.Environ(), "EINVOICE_BRIDGE_TEST_JOURNAL="+dsn)
	in, err := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = in.Close() })
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), kill
}

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
