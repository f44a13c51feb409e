package journal

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// Options are what a journal can be told; the zero value is good for one instance.
type Options struct {
	// Instance names this process for operators; host and process id by default.
	Instance string
}

// Journal is the record. Its methods are safe for concurrent use.
type Journal struct {
	name     string // the file or database, for errors
	instance string
	read     *sql.DB
	reads    statements
	writer   *writer
	leases   leases
	gates    gates
	tokens   tokenCache
	closers  []func() error // run last to first
	quit     chan struct{}
	done     chan struct{}
}

var (
	_ bridge.Journal = (*Journal)(nil)
	_ bridge.Tokens  = (*Journal)(nil)
	_ bridge.Budget  = (*Journal)(nil)
)

// Open opens the journal of a running service, creates it if need be and brings its tables up to date. dsn is
// "sqlite:path". A second Open of the same file, from any process, fails.
func Open(ctx context.Context, dsn string, o Options) (*Journal, error) {
	if o.Instance == "" {
		o.Instance = instanceName()
	}
	j := &Journal{instance: o.Instance, quit: make(chan struct{}), done: make(chan struct{})}
	j.leases = leases{byKey: map[bridge.Key]*lease{}, byEntry: map[int64]*lease{}}
	err := j.open(ctx, dsn)
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	go j.beat()
	return j, nil
}

func (j *Journal) open(ctx context.Context, dsn string) error {
	path, ok := strings.CutPrefix(dsn, "sqlite:")
	if !ok || path == "" {
		return errors.New(`journal: want "sqlite:path" or "postgres://…"`)
	}
	if err := j.openSQLite(ctx, path); err != nil {
		return err
	}
	if err := j.loadGates(ctx); err != nil {
		return err
	}
	return j.register(ctx)
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

// Close ends all writes and closes the database. What is in flight must have ended before.
func (j *Journal) Close() error {
	close(j.quit)
	<-j.done
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := j.flushTokens(ctx)
	return errors.Join(err, j.unregister(ctx), j.close())
}

func (j *Journal) close() error {
	var errs []error
	for i := len(j.closers) - 1; i >= 0; i-- {
		errs = append(errs, j.closers[i]())
	}
	return errors.Join(errs...)
}

const beatEvery = time.Minute

// beat does what has to happen now and then, until Close.
func (j *Journal) beat() {
	defer close(j.done)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.quit:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), beatEvery)
		_ = j.seen(ctx)        // tried again at the next beat
		_ = j.flushTokens(ctx) // likewise
		cancel()
	}
}

func (j *Journal) register(ctx context.Context) error {
	now := time.Now().UnixMicro()
	return j.writer.write(ctx, func(t *tx) error {
		t.exec(`DELETE FROM instances`) // the lock says that nobody else lives
		t.exec(`INSERT INTO instances (id, started, seen) VALUES ($1, $2, $2)`, j.instance, now)
		return nil
	}, nil)
}

// Ping writes: whether the journal can be read says nothing about whether a cancellation can be accepted.
func (j *Journal) Ping(ctx context.Context) error { return j.seen(ctx) }

func (j *Journal) seen(ctx context.Context) error {
	return j.writer.write(ctx, func(t *tx) error {
		t.exec(`UPDATE instances SET seen = $2 WHERE id = $1`, j.instance, time.Now().UnixMicro())
		return nil
	}, nil)
}

func (j *Journal) unregister(ctx context.Context) error {
	return j.writer.write(ctx, func(t *tx) error {
		t.exec(`DELETE FROM instances WHERE id = $1`, j.instance)
		return nil
	}, nil)
}
