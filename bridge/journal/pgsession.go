package journal

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

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

// checkPooler makes sure that a connection is a session: while another is in a transaction, it has the same server
// process as before, and not the other's.
func checkPooler(ctx context.Context, c *pgx.ConnConfig) error {
	one, err := pgx.ConnectConfig(ctx, c.Copy())
	if err != nil {
		return err
	}
	defer one.Close(context.WithoutCancel(ctx))
	before, err := backend(ctx, one)
	if err != nil {
		return err
	}
	two, err := pgx.ConnectConfig(ctx, c.Copy())
	if err != nil {
		return fmt.Errorf("a second connection (each instance uses up to %d): %w", pgConnections, err)
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

// checkWrites makes sure that this server is the one that writes.
func checkWrites(ctx context.Context, c *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, c.Copy())
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

// sqlState is the server's own code of an error; empty when it isn't one of its.
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// movedOn tells whether this server is not, or will soon not be, the one that writes: after a switchover the old one may
// keep its connections, and refuse or forget what comes over them.
func movedOn(err error) bool {
	code := sqlState(err)
	switch code {
	case "25006", // read-only: a standby now, or fenced
		"57P01", "57P02", "57P03", "57P05", // shutting down, crashed, starting, tired of us
		"25P03", "25P04":
		return true
	}
	return strings.HasPrefix(code, "08") // the way there, a pooler's too
}

const eraKey = "einvoice-bridge era"

// moved has every connection taken anew: what one of them met, the others have before them.
func (s *shared) moved() {
	s.era.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rehear != nil {
		s.rehear()
	}
}

// born notes since when a reader's connection is there.
func (s *shared) born(_ context.Context, c *pgx.Conn) error {
	c.PgConn().CustomData()[eraKey] = s.era.Load()
	return nil
}

// current has a reader's connection of before a switchover thrown away.
func (s *shared) current(_ context.Context, c *pgx.Conn) error {
	if era, _ := c.PgConn().CustomData()[eraKey].(int64); era != s.era.Load() {
		return driver.ErrBadConn
	}
	return nil
}
