package upstream

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"einvoice-bridge/bridge"
)

// Why tells a Login what it is for.
type Why uint8

// The reasons to log in.
const (
	// Fresh: nothing is held, or it has expired.
	Fresh Why = iota
	// Rejected: the authority refused the token that prev holds.
	Rejected
	// Renewal: prev still works and is about to expire; nobody waits for the result.
	Renewal
)

// Lease is what a login brought.
type Lease[T any] struct {
	Token T
	Until time.Time // local time from which on it is not used any more
	// Renew is the local time from which on a login in the background is worth trying; zero: never.
	Renew time.Time
}

// LeaseOf is the lease of a token that lives that long: renewed in its last five minutes, or its last quarter when that is
// shorter, and not used in the last fifth of those.
func LeaseOf[T any](token T, life time.Duration) Lease[T] {
	margin := min(5*time.Minute, life/4)
	end := time.Now().Add(life)
	return Lease[T]{Token: token, Until: end.Add(-margin / 5), Renew: end.Add(-margin)}
}

// Login logs in. prev is the last token, the zero value when there was none. ctx is nobody's deadline: a login
// serves all who wait for it. The exchanges go to the caller whose call started it. An error should be a *Failure.
type Login[T any] func(ctx context.Context, why Why, prev T) (Lease[T], []bridge.Exchange, error)

// Held is a session's token as one call uses it.
type Held[T any] struct {
	Token      T
	generation uint64
}

// Session keeps the token of one credential in memory and, with a seal, in the journal, where the next process and other
// instances find it. It is safe for concurrent use: at most one login runs, and everybody who needs it waits for that one.
type Session[T any] struct {
	login Login[T]
	form  Form[T]
	*holder[T]
}

// holder is what all sessions of one credential have in common.
type holder[T any] struct {
	log        *slog.Logger
	credential string
	vault      *vault // nil: sessions end with the process
	flight     singleflight.Group

	mu         sync.Mutex
	lease      Lease[T]
	generation uint64 // counts leases
	kept       int64  // the generation in the vault that the lease is; 0: it is in memory only
	logins     uint64
	spoilt     int       // sealed sessions that were tampered with
	spoiltIs   int64     // the generation of the last of them
	held       time.Time // until when a login that is needed is held back
	valid      bool      // the lease was not dropped
	rejected   bool      // the last lease was dropped, so the next login is for Rejected
	failed     int
	lastErr    error
}

// SessionInfo is a session as the console shows it.
type SessionInfo struct {
	Credential string
	Until      time.Time // zero: none is held
	Logins     uint64    // that succeeded
	Failed     int
	Spoilt     int // kept sessions that were ignored, since they were tampered with
	// Held is until when a login is held back that is needed now, so that nothing can be carried out or looked up; zero:
	// none is.
	Held      time.Time
	LastError string // of the last login, empty when it succeeded; no secret
}

// Get returns the token, logging in if need be. The exchanges are those of a login that this very call started. The
// error is a login's *Failure, or ctx's when that ended first; the login then goes on for the others.
func (s *Session[T]) Get(ctx context.Context) (Held[T], []bridge.Exchange, error) {
	if h, ok := s.current(); ok {
		return h, nil, nil
	}
	// A span for everybody who waits for it; its calls stand below one of them.
	traced, span := beginSpan(ctx, "login")
	defer span.End()
	for {
		if h, ok := s.current(); ok {
			return h, nil, nil
		}
		leader := false
		ch := s.flight.DoChan("", func() (any, error) {
			leader = true
			return s.logIn(context.WithoutCancel(traced)), nil
		})
		select {
		case <-ctx.Done():
			return Held[T]{}, nil, ctx.Err()
		case r := <-ch:
			l := r.Val.(landed[T])
			switch {
			case l.renewal && l.err != nil: // a failed renewal is nobody's answer
				continue
			case leader:
				return l.held, l.exchanges, l.err
			default:
				return l.held, nil, withoutExchanges(l.err)
			}
		}
	}
}

// Drop gives up a token that the authority refused, if it is still the one that was held: of many calls that are
// refused with the same token, the first one drops it and the others find the new one.
func (s *Session[T]) Drop(h Held[T]) { s.end(h, true) }

// Forget gives up a token that is suspect for another reason; the next login is a Fresh one.
func (s *Session[T]) Forget(h Held[T]) { s.end(h, false) }

// End forgets the token and returns it, for an adapter that logs out at an orderly shutdown; ok is false when none is
// held. A login that is under way is not waited for. A session that outlives the process is not ended: the next start and
// other instances go on with it.
func (s *Session[T]) End() (token T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.valid || s.kept != 0 {
		return token, false
	}
	token, s.valid = s.lease.Token, false
	s.lease = Lease[T]{}
	return token, true
}

func (s *Session[T]) end(h Held[T], rejected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.valid && s.generation == h.generation {
		s.valid, s.rejected = false, rejected
	}
}

