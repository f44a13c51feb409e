package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// config reads the DSN and adds what a journal needs, where the DSN doesn't say otherwise. Durability it may only
// raise (remote_apply). The settings are made after connecting: poolers know few at connecting.
func config(dsn string) (*pgx.ConnConfig, error) {
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

// settings are what a journal's session needs, by PostgreSQL's names.
type settings map[string]string

const poolerAdvice = "a pooler that keeps no sessions stands between (PgBouncer's pool_mode=transaction or statement): give the " +
	"journal a database entry of its own with pool_mode=session, or PostgreSQL's own port"

// hold makes the settings for a new connection and reads them back: what is silently dropped on the way would be
// durability.
func (s settings) hold(ctx context.Context, c *pgconn.PgConn) error {
	names := slices.Sorted(maps.Keys(s))
	var set, get []string
	var values [][]byte
	for i, name := range names {
		set = append(set, fmt.Sprintf("set_config('%s', $%d, false)", name, i+1))
		get = append(get, fmt.Sprintf("current_setting('%s')", name))
		values = append(values, []byte(s[name]))
	}
	made, err := oneRow(c.ExecParams(ctx, "SELECT "+strings.Join(set, ", "), values, nil, nil, nil))
	if err != nil {
		return fmt.Errorf("setting %s: %w", strings.Join(names, ", "), err)
	}
	is, err := oneRow(c.ExecParams(ctx, "SELECT "+strings.Join(get, ", "), nil, nil, nil, nil))
	if err != nil {
		return fmt.Errorf("reading %s: %w", strings.Join(names, ", "), err)
	}
	for i, name := range names {
		if is[i] != made[i] {
			return fmt.Errorf("%s was set to %s and is %s: %s", name, made[i], is[i], poolerAdvice)
		}
	}
	return nil
}

func oneRow(r *pgconn.ResultReader) (row []string, err error) {
	result := r.Read()
	if result.Err != nil {
		return nil, result.Err
	}
	if len(result.Rows) != 1 {
		return nil, fmt.Errorf("%d rows came back, want one", len(result.Rows))
	}
	for _, column := range result.Rows[0] {
		row = append(row, string(column))
	}
	return row, nil
}

// CheckSessions makes sure that a connection is a session: while another is in a transaction, it has the same server
// process as before, and not the other's.
func (s *Server) CheckSessions(ctx context.Context) error {
	one, err := s.Connect(ctx)
	if err != nil {
		return err
	}
	defer one.Close(context.WithoutCancel(ctx))
	before, err := backend(ctx, one)
	if err != nil {
		return err
	}
	two, err := s.Connect(ctx)
	if err != nil {
		return fmt.Errorf("a second connection (each instance uses up to %d): %w", Connections, err)
	}
	defer two.Close(context.WithoutCancel(ctx))
	if _, err := two.PgConn().Exec(ctx, "BEGIN").ReadAll(); err != nil {
		return fmt.Errorf("beginning a transaction: %s: %w", poolerAdvice, err)
	}
	others, err := backend(ctx, two)
	if err != nil {
		return err
	}
	after, err := backend(ctx, one)
	if err == nil && (before != after || before == others) {
		err = errors.New(poolerAdvice)
	}
	return err
}

// backend names the server's process behind a connection.
func backend(ctx context.Context, c *pgx.Conn) (string, error) {
	row, err := oneRow(c.PgConn().ExecParams(ctx, "SELECT pg_backend_pid()", nil, nil, nil, nil))
	if err != nil {
		return "", err
	}
	return row[0], nil
}

// CheckWrites makes sure that this server is the one that writes.
func (s *Server) CheckWrites(ctx context.Context) error {
	conn, err := s.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	row, err := oneRow(conn.PgConn().ExecParams(ctx, "SHOW transaction_read_only", nil, nil, nil, nil))
	if err == nil && row[0] != "off" {
		err = &pgconn.PgError{Code: "25006", Severity: "ERROR", Message: "transactions are read-only"}
	}
	return err
}

// State is the server's own code of an error; empty when it isn't one of its.
func State(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Moved tells whether this server is not, or will soon not be, the one that writes: after a switchover the old one may
// keep its connections, and refuse or forget what comes over them.
func Moved(err error) bool {
	code := State(err)
	switch code {
	case "25006", // read-only: a standby now, or fenced
		"57P01", "57P02", "57P03", "57P05", // shutting down, crashed, starting, tired of us
		"25P03", "25P04":
		return true
	}
	return strings.HasPrefix(code, "08") // the way there, a pooler's too
}

// Hint says what to do about an error of the server or of the way there; empty when nobody knows.
func Hint(err error) string {
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
		return fmt.Sprintf("it has no connection left, raise max_connections: each instance uses up to %d", Connections)
	case "42P01", "42703":
		return "its tables are missing or out of date, start serve once"
	case "28P01", "28000", "3D000":
		return "it doesn't let us in, check user, password and database name"
	}
	return ""
}
