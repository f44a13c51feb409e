package journal

import (
	"context"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"einvoice-bridge/bridge/journal/engine"
	"einvoice-bridge/bridge/journal/postgres"
)

// openPostgres connects lazily but for the service, which needs the tables. Writers, readers and the listener have
// connections of their own; all of them need sessions, so no pooler in transaction mode may stand between.
func (j *Journal) openPostgres(ctx context.Context, dsn string, o Options, mode string) error {
	s, err := postgres.New(dsn)
	if err != nil {
		return err
	}
	j.name = s.Name()
	if mode == "rwc" {
		if err := s.CheckSessions(ctx); err != nil {
			return j.explain(err)
		}
		if err := j.migratePostgres(ctx, s); err != nil {
			return j.explain(err)
		}
	}
	j.read = engine.NewServerReader(s.Pool(postgres.Readers))
	j.closers = append(j.closers, j.read.Close)
	j.shared = &shared{server: s, read: j.read, owner: j.instance, lease: o.Lease, now: j.now}
	j.RaiseSettle(o.Settle)
	if mode == "ro" {
		return nil
	}
	for range postgres.Writers {
		j.writers = append(j.writers, j.postgresWriter(s, engine.MaxBatch))
	}
	j.booker = j.postgresWriter(s, 1)
	if mode == "rwc" {
		listening, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); s.Listen(listening, channel, releasePoll) }()
		j.closers = append(j.closers, func() error { cancel(); <-done; return nil })
	}
	return nil
}

// postgresWriter starts a writer; batch 1 keeps its writes from sharing transactions.
func (j *Journal) postgresWriter(s *postgres.Server, batch int) *engine.Writer {
	w := engine.NewServerWriter(s, batch, j.explain)
	j.closers = append(j.closers, w.Close)
	return w
}

// migratePostgres brings the tables up to date. Instances that start at once take turns.
func (j *Journal) migratePostgres(ctx context.Context, s *postgres.Server) error {
	db := s.PatientPool()
	defer db.Close()
	turns, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120)) // asks every second, 120 times
	if err != nil {
		return err
	}
	j.was, err = migrate(ctx, db, goose.DialectPostgres, "migrations/postgres", goose.WithSessionLocker(turns))
	return err
}
