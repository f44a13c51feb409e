package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// What can be wrong with a token, beside an *OriginError. Any other error of Authenticate means that the journal could
// not be asked.
var (
	// ErrInvalid: nobody's, or revoked.
	ErrInvalid = errors.New("access token is invalid")
	// ErrExpired: was good once.
	ErrExpired = errors.New("access token has expired")
)

// whoTime is how long a call waits until the journal says whose its token is.
const whoTime = 10 * time.Second

// Authenticate finds the caller behind an access token.
func (a *Access) Authenticate(ctx context.Context, token string, from Origin) (*Caller, error) {
	if token == "" {
		return nil, ErrInvalid
	}
	digest := HashToken(token)
	c := a.byToken[digest]
	if c == nil {
		var err error
		if c, err = a.issued(ctx, digest); err != nil {
			return nil, err
		}
	}
	return c.at(from)
}

// issued finds the caller behind a token that was issued or adopted.
func (a *Access) issued(ctx context.Context, digest string) (*Caller, error) {
	t, err := a.lookup(ctx, digest)
	if err != nil {
		return nil, err
	}
	c := a.callers[t.Caller]
	switch {
	case c == nil || !t.Revoked.IsZero():
		return nil, ErrInvalid
	case !t.Expires.IsZero() && a.seen.passed() >= t.ends:
		return nil, ErrExpired
	}
	return c, nil
}

// lookup reads a token from the journal, or from memory when that was asked a moment ago. Calls for one token share
// one read, and it outlives a caller that hangs up.
func (a *Access) lookup(ctx context.Context, digest string) (sighting, error) {
	if t, ok := a.seen.get(digest); ok {
		return t, nil
	}
	read := a.reads.DoChan(digest, func() (any, error) {
		if t, ok := a.seen.get(digest); ok { // another call's read ended in between
			return t, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		asked, wall := a.seen.passed(), a.tokens.Now()
		t, err := a.tokens.Token(ctx, digest)
		if errors.Is(err, bridge.ErrNoEntry) {
			t, err = bridge.Token{}, nil // nobody's: remembered too, so that a wrong token costs one read
		}
		if err != nil {
			return sighting{}, fmt.Errorf("look up access token: %w", err)
		}
		return a.seen.put(digest, t, asked, wall), nil
	})
	waits, cancel := context.WithTimeout(ctx, whoTime) // not before: most calls ask nobody, and a timer costs as much as the rest
	defer cancel()
	select {
	case r := <-read:
		return r.Val.(sighting), r.Err
	case <-waits.Done():
		return sighting{}, fmt.Errorf("look up access token: %w", waits.Err())
	}
}

// Issued is a fresh access token.
type Issued struct {
	Token  string
	Life   time.Duration
	Caller string
}

// issue makes a token for a caller and keeps its hash.
func (a *Access) issue(ctx context.Context, caller string) (Issued, error) {
	token, now := NewToken(), a.tokens.Now()
	err := a.tokens.Issue(ctx, bridge.Token{Hash: HashToken(token), Caller: caller, Issued: now, Expires: now.Add(a.life)})
	if err != nil {
		return Issued{}, fmt.Errorf("issue access token: %w", err)
	}
	return Issued{token, a.life, caller}, nil
}

// Adopted is what a provider's token is labelled with.
const Adopted = "adopted"

// Adopt lets a token count as a caller's for ttl: one that the provider issued when access_new_token was relayed to
// it. It is kept like one of ours, hashed. A provider that hands out one token until it expires brings it here again
// and again; what is known and good stays as it is.
func (a *Access) Adopt(ctx context.Context, caller, token string, ttl time.Duration) error {
	if a.callers[caller] == nil || token == "" || ttl <= 0 {
		return errors.New("adopt access token: needs a caller, a token and a time to live")
	}
	now, digest := a.tokens.Now(), HashToken(token)
	err := a.tokens.Issue(ctx, bridge.Token{Hash: digest, Caller: caller, Issued: now, Expires: now.Add(ttl), Label: Adopted})
	a.seen.forget(digest)
	if err == nil {
		return nil
	}
	if c, _ := a.issued(ctx, digest); c != nil && c.Name == caller {
		return nil
	}
	return fmt.Errorf("adopt access token: %w", err)
}

// seen remembers what the journal said about tokens. A revocation must work everywhere within 5 s and the journal may
// itself answer from a memory of 3 s, so nothing is believed for longer than seenFor, counted from before the question.
//
// When a good token expires is counted from when it was seen first, by a clock that nobody sets: a wall clock that is set
// ahead for a while ends no token early. One that was behind then lets a token live for its whole life again, no longer.
type seen struct {
	passed func() time.Duration
	mu     sync.Mutex
	by     map[string]sighting
}

// sighting is a token as it was read, in terms of passed.
type sighting struct {
	bridge.Token
	until, ends time.Duration // it is believed, it expires
	good        bool          // it had not expired when it was seen first
}

const (
	seenFor  = time.Second
	seenMost = 10_000
)

func newSeen(passed func() time.Duration) *seen {
	return &seen{passed: passed, by: map[string]sighting{}}
}

func (s *seen) get(digest string) (sighting, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, ok := s.by[digest]
	return got, ok && s.passed() < got.until
}

// put remembers a token that was asked for at a time, which the wall clock called so.
func (s *seen) put(digest string, t bridge.Token, asked time.Duration, wall time.Time) sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.by) >= seenMost { // only guessing makes so many; what is lost is read again
		clear(s.by)
	}
	left := min(t.Expires.Sub(wall), t.Expires.Sub(t.Issued))
	now := sighting{t, asked + seenFor, asked + left, left > 0}
	if before, ok := s.by[digest]; ok && before.good && before.Expires.Equal(t.Expires) {
		now.ends, now.good = before.ends, true
	}
	s.by[digest] = now
	return now
}

func (s *seen) forget(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, digest)
}
