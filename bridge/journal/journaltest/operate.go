package journaltest

import (
	"errors"
	"time"

	"einvoice-bridge/bridge"
)

// Resolve is an operator's word on an entry, by the rules of journal.Resolve.
func (m *Model) Resolve(id int64, o bridge.Outcome, by, why string, force bool) (bridge.Entry, error) {
	var date time.Time
	switch o.Class {
	case bridge.Cancelled:
		var err error
		if date, err = time.Parse(time.DateTime, o.Date); err != nil {
			return bridge.Entry{}, err
		}
		o.DateSource = bridge.DateOperator
	case bridge.Refused, bridge.NotApplied:
	default:
		return bridge.Entry{}, errors.New("model: that is no end")
	}
	return m.byHand(id, bridge.ResolveHand, o, by, why, func(e *bridge.Entry) error {
		switch {
		case e.Outcome.Class == bridge.Cancelled:
			return errors.New("model: it is cancelled, which is final")
		case force:
		case e.State == bridge.Sending:
			return errors.New("model: its cancel is on its way")
		case e.Outcome.Class == bridge.Refused && o.Class != bridge.Refused && e.ByHand() == nil:
			return errors.New("model: the authority refused it")
		case !date.IsZero() && date.Before(e.Created.Add(-24*time.Hour)):
			return errors.New("model: the date lies before the request")
		}
		return nil
	})
}

// Withdraw takes an entry that waits its turn back, as journal.Withdraw does.
func (m *Model) Withdraw(id int64, by string) (bridge.Entry, error) {
	o := bridge.Outcome{Class: bridge.NotApplied, Message: "withdrawn before it was sent"}
	return m.byHand(id, bridge.TakeBack, o, by, "withdrawn", func(e *bridge.Entry) error {
		if e.State != bridge.Accepted {
			return bridge.ErrNotWaiting
		}
		return nil
	})
}

func (m *Model) byHand(id int64, kind bridge.AttemptKind, o bridge.Outcome, by, why string, allow func(*bridge.Entry) error) (bridge.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id < 1 || id > int64(len(m.rows)) {
		return bridge.Entry{}, bridge.ErrNoEntry
	}
	r := m.rows[id-1]
	if err := allow(r); err != nil {
		return bridge.Entry{}, err
	}
	now := stored(time.Now())
	o.Exchanges = nil
	r.State, r.Outcome, r.NextLookup, r.Updated = bridge.Final, o, time.Time{}, now
	m.attempts++
	o.Alarm = why
	r.Attempts = append(r.Attempts, bridge.Attempt{
		ID: m.attempts, Kind: kind, Start: now, End: now, Outcome: o, By: by, Upstream: r.Upstream,
	})
	return clone(r), nil
}
