package journal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

const (
	// The newest send, and the oldest of the last $2: while that one is inside the window, the window is full.
	selectWindow = `SELECT COALESCE((SELECT at FROM sends WHERE key = $1 ORDER BY at DESC LIMIT 1), 0),
		COALESCE((SELECT at FROM sends WHERE key = $1 ORDER BY at DESC LIMIT 1 OFFSET $2), 0)`
	// The same, the time, and whether another instance waits with a lower turn. A head further ahead than it can be was
	// noted before the server's clock was set back.
	selectWindowShared = selectWindow + `, ` + clock + `, EXISTS (SELECT 1 FROM heads WHERE key = $1 AND instance <> $3
		AND entry < $4 AND until > ` + clock + ` AND until <= ` + clock + ` + $5)`
	bookedSends = `SELECT count(*) FROM sends WHERE key = $1 AND at > $2`
	insertSend  = `INSERT INTO sends (key, at, booked) VALUES ($1, $2, $2)`
	deleteSends = `DELETE FROM sends WHERE key = $1 AND at < $2`
	// After the clock was set back, sends of the future count as sent now, so that they age.
	clampSends = `UPDATE sends SET at = $2 WHERE key = $1 AND at > $2`
	// Two bookings of one name are one as good as the other.
	returnSend = `DELETE FROM sends WHERE %[1]s = (SELECT %[1]s FROM sends WHERE key = $1 AND booked = $2 LIMIT 1)`

	bookAlone = `SELECT pg_advisory_xact_lock(hashtextextended('einvoice-bridge ' || $1, 0))`
	noteHead  = `INSERT INTO heads (key, instance, entry, until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (key, instance) DO UPDATE SET entry = excluded.entry, until = excluded.until`
	deleteHead = `DELETE FROM heads WHERE key = $1 AND (instance = $2 OR until < $3)` // and those of the long dead

	upsertGate = `INSERT INTO gates (credential, class, until, text) VALUES ($1, $2, $3, $4)
		ON CONFLICT (credential) DO UPDATE SET class = excluded.class, until = excluded.until, text = excluded.text
		WHERE excluded.until > gates.until`
	selectGates = `SELECT credential, class, until, text FROM gates WHERE until > $1`
	// Gates that a clock which was ahead has shut.
	clampGates = `UPDATE gates SET until = $1 WHERE until > $1`
)

// Who waits for a rate on PostgreSQL asks again at least every askAgain, and counts as waiting for headFresh after that:
// an instance that dies holds nobody up for longer.
const (
	headFresh  = 2 * time.Second
	askAgain   = time.Second
	behindWait = 100 * time.Millisecond // of one who is behind another instance's
)

// gateMost is how far ahead a gate can be shut.
const gateMost = time.Hour

// Take books one send under r if it fits into the sliding window now, and no other instance waits for r with a lower
// turn. What waits here is the caller's to keep in order.
func (j *Journal) Take(ctx context.Context, r bridge.Rate, turn int64) (time.Time, time.Duration, error) {
	if r.Limit <= 0 {
		return time.Time{}, 0, nil
	}
	if j.booker == nil {
		return time.Time{}, 0, fmt.Errorf("journal %s: it was opened for reading only", j.name)
	}
	if err := j.follow(ctx); err != nil {
		return time.Time{}, 0, err
	}
	var (
		booked time.Time
		wait   time.Duration
	)
	err := j.booker.Write(ctx, 0, func(t *tx) error {
		booked, wait = j.book(t, r, turn)
		return nil
	}, func(committed bool) {
		if committed && !booked.IsZero() { // nobody knows of it
			later(func(ctx context.Context) { _ = j.Return(ctx, r, booked) }) // else it ages
		}
	})
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("booking a send under %s: %w", r.Key, err)
	}
	return booked, wait, nil
}

// book looks at the send that is Limit sends back: while that is inside the window, the window is full. Its age is also
// how long to wait. The window is closed at both ends: a send exactly Per ago still counts.
func (j *Journal) book(t *tx, r bridge.Rate, turn int64) (booked time.Time, wait time.Duration) {
	now, newest, oldest, behind := j.window(t, r, turn)
	if newest > now {
		t.Exec(clampSends, r.Key, now)
		oldest = min(oldest, now)
	}
	switch per := r.Per.Microseconds(); {
	case oldest > 0 && now-oldest <= per:
		wait = time.Duration(oldest+per-now+1) * time.Microsecond
	case behind:
		wait = behindWait
	default:
		t.Exec(deleteSends, r.Key, now-per)
		t.Exec(insertSend, r.Key, now)
		booked = at(now)
	}
	if !t.Shared || turn == bridge.Last {
		return booked, wait
	}
	if wait == 0 {
		t.Exec(deleteHead, r.Key, j.instance, now-time.Minute.Microseconds())
		return booked, 0
	}
	t.Exec(noteHead, r.Key, j.instance, turn, now+headFresh.Microseconds())
	return booked, min(wait, askAgain)
}

// window reads what decides on a booking. All instances take turns here, up to their commits.
func (j *Journal) window(t *tx, r bridge.Rate, turn int64) (now, newest, oldest int64, behind bool) {
	if !t.Shared {
		t.One([]any{&newest, &oldest}, selectWindow, r.Key, r.Limit-1)
		return t.Now(), newest, oldest, false
	}
	t.Exec(bookAlone, r.Key)
	t.One([]any{&newest, &oldest, &now, &behind}, selectWindowShared, r.Key, r.Limit-1, j.instance, turn, headFresh.Microseconds())
	return now, newest, oldest, behind
}

