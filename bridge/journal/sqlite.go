package journal

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"einvoice-bridge/bridge/journal/place"
	"einvoice-bridge/bridge/journal/postgres"
)

//go:embed migrations
var migrations embed.FS

// openSQLite opens one connection that writes, unless mode is "ro", and several that read: readers never keep the
// writer waiting, nor each other. Local disks only: SQLite's log does not work on network file systems.
func (j *Journal) openSQLite(ctx context.Context, path, mode string) error {
	j.name = path
	reach := place.Join
	if mode == "rwc" {
		reach = place.Own
	}
	p, err := reach(path)
	if err != nil {
		return j.explain(err)
	}
	if p != nil {
		j.place = p
		j.closers = append(j.closers, p.Close) // the last
	}
	if mode != "ro" {
		if err := j.openSQLiteWriter(ctx, path, mode); err != nil {
			return err
		}
	}
	j.read, err = place.Open(path, "ro", 4) // they can't write, and never wait for the writer
	if err != nil {
		return j.explain(err)
	}
	j.closers = append(j.closers, j.read.Close)
	return nil
}

// openSQLiteWriter opens the connection that writes. The service's leaves the log to a copier; a command's, which is
// soon gone, copies it as SQLite does.
func (j *Journal) openSQLiteWriter(ctx context.Context, path, mode string) error {
	pragmas := []string{"journal_mode(WAL)", "cache_size(-4000)"}
	if mode == "rwc" {
		pragmas = append(pragmas, "wal_autocheckpoint(0)", fmt.Sprintf("journal_size_limit(%d)", 2*longLog*pageSize))
	}
	db, err := place.Open(path, mode, 1, pragmas...)
	if err != nil {
		return j.explain(err)
	}
	j.closers = append(j.closers, db.Close)
	f := &file{db: db, now: j.now}
	if mode == "rwc" {
		f.place = j.place
		if j.was, err = migrate(ctx, db, goose.DialectSQLite3, "migrations/sqlite"); err != nil {
			return j.explain(err)
		}
		if db, err = place.Open(path, "rw", 1, "cache_size(-100)"); err != nil {
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
const schemaVersion = 8

const selectVersion = `SELECT COALESCE(max(version_id), 0) FROM goose_db_version`

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
	err := j.read.QueryRowContext(ctx, selectVersion).Scan(&is)
	if err == nil {
		err = versionError(is)
	}
	return j.explain(err)
}

// explain puts a database error into words that name the file and what to do.
func (j *Journal) explain(err error) error {
	if err == nil {
		return nil
	}
	hint := cmp.Or(place.Hint(err), postgres.Hint(err))
	if errors.Is(err, context.DeadlineExceeded) {
		hint = "it didn't answer in time"
	}
	if hint == "" {
		return fmt.Errorf("journal %s: %w", j.name, err)
	}
	return fmt.Errorf("journal %s: %s: %w", j.name, hint, err)
}
