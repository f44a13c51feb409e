package journal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

const (
	// The oldest of the last $2 sends: while it is inside the window, the window is full.
	oldestSend  = `SELECT at FROM sends WHERE key = $1 ORDER BY at DESC LIMIT 1 OFFSET $2`
	insertSend  = `INSERT INTO sends (key, at) VALUES ($1, $2)`
	deleteSends = `DELETE FROM sends WHERE key = $1 AND at < $2`
	// After the clock was set back, sends of the future count as sent now, so that they age.
	clampSends = `UPDATE sends SET at = $2 WHERE key = $1 AND at > $2`

	bookAlone = `SELECT pg_advisory_xact_lock(hashtextextended('einvoice-bridge ' || $1, 0))`

	upsertGate = `INSERT INTO gates (credential, class, until, text) VALUES ($1, $2, $3, $4)
		ON CONFLICT (credential) DO UPDATE SET class = excluded.class, until = excluded.until, text = excluded.text
		WHERE excluded.until > gates.until`
	selectGates = `SELECT credential, class, until, text FROM gates WHERE until > $1`
)

// Take books one send under r if it fits into the sliding window now.
func (j *Journal) Take(ctx context.Context, r bridge.Rate) (wait time.Duration, err error) {
	if r.Limit <= 0 {
		return 0, nil
	}
	if j.booker == nil {
		return 0, fmt.Errorf("journal %s: it was opened for reading only", j.name)
	}
	err = j.booker.write(ctx, func(t *tx) error {
		wait = t.take(r)
		return nil
	}, nil)
	if err != nil {
		return 0, fmt.Errorf("booking a send under %s: %w", r.Key, err)
	}
	return wait, nil
}

// take looks at the send that is Limit sends back: while that is inside the window, the window is full. Its age is also
// how long to wait. The window is closed at both ends: a send exactly Per ago still counts.
func (t *tx) take(r bridge.Rate) time.Duration {
	if t.shared {
		t.exec(bookAlone, r.Key) // until the commit
	}
	now, per := t.now(), r.Per.Microseconds()
	var oldest int64
	full := t.one([]any{&oldest}, oldestSend, r.Key, r.Limit-1)
	if full && oldest > now {
		t.exec(clampSends, r.Key, now)
		oldest = now
	}
	if full && now-oldest <= per {
		return time.Duration(oldest+per-now+1) * time.Microsecond
	}
	t.exec(deleteSends, r.Key, now-per)
	t.exec(insertSend, r.Key, now)
	return 0
}

// gates are the closed gates, in memory because every call asks.
type gates struct {
	mu   sync.RWMutex
	shut map[string]bridge.Gate
	read time.Time // when; others may shut gates too
}

// gatesFresh is how long the gates are believed when other instances may shut some.
const gatesFresh = time.Second

// Shut closes the gate of a credential until g.Until. A gate that is shut for longer stays as it is.
func (j *Journal) Shut(ctx context.Context, credential string, g bridge.Gate) error {
	g.Until = at(micros(g.Until))
	err := j.write(ctx, "", func(t *tx) error {
		t.exec(upsertGate, credential, g.Class.String(), micros(g.Until), g.Text)
		return nil
	}, nil)
	if err != nil {
		return fmt.Errorf("shutting the gate of a credential: %w", err)
	}
	j.gates.mu.Lock()
	defer j.gates.mu.Unlock()
	j.gates.read = time.Time{} // read again
	return nil
}

// Gate returns the closed gate of a credential; ok is false when it is open. What another instance shut is seen within
// a second.
func (j *Journal) Gate(ctx context.Context, credential string) (g bridge.Gate, ok bool, err error) {
	now := time.Now()
	j.gates.mu.RLock()
	g, ok = j.gates.shut[credential]
	fresh := !j.gates.read.IsZero() && (j.shared == nil || now.Sub(j.gates.read) < gatesFresh)
	j.gates.mu.RUnlock()
	if !fresh {
		if err := j.readGates(ctx); err != nil {
			return bridge.Gate{}, false, err
		}
		j.gates.mu.RLock()
		g, ok = j.gates.shut[credential]
		j.gates.mu.RUnlock()
	}
	if !ok || !now.Before(g.Until) {
		return bridge.Gate{}, false, nil
	}
	return g, true, nil
}

// readGates reads all closed gates: there are as many as credentials in trouble, a handful.
func (j *Journal) readGates(ctx context.Context) error {
	j.gates.mu.Lock()
	defer j.gates.mu.Unlock()
	now := time.Now()
	if j.shared != nil && now.Sub(j.gates.read) < gatesFresh { // somebody else has read them meanwhile
		return nil
	}
	shut := map[string]bridge.Gate{}
	r := &reading{j: j, ctx: ctx}
	r.query(func(scan func(...any) error) error {
		var (
			credential, class, text string
			until                   int64
		)
		if err := scan(&credential, &class, &until, &text); err != nil {
			return err
		}
		c, err := bridge.ParseClass(class)
		shut[credential] = bridge.Gate{Class: c, Until: at(until), Text: text}
		return err
	}, selectGates, now.UnixMicro())
	if r.err != nil {
		return fmt.Errorf("reading which gates are shut: %w", j.explain(r.err))
	}
	j.gates.shut, j.gates.read = shut, now
	return nil
}
