package journal

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"einvoice-bridge/bridge/journal/postgres"
)

// pgTimeout is of one transaction, when the server doesn't answer at all.
const pgTimeout = 15 * time.Second

// openPostgres connects lazily but for the service, which needs the tables. Writers, readers and the listener have
// connections of their own; all of them need sessions, so no pooler in transaction mode may stand between.
func (j *Journal) openPostgres(ctx context.Context, dsn string, o Options, mode string) error {
	c, err := postgres.Config(dsn)
	if err != nil {
		return err
	}
	j.nameServer(c)
	if mode == "rwc" {
		if err := postgres.CheckSessions(ctx, c); err != nil {
			return j.explain(err)
		}
		if err := j.migratePostgres(ctx, c); err != nil {
			return j.explain(err)
		}
	}
	j.shared = &shared{
		readers: &j.readers, config: c, owner: j.instance, lease: o.Lease, now: j.now, waiters: map[string]map[chan struct{}]bool{},
	}
	j.read = j.pool(c, postgres.Readers)
	j.shared.db = j.read
	j.RaiseSettle(o.Settle)
	if mode == "ro" {
		return nil
	}
	for range postgres.Writers {
		j.writers = append(j.writers, j.postgresWriter(c, maxBatch))
	}
	j.booker = j.postgresWriter(c, 1)
	if mode == "rwc" {
		listening, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); j.shared.listen(listening) }()
		j.closers = append(j.closers, func() error { cancel(); <-done; return nil })
	}
	return nil
}

func (j *Journal) nameServer(c *pgx.ConnConfig) {
	j.name = fmt.Sprintf("%s/%s", net.JoinHostPort(c.Host, fmt.Sprint(c.Port)), c.Database)
}

func (j *Journal) pool(c *pgx.ConnConfig, n int) *sql.DB {
	db := stdlib.OpenDB(*c, stdlib.OptionAfterConnect(j.shared.born), stdlib.OptionResetSession(j.shared.current))
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	j.closers = append(j.closers, db.Close)
	return db
}

// postgresWriter starts a writer; batch 1 keeps its writes from sharing transactions.
func (j *Journal) postgresWriter(c *pgx.ConnConfig, batch int) *writer {
	w := (&writer{db: &pipeline{config: c, timeout: pgTimeout, moved: j.shared.moved}, batch: batch, explain: j.explain}).start()
	j.closers = append(j.closers, func() error { w.stop(); return nil })
	return w
}

// migratePostgres brings the tables up to date. Instances that start at once take turns.
func (j *Journal) migratePostgres(ctx context.Context, c *pgx.ConnConfig) error {
	c = c.Copy()
	c.AfterConnect = postgres.Settings{"statement_timeout": "0", "lock_timeout": "0", "synchronous_commit": "on"}.Hold
	db := stdlib.OpenDB(*c)
	defer db.Close()
	turns, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120)) // asks every second, 120 times
	if err != nil {
		return err
	}
	j.was, err = migrate(ctx, db, goose.DialectPostgres, "migrations/postgres", goose.WithSessionLocker(turns))
	return err
}
