package journal

import (
	"context"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal/engine"
	"einvoice-bridge/bridge/journal/postgres"
)

// clock is what instances agree on, in SQL.
const clock = postgres.Clock

const (
	// A lease may be taken over when it has run out, and, while something sent under it may still be under way,
	// the settling time later. Its owner takes it again at any time.
	takeLease = `INSERT INTO leases AS l (space, document, taxpayer, owner, until, waited)
		VALUES ($1, $2, $3, $4, ` + clock + ` + $5, false)
		ON CONFLICT (document, space) DO UPDATE SET taxpayer = excluded.taxpayer, owner = excluded.owner, until = excluded.until
		WHERE l.owner = excluded.owner AND l.taxpayer = excluded.taxpayer OR ` + clock + ` > l.until + CASE WHEN EXISTS (
			SELECT 1 FROM entries e LEFT JOIN ends x ON x.entry = e.id WHERE e.document = l.document AND e.space = l.space
			AND e.taxpayer = l.taxpayer AND COALESCE(x.state, 'sending') = 'sending') THEN $6::bigint ELSE 0 END`
	keepLease = `UPDATE leases SET until = ` + clock + ` + $5
		WHERE document = $2 AND space = $1 AND taxpayer = $3 AND owner = $4`
	dropLease = `DELETE FROM leases WHERE document = $2 AND space = $1 AND taxpayer = $3 AND owner = $4 RETURNING waited`
	// An instance's leases that are a third over, at once, and those that reach further ahead than a lease can: the
	// server's clock was set back. Those that some commit is busy with are left out: it renews or drops them itself, and
	// waiting for it could be waiting for each other.
	renewLeases = `UPDATE leases SET until = ` + clock + ` + $2 WHERE (document, space) IN (
		SELECT document, space FROM leases WHERE owner = $1 AND (until < ` + clock + ` + $3 OR until > ` + clock + ` + $2)
		FOR UPDATE SKIP LOCKED)
		RETURNING space, document, taxpayer`
	// Anybody's that reach so far ahead: their owners died before the clock was set back.
	boundLeases = `UPDATE leases SET until = ` + clock + ` + $1 WHERE (document, space) IN (
		SELECT document, space FROM leases WHERE until > ` + clock + ` + $1 FOR UPDATE SKIP LOCKED)`
	endLeases  = `UPDATE leases SET until = LEAST(until, ` + clock + `) WHERE owner = $1`
	awaitLease = `UPDATE leases SET waited = true WHERE document = $2 AND space = $1`

	channel = "einvoice_bridge_released"
	notify  = `SELECT pg_notify('` + channel + `', $1)`
)

const (
	// releasePoll is how long a wait for a lease lasts without news: it may have run out, which nobody announces.
	releasePoll = time.Second
	// leaseMost is further ahead than any lease reaches: Options.Lease must be shorter.
	leaseMost = 5 * time.Minute
)

// shared is what instances on one PostgreSQL agree on: rows that say who may send for which document. It is nil with
// SQLite, where there is one instance and its memory is enough.
type shared struct {
	server *postgres.Server
	read   *engine.Reader
	owner  string
	lease  time.Duration
	now    func() time.Time // this process's wall clock
	settle atomic.Int64     // a time.Duration
}

// term is that of a lease that is taken or renewed by a statement which leaves after this.
func (s *shared) term() term {
	return term{time.Now().Add(s.lease), s.now().Round(0).Add(s.lease)}
}

// drop gives a lease back and tells whoever waits for it; false when it had passed to somebody else.
func (s *shared) drop(t *tx, k bridge.Key, taxpayer string) bool {
	waited := false
	ok := t.One([]any{&waited}, dropLease, k.Space, k.Document, taxpayer, s.owner)
	if waited {
		t.Exec(notify, k.Space+"/"+k.Document)
	}
	return ok
}

// renew prolongs the leases of this instance that have been held for a while, and returns those: what is not among
// them was renewed just now, or has passed to somebody else.
func (s *shared) renew(t *tx) (held map[bridge.Key]string, until term) {
	held, until = map[bridge.Key]string{}, s.term()
	t.Exec(boundLeases, leaseMost.Microseconds())
	t.Query(func(scan func(...any) error) error {
		var (
			k        bridge.Key
			taxpayer string
		)
		err := scan(&k.Space, &k.Document, &taxpayer)
		held[k] = taxpayer
		return err
	}, renewLeases, s.owner, s.lease.Microseconds(), s.lease.Microseconds()*2/3)
	return held, until
}

// wait returns when the document's lease was given back or may have run out.
func (s *shared) wait(ctx context.Context, k bridge.Key) {
	news, stop := s.server.News(k.Space + "/" + k.Document)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, releasePoll)
	defer cancel()
	nobody := make(chan bool, 1)
	err := s.read.Within(ctx, func() error {
		r, err := s.read.DB.ExecContext(ctx, awaitLease, k.Space, k.Document)
		if err == nil {
			n, _ := r.RowsAffected()
			nobody <- n == 0
		}
		return err
	})
	if err == nil && <-nobody {
		return
	}
	if postgres.Moved(err) {
		s.server.Moved()
	}
	select {
	case <-news:
	case <-ctx.Done():
	}
}