// Room tells how many sends r has room for now, without booking one.
func (j *Journal) Room(ctx context.Context, r bridge.Rate) (int, error) {
	booked := 0
	q := j.read.Whole(ctx)
	q.Query(func(scan func(...any) error) error { return scan(&booked) }, bookedSends, r.Key, q.Now()-r.Per.Microseconds())
	if q.Err != nil {
		return 0, fmt.Errorf("reading what is left of %s: %w", r.Key, j.explain(q.Err))
	}
	return max(r.Limit-booked, 0), nil
}

// Return gives back a booking under which nothing was sent. One that is gone already is no error.
func (j *Journal) Return(ctx context.Context, r bridge.Rate, booked time.Time) error {
	if booked.IsZero() {
		return nil
	}
	if j.booker == nil {
		return fmt.Errorf("journal %s: it was opened for reading only", j.name)
	}
	err := j.booker.Write(ctx, 0, func(t *tx) error {
		row := "rowid"
		if t.Shared {
			row = "ctid"
		}
		t.Exec(fmt.Sprintf(returnSend, row), r.Key, micros(booked))
		return nil
	}, nil)
	if err != nil {
		return fmt.Errorf("giving a booking under %s back: %w", r.Key, err)
	}
	return nil
}

// gates are the closed gates, in memory because every call asks.
type gates struct {
	turn chan struct{} // taken by whoever reads them
	mu   sync.RWMutex
	shut map[string]bridge.Gate // Until by this process's clock
	read time.Time              // when; others may shut gates too
	news int                    // how many were shut here
}

// gatesFresh is how long the gates are believed when other instances may shut some.
const gatesFresh = time.Second

// Shut closes the gate of a credential until g.Until, at most for an hour. A gate that is shut for longer stays as it is.
func (j *Journal) Shut(ctx context.Context, credential string, g bridge.Gate) error {
	left := min(g.Until.Round(0).Sub(j.now().Round(0)), gateMost)
	err := j.write(ctx, "", func(t *tx) error {
		t.Exec(upsertGate, credential, g.Class.String(), t.Now()+left.Microseconds(), g.Text)
		return nil
	}, nil)
	if err != nil {
		return fmt.Errorf("shutting the gate of a credential: %w", err)
	}
	j.gates.again()
	return nil
}

// again has them read again.
func (gs *gates) again() {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.read = time.Time{}
	gs.news++
}

// Gate returns the closed gate of a credential; ok is false when it is open. What another instance shut is seen within
// a second.
func (j *Journal) Gate(ctx context.Context, credential string) (bridge.Gate, bool, error) {
	if err := j.follow(ctx); err != nil {
		return bridge.Gate{}, false, err
	}
	now := j.now().Round(0)
	g, fresh := j.gates.get(credential, j.shared != nil)
	if !fresh || g.Until.After(now.Add(gateMost)) { // the clock was set back
		if err := j.readGates(ctx); err != nil {
			return bridge.Gate{}, false, err
		}
		g, _ = j.gates.get(credential, false)
	}
	if !now.Before(g.Until) {
		return bridge.Gate{}, false, nil
	}
	return g, true, nil
}

// get is what is known of a gate; zero: it is open. fresh says that nobody need read them again.
func (gs *gates) get(credential string, shared bool) (g bridge.Gate, fresh bool) {
	gs.mu.RLock()
	defer gs.mu.RUnlock()
	return gs.shut[credential], !gs.read.IsZero() && (!shared || time.Since(gs.read) < gatesFresh)
}

// readGates reads all closed gates, unless somebody else has just done so: there are as many as credentials in trouble,
// a handful.
func (j *Journal) readGates(ctx context.Context) error {
	asked := time.Now()
	select {
	case j.gates.turn <- struct{}{}:
		defer func() { <-j.gates.turn }()
	case <-ctx.Done():
		return fmt.Errorf("reading which gates are shut: %w", j.explain(ctx.Err()))
	}
	j.gates.mu.Lock()
	began, news, done := time.Now(), j.gates.news, j.gates.read.After(asked)
	j.gates.mu.Unlock()
	if done {
		return nil
	}
	shut, err := j.shutGates(ctx)
	if err != nil {
		return fmt.Errorf("reading which gates are shut: %w", j.explain(err))
	}
	j.gates.mu.Lock()
	defer j.gates.mu.Unlock()
	if j.gates.shut = shut; j.gates.news == news {
		j.gates.read = began
	}
	return nil
}

// shutGates reads them from the database, and bounds what a clock that was ahead has shut for longer than it could: on
// disk, so that it runs out.
func (j *Journal) shutGates(ctx context.Context) (map[string]bridge.Gate, error) {
	shut, r := map[string]bridge.Gate{}, j.read.Point(ctx)
	clock := r.Now()
	most, far := clock+gateMost.Microseconds(), false
	r.Query(func(scan func(...any) error) error {
		var (
			credential, class, text string
			until                   int64
		)
		if err := scan(&credential, &class, &until, &text); err != nil {
			return err
		}
		far = far || until > most
		left := time.Duration(min(until, most)-clock) * time.Microsecond
		c, err := bridge.ParseClass(class)
		shut[credential] = bridge.Gate{Class: c, Until: at(micros(j.now().Add(left))), Text: text}
		return err
	}, selectGates, clock)
	if r.Err == nil && far {
		_, _ = j.put(ctx, "bounding gates", clampGates, most) // when it can't, whoever reads them next tries again
	}
	return shut, r.Err
}
