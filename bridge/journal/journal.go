package journal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"strings"
	"sync"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal/engine"
	"einvoice-bridge/bridge/journal/place"
)

// Options are what a journal can be told; zero values are good for most.
type Options struct {
	// Instance names this process for operators; host and process id by default.
	Instance string
	// Lease is how long a document stays with an instance that is no longer heard of; 15 s by default. PostgreSQL only.
	Lease time.Duration
	// Settle is how long after its lease has run out a send may still be under way: the longest call timeout and time
	// for the authority to settle; 45 s by default. Only then another instance takes the document over. PostgreSQL only.
	Settle time.Duration
	// Now is this process's wall clock; time.Now by default. What instances share goes by PostgreSQL's.
	Now func() time.Time
}

// Journal is the record. Its methods are safe for concurrent use.
type Journal struct {
	name     string // the file or database, for errors
	instance string
	now      func() time.Time // wall clock
	read     *engine.Reader
	writers  []*engine.Writer
	booker   *engine.Writer // books sends, which must see each other
	shared   *shared        // nil with SQLite
	place    *place.Place   // nil with PostgreSQL
	serving  bool           // it has an instance row and a beat
	was      int64          // version of the tables before Open; 0: there were none
	leases   leases
	tail     tail
	gates    gates
	clocks   clocks
	tokens   tokenCache
	rejects  rejects
	closers  []func() error // run last to first
	once     sync.Once
	quit     chan struct{}
	done     chan struct{}
	kept     chan struct{} // closed when no more rejected calls are written down
}

var (
	_ bridge.Journal  = (*Journal)(nil)
	_ bridge.Tokens   = (*Journal)(nil)
	_ bridge.Budget   = (*Journal)(nil)
	_ bridge.Sessions = (*Journal)(nil)
)

// Open opens the journal of a running service, creates it if need be and brings its tables up to date. dsn is
// "sqlite:path" or "postgres://…". A second Open of the same file, from any process, fails; a database takes as many
// instances as come.
func Open(ctx context.Context, dsn string, o Options) (*Journal, error) {
	if o.Instance == "" {
		o.Instance = instanceName()
	}
	if o.Lease == 0 {
		o.Lease = 15 * time.Second
	}
	if o.Settle == 0 {
		o.Settle = 45 * time.Second
	}
	j := newJournal(o.Instance, o.Now)
	err := j.connect(ctx, dsn, o, "rwc")
	if err == nil {
		err = j.register(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	j.serving = true
	every := time.Minute
	if j.shared != nil {
		every = o.Lease / 3
	}
	go j.beat(every)
	go j.keepRejected()
	return j, nil
}

// OpenReader opens the journal for looking only, beside a running service or without one. Whatever writes fails.
func OpenReader(ctx context.Context, dsn string) (*Journal, error) {
	return openBeside(ctx, dsn, "ro")
}

// OpenBeside opens the journal for one command of an operator, beside a running service or without one: to issue and
// revoke tokens, resolve, withdraw, prune. It must not carry cancellations.
func OpenBeside(ctx context.Context, dsn string) (*Journal, error) {
	return openBeside(ctx, dsn, "rw")
}

// openBeside leaves lock, tables and instance row to the service.
func openBeside(ctx context.Context, dsn, mode string) (*Journal, error) {
	j := newJournal(instanceName(), nil)
	err := j.connect(ctx, dsn, Options{}, mode)
	if err == nil {
		err = j.checkVersion(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

func newJournal(instance string, now func() time.Time) *Journal {
	if now == nil {
		now = time.Now
	}
	j := &Journal{instance: instance, now: now, quit: make(chan struct{}), done: make(chan struct{}), kept: make(chan struct{})}
	j.clocks = newClocks(now)
	j.leases = leases{now: now, byKey: map[bridge.Key]*lease{}, byEntry: map[int64]*lease{}}
	j.gates.turn = make(chan struct{}, 1)
	return j
}

// connect opens the database: mode is "rwc" for the service, which creates what isn't there, or as OpenReader and
// OpenBeside need it.
func (j *Journal) connect(ctx context.Context, dsn string, o Options, mode string) error {
	engine, rest, _ := strings.Cut(dsn, ":")
	switch {
	case engine == "sqlite" && rest != "":
		return j.openSQLite(ctx, rest, mode)
	case engine == "postgres", engine == "postgresql":
		return j.openPostgres(ctx, dsn, o, mode)
	}
	return errors.New(`journal: want "sqlite:path" or "postgres://user@host/database"`) // dsn may hold a password
}

// tx is the transaction that a write is part of.
type tx = engine.Tx

// write carries out run durably on the writer that key's hash falls on: what concerns one document is never written
// on two connections of this instance at once, where they could wait for each other.
func (j *Journal) write(ctx context.Context, document string, run func(*tx) error, undo func(committed bool)) error {
	return j.writeInOrder(ctx, document, 0, run, undo)
}

// writeInOrder is write for a row of which many have their turn in one commit: the writer takes them in that order.
func (j *Journal) writeInOrder(ctx context.Context, document string, order int64, run func(*tx) error, undo func(committed bool)) error {
	if len(j.writers) == 0 {
		if undo != nil {
			undo(false)
		}
		return fmt.Errorf("journal %s: it was opened for reading only", j.name)
	}
	if err := j.follow(ctx); err != nil {
		if undo != nil {
			undo(false)
		}
		return err
	}
	w := j.writers[0]
	if n := len(j.writers); n > 1 {
		w = j.writers[maphash.String(seed, document)%uint64(n)]
	}
	return w.Write(ctx, order, run, undo)
}

var seed = maphash.MakeSeed()

// put carries out one statement, which does what doing says, and tells how many rows it changed.
func (j *Journal) put(ctx context.Context, doing, query string, args ...any) (n int64, err error) {
	err = j.write(ctx, "", func(t *tx) error { n = t.Exec(query, args...); return nil }, nil)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	return n, nil
}

// later does what nobody waits for: the writer, who calls undo, must not wait for itself.
func later(do func(ctx context.Context)) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		do(ctx)
	}()
}

// instanceName tells processes apart, also after a restart with the same process id.
func instanceName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var b [3]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), hex.EncodeToString(b[:]))
}