// landed is how a flight ended.
type landed[T any] struct {
	held      Held[T]
	exchanges []bridge.Exchange
	err       error
	renewal   bool
}

// current returns the token while it may be used, and starts a renewal when its time has come.
func (s *Session[T]) current() (Held[T], bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !s.valid || !now.Before(s.lease.Until) {
		return Held[T]{}, false
	}
	if !s.lease.Renew.IsZero() && !now.Before(s.lease.Renew) {
		s.flight.DoChan("", func() (any, error) { return s.renew(), nil }) // joins a flight that is under way
	}
	return Held[T]{s.lease.Token, s.generation}, true
}

func (s *Session[T]) logIn(ctx context.Context) landed[T] {
	// Another flight may have landed between the look at the lease and the start of this one.
	if h, ok := s.current(); ok {
		return landed[T]{held: h}
	}
	h, found, after, err := s.await(ctx)
	if found || err != nil {
		return landed[T]{held: h, err: err}
	}
	s.mu.Lock()
	why, prev := Fresh, s.lease.Token
	if s.rejected {
		why = Rejected
	}
	s.mu.Unlock()
	lease, exchanges, err := s.login(ctx, why, prev)
	return landed[T]{held: s.keep(ctx, lease, after, err), exchanges: exchanges, err: err}
}

// renew tries once. When nothing better comes of it the old token is used to its end.
func (s *Session[T]) renew() landed[T] {
	ctx := context.Background()
	after, h, mine := s.renewal(ctx)
	if !mine {
		return h
	}
	s.mu.Lock()
	prev, generation := s.lease, s.generation
	s.mu.Unlock()
	lease, _, err := s.login(ctx, Renewal, prev.Token)
	if err == nil && !lease.Until.After(prev.Until) {
		err = errors.New("the authority gave no longer-lived session")
	}
	if err != nil {
		s.yield(ctx)
		s.log.Warn("session was not renewed", "credential", short(s.credential), "err", err)
		s.renewAt(generation, time.Time{})
		return landed[T]{err: err, renewal: true}
	}
	return landed[T]{held: s.keep(ctx, lease, after, nil), renewal: true}
}

// renewal takes the turn to renew, unless another instance has renewed or is about to: then mine is false.
func (s *Session[T]) renewal(ctx context.Context) (after int64, l landed[T], mine bool) {
	if s.vault == nil {
		return 0, l, true
	}
	s.mu.Lock()
	generation := s.generation
	s.mu.Unlock()
	h, found, after, err := s.find(ctx)
	if found {
		return after, landed[T]{held: h, renewal: true}, false
	}
	if err == nil {
		mine, err = s.vault.sessions.LogIn(ctx, s.credential, s.vault.who, after)
	}
	if !mine {
		s.renewAt(generation, time.Now().Add(putOff))
		if err == nil {
			err = errors.New("another instance renews the session")
		}
	}
	return after, landed[T]{err: err, renewal: true}, mine
}

// renewAt puts the next renewal of the lease off, if it is still that one.
func (s *Session[T]) renewAt(generation uint64, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation == generation {
		s.lease.Renew = next
	}
}

// keep notes how a login ended, here and in the vault.
func (s *Session[T]) keep(ctx context.Context, lease Lease[T], after int64, err error) Held[T] {
	kept := int64(0)
	if err != nil {
		s.yield(ctx)
	} else {
		kept = s.put(ctx, lease, after)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lastErr, s.held = err, heldUntil(err); err != nil {
		s.failed++
		return Held[T]{}
	}
	s.logins++
	s.kept = kept
	return s.set(lease)
}

// set needs the lock.
func (s *Session[T]) set(lease Lease[T]) Held[T] {
	s.lease, s.valid, s.rejected = lease, true, false
	s.generation++
	return Held[T]{lease.Token, s.generation}
}

func (s *holder[T]) info() SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := SessionInfo{Credential: s.credential, Logins: s.logins, Failed: s.failed, Spoilt: s.spoilt}
	switch now := time.Now(); {
	case s.valid && now.Before(s.lease.Until):
		i.Until = s.lease.Until
	case now.Before(s.held):
		i.Held = s.held
	}
	if s.lastErr != nil {
		i.LastError = s.lastErr.Error()
	}
	return i
}

// heldUntil is when a login may be tried that was not made: the authority allows few, or has asked us to wait.
func heldUntil(err error) time.Time {
	f, ok := errors.AsType[*Failure](err)
	if !ok || len(f.Outcome.Exchanges) > 0 || f.Outcome.Class != bridge.NotApplied || f.Outcome.RetryAfter <= 0 {
		return time.Time{}
	}
	return time.Now().Add(f.Outcome.RetryAfter)
}

// short is enough of a digest to tell credentials apart in a log.
func short(credential string) string { return credential[:min(12, len(credential))] }
