// Package postgres is the way to a PostgreSQL server: the connections that an instance has, what they must be set to and
// be held to, and whether they are sessions at all (session.go); that they are taken anew after a switchover, and what is
// heard over them (server.go); what the server's errors mean. It knows nothing of tables.
package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// How many connections an instance uses.
const (
	Writers     = 2 // more only make the transactions smaller (measured)
	Readers     = 8
	Connections = Writers + Readers + 2 // with the one that books and the one that listens
)

// Clock is the server's own in SQL, in microseconds: instances agree on it whatever their own clocks say.
const Clock = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

// Server is where an instance has its connections from, and what it hears from there.
type Server struct {
	config *pgx.ConnConfig

	era     atomic.Int64 // grows with each switchover
	mu      sync.Mutex
	waiters map[string]map[chan struct{}]bool
	rehear  context.CancelFunc // listens anew; nil while nobody listens
}

// New reads a DSN; it connects to nothing.
func New(dsn string) (*Server, error) {
	c, err := config(dsn)
	if err != nil {
		return nil, err
	}
	return &Server{config: c, waiters: map[string]map[chan struct{}]bool{}}, nil
}

// Name is the server's address and the database.
func (s *Server) Name() string {
	return fmt.Sprintf("%s/%s", net.JoinHostPort(s.config.Host, fmt.Sprint(s.config.Port)), s.config.Database)
}

// Connect makes a connection.
func (s *Server) Connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, s.config.Copy())
}

// Pool has up to n connections, none of which is of before a switchover.
func (s *Server) Pool(n int) *sql.DB {
	db := stdlib.OpenDB(*s.config, stdlib.OptionAfterConnect(s.born), stdlib.OptionResetSession(s.current))
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db
}

// PatientPool has connections that wait for a lock or a statement for as long as it takes.
func (s *Server) PatientPool() *sql.DB {
	c := s.config.Copy()
	c.AfterConnect = settings{"statement_timeout": "0", "lock_timeout": "0", "synchronous_commit": "on"}.hold
	return stdlib.OpenDB(*c)
}

const eraKey = "einvoice-bridge era"

// Moved has every connection taken anew: what one of them met, the others have before them.
func (s *Server) Moved() {
	s.era.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rehear != nil {
		s.rehear()
	}
}

// born notes since when a connection of a pool is there.
func (s *Server) born(_ context.Context, c *pgx.Conn) error {
	c.PgConn().CustomData()[eraKey] = s.era.Load()
	return nil
}

// current has a connection of before a switchover thrown away.
func (s *Server) current(_ context.Context, c *pgx.Conn) error {
	if era, _ := c.PgConn().CustomData()[eraKey].(int64); era != s.era.Load() {
		return driver.ErrBadConn
	}
	return nil
}

// News is a channel on which is heard, from now until stop, that somebody has notified of name.
func (s *Server) News(name string) (news <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiters[name] == nil {
		s.waiters[name] = map[chan struct{}]bool{}
	}
	s.waiters[name][c] = true
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.waiters[name], c); len(s.waiters[name]) == 0 {
			delete(s.waiters, name)
		}
	}
}

func (s *Server) wake(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for news := range s.waiters[name] {
		select {
		case news <- struct{}{}:
		default:
		}
	}
}

// Listen hears what is notified on the channel, by a connection of its own, until ctx is over. While that is broken it
// tries again every so often.
func (s *Server) Listen(ctx context.Context, channel string, every time.Duration) {
	for ctx.Err() == nil {
		s.hear(ctx, channel)
		select {
		case <-time.After(every):
		case <-ctx.Done():
		}
	}
}

// hear passes news on until the connection breaks.
func (s *Server) hear(ctx context.Context, channel string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.rehear = cancel
	s.mu.Unlock()
	c, err := s.Connect(ctx)
	if err != nil {
		return
	}
	defer c.Close(context.WithoutCancel(ctx))
	if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
		return
	}
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return
		}
		s.wake(n.Payload)
	}
}