// Close ends all writes and closes the database. What is in flight must have ended before; what was not gives up its
// lease. Closing again does nothing.
func (j *Journal) Close() (err error) {
	j.once.Do(func() {
		if j.serving {
			close(j.quit)
			<-j.done
			<-j.kept
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			err = errors.Join(j.flushTokens(ctx), j.unregister(ctx))
		}
		err = errors.Join(err, j.close())
	})
	return err
}

// close releases what open has acquired so far, the last first.
func (j *Journal) close() error {
	var errs []error
	for i := len(j.closers) - 1; i >= 0; i-- {
		errs = append(errs, j.closers[i]())
	}
	return errors.Join(errs...)
}

// beat does what has to happen now and then, until Close: the other instances hear that this one lives.
func (j *Journal) beat(every time.Duration) {
	defer close(j.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-j.quit:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), every)
		_ = j.seen(ctx)        // tried again at the next beat
		_ = j.flushTokens(ctx) // likewise
		cancel()
	}
}

const upsertInstance = `INSERT INTO instances (id, started, seen) VALUES ($1, $2, $2)
	ON CONFLICT (id) DO UPDATE SET seen = excluded.seen`

// register says that this instance lives, and forgets those that died long ago.
func (j *Journal) register(ctx context.Context) error {
	return j.write(ctx, "", func(t *tx) error {
		now, day := j.readClock(t), (24 * time.Hour).Microseconds()
		if j.shared == nil {
			t.Exec(`DELETE FROM instances`) // the file's lock says that nobody else lives
			t.Exec(endTurns)
		} else {
			t.Exec(`DELETE FROM instances WHERE seen < $1 OR seen > $2`, now-day, now+day)
		}
		t.Exec(upsertInstance, j.instance, now)
		return nil
	}, nil)
}

// Commits tells what the writers did since Open: transactions, the writes that shared them, and the time they took.
func (j *Journal) Commits() (commits, writes int64, busy time.Duration) {
	for _, w := range j.writers {
		c, n, b := w.Counts()
		commits, writes, busy = commits+c, writes+n, busy+b
	}
	return commits, writes, busy
}

// Ping writes: whether the journal can be read says nothing about whether a cancellation can be accepted.
func (j *Journal) Ping(ctx context.Context) error { return j.seen(ctx) }

// seen says that this instance lives, and prolongs its leases.
func (j *Journal) seen(ctx context.Context) error {
	var (
		held  map[bridge.Key]string
		until term
	)
	err := j.write(ctx, "", func(t *tx) error {
		t.Exec(upsertInstance, j.instance, j.readClock(t))
		if j.shared != nil {
			held, until = j.shared.renew(t)
		}
		return nil
	}, nil)
	if err == nil {
		j.renewed(ctx, held, until)
	}
	return err
}

// unregister lets others take over at once what waits here, and after the settling time what was being sent.
func (j *Journal) unregister(ctx context.Context) error {
	return j.write(ctx, "", func(t *tx) error {
		t.Exec(`DELETE FROM instances WHERE id = $1`, j.instance)
		if j.shared != nil {
			t.Exec(endLeases, j.instance)
		}
		return nil
	}, nil)
}
