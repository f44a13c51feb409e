//go:build linux

package journal_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// calls are all methods that may wait for the disk.
func calls(t *testing.T, j *journal.Journal, e bridge.Entry) map[string]func(context.Context) error {
	rate := bridge.Rate{Key: "k", Limit: 5, Per: time.Hour}
	hash := strings.Repeat("0", 64)
	copied := filepath.Join(t.TempDir(), "copy.db")
	return map[string]func(context.Context) error{
		"Find": func(ctx context.Context) error { _, err := j.Find(ctx, e.Key, e.Taxpayer); return err },
		"Begin": func(ctx context.Context) error {
			_, _, err := j.Begin(ctx, bridge.Begin{Entry: wish("new", "T1")})
			return err
		},
		"Requeue": func(ctx context.Context) error { _, err := j.Requeue(ctx, e); return err },
		"Attempt": func(ctx context.Context) error { _, err := j.Attempt(ctx, e, now); return err },
		"Finish": func(ctx context.Context) error {
			_, err := j.Finish(ctx, &bridge.Finish{Entry: e.ID, State: bridge.Open})
			return err
		},
		"Tell":         func(ctx context.Context) error { return j.Tell(ctx, told(e, "late", "sap", bridge.Unknown)) },
		"Release":      func(ctx context.Context) error { return j.Release(ctx, wish("released", "T1")) },
		"AwaitRelease": func(ctx context.Context) error { j.AwaitRelease(ctx, e.Key); return nil },
		"Due":          func(ctx context.Context) error { _, err := j.Due(ctx, now, 10); return err },
		"Orphans":      func(ctx context.Context) error { _, err := j.Orphans(ctx, now); return err },
		"MaySend":      func(ctx context.Context) error { return j.MaySend(ctx, &e) },
		"Take":         func(ctx context.Context) error { _, _, err := j.Take(ctx, rate, 1); return err },
		"Return":       func(ctx context.Context) error { return j.Return(ctx, rate, now) },
		"Shut": func(ctx context.Context) error {
			return j.Shut(ctx, "c", bridge.Gate{Class: bridge.NotApplied, Until: time.Now().Add(time.Minute)})
		},
		"Gate":       func(ctx context.Context) error { _, _, err := j.Gate(ctx, "c"); return err },
		"Gate again": func(ctx context.Context) error { _, _, err := j.Gate(ctx, "c"); return err },
		"Issue": func(ctx context.Context) error {
			return j.Issue(ctx, bridge.Token{Hash: hash, Caller: "sap", Issued: now})
		},
		"Token":  func(ctx context.Context) error { _, err := j.Token(ctx, hash); return err },
		"Issued": func(ctx context.Context) error { _, err := j.Issued(ctx); return err },
		"Revoke": func(ctx context.Context) error { return j.Revoke(ctx, hash, "asha") },
		"List":   func(ctx context.Context) error { _, err := j.List(ctx, bridge.Filter{Since: now}); return err },
		"Export": func(ctx context.Context) error {
			for _, err := range j.Export(ctx, bridge.Filter{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"Show":  func(ctx context.Context) error { _, err := j.Show(ctx, "a"); return err },
		"Stats": func(ctx context.Context) error { _, err := j.Stats(ctx); return err },
		"Counts": func(ctx context.Context) error {
			_, err := j.Counts(ctx, now, now.Add(time.Hour), time.Minute)
			return err
		},
		"Room":       func(ctx context.Context) error { _, err := j.Room(ctx, rate); return err },
		"LookUpSoon": func(ctx context.Context) error { return j.LookUpSoon(ctx, e.ID) },
		"Resolve": func(ctx context.Context) error {
			_, err := j.Resolve(ctx, e.ID, refused, "ravi", "why", false)
			return err
		},
		"Withdraw": func(ctx context.Context) error { _, err := j.Withdraw(ctx, e.ID, "ravi"); return err },
		"Prune":    func(ctx context.Context) error { _, err := j.Prune(ctx, time.Hour, time.Hour); return err },
		"Ping":     j.Ping,
		"Backup":   func(ctx context.Context) error { return j.Backup(ctx, copied) },
	}
}

// allReturn calls everything at once, with little time. Whatever is not dry needs the disk, and must say that it didn't
// answer in time.
func allReturn(b *bench, e bridge.Entry, dry func(name string) bool) {
	b.Helper()
	var all sync.WaitGroup
	for name, call := range calls(b.T, b.Journal, e) {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(b.Context(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			err := call(ctx)
			if took := time.Since(start); took > 1500*time.Millisecond {
				b.Errorf("%s returned after %s", name, took)
			}
			if !dry(name) && !errors.Is(err, context.DeadlineExceeded) {
				b.Errorf("%s: got error %v, want that it didn't answer in time", name, err)
			}
		})
	}
	all.Wait()
}

// worksAgain says that nothing is left of the trouble.
func worksAgain(b *bench) {
	b.Helper()
	b.soon("it works again", func() bool {
		ctx, cancel := context.WithTimeout(b.Context(), 500*time.Millisecond)
		defer cancel()
		_, _, err := b.Begin(ctx, bridge.Begin{Entry: wish("afterwards", "T1")})
		if err != nil {
			return false
		}
		_, err = b.Find(ctx, wish("afterwards", "T1").Key, "T1")
		return err == nil
	})
}

// needsNone are the methods that touch no disk, or tell nobody of its errors.
func needsNone(name string) bool {
	return name == "MaySend" || name == "AwaitRelease"
}

// Another program keeps the file to itself for writing: what reads goes on, what writes ends with its context.
func TestFileKeptForWriting(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	e := b.begin("a", true)
	shell, err := sql.Open("sqlite", strings.TrimPrefix(b.dsn, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer shell.Close()
	shell.SetMaxOpenConns(1)
	if _, err := shell.Exec("BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	const reads = " Find Gate Token Issued List Export Show Stats Counts Room Due Orphans Release Backup "
	allReturn(b, e, func(name string) bool {
		name, _, _ = strings.Cut(name, " ")
		return needsNone(name) || strings.Contains(reads, " "+name+" ")
	})
	if _, err := shell.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	worksAgain(b)
}

// Another program keeps the file's locks, those of readers as well, as a backup tool may: everything ends with its
// context.
func TestFileKept(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	e := b.begin("a", true)
	index, err := os.OpenFile(b.Index(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	// SQLite's file format, "WAL-Index File Format": eight lock bytes from 120. Such a lock is the open file's, not the
	// process's, and so keeps SQLite out in this one as well.
	lock := func(kind int16) error {
		return unix.FcntlFlock(index.Fd(), unix.F_OFD_SETLKW, &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: 120, Len: 8})
	}
	if err := lock(unix.F_WRLCK); err != nil {
		t.Fatal(err)
	}
	allReturn(b, e, func(name string) bool { return needsNone(name) || name == "Release" })
	if err := lock(unix.F_UNLCK); err != nil {
		t.Fatal(err)
	}
	worksAgain(b)
}

// PostgreSQL stands still, or the network does: everything ends with its context.
func TestServerFrozen(t *testing.T) {
	b, c := cutBench(t)
	e := b.begin("a", true)
	c.frozen.Lock()
	allReturn(b, e, func(name string) bool { return needsNone(name) || name == "Backup" })
	c.frozen.Unlock()
	worksAgain(b)
}
