package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"einvoice-bridge/bridge"
)

// Resolve settles an entry by hand: what the operator found out outside is evidence like any other. o is Cancelled
// (with the authority's date), Refused (with its text) or NotApplied; by and why are kept with it. A Cancelled entry
// stays as it is.
func (j *Journal) Resolve(ctx context.Context, id int64, o bridge.Outcome, by, why string) (bridge.Entry, error) {
	switch {
	case o.Class != bridge.Cancelled && o.Class != bridge.Refused && o.Class != bridge.NotApplied:
		return bridge.Entry{}, fmt.Errorf("resolving entry %d: %s is no end, use cancelled, refused or not_applied", id, o.Class)
	case o.Class == bridge.Cancelled && o.Date == "":
		return bridge.Entry{}, fmt.Errorf("resolving entry %d: callers are told the cancel date, give it as the authority shows it", id)
	}
	return j.byHand(ctx, id, o, by, why, func(e *bridge.Entry) error {
		if e.Outcome.Class == bridge.Cancelled {
			return errors.New("it is cancelled, which is final")
		}
		return nil
	})
}

// Withdraw takes an entry that waits its turn back: it will not be sent. ErrNotWaiting when it doesn't wait (any more).
func (j *Journal) Withdraw(ctx context.Context, id int64, by string) (bridge.Entry, error) {
	o := bridge.Outcome{Class: bridge.NotApplied, Message: "withdrawn before it was sent"}
	return j.byHand(ctx, id, o, by, "withdrawn", func(e *bridge.Entry) error {
		if e.State != bridge.Accepted {
			return bridge.ErrNotWaiting
		}
		return nil
	})
}

// byHand ends an entry with an operator's word, if allow lets it. The version that guards every change makes a flight
// under way notice.
func (j *Journal) byHand(ctx context.Context, id int64, o bridge.Outcome, by, why string, allow func(*bridge.Entry) error) (bridge.Entry, error) {
	now := time.Now()
	if o.Class == bridge.Cancelled && o.DateSource == "" {
		o.DateSource = bridge.DateUpstream
	}
	word := o
	word.Alarm, word.Exchanges, o.Exchanges = why, nil, nil
	var rec *record
	err := j.write(ctx, "", func(t *tx) (err error) {
		rec, err = change(t, id, nil, updateOutcome, func(r *record) error {
			if err := allow(&r.Entry); err != nil {
				return err
			}
			r.State, r.Outcome, r.NextLookup, r.Updated = bridge.Final, o, time.Time{}, at(micros(now))
			return nil
		})
		if rec != nil {
			a := bridge.Attempt{Kind: bridge.ResolveHand, Start: at(micros(now)), End: at(micros(now)), Outcome: word, By: by, Upstream: rec.Upstream}
			a.ID, _ = t.insert(insertAttempt, id, string(a.Kind), micros(now), by, a.Upstream)
			t.exec(endAttempt, a.ID, id, micros(now), word.Class.String(), encodeOutcome(word), nil)
			rec.Attempts = append(rec.Attempts, a)
		}
		return err
	}, nil)
	if err != nil {
		return bridge.Entry{}, fmt.Errorf("entry %d: %w", id, err)
	}
	return rec.clone(), nil
}

// Backup writes a consistent copy of a running SQLite journal to path, which must not exist.
func (j *Journal) Backup(ctx context.Context, path string) error {
	if j.shared != nil {
		return errors.New("backup: this journal is a PostgreSQL database, use pg_dump")
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("backup: %s exists already", path)
	}
	part := path + ".part"
	if err := os.RemoveAll(part); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	err := private(part)
	if err == nil {
		_, err = j.read.ExecContext(ctx, `VACUUM INTO $1`, part)
	}
	if err == nil {
		err = syncFile(part)
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		_ = os.Remove(part)
		return fmt.Errorf("backup to %s: %w", path, err)
	}
	return nil
}

// syncFile makes a written file survive a power cut.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
