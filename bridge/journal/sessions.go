package journal

import (
	"context"
	"fmt"
	"time"

	"einvoice-bridge/bridge"
)

const (
	selectSession = `SELECT generation, until, renew, sealed FROM sessions WHERE credential = $1`
	// $5 is the end of the longest turn: one that reaches further was taken before the clock was set back.
	takeTurn = `INSERT INTO sessions AS s (credential, generation, until, renew, sealed, owner, turn)
		VALUES ($1, $3, 0, 0, $6, $2, $5)
		ON CONFLICT (credential) DO UPDATE SET owner = excluded.owner, turn = excluded.turn
		WHERE s.generation = $3 AND (s.owner IN ('', excluded.owner) OR s.turn < $4 OR s.turn > $5)`
	yieldTurn   = `UPDATE sessions SET owner = '' WHERE credential = $1 AND owner = $2`
	keepSession = `INSERT INTO sessions AS s (credential, generation, until, renew, sealed, owner, turn)
		VALUES ($1, $2, $3, $4, $5, '', 0)
		ON CONFLICT (credential) DO UPDATE SET generation = excluded.generation, until = excluded.until,
			renew = excluded.renew, sealed = excluded.sealed, owner = ''
		WHERE s.generation = excluded.generation - 1`
	// At the start of a process that has the file for itself: whoever was logging in is gone.
	endTurns = `UPDATE sessions SET owner = '' WHERE owner <> ''`
)

// Session implements bridge.Sessions.
func (j *Journal) Session(ctx context.Context, credential string) (bridge.Session, error) {
	var (
		s            bridge.Session
		until, renew int64
	)
	r := j.read.Point(ctx)
	clock := r.Now()
	r.Query(func(scan func(...any) error) error { return scan(&s.Generation, &until, &renew, &s.Sealed) }, selectSession, credential)
	if r.Err != nil {
		return bridge.Session{}, fmt.Errorf("reading a session: %w", j.explain(r.Err))
	}
	s.Until, s.Renew = j.local(until, clock), j.local(renew, clock)
	return s, nil
}

// local is a time of the clock that instances agree on, by this process's own.
func (j *Journal) local(us, clock int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return j.now().Round(0).Add(time.Duration(us-clock) * time.Microsecond)
}

// agreed is a time of this process's clock by the one that instances agree on, which says now.
func (j *Journal) agreed(t time.Time, now int64) int64 {
	if t.IsZero() {
		return 0
	}
	return now + t.Round(0).Sub(j.now().Round(0)).Microseconds()
}

// LogIn implements bridge.Sessions.
func (j *Journal) LogIn(ctx context.Context, credential, who string, generation int64) (ok bool, err error) {
	err = j.write(ctx, "", func(t *tx) error {
		now := t.Now()
		ok = t.Exec(takeTurn, credential, who, generation, now, now+bridge.LoginTurn.Microseconds(), []byte{}) == 1
		return nil
	}, func(committed bool) {
		if committed { // nobody knows of it
			later(func(ctx context.Context) { _ = j.Yield(ctx, credential, who) }) // else it ends by itself
		}
	})
	if err != nil {
		return false, fmt.Errorf("taking the turn to log in: %w", err)
	}
	return ok, nil
}

// Keep implements bridge.Sessions.
func (j *Journal) Keep(ctx context.Context, credential string, s bridge.Session) (ok bool, err error) {
	err = j.write(ctx, "", func(t *tx) error {
		now := t.Now()
		ok = t.Exec(keepSession, credential, s.Generation, j.agreed(s.Until, now), j.agreed(s.Renew, now), s.Sealed) == 1
		return nil
	}, nil)
	if err != nil {
		return false, fmt.Errorf("keeping a session: %w", err)
	}
	return ok, nil
}

// Yield implements bridge.Sessions.
func (j *Journal) Yield(ctx context.Context, credential, who string) error {
	_, err := j.put(ctx, "giving back the turn to log in", yieldTurn, credential, who)
	return err
}
