package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"time"

	"modernc.org/sqlite"

	"einvoice-bridge/bridge/journal/place"
	"einvoice-bridge/bridge/journal/postgres"
)

// Tx is a transaction under way, as one write sees it. Its first failure sticks: what follows does nothing.
type Tx struct {
	// do runs one statement, calls each for every row, if there may be any, and tells how many rows changed and the id
	// of the last new one (SQLite only).
	do     func(query string, args []any, each Each) (n, id int64, err error)
	Shared bool             // PostgreSQL, where others write too
	clock  func() time.Time // this process's, which counts where nobody else writes
	Err    error
}

// Each takes one row.
type Each = func(scan func(...any) error) error

// Now is the time that all who write to the database agree on, in microseconds.
func (t *Tx) Now() (us int64) {
	if !t.Shared {
		return t.clock().UnixMicro()
	}
	t.One([]any{&us}, `SELECT `+postgres.Clock)
	return us
}

// Exec returns the number of rows that changed.
func (t *Tx) Exec(query string, args ...any) (n int64) {
	if t.Err == nil {
		n, _, t.Err = t.do(query, args, nil)
	}
	return n
}

// Insert returns the new row's id; ok is false when the row was there already.
func (t *Tx) Insert(query string, args ...any) (id int64, ok bool) {
	if t.Shared {
		ok = t.One([]any{&id}, query+" RETURNING id", args...)
		return id, ok
	}
	var n int64
	if t.Err == nil {
		n, id, t.Err = t.do(query, args, nil)
	}
	return id, n == 1
}

// One scans the only row; false when there is none.
func (t *Tx) One(dest []any, query string, args ...any) (found bool) {
	t.Query(func(scan func(...any) error) error {
		found = true
		return scan(dest...)
	}, query, args...)
	return found && t.Err == nil
}

// Query calls each for every row.
func (t *Tx) Query(each Each, query string, args ...any) {
	if t.Err == nil {
		_, _, t.Err = t.do(query, args, each)
	}
}

func eachRow(rows *sql.Rows, err error, each Each) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return fmt.Errorf("reading a row: %w", err)
		}
	}
	return rows.Err()
}

// file is the one connection that writes to an SQLite file. Its statements carry no context: watching one costs as
// much as the statement, and whoever waits for a write watches his own.
type file struct {
	db     *sql.DB
	conn   *sql.Conn
	stmts  map[string]*sql.Stmt
	copier *copier      // of the service; nil for a command
	place  *place.Place // likewise
	clock  func() time.Time
	bytes  int // of text and blobs in the transaction under way
}

// transact runs the writes one after the other. Its connection is lost only when it could not be rolled back.
func (f *file) transact(ops []*op) (doubt bool, err error) {
	if f.conn == nil {
		f.stmts = map[string]*sql.Stmt{}
		if f.conn, err = f.db.Conn(context.Background()); err != nil {
			return false, err
		}
	}
	if f.copier != nil && f.copier.rest.Load() {
		f.copyRest()
	}
	f.bytes = 0
	t := &Tx{do: f.do, clock: f.clock}
	if f.place != nil {
		if err := f.place.Check(); err != nil {
			return false, err
		}
	}
	t.Exec("BEGIN IMMEDIATE")
	for _, o := range ops {
		if t.Err == nil {
			o.err = o.run(t)
		}
	}
	t.Exec("COMMIT")
	if t.Err != nil {
		f.rollback()
	} else if f.copier != nil {
		f.copier.wrote(len(ops), f.bytes)
	}
	return false, t.Err
}

// copyRest copies the last pages of a long log, so that this commit starts it over unless somebody is reading in it, or
// copying (pages is -1 then); then the next commit tries again.
func (f *file) copyRest() {
	pages := 0
	_, _, err := f.do(copyLog, nil, func(scan func(...any) error) error {
		var busy, copied int
		return scan(&busy, &pages, &copied)
	})
	if err != nil || pages >= 0 && pages < longLog {
		f.copier.rest.Store(false)
	}
}

// rollback leaves the connection without a transaction. That SQLite may have rolled back by itself is no error.
func (f *file) rollback() {
	var ours *sqlite.Error
	if _, _, err := f.do("ROLLBACK", nil, nil); err != nil && !errors.As(err, &ours) {
		f.close()
	}
}

// do keeps every statement prepared: they are few, and parsing costs more than running one.
func (f *file) do(query string, args []any, each Each) (n, id int64, err error) {
	s, ok := f.stmts[query]
	if !ok {
		if s, err = f.conn.PrepareContext(context.Background(), nameless(query)); err != nil {
			return 0, 0, err
		}
		f.stmts[query] = s
	}
	if each != nil {
		rows, err := s.QueryContext(context.Background(), args...)
		return 0, 0, eachRow(rows, err, each)
	}
	for _, a := range args {
		switch a := a.(type) {
		case string:
			f.bytes += len(a)
		case []byte:
			f.bytes += len(a)
		}
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, 0, err
	}
	n, _ = r.RowsAffected()
	id, _ = r.LastInsertId()
	return n, id, nil
}

var parameter = regexp.MustCompile(`\$\d+`)

// nameless has ? for parameters that stand in the order of their numbers, each once: the driver looks up the name of every
// parameter that has one each time it is bound.
func nameless(query string) string {
	n, ordered := 0, true
	s := parameter.ReplaceAllStringFunc(query, func(p string) string {
		n++
		ordered = ordered && p == fmt.Sprintf("$%d", n)
		return "?"
	})
	if !ordered {
		return query
	}
	return s
}

func (f *file) lost() bool { return f.conn == nil }

func (f *file) close() {
	if f.conn == nil {
		return
	}
	for _, s := range f.stmts {
		_ = s.Close()
	}
	_ = f.conn.Close()
	f.conn, f.stmts = nil, nil
}
