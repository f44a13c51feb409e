package upstream

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
)

// teller is an authority that gives out numbered tokens.
type teller struct {
	mu    sync.Mutex
	whys  []Why
	takes time.Duration // how long a login lasts
	lives time.Duration
	renew time.Duration // before the end
	err   error
}

func (a *teller) login(ctx context.Context, why Why, prev int) (Lease[int], []bridge.Exchange, error) {
	select {
	case <-time.After(a.takes):
	case <-ctx.Done():
		return Lease[int]{}, nil, ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.whys = append(a.whys, why)
	exchanges := []bridge.Exchange{{Purpose: "login"}}
	if a.err != nil {
		return Lease[int]{}, exchanges, a.err
	}
	lease := Lease[int]{Token: prev + 1, Until: time.Now().Add(a.lives)}
	if a.renew > 0 {
		lease.Renew = lease.Until.Add(-a.renew)
	}
	return lease, exchanges, nil
}

func (a *teller) asked() []Why {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.whys
}

func (a *teller) session() *Session[int] { return SessionFor(newShared(), "c", a.login, Plain[int]()) }

func get(t *testing.T, s *Session[int], want int) Held[int] {
	t.Helper()
	h, _, err := s.Get(t.Context())
	if err != nil || h.Token != want {
		t.Fatalf("Get = %d, %v; want %d", h.Token, err, want)
	}
	return h
}

func TestSessionLogsInOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &teller{takes: time.Second, lives: time.Hour}
		s := a.session()
		var wg sync.WaitGroup
		var mu sync.Mutex
		withExchanges := 0
		for range 50 {
			wg.Go(func() {
				h, exchanges, err := s.Get(t.Context())
				mu.Lock()
				defer mu.Unlock()
				withExchanges += len(exchanges)
				if err != nil || h.Token != 1 {
					t.Errorf("Get = %d, %v", h.Token, err)
				}
			})
		}
		wg.Wait()
		if len(a.asked()) != 1 || withExchanges != 1 {
			t.Errorf("%d logins, shown in %d calls; want one, shown to its starter", len(a.asked()), withExchanges)
		}
	})
}

func TestSessionOutlivesTheCallerThatStartedItsLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &teller{takes: 3 * time.Second, lives: time.Hour}
		s := a.session()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := s.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient caller got %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() { get(t, s, 1) })
		wg.Wait()
		if len(a.asked()) != 1 {
			t.Errorf("%d logins, want 1", len(a.asked()))
		}
	})
}

func TestSessionIsUsedUntilItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &teller{lives: time.Hour}
		s := a.session()
		get(t, s, 1)
		time.Sleep(time.Hour - 1)
		get(t, s, 1)
		time.Sleep(time.Nanosecond)
		get(t, s, 2)
	})
}

func TestSessionDropComparesGenerations(t *testing.T) {
	a := &teller{lives: time.Hour}
	s := a.session()
	old := get(t, s, 1)
	s.Drop(old)
	get(t, s, 2)
	s.Drop(old) // a late refusal of the first token
	get(t, s, 2)
	if got := a.asked(); len(got) != 2 || got[0] != Fresh || got[1] != Rejected {
		t.Errorf("logins for %v, want Fresh, Rejected", got)
	}
}

func TestSessionRenewsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &teller{takes: time.Second, lives: time.Hour, renew: 10 * time.Minute}
		s := a.session()
		get(t, s, 1)
		time.Sleep(51 * time.Minute)
		get(t, s, 1) // starts the renewal, doesn't wait for it
		get(t, s, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		get(t, s, 2)
		if got := a.asked(); len(got) != 2 || got[1] != Renewal {
			t.Errorf("logins for %v, want one renewal", got)
		}
	})
}

