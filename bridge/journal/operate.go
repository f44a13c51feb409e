package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal/place"
)

// Resolve settles an entry by hand: what the operator found out outside is evidence like any other. o is Cancelled
// (with the authority's date), Refused (with its text) or NotApplied; by and why are kept with it, and wherever it is told
// it is told as his word. What contradicts the record needs force; a Cancelled entry stays as it is all the same.
func (j *Journal) Resolve(ctx context.Context, id int64, o bridge.Outcome, by, why string, force bool) (bridge.Entry, error) {
	var cancelled time.Time
	switch o.Class {
	case bridge.Cancelled:
		var err error
		if cancelled, err = time.Parse(time.DateTime, o.Date); err != nil {
			return bridge.Entry{}, fmt.Errorf("resolving entry %d: callers are told the cancel date, give it as the authority shows it, such as 2026-04-01 15:04:05", id)
		}
		o.DateSource = bridge.DateOperator
	case bridge.Refused, bridge.NotApplied:
	default:
		return bridge.Entry{}, fmt.Errorf("resolving entry %d: %s is no end, use cancelled, refused or not_applied", id, o.Class)
	}
	return j.byHand(ctx, id, bridge.ResolveHand, o, by, why, func(e *bridge.Entry) error {
		switch {
		case e.Outcome.Class == bridge.Cancelled:
			return errors.New("it is cancelled, which is final")
		case force:
			return nil
		}
		return contradiction(e, o, cancelled)
	})
}

// contradiction is what speaks against an operator's word, and what he can do about it; nil when nothing does. cancelled
// is the date that he gives, zero for none. Dates are in the authority's zone, which may be a day from ours.
func contradiction(e *bridge.Entry, o bridge.Outcome, cancelled time.Time) error {
	switch {
	case e.State == bridge.Sending:
		return fmt.Errorf("its cancel is on its way right now: see how that ends (journal show %d), or insist with --yes", e.ID)
	case e.Outcome.Class == bridge.Refused && o.Class != bridge.Refused && e.ByHand() == nil:
		return fmt.Errorf("the authority refused it (%s): look at the document there again, and insist with --yes if it shows otherwise", e.Outcome.Message)
	case !cancelled.IsZero() && cancelled.Before(e.Created.Add(-24*time.Hour)):
		return fmt.Errorf("%s lies before the request of %s: check the date, and insist with --yes if it was cancelled before anybody asked us",
			o.Date, e.Created.Format(time.DateTime+" MST"))
	}
	return nil
}

// Withdraw takes an entry that waits its turn back: it will not be sent. ErrNotWaiting when it doesn't wait (any more).
func (j *Journal) Withdraw(ctx context.Context, id int64, by string) (bridge.Entry, error) {
	o := bridge.Outcome{Class: bridge.NotApplied, Message: "withdrawn before it was sent"}
	return j.byHand(ctx, id, bridge.TakeBack, o, by, "withdrawn", func(e *bridge.Entry) error {
		if e.State != bridge.Accepted {
			return bridge.ErrNotWaiting
		}
		return nil
	})
}

// LookUpSoon makes the next lookup of a doubtful entry due at once, for whichever instance comes to it first.
// ErrNotWaiting when nothing is in doubt.
func (j *Journal) LookUpSoon(ctx context.Context, id int64) error {
	err := j.write(ctx, "", func(t *tx) error {
		_, err := change(t, id, nil, func(r *entryRow) error {
			if r.State != bridge.Open {
				return bridge.ErrNotWaiting
			}
			r.NextLookup = at(t.Now())
			return nil
		})
		return err
	}, nil)
	if err != nil {
		return fmt.Errorf("entry %d: %w", id, err)
	}
	return nil
}

// byHand ends an entry by an operator's word or wish, if allow lets it. The version that guards every change makes a flight
// under way notice.
func (j *Journal) byHand(ctx context.Context, id int64, kind bridge.AttemptKind, o bridge.Outcome, by, why string, allow func(*bridge.Entry) error) (bridge.Entry, error) {
	word := o
	word.Alarm, word.Exchanges, o.Exchanges = why, nil, nil
	var rec *entryRow
	err := j.write(ctx, "", func(t *tx) (err error) {
		now := at(t.Now())
		rec, err = change(t, id, nil, func(r *entryRow) error {
			if err := allow(&r.Entry); err != nil {
				return err
			}
			r.State, r.Outcome, r.NextLookup, r.Updated = bridge.Final, o, time.Time{}, now
			return nil
		})
		if rec != nil {
			rec.Attempts = append(rec.Attempts, addAttempt(t, id, bridge.Attempt{
				Kind: kind, Start: now, End: now, Outcome: word, By: by, Upstream: rec.Upstream,
			}, nil))
			note(t, bridge.Deed{At: now, Who: by, What: bridge.DeedKind(kind), Entry: id, About: rec.Key.Document + ": " + o.Class.String() + ", " + why})
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
	err := place.CreatePrivate(part)
	if err == nil {
		err = j.read.Within(ctx, func() error {
			_, err := j.read.DB.ExecContext(ctx, `VACUUM INTO $1`, part)
			return err
		})
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
