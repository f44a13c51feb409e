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

	"einvoice-bridge/bridge/journal/engine"
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
	db, err := place.Open(path, "ro", 4) // they can't write, and never wait for the writer
	if err != nil {
		return j.explain(err)
	}
	j.read = engine.NewFileReader(db, j.place.StillServed, j.now)
	j.closers = append(j.closers, j.read.Close)
	return nil
}

// openSQLiteWriter opens the connection that writes. The service's leaves the log to a copier; a command's, which is
// soon gone, copies it as SQLite does.
func (j *Journal) openSQLiteWriter(ctx context.Context, path, mode string) error {
	pragmas := []string{"journal_mode(WAL)", "cache_size(-4000)"}
	if mode == "rwc" {
		pragmas = append(pragmas, engine.LogPragmas()...)
	}
	db, err := place.Open(path, mode, 1, pragmas...)
	if err != nil {
		return j.explain(err)
	}
	j.closers = append(j.closers, db.Close)
	w := (*engine.Writer)(nil)
	if mode != "rwc" {
		w = engine.NewFileWriter(db, nil, nil, j.now, j.explain)
	} else {
		if j.was, err = migrate(ctx, db, goose.DialectSQLite3, "migrations/sqlite"); err != nil {
			return j.explain(err)
		}
		copies, err := place.Open(path, "rw", 1, "cache_size(-100)")
		if err != nil {
			return j.explain(err)
		}
		w = engine.NewFileWriter(db, copies, j.place, j.now, j.explain)
	}
	j.closers = append(j.closers, w.Close)
	j.writers, j.booker = []*engine.Writer{w}, w
	return nil
}

// LogTooLong is how many bytes the log has only when somebody has been reading in an old state of the journal for long.
const LogTooLong = engine.LogTooLong

// LogBytes is the length of SQLite's log, which takes disk beside the journal: it can't start over while somebody reads
// what was true when it was shorter. Zero with PostgreSQL.
func (j *Journal) LogBytes() int64 {
	if j.place == nil {
		return 0
	}
	return j.place.LogBytes()
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
const schemaVersion = 9

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
	err := j.read.DB.QueryRowContext(ctx, selectVersion).Scan(&is)
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
