//go:build unix

package journal_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"einvoice-bridge/bridge/journal"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv("EINVOICE_BRIDGE_TEST_JOURNAL"); dsn != "" {
		os.Exit(other(dsn, os.Args[1]))
	}
	code := m.Run()
	if pg.stop != nil {
		pg.stop()
	}
	os.Exit(code)
}

// pg is the one server of this test run: Debian's PostgreSQL, in a folder of its own, on a Unix socket, fsync on.
var pg struct {
	once, template sync.Once
	dir            string
	stop           func()
	err            error
	dbs            atomic.Int64
}

// postgres returns the DSN of a new, empty database.
func postgres(tb testing.TB) string {
	tb.Helper()
	pg.once.Do(func() { pg.err = startPostgres() })
	if pg.err != nil {
		if os.Getenv("EINVOICE_BRIDGE_NO_SKIP") == "1" {
			tb.Fatal(pg.err)
		}
		tb.Skipf("SKIPPED, PostgreSQL is not tested: %v (apt-get install postgresql)", pg.err)
	}
	name := fmt.Sprintf("t%d", pg.dbs.Add(1))
	admin(tb, "CREATE DATABASE "+name)
	return pgDSN(name)
}

// postgresJournal is postgres with the tables in it already.
func postgresJournal(tb testing.TB) string {
	tb.Helper()
	dsn := postgres(tb)
	pg.template.Do(func() {
		j, err := journal.Open(context.Background(), dsn, journal.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		if err := j.Close(); err != nil {
			tb.Fatal(err)
		}
		admin(tb, "CREATE DATABASE template TEMPLATE "+databaseOf(dsn))
	})
	name := fmt.Sprintf("t%d", pg.dbs.Add(1))
	admin(tb, "CREATE DATABASE "+name+" TEMPLATE template")
	return pgDSN(name)
}

func databaseOf(dsn string) string {
	u, _ := url.Parse(dsn)
	return strings.TrimPrefix(u.Path, "/")
}

func pgDSN(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {pg.dir}, "user": {"postgres"}}.Encode()
}

func admin(tb testing.TB, query string) {
	tb.Helper()
	c, err := pgx.Connect(context.Background(), pgDSN("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(context.Background(), query); err != nil {
		tb.Fatal(err)
	}
}

func startPostgres() (err error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return errors.New("no initdb under /usr/lib/postgresql")
	}
	bin := filepath.Dir(found[len(found)-1])
	if pg.dir, err = os.MkdirTemp("", "journal-pg"); err != nil {
		return err
	}
	who, err := unprivileged(pg.dir)
	if err != nil {
		return err
	}
	data := filepath.Join(pg.dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
	initdb.SysProcAttr = who
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	// The shell ends the server when its input ends: also when this process panics or is killed.
	server := exec.Command("sh", "-c", `"$0" "$@" </dev/null & read _; kill -INT $!; wait $!`,
		filepath.Join(bin, "postgres"), "-D", data, "-k", pg.dir, "-c", "listen_addresses=", "-c", "fsync=on")
	server.SysProcAttr = who
	var out strings.Builder
	server.Stderr = &out
	input, err := server.StdinPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	pg.stop = func() {
		_ = input.Close()
		_ = server.Wait()
		_ = os.RemoveAll(pg.dir)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := pgx.Connect(context.Background(), pgDSN("postgres"))
		if err == nil {
			return c.Close(context.Background())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server doesn't answer: %w: %s", err, out.String())
		}
	}
}

// unprivileged gives dir to the user postgres, or nobody, when this is root: PostgreSQL refuses to run as root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}
