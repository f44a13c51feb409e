//go:build unix

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