// A renewal that falls due while a login is in flight waits for that one, and is not forgotten after it.
func TestSessionRenewsAfterALoginWasInItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &teller{lives: time.Hour, renew: 10 * time.Minute}
		s := a.session()
		get(t, s, 1)
		time.Sleep(51 * time.Minute)
		// Somebody who saw no token starts a login when another one has landed: it finds the token, and the renewal due.
		<-s.flight.DoChan("", func() (any, error) { return s.logIn(t.Context()), nil })
		synctest.Wait()
		get(t, s, 1)
		synctest.Wait()
		get(t, s, 2)
	})
}

func TestSessionStopsRenewingWhenItBringsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &teller{lives: time.Hour, renew: 10 * time.Minute}
		s := a.session()
		get(t, s, 1)
		a.err = errors.New("down")
		for range 5 {
			time.Sleep(10*time.Minute + time.Second)
			get(t, s, 1)
			synctest.Wait()
		}
		if got := a.asked(); len(got) != 2 {
			t.Errorf("%d logins, want the first and one failed renewal", len(got))
		}
		a.err = nil
		time.Sleep(10 * time.Minute)
		get(t, s, 2)
	})
}

func TestSessionWaiterOfAFailedRenewalLogsInItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &teller{takes: time.Minute, lives: time.Hour, renew: 30 * time.Second}
		s := a.session()
		get(t, s, 1)
		time.Sleep(time.Hour - 20*time.Second)
		a.err = errors.New("down")
		get(t, s, 1) // the renewal starts and will fail after the token's end
		time.Sleep(30 * time.Second)
		var wg sync.WaitGroup
		wg.Go(func() { get(t, s, 2) })
		time.Sleep(31 * time.Second)
		a.mu.Lock()
		a.err = nil
		a.mu.Unlock()
		wg.Wait()
	})
}

func TestSessionShowsAFailedLoginInOneCallOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &teller{takes: time.Second}
		a.err = &Failure{bridge.Outcome{Class: bridge.Misconfigured, Message: "1008: no", Exchanges: []bridge.Exchange{{}}}}
		s := a.session()
		var wg sync.WaitGroup
		var mu sync.Mutex
		shown := 0
		for range 10 {
			wg.Go(func() {
				_, _, err := s.Get(t.Context())
				o := NotSent(err)
				mu.Lock()
				defer mu.Unlock()
				shown += len(o.Exchanges)
				if o.Class != bridge.Misconfigured || o.Message != "1008: no" {
					t.Errorf("outcome %+v", o)
				}
			})
		}
		wg.Wait()
		if shown != 1 || len(a.asked()) != 1 {
			t.Errorf("%d logins, shown in %d calls", len(a.asked()), shown)
		}
	})
}

func TestSessionsOfOneCredentialAreOne(t *testing.T) {
	shared := newShared()
	a := &teller{lives: time.Hour}
	first, second := SessionFor(shared, "c", a.login, Plain[int]()), SessionFor(shared, "c", a.login, Plain[int]())
	other := SessionFor(shared, "d", a.login, Plain[int]())
	get(t, first, 1)
	get(t, second, 1)
	if _, ok := other.current(); ok {
		t.Error("another credential has this one's session")
	}
	for _, info := range shared.Sessions() {
		if loggedIn := !info.Until.IsZero(); loggedIn != (info.Credential == "c") {
			t.Errorf("session %+v", info)
		}
	}
}

func TestDigest(t *testing.T) {
	if Digest("ab", "c") == Digest("a", "bc") || Digest("a") == Digest("a", "") || Digest("a", "b") == Digest("b", "a") {
		t.Error("two lists of fields have one digest")
	}
	if d := Digest("secret"); len(d) != 64 || strings.Contains(d, "secret") {
		t.Errorf("digest %q", d)
	}
}

func BenchmarkSessionGet(b *testing.B) {
	a := &teller{lives: time.Hour}
	s := a.session()
	b.ReportAllocs()
	for b.Loop() {
		s.Get(b.Context())
	}
	b.ReportMetric(1, "budget-µs/op")
	b.ReportMetric(0, "budget-allocs/op")
}
