package journal

import (
	"context"
	"errors"
	"strings"

	"einvoice-bridge/bridge/journal/place"
	"einvoice-bridge/bridge/journal/postgres"
)

// Probe tries whether a service could open the journal, and changes nothing. served says that one has it open, as far as
// that can be seen: of a database any number may have it.
func Probe(ctx context.Context, dsn string) (served bool, err error) {
	j := newJournal(instanceName(), nil)
	defer func() { err = errors.Join(err, j.close()) }()
	if path, is := strings.CutPrefix(dsn, "sqlite:"); is && path != "" {
		j.name = path
		there, err := place.Try(path)
		if errors.Is(err, place.ErrServed) {
			return true, nil
		}
		if err != nil || !there {
			return false, j.explain(err)
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
		err = j.explain(versionError(is))
	}
	return false, err
}

// probeServer looks whether the server keeps sessions, and writes.
func (j *Journal) probeServer(ctx context.Context, dsn string) error {
	s, err := postgres.New(dsn)
	if err != nil {
		return err
	}
	j.name = s.Name()
	if err = s.CheckSessions(ctx); err == nil {
		err = s.CheckWrites(ctx)
	}
	return j.explain(err)
}

// version is that of the tables; 0 when there are none.
func (j *Journal) version(ctx context.Context) (is int64, err error) {
	err = j.read.DB.QueryRowContext(ctx, selectVersion).Scan(&is)
	if err != nil && (strings.Contains(err.Error(), "no such table") || postgres.State(err) == "42P01") {
		return 0, nil
	}
	return is, j.explain(err)
}
