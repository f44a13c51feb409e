//go:build linux

package journal_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// says fails unless the error names the file and each of the words.
func says(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range append(words, "bridge.db") {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error doesn't say %q: %v", w, err)
		}
	}
}

// Nobody else serves with the file, by whatever name he reaches it.
func TestOneServiceAtATime(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	path := strings.TrimPrefix(b.dsn, "sqlite:")
	dir := filepath.Dir(path)
	other := t.TempDir()
	for _, err := range []error{
		os.Symlink(path, filepath.Join(other, "bridge.db")), os.Symlink(dir, filepath.Join(other, "folder")),
		os.Link(path, filepath.Join(other, "hard-bridge.db")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		path, dir + "/../" + filepath.Base(dir) + "/bridge.db", other + "/bridge.db", other + "/folder/bridge.db", other + "/hard-bridge.db",
	} {
		_, err := journal.Open(t.Context(), "sqlite:"+name, journal.Options{})
		says(t, err, "another process", "PostgreSQL")
	}
	b.restart() // the lock goes with its holder
}

// A file that was deleted, moved or replaced while it serves takes nothing more: nobody would find it. Put back, it does.
func TestFileGone(t *testing.T) {
	for name, harm := range map[string]struct{ away, back func(path string) error }{
		"moved":   {func(path string) error { return os.Rename(path, path+".away") }, func(path string) error { return os.Rename(path+".away", path) }},
		"deleted": {os.Remove, nil},
		"replaced": {func(path string) error {
			return errors.Join(os.Rename(path, path+".away"), os.WriteFile(path, nil, 0o600))
		}, nil},
		"its log":      {func(path string) error { return os.Remove(path + "-wal") }, nil},
		"its index":    {func(path string) error { return os.Remove(path + "-shm") }, nil},
		"another link": {func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/null", path)) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, sqliteDSN(t))
			path := strings.TrimPrefix(b.dsn, "sqlite:")
			e := b.begin("before", true)
			if err := harm.away(path); err != nil {
				t.Fatal(err)
			}
			says(t, b.Ping(t.Context()), "deleted, moved or replaced")
			_, _, err := b.Begin(t.Context(), bridge.Begin{Entry: e})
			says(t, err, "nothing is sent")
			if harm.back == nil {
				b.Die() // an orderly end would write
				return
			}
			if err := harm.back(path); err != nil {
				t.Fatal(err)
			}
			if err := b.Ping(t.Context()); err != nil {
				t.Error("it is back: ", err)
			}
		})
	}
}

func TestWrongJournal(t *testing.T) {
	for _, dsn := range []string{"", "bridge.db", "sqlite:", "mysql://root:secret@host/db"} {
		_, err := journal.Open(t.Context(), dsn, journal.Options{})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", dsn, err)
		}
	}
	missing := sqliteDSN(t)
	_, err := journal.OpenReader(t.Context(), missing)
	says(t, err, "can't be opened")
	_, err = journal.OpenBeside(t.Context(), missing)
	says(t, err, "can't be opened")
	_, err = journal.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "no", "bridge.db"), journal.Options{})
	says(t, err, "folder")

	_, err = journal.Open(t.Context(), "postgres://user:secret@127.0.0.1:1/db?connect_timeout=2", journal.Options{})
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "127.0.0.1:1/db: PostgreSQL can't be reached") {
		t.Error(err)
	}
	_, err = journal.Open(t.Context(), "postgres://user:secret@127.0.0.1:1/db?synchronous_commit=off", journal.Options{})
	if err == nil || !strings.Contains(err.Error(), "would lose cancellations") {
		t.Error(err)
	}
}

