//go:build unix

package journal_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"einvoice-bridge/bridge/journal"
)

// bouncer puts a real PgBouncer in that mode before the database of dsn, and returns the way through it.
func bouncer(t *testing.T, dsn, mode string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; !exists(program) {
			if os.Getenv("EINVOICE_BRIDGE_NO_SKIP") == "1" {
				t.Fatal("pgbouncer is not installed")
			}
			t.Skip("SKIPPED: pgbouncer is not installed (apt-get install pgbouncer)")
		}
	}
	dir, err := os.MkdirTemp("", "bouncer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	who, err := unprivileged(dir)
	if err != nil {
		t.Fatal(err)
	}
	ini := filepath.Join(dir, "pgbouncer.ini")
	for name, text := range map[string]string{
		ini: fmt.Sprintf("[databases]\n* = host=%s\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = %s\nauth_type = trust\n"+
			"auth_file = %s/users\npool_mode = %s\ndefault_pool_size = 20\n", pg.dir, dir, dir, mode),
		filepath.Join(dir, "users"): "\"postgres\" \"\"\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	cmd := exec.Command(program, ini)
	cmd.SysProcAttr, cmd.Stderr = who, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGKILL); _ = cmd.Wait() })
	through := "postgres:///" + databaseOf(dsn) + "?" + url.Values{"host": {dir}, "port": {"6432"}, "user": {"postgres"}}.Encode()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := pgx.Connect(t.Context(), through)
		if err == nil {
			_ = c.Close(t.Context())
			return through
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, log.String())
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// In session mode a pooler is as good as none, and what a session needs holds.
func TestPoolerInSessionMode(t *testing.T) {
	b := newBench(t, bouncer(t, postgres(t), "session"))
	b.begin("a", true)
	for name, want := range map[string]string{"synchronous_commit": "on", "statement_timeout": "10s", "lock_timeout": "5s"} {
		if is, err := b.Setting(t.Context(), name); err != nil || is != want {
			t.Errorf("%s is %q, want %s (%v)", name, is, want, err)
		}
	}
}

// Without sessions there are no settings, no prepared statements, no listening: it is said at the start.
func TestPoolerWithoutSessions(t *testing.T) {
	for _, mode := range []string{"transaction", "statement"} {
		_, err := journal.Open(t.Context(), bouncer(t, postgres(t), mode), journal.Options{})
		if err == nil || !strings.Contains(err.Error(), "pool_mode=session") {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// What the DSN says of the settings counts.
func TestSettingsOfTheDSN(t *testing.T) {
	b := newBench(t, postgres(t)+"&synchronous_commit=remote_apply&statement_timeout=7s")
	for name, want := range map[string]string{"synchronous_commit": "remote_apply", "statement_timeout": "7s"} {
		if is, err := b.Setting(t.Context(), name); err != nil || is != want {
			t.Errorf("%s is %q, want %s (%v)", name, is, want, err)
		}
	}
}

// The server is fenced and keeps its connections, as an old primary may after a switchover: nobody hears of it.
func TestSwitchoverWithConnectionsKept(t *testing.T) {
	b := newBench(t, postgres(t))
	b.begin("before", true)
	if err := b.Fence(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := range 20 { // over all writers
		b.begin(fmt.Sprint("after", n), true)
	}
	if n := b.Fenced(t.Context()); n != 0 {
		t.Errorf("%d of the readers go on with the old server", n)
	}
	if err := b.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// A DSN that can't be read is named in words, and its password not at all, wherever it stands.
func TestUnreadableDSN(t *testing.T) {
	for _, rest := range []string{
		"u:hunter2/x@host/db", "u:hunter2 x@host/db", "host/db?password=hunter2&sslmode=wrong", "u@host:port/db?password=hunter2",
		"host/db?password=hunter2&connect_timeout=soon", "u:hunter2%zz@host/db", "host/db?password=hunter2%zz", "host/db?password=hunter2;x=`: hunter2",
		"host/db?sslmode=`: x&password=hunter2",
	} {
		_, err := journal.OpenReader(t.Context(), "postgres://"+rest)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", rest, err)
		}
	}
}
