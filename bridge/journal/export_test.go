package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal/engine"
	"einvoice-bridge/bridge/journal/postgres"
)

// Merge is the rule for late evidence.
var Merge = merge

// Clock is the database's.
const Clock = clock

// Die ends the journal as a crash of its process would: leases and instance row stay behind.
func (j *Journal) Die() {
	j.once.Do(func() {
		close(j.quit)
		<-j.done
		_ = j.close()
	})
}

// Freeze ends the beat, as a process does that stands still: its leases run out.
func (j *Journal) Freeze() {
	j.serving = false
	close(j.quit)
	<-j.done
}

// Do runs SQL past the journal.
func (j *Journal) Do(ctx context.Context, query string, args ...any) error {
	return j.write(ctx, "", func(t *tx) error { t.Exec(query, args...); return nil }, nil)
}

// Downgrade brings the tables of a journal that nobody has open back to an earlier version.
func Downgrade(ctx context.Context, dsn string, to int64) error {
	driver, dialect, dir := "pgx", goose.DialectPostgres, "migrations/postgres"
	if path, is := strings.CutPrefix(dsn, "sqlite:"); is {
		driver, dialect, dir, dsn = "sqlite", goose.DialectSQLite3, "migrations/sqlite", path
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	files, err := fs.Sub(migrations, dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, files)
	if err == nil {
		_, err = p.DownTo(ctx, to)
	}
	return err
}

// Plan is SQLite's query plan for a list.
func (j *Journal) Plan(ctx context.Context, f bridge.Filter) (plan string, err error) {
	w := conditions(f)
	return j.plan(ctx, listQuery(w, 50), w.args...)
}

// ServerPlan is PostgreSQL's for finding the ids of a list.
func (j *Journal) ServerPlan(ctx context.Context, f bridge.Filter) (plan string, err error) {
	w := conditions(f)
	r := j.read.Once(ctx)
	r.Query(func(scan func(...any) error) error {
		var line string
		err := scan(&line)
		plan += line + "\n"
		return err
	}, "EXPLAIN "+w.ids(50), w.args...)
	return plan, r.Err
}

// BackgroundPlans are those of what the service asks every few seconds.
func (j *Journal) BackgroundPlans(ctx context.Context) (string, error) {
	var all string
	var errs []error
	for query, args := range map[string][]any{
		fmt.Sprintf(selectDue, ""): {1, 1}, fmt.Sprintf(selectUnended, ""): {1}, selectTail: {1}, selectAttempts: {1},
		selectExchanges: {1}, selectIDAt: {1}, selectAsks: {1, "d", "s", "t"}, callsOfRef: {"r"},
	} {
		plan, err := j.plan(ctx, query, args...)
		all, errs = all+query+"\n"+plan, append(errs, err)
	}
	return all, errors.Join(errs...)
}

func (j *Journal) plan(ctx context.Context, query string, args ...any) (string, error) {
	var plan strings.Builder
	r := j.read.Once(ctx)
	r.Query(func(scan func(...any) error) error {
		var id, parent, x int
		var detail string
		err := scan(&id, &parent, &x, &detail)
		fmt.Fprintln(&plan, detail)
		return err
	}, "EXPLAIN QUERY PLAN "+query, args...)
	return plan.String(), r.Err
}

// Leaves counts the pages of an SQLite table that hold its rows.
func (j *Journal) Leaves(ctx context.Context, table string) (n int, err error) {
	r := j.read.Once(ctx)
	r.Query(func(scan func(...any) error) error { return scan(&n) }, `SELECT count(*) FROM dbstat WHERE name = $1 AND pagetype = 'leaf'`, table)
	return n, r.Err
}

// Hold keeps the (first) writer busy until the returned function is called; what is written meanwhile waits.
func (j *Journal) Hold() (release func()) {
	held, free := make(chan struct{}), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = j.write(context.Background(), "", func(t *tx) error {
			close(held)
			<-free
			return nil
		}, nil)
	}()
	<-held
	return func() { close(free); <-ended }
}

// HoldNext is Hold for the time after the current commit: it returns at once.
func (j *Journal) HoldNext() (release func()) {
	free := make(chan struct{})
	go func() {
		_ = j.write(context.Background(), "", func(t *tx) error { <-free; return nil }, nil)
	}()
	return func() { close(free) }
}

// Ended is an id up to which every entry is known to have ended.
func (j *Journal) Ended(ctx context.Context) (int64, error) { return j.ended(ctx) }

// Queued is how many writes wait for the next commit.
func (j *Journal) Queued() int { return j.writers[0].Queued() }

// Forget drops a lease from memory only.
func (j *Journal) Forget(e bridge.Entry) { j.leases.drop(e.Key, e.Taxpayer) }

// Setting is a server setting as a writer has it.
func (j *Journal) Setting(ctx context.Context, name string) (value string, err error) {
	err = j.write(ctx, "", func(t *tx) error { t.One([]any{&value}, "SHOW "+name); return nil }, nil)
	return value, err
}

// Fence makes every connection that is there read-only, and no later one, as the one that a switchover leaves behind.
func (j *Journal) Fence(ctx context.Context) error {
	const fence = `SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY`
	var errs []error
	for _, w := range append([]*engine.Writer{j.booker}, j.writers...) {
		errs = append(errs, w.Write(ctx, 0, func(t *tx) error { t.Exec(fence); return nil }, nil))
	}
	return errors.Join(append(errs, j.eachReader(ctx, func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, fence)
		return err
	}))...)
}

// Fenced counts readers that Fence has reached.
func (j *Journal) Fenced(ctx context.Context) (n int) {
	_ = j.eachReader(ctx, func(c *sql.Conn) error {
		is := ""
		err := c.QueryRowContext(ctx, `SHOW default_transaction_read_only`).Scan(&is)
		if is != "off" {
			n++
		}
		return err
	})
	return n
}

func (j *Journal) eachReader(ctx context.Context, do func(*sql.Conn) error) error {
	for range postgres.Readers {
		c, err := j.read.DB.Conn(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := do(c); err != nil {
			return err
		}
	}
	return nil
}

// WriteRejected writes rejected calls down, however many come at once.
func WriteRejected(j *Journal, all []bridge.Rejected) {
	var rows []rejected
	for _, r := range all {
		rows = append(rows, rejected{r, drawerOf(r)})
	}
	j.writeRejected(rows)
}
