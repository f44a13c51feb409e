package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const (
	pgWriters     = 2 // connections that write; more only make the transactions smaller (measured)
	pgReaders     = 8 // connections that read
	pgConnections = pgWriters + pgReaders + 2
	pgTimeout     = 15 * time.Second // of one transaction, when the server doesn't answer at all
)

// pgConfig reads the DSN and adds what a journal needs, where the DSN doesn't say otherwise. Durability it may only
// raise (remote_apply). The settings are made after connecting: poolers know few at connecting.
func pgConfig(dsn string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, unreadable(err)
	}
	s := settings{
		"statement_timeout": "10s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "30s", "synchronous_commit": "on",
	}
	for name := range s {
		if value := c.RuntimeParams[name]; value != "" {
			s[name] = value
		}
		delete(c.RuntimeParams, name)
	}
	if level := s["synchronous_commit"]; level != "on" && level != "remote_apply" {
		return nil, fmt.Errorf("journal: synchronous_commit=%s would lose cancellations, use on or remote_apply", level)
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "einvoice-bridge"
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	c.AfterConnect = s.hold
	return c, nil
}

// unreadable says what is wrong with a DSN. pgx repeats it, and takes a password out only where it expects one; where it
// sees no address at all, its reason may be a piece of the password.
func unreadable(err error) error {
	const advice = "journal: the address of PostgreSQL can't be read, write postgres://user:password@host:5432/database, with " +
		"what is special in the password as %40 and so on"
	var e *pgconn.ParseConfigError
	if !errors.As(err, &e) || strings.Contains(err.Error(), "parse as URL") {
		return errors.New(advice)
	}
	_, why, _ := strings.Cut(err.Error(), "`: ")
	return fmt.Errorf("%s: %s", advice, why)
}

// openPostgres connects lazily but for the service, which needs the tables. Writers, readers and the listener have
// connections of their own; all of them need sessions, so no pooler in transaction mode may stand between.
func (j *Journal) openPostgres(ctx context.Context, dsn string, o Options, mode string) error {
	c, err := pgConfig(dsn)
	if err != nil {
		return err
	}
	j.nameServer(c)
	if mode == "rwc" {
		if err := checkPooler(ctx, c); err != nil {
			return j.explain(err)
		}
		if err := j.migratePostgres(ctx, c); err != nil {
			return j.explain(err)
		}
	}
	j.shared = &shared{
		readers: &j.readers, config: c, owner: j.instance, lease: o.Lease, now: j.now, waiters: map[string]map[chan struct{}]bool{},
	}
	j.read = j.pool(c, pgReaders)
	j.shared.db = j.read
	j.RaiseSettle(o.Settle)
	if mode == "ro" {
		return nil
	}
	for range pgWriters {
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
	c.AfterConnect = settings{"statement_timeout": "0", "lock_timeout": "0", "synchronous_commit": "on"}.hold
	db := stdlib.OpenDB(*c)
	defer db.Close()
	turns, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120)) // asks every second, 120 times
	if err != nil {
		return err
	}
	j.was, err = migrate(ctx, db, goose.DialectPostgres, "migrations/postgres", goose.WithSessionLocker(turns))
	return err
}

// postgresHint says what to do about an error of the server or of the way there.
func postgresHint(err error) string {
	var (
		server  *pgconn.PgError
		connect *pgconn.ConnectError
	)
	if !errors.As(err, &server) {
		if errors.As(err, &connect) {
			return "PostgreSQL can't be reached, check that it runs and that address and password are right"
		}
		return ""
	}
	switch server.Code {
	case "53100":
		return "its disk is full, free some space"
	case "25006":
		return "this server is a read-only standby, connect to the primary (target_session_attrs=read-write)"
	case "57014", "55P03":
		return "it is overloaded or something keeps a lock (see pg_stat_activity)"
	case "53300":
		return fmt.Sprintf("it has no connection left, raise max_connections: each instance uses up to %d", pgConnections)
	case "42P01", "42703":
		return "its tables are missing or out of date, start serve once"
	case "28P01", "28000", "3D000":
		return "it doesn't let us in, check user, password and database name"
	}
	return ""
}
