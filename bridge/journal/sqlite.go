package journal

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

//go:embed migrations
var migrations embed.FS

// sqliteDSN is the driver's name for the file. The pragmas are per connection, so they belong here:
//
//   - WAL lets readers read while the one writer writes;
//   - synchronous=FULL makes a commit survive a power cut, which is the point of a journal.
func sqliteDSN(path, mode string, pragmas ...string) string {
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_pragma": append([]string{
		"busy_timeout(10000)", "synchronous(FULL)",
	}, pragmas...)}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// openSQLite opens one connection that writes, unless mode is "ro", and several that read: readers never keep the
// writer waiting, nor each other. Local disks only: SQLite's log does not work on network file systems.
func (j *Journal) openSQLite(ctx context.Context, path, mode string) error {
	j.name = path
	var err error
	if mode == "rwc" {
		err = j.ownFile(path)
	} else {
		err = j.explain(j.joinIndex(path))
	}
	if err != nil {
		return err
	}
	if mode != "ro" {
		if err := j.openSQLiteWriter(ctx, path, mode); err != nil {
			return err
		}
	}
	return j.openSQLiteReader(path)
}

// ownFile makes the file this process's: nobody else serves with it, by whatever name.
func (j *Journal) ownFile(path string) error {
	if err := private(path); err != nil {
		return j.explain(err)
	}
	unlock, err := lockFile(path)
	if err != nil {
		return err
	}
	j.closers = append(j.closers, unlock) // the last: closing any descriptor of the file gives SQLite's locks back
	if j.place, err = newPlace(path); err != nil {
		return j.explain(err)
	}
	return j.explain(j.keepIndex(j.place))
}

// openSQLiteWriter opens the connection that writes. The service's leaves the log to a copier; a command's, which is
// soon gone, copies it as SQLite does.
func (j *Journal) openSQLiteWriter(ctx context.Context, path, mode string) error {
	pragmas := []string{"journal_mode(WAL)", "cache_size(-4000)"}
	if mode == "rwc" {
		pragmas = append(pragmas, "wal_autocheckpoint(0)", fmt.Sprintf("journal_size_limit(%d)", 2*longLog*pageSize))
	}
	db, err := openOne(path, mode, pragmas...)
	if err != nil {
		return j.explain(err)
	}
	j.closers = append(j.closers, db.Close)
	f := &file{db: db, now: j.now, place: j.place}
	if mode == "rwc" {
		if j.was, err = migrate(ctx, db, goose.DialectSQLite3, "migrations/sqlite"); err != nil {
			return j.explain(err)
		}
		if db, err = openOne(path, "rw", "cache_size(-100)"); err != nil {
			return j.explain(err)
		}
		f.copier = (&copier{db: db}).start()
		j.closers = append(j.closers, f.copier.stop)
	}
	w := (&writer{db: f, batch: maxBatch, explain: j.explain}).start()
	j.closers = append(j.closers, func() error { w.stop(); return nil })
	j.writers, j.booker = []*writer{w}, w
	return nil
}

// openOne opens a handle of a single connection.
func openOne(path, mode string, pragmas ...string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", sqliteDSN(path, mode, pragmas...))
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// private creates the file, if it isn't there, for its owner only: SQLite would let everybody read it. The log that
// SQLite keeps beside it gets the same permissions.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("it can't be opened, check that its folder exists and may be written: %w", err)
	}
	return f.Close()
}

// openSQLiteReader opens a handle that can't write, with connections of its own: readers never wait for the writer.
func (j *Journal) openSQLiteReader(path string) (err error) {
	if j.read, err = sql.Open("sqlite", sqliteDSN(path, "ro")); err != nil {
		return j.explain(err)
	}
	j.read.SetMaxOpenConns(4)
	j.read.SetMaxIdleConns(4)
	j.closers = append(j.closers, j.read.Close)
	return nil
}

// errServed means that the file is another process's.
var errServed = errors.New("another process serves with this file, perhaps by another name")

// lockedError says which file is taken and what to do.
func lockedError(path string) error {
	return fmt.Errorf("journal %s: %w: stop that one, give this one a file of its own, or use PostgreSQL to run several", path, errServed)
}

// migrate brings the tables up to date. Tables of a later program are left alone: what they mean isn't known here.
// was is their version before, 0 for new ones.
func migrate(ctx context.Context, db *sql.DB, d goose.Dialect, dir string, o ...goose.ProviderOption) (was int64, err error) {
	files, err := fs.Sub(migrations, dir)
	if err != nil {
		return 0, err
	}
	p, err := goose.NewProvider(d, db, files, o...)
	if err != nil {
		return 0, fmt.Errorf("migrations: %w", err)
	}
	if was, err = p.GetDBVersion(ctx); err != nil {
		return 0, fmt.Errorf("reading the version of the tables: %w", err)
	}
	pending, err := p.HasPending(ctx) // asked first: waiting for a turn takes seconds
	if err == nil && pending {
		_, err = p.Up(ctx)
	}
	if err != nil {
		return was, fmt.Errorf("bringing the tables up to date: %w", err)
	}
	is, err := p.GetDBVersion(ctx)
	if err != nil {
		return was, fmt.Errorf("reading the version of the tables: %w", err)
	}
	return was, versionError(is)
}

// schemaVersion is that of the last file under migrations.
const schemaVersion = 6

// versionError compares the tables' version with this program's.
func versionError(is int64) error {
	switch {
	case is > schemaVersion:
		return fmt.Errorf("its tables have version %d, made by a later einvoice-bridge; this one knows %d: use the later one", is, schemaVersion)
	case is < schemaVersion:
		return fmt.Errorf("its tables have version %d, this einvoice-bridge needs %d: start serve once, it brings them up to date", is, schemaVersion)
	}
	return nil
}

// checkVersion is for those who may not change tables.
func (j *Journal) checkVersion(ctx context.Context) error {
	var is int64
	err := j.read.QueryRowContext(ctx, `SELECT COALESCE(max(version_id), 0) FROM goose_db_version`).Scan(&is)
	if err != nil {
		return j.explain(err)
	}
	if err := versionError(is); err != nil {
		return fmt.Errorf("journal %s: %w", j.name, err)
	}
	return nil
}

// explain puts a database error into words that name the file and what to do.
func (j *Journal) explain(err error) error {
	if err == nil {
		return nil
	}
	hint := ""
	var e *sqlite.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		hint = "it didn't answer in time"
	case errors.As(err, &e):
		hint = sqliteHint(e.Code() & 0xff) // the low byte is the kind, the rest its detail
	default:
		hint = postgresHint(err)
	}
	if hint == "" {
		return fmt.Errorf("journal %s: %w", j.name, err)
	}
	return fmt.Errorf("journal %s: %s: %w", j.name, hint, err)
}

// sqliteHint says what an operator can do about an error; empty when nobody knows.
func sqliteHint(code int) string {
	switch code {
	case lib.SQLITE_FULL:
		return "the disk is full, free some space on its file system"
	case lib.SQLITE_READONLY, lib.SQLITE_PERM:
		return "it can't be written, check the permissions of the file and its folder and whether the disk is mounted read-only"
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return "another program keeps it locked, end that (a database shell, a backup tool)"
	case lib.SQLITE_IOERR:
		return "the disk reports an error or a quota is used up, check both"
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return "the file is damaged or no journal, restore a backup"
	case lib.SQLITE_CANTOPEN:
		return "it can't be opened, check that its folder exists and may be written"
	}
	return ""
}
