package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Probe tries whether a service could open the journal, and changes nothing. served says that one has it open, as far as
// that can be seen: of a database any number may have it.
func Probe(ctx context.Context, dsn string) (served bool, err error) {
	j := newJournal(instanceName(), nil)
	defer func() { err = errors.Join(err, j.close()) }()
	if path, is := strings.CutPrefix(dsn, "sqlite:"); is && path != "" {
		there, served, err := probeFile(path)
		if err != nil || served || !there {
			return served, err
		}
	} else if strings.HasPrefix(dsn, "postgres") {
		if err := j.probeServer(ctx, dsn); err != nil {
			return false, err
		}
	}
	if err := j.connect(ctx, dsn, Options{}, "ro"); err != nil {
		return false, err
	}
	is, err := j.version(ctx)
	if err == nil && is > schemaVersion { // older tables are brought up to date
		err = fmt.Errorf("journal %s: %w", j.name, versionError(is))
	}
	return false, err
}

// probeFile looks whether the file, or its folder where there is none yet, may be written, and is free.
func probeFile(path string) (there, served bool, err error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		f, err := os.CreateTemp(filepath.Dir(path), ".einvoice-bridge-check-*")
		if err != nil {
			return false, false, fmt.Errorf("journal %s: it can't be made, check that its folder exists and may be written: %w", path, err)
		}
		return false, false, errors.Join(f.Close(), os.Remove(f.Name()))
	}
	unlock, err := lockFile(path)
	if errors.Is(err, errServed) {
		return true, true, nil
	}
	if err != nil {
		return true, false, err
	}
	return true, false, unlock()
}

// probeServer looks whether the server keeps sessions, and writes.
func (j *Journal) probeServer(ctx context.Context, dsn string) error {
	c, err := pgConfig(dsn)
	if err != nil {
		return err
	}
	j.nameServer(c)
	if err := checkPooler(ctx, c); err != nil {
		return j.explain(err)
	}
	return j.explain(checkWrites(ctx, c))
}

// version is that of the tables; 0 when there are none.
func (j *Journal) version(ctx context.Context) (is int64, err error) {
	err = j.read.QueryRowContext(ctx, `SELECT COALESCE(max(version_id), 0) FROM goose_db_version`).Scan(&is)
	if err != nil && (strings.Contains(err.Error(), "no such table") || sqlState(err) == "42P01") {
		return 0, nil
	}
	return is, j.explain(err)
}