// A file of a later program is left alone: what its tables mean isn't known.
func TestLaterVersion(t *testing.T) {
	onBoth(t, func(b *bench) {
		if err := b.Do(b.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, `+
			map[bool]string{true: "true", false: "1"}[strings.HasPrefix(b.dsn, "postgres")]+`)`); err != nil {
			b.Fatal(err)
		}
		_ = b.Close()
		for _, open := range []func() (*journal.Journal, error){
			func() (*journal.Journal, error) { return journal.Open(b.Context(), b.dsn, journal.Options{}) },
			func() (*journal.Journal, error) { return journal.OpenReader(b.Context(), b.dsn) },
		} {
			if _, err := open(); err == nil || !strings.Contains(err.Error(), "later einvoice-bridge") {
				b.Error(err)
			}
		}
	})
}

// The first version of the tables let a call be told twice; its last answer is kept. The second named no bookings.
func TestUpgrade(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.begin("doc", true)
		if err := b.Close(); err != nil {
			b.Fatal(err)
		}
		if err := journal.Downgrade(b.Context(), b.dsn, 1); err != nil {
			b.Fatal(err)
		}
		past(b, "INSERT INTO sends (key, at) VALUES ('k', $1)", time.Now().UnixMicro())
		for _, class := range []string{"unknown", "cancelled"} {
			past(b, `INSERT INTO asks (entry, ref, caller, taxpayer, space, document, irn, reason, remarks,
				received, class, told, told_at, how) VALUES ($1, 'r1', 'sap', '', '', '', '', '1', '', 1, $2, '{}', 1, 'upstream')`, e.ID, class)
		}
		b.Journal = b.open("one again")
		stories, err := b.Show(b.Context(), "doc")
		if err != nil || len(stories) != 1 || len(stories[0].Asks) != 1 {
			b.Fatal(err, stories)
		}
		b.same("the answer", stories[0].Asks[0].Told.Class, bridge.Cancelled)
		if _, wait, err := b.Take(b.Context(), bridge.Rate{Key: "k", Limit: 1, Per: time.Hour}, bridge.Last); err != nil || wait == 0 {
			b.Errorf("a send of before is forgotten: %s, %v", wait, err)
		}
	})
}

// past runs SQL on a journal that nobody has open.
func past(b *bench, query string, args ...any) {
	b.Helper()
	driver, dsn := "pgx", b.dsn
	if path, is := strings.CutPrefix(dsn, "sqlite:"); is {
		driver, dsn = "sqlite", path
	}
	db, err := sql.Open(driver, dsn)
	if err == nil {
		_, err = db.ExecContext(b.Context(), query, args...)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		b.Fatal(err)
	}
}

func TestDamagedFile(t *testing.T) {
	dsn := sqliteDSN(t)
	if err := os.WriteFile(strings.TrimPrefix(dsn, "sqlite:"), []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := journal.Open(t.Context(), dsn, journal.Options{})
	says(t, err, "damaged", "restore a backup")
}

// While somebody else keeps the file locked, writes end with their context; afterwards they work again.
func TestLockedDatabase(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	shell, err := sql.Open("sqlite", strings.TrimPrefix(b.dsn, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer shell.Close()
	shell.SetMaxOpenConns(1)
	if _, err := shell.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, _, err = b.Begin(ctx, bridge.Begin{Entry: wish("a", "T1")})
	says(t, err, "in time")
	if took := time.Since(start); took > time.Second {
		t.Errorf("hung for %s", took)
	}
	if _, err := b.List(t.Context(), bridge.Filter{}); err != nil {
		t.Error("can't even be read:", err)
	}
	if _, err := shell.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	b.begin("b", true)
}

// A power cut in the middle of a write tears the end of the log. What was confirmed before is there, the rest isn't,
// and the journal opens.
func TestTornLog(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	for i := range 20 {
		b.begin(fmt.Sprint("doc", i), true)
	}
	path := strings.TrimPrefix(b.dsn, "sqlite:")
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	last := len(log)
	b.begin("torn", true)
	for name, tear := range map[string]func([]byte) []byte{
		"cut off":     func(log []byte) []byte { return log[:last+100] },
		"half there":  func(log []byte) []byte { return log[:last+(len(log)-last)/2] },
		"not written": func(log []byte) []byte { clear(log[last+24:]); return log },
		"garbage":     func(log []byte) []byte { log[len(log)-2000] ^= 0xff; return log },
	} {
		t.Run(name, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "bridge.db")
			for _, ext := range []string{"", "-wal"} {
				content, err := os.ReadFile(path + ext)
				if err != nil {
					t.Fatal(err)
				}
				if ext != "" {
					content = tear(content)
				}
				if err := os.WriteFile(copied+ext, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c := newBench(t, "sqlite:"+copied)
			for i := range 20 {
				c.find(fmt.Sprint("doc", i))
			}
			_, err := c.Find(t.Context(), wish("torn", "T1").Key, "T1")
			c.is(err, bridge.ErrNoEntry)
			c.begin("new", true)
		})
	}
}

// No space: nothing is confirmed, the error says so, and with space the journal goes on by itself.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("journal-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("SKIPPED, a full disk is not tested, only a used-up quota: can't mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
	b := newBench(t, "sqlite:"+filepath.Join(dir, "bridge.db"))
	fill := filepath.Join(dir, "fill")
	f, err := os.Create(fill)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, zeros{}); err == nil {
		t.Fatal("the disk isn't full")
	}
	_ = f.Close()
	written, err := beginUntilError(b)
	says(t, err, "disk is full", "free some space")
	if err := b.Ping(t.Context()); err == nil {
		t.Error("still ready")
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	if err := b.Ping(t.Context()); err != nil {
		t.Errorf("not ready again: %v", err)
	}
	b.begin("after", true)
	b.restart()
	b.same("entries", len(b.list(bridge.Filter{Limit: 10000})), written+1)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// beginUntilError writes until it can't, and returns how many writes were confirmed.
func beginUntilError(b *bench) (int, error) {
	for i := 0; ; i++ {
		e := wish(fmt.Sprint("doc", i), "T1")
		e.Remarks = strings.Repeat("x", 2000)
		if _, _, err := b.Begin(b.Context(), bridge.Begin{Entry: e}); err != nil || i > 5000 {
			return i, err
		}
	}
}

func TestReadOnlyDisk(t *testing.T) {
	dir := t.TempDir()
	dsn := "sqlite:" + filepath.Join(dir, "bridge.db")
	if os.Getuid() != 0 {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	} else { // root may write anywhere but to a file system that nobody may write to
		if err := unix.Mount("journal-test", dir, "tmpfs", unix.MS_RDONLY, ""); err != nil {
			t.Skipf("SKIPPED, a read-only disk is not tested: can't mount: %v", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
	}
	_, err := journal.Open(t.Context(), dsn, journal.Options{})
	says(t, err, "may be written")
}

// The tests below run this test's own binary again, as the process that dies or is short of something.
const childEnv = "EINVOICE_BRIDGE_JOURNAL_CHILD"

// child runs the named part of this file in a process of its own.
func child(t *testing.T, part, dsn string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"="+part, "JOURNAL_DSN="+dsn)
	return cmd
}

// TestChild is the other process of TestQuota and TestKilled, which start this test binary anew with childEnv set: it uses a quota
// up, or is killed. Without childEnv there is nothing of its own to judge, so that skip stays, in CI too.
func TestChild(t *testing.T) {
	dsn := os.Getenv("JOURNAL_DSN")
	switch os.Getenv(childEnv) {
	case "quota":
		childQuota(t, dsn)
	case "crash":
		childCrash(t, dsn)
	default:
		t.Skip("no test of its own: TestQuota and TestKilled run it as a process that may die")
	}
}

// A used-up quota, like any error of the disk: the journal says so, and works again when it is gone.
func TestQuota(t *testing.T) {
	out, err := child(t, "quota", sqliteDSN(t)).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func childQuota(t *testing.T, dsn string) {
	b := newBench(t, dsn)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	before := limit.Cur
	signal.Ignore(syscall.SIGXFSZ) // the write fails instead
	limit.Cur = 600 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	written, err := beginUntilError(b)
	says(t, err, "quota")
	limit.Cur = before
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	b.begin("after", true)
	b.restart()
	b.same("entries", len(b.list(bridge.Filter{Limit: 10000})), written+1)
}

// Killed between the attempt and its outcome: the row says that it may have been sent.
func TestKilled(t *testing.T) {
	onBoth(t, func(b *bench) {
		_ = b.Close()
		cmd := child(b.T, "crash", b.dsn)
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		var said strings.Builder
		for buf := make([]byte, 100); !strings.Contains(said.String(), "ATTEMPTED"); {
			n, err := out.Read(buf)
			if said.Write(buf[:n]); err != nil {
				b.Fatalf("child: %v: %s", err, said.String())
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			b.Fatal(err)
		}
		_ = cmd.Wait()

		b.forget()
		b.Journal = b.open("survivor")
		sent := b.find("sent")
		b.same("state", sent.State, bridge.Sending)
		b.same("class", sent.Attempts[0].Outcome.Class, bridge.None)
		if !sent.Attempts[0].End.IsZero() {
			b.Error("the attempt has ended")
		}
		b.same("what waited is carried on", documents(b.orphans(b.Journal)), []string{"waits"})
		due, err := b.Due(b.Context(), now, 10)
		if err != nil {
			b.Fatal(err)
		}
		b.same("what was sent is looked up", documents(due), []string{"sent"})
	})
}

func childCrash(t *testing.T, dsn string) {
	b := newBench(t, dsn)
	b.begin("waits", false)
	b.attempt(b.begin("sent", false))
	fmt.Println("ATTEMPTED")
	time.Sleep(time.Minute)
}
