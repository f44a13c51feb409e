package flow

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// Settling: doubtful cancellations are looked up until the truth is known, by the caller's own repeat or in the
// background, and accepted ones that nobody carries any more are carried on with.

const (
	settleEvery = 2 * time.Second // how often the background looks for what is due
	settleBatch = 32              // lookups begun in one round
	strayWait   = time.Hour       // until an entry that can't be asked about is tried again
)

func (s *Service) settle() {
	defer s.work.end()
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for round := 1; ; round++ {
		select {
		case <-s.work.closing:
			return
		case <-tick.C:
		}
		s.lookDue()
		if round%5 == 0 { // an instance on the same journal may have died
			if err := s.adopt(); err != nil {
				s.observe.Alarm(bridge.Alarm{Kind: bridge.AlarmJournal, Text: "can't look for orphaned cancellations: " + err.Error()})
			}
		}
	}
}

// adopt starts a flight for every accepted entry that nobody carries. What was claimed before an error is carried, too.
func (s *Service) adopt() error {
	ctx, cancel := context.WithTimeout(s.ctx, 6*diskTime)
	defer cancel()
	entries, err := s.journal.Orphans(ctx, s.clock())
	for _, e := range entries {
		s.background(e, forTurn)
	}
	if err != nil {
		return fmt.Errorf("taking up what an earlier run left: %w", err)
	}
	return nil
}

func (s *Service) lookDue() {
	ctx, cancel := context.WithTimeout(s.ctx, diskTime)
	defer cancel()
	entries, err := s.journal.Due(ctx, s.clock(), settleBatch)
	for _, e := range entries {
		s.background(e, forTruth)
	}
	if err != nil {
		s.observe.Alarm(bridge.Alarm{Kind: bridge.AlarmJournal, Text: "can't read which lookups are due: " + err.Error()})
	}
}

// background starts a flight for an entry whose lease was claimed, unless its document is in flight anyway.
func (s *Service) background(e bridge.Entry, why errand) {
	terms := s.terms.Load()
	up, ok := terms.Route(e.Taxpayer)
	switch {
	case !ok:
		s.stray(e, "its taxpayer is no longer configured")
		return
	case up.Profile().Space != e.Key.Space:
		s.stray(e, fmt.Sprintf("its taxpayer's upstream is %s now, whose documents are others (%s, not %s)",
			up.Profile().Name, up.Profile().Space, e.Key.Space))
		return
	}
	// What a clock that was ahead has written down is bounded by what it can be at most.
	if most := s.clock().Add(terms.CarryOutWithin); e.Expires.After(most) {
		e.Expires = most
	}
	c := bridge.Cancellation{Taxpayer: e.Taxpayer, Document: e.Key.Document, Reason: e.Reason, Remarks: e.Remarks, Ref: e.Ref}
	f := &flight{
		matter: matter{key: e.Key, up: up, terms: terms, c: c, irn: e.IRN, caller: e.Caller},
		errand: why, entry: e, progress: progress{held: true}, promised: why == forTurn,
	}
	if g, mine := s.takeOff(f, nil); !mine && g.c.Taxpayer != e.Taxpayer { // a flight of his own holds the same lease and knows as much
		s.release(s.ctx, e)
	}
}

// stray puts an entry off that nobody can be asked about: its taxpayer may come back. It is on the list of open or
// waiting entries, and an operator is called once an hour.
func (s *Service) stray(e bridge.Entry, why string) {
	now := s.clock()
	fin := bridge.Finish{Entry: e.ID, At: now, Release: true, State: bridge.Open, NextLookup: now.Add(strayWait),
		Outcome: bridge.Outcome{Class: bridge.Unknown, Message: why}}
	kind := bridge.AlarmStray
	what := "a cancellation is not settled and can't be looked up: " + why + "; look the document up in the portal of " +
		e.Upstream + " and record what it shows (journal resolve)"
	if e.State == bridge.Accepted {
		if left := e.Expires.Sub(now); left > 0 && left <= 24*time.Hour { // more can only have been written by a wrong clock
			s.release(s.ctx, e)
			s.alarmStray(e, kind, "a cancellation waits and is not carried out: "+why)
			return
		}
		kind, what = bridge.AlarmExpired, "the cancellation was given up, unsent: "+why
		fin.State, fin.Outcome.Class, fin.NextLookup = bridge.Final, bridge.NotApplied, time.Time{}
	}
	ctx, cancel := context.WithTimeout(s.ctx, diskTime)
	defer cancel()
	if _, err := s.journal.Finish(ctx, &fin); err != nil {
		what += "; it can't be put off: " + err.Error()
	}
	s.alarmStray(e, kind, what)
}

func (s *Service) alarmStray(e bridge.Entry, kind bridge.AlarmKind, text string) {
	if last, ok := s.strays[e.ID]; ok && kind == bridge.AlarmStray && e.State == bridge.Accepted && time.Since(last) < strayWait {
		return // it is claimed and given back every few seconds
	}
	maps.DeleteFunc(s.strays, func(_ int64, last time.Time) bool { return time.Since(last) >= strayWait })
	s.strays[e.ID] = time.Now()
	s.observe.Alarm(bridge.Alarm{Kind: kind, Taxpayer: e.Taxpayer, Key: e.Key, Upstream: e.Upstream, Ref: e.Ref, Text: text})
}

// alarmAge calls an operator to a cancellation that the background has found doubtful for too long.
func (s *Service) alarmAge(f *flight) {
	age := s.clock().Sub(f.entry.FirstSend())
	if f.errand == forTruth && f.entry.State == bridge.Open && age >= alarmAge {
		s.alarm(&f.matter, bridge.AlarmOpen, fmt.Sprintf("doubtful for %s: look the document up in the authority's portal and record "+
			"what it shows (journal resolve)", age.Truncate(time.Minute)))
	}
}

// quiet knows since when this process has seen a document not cancelled after the last send that may have been carried
// out, by the monotonic clock: the record's times may have been set between two looks, so only looks of one process prove
// anything.
type quiet struct {
	mu    sync.Mutex
	since map[int64]silence // by entry
}

// silence began at a time, after a certain send.
type silence struct {
	send int64
	at   time.Time
}

// seen notes that the document was seen not cancelled now, or that the send was answered now, and returns for how long
// that has been so.
func (q *quiet) seen(entry, send int64) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	s, ok := q.since[entry]
	if !ok || s.send != send {
		if q.since == nil {
			q.since = map[int64]silence{}
		}
		s = silence{send, time.Now()}
		q.since[entry] = s
	}
	return time.Since(s.at)
}

// of is for how long nothing was seen of the send; 0 when nobody has looked.
func (q *quiet) of(entry, send int64) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s, ok := q.since[entry]; ok && s.send == send {
		return time.Since(s.at)
	}
	return 0
}

func (q *quiet) forget(entry int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.since, entry)
}
