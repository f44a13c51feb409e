package upstream

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream/upstreamtest/memory"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// instance is another process on the same journal, or the same one started again.
func instance(t *testing.T, kept bridge.Sessions, seal []byte) *Shared {
	t.Helper()
	s := newShared()
	if err := s.Seal(kept, seal); err != nil {
		t.Fatal(err)
	}
	return s
}

func (a *teller) on(s *Shared) *Session[int] { return SessionFor(s, "c", a.login, Plain[int]()) }

func (a *teller) want(t *testing.T, logins int) {
	t.Helper()
	if n := len(a.asked()); n != logins {
		t.Errorf("%d logins, want %d", n, logins)
	}
}

func TestSealedSessionOutlivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, kept := &teller{lives: time.Hour}, &memory.Sessions{}
		for range 20 {
			get(t, a.on(instance(t, kept, key(1))), 1)
		}
		a.want(t, 1)
		time.Sleep(time.Hour)
		s := a.on(instance(t, kept, key(1)))
		get(t, s, 2) // the last token is what the login starts from
		if why := a.asked()[1]; why != Fresh {
			t.Errorf("after the session's end the login was for %v, want fresh", why)
		}
		if _, ok := s.End(); ok {
			t.Error("a session that the next start will use was given out to be logged out")
		}
	})
}

func TestInstancesShareOneLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, kept := &teller{takes: time.Second, lives: time.Hour, renew: 10 * time.Minute}, &memory.Sessions{}
		var all []*Session[int]
		for range 5 {
			all = append(all, a.on(instance(t, kept, key(1))))
		}
		together := func(want int) {
			var wg sync.WaitGroup
			for _, s := range all {
				for range 10 {
					wg.Go(func() { get(t, s, want) })
				}
			}
			wg.Wait()
		}
		together(1)
		a.want(t, 1)
		var wg sync.WaitGroup
		for _, s := range all { // the authority refuses the token, and everybody finds out
			wg.Go(func() {
				s.Drop(get(t, s, 1))
				get(t, s, 2)
			})
		}
		wg.Wait()
		a.want(t, 2)
		if why := a.asked()[1]; why != Rejected {
			t.Errorf("the refused token was replaced for %v", why)
		}
		time.Sleep(51 * time.Minute)
		together(2) // starts the renewal
		time.Sleep(putOff + time.Second)
		for _, s := range all {
			_, _, _ = s.Get(t.Context())
		}
		time.Sleep(time.Second)
		together(3)
		a.want(t, 3)
	})
}

// A start that finds a token which the authority refuses replaces it.
func TestARefusedTokenIsNotFoundAgain(t *testing.T) {
	a, kept := &teller{lives: time.Hour}, &memory.Sessions{}
	get(t, a.on(instance(t, kept, key(1))), 1)
	s := a.on(instance(t, kept, key(1)))
	s.Drop(get(t, s, 1))
	get(t, s, 2)
	get(t, a.on(instance(t, kept, key(1))), 2)
	a.want(t, 2)
}

func TestABlobRevealsNothingWithoutTheSeal(t *testing.T) {
	kept := &memory.Sessions{}
	login := func(context.Context, Why, string) (Lease[string], []bridge.Exchange, error) {
		return Lease[string]{Token: "very-secret-token", Until: time.Now().Add(time.Hour)}, nil, nil
	}
	for _, credential := range []string{"c", "d"} {
		if _, _, err := SessionFor(instance(t, kept, key(1)), credential, login, Plain[string]()).Get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := kept.Session(t.Context(), "c")
	d, _ := kept.Session(t.Context(), "d")
	for _, piece := range []string{"very", "secret", "token"} {
		if bytes.Contains(c.Sealed, []byte(piece)) {
			t.Errorf("the blob says %q", piece)
		}
	}
	head := len(sealVersion) + markLen
	if bytes.Contains(c.Sealed, key(1)[:4]) || bytes.Equal(c.Sealed[head:], d.Sealed[head:]) {
		t.Error("blobs show the seal, or that two tokens are the same")
	}
}

func TestWhatCantBeOpened(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
	}
	other := &memory.Sessions{}
	get(t, SessionFor(instance(t, other, key(1)), "d", (&teller{lives: time.Hour}).login, Plain[int]()), 1)
	foreign, _ := other.Session(t.Context(), "d")
	for name, tc := range map[string]struct {
		seal   byte
		change func([]byte) []byte
		spoilt int
	}{
		"another seal":         {2, flip(0), 0},
		"changed text":         {1, flip(-1), 1},
		"changed nonce":        {1, flip(len(sealVersion) + markLen), 1},
		"cut":                  {1, func(b []byte) []byte { return b[:8] }, 1},
		"emptied":              {1, func([]byte) []byte { return nil }, 0},
		"another credential's": {1, func([]byte) []byte { return foreign.Sealed }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a, kept := &teller{lives: time.Hour}, &memory.Sessions{}
			get(t, a.on(instance(t, kept, key(1))), 1)
			kept.Change("c", tc.change)
			var log strings.Builder
			shared := NewShared(nil, slog.New(slog.NewTextHandler(&log, nil)))
			if err := shared.Seal(kept, key(tc.seal)); err != nil {
				t.Fatal(err)
			}
			a.err = errors.New("down")
			s := a.on(shared)
			for range 3 {
				if h, _, err := s.Get(t.Context()); err == nil {
					t.Fatalf("found %d", h.Token)
				}
			}
			a.err = nil
			get(t, s, 1) // anew
			if n := strings.Count(log.String(), "tampered"); s.info().Spoilt != tc.spoilt || n != tc.spoilt {
				t.Errorf("counted %d and told %d times, want %d", s.info().Spoilt, n, tc.spoilt)
			}
			get(t, a.on(instance(t, kept, key(tc.seal))), 1)
		})
	}
	for _, n := range []int{0, 16, 31, 33} {
		if err := newShared().Seal(other, make([]byte, n)); err == nil {
			t.Errorf("a seal of %d bytes was taken", n)
		}
	}
}

// A login that fails, or whose process dies, holds the others up for no longer than it must.
func TestATurnIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, kept := &teller{lives: time.Hour, err: errors.New("down")}, &memory.Sessions{}
		if _, _, err := a.on(instance(t, kept, key(1))).Get(t.Context()); err == nil {
			t.Fatal("logged in")
		}
		a.err = nil
		start := time.Now()
		get(t, a.on(instance(t, kept, key(1))), 1)
		if took := time.Since(start); took > 0 {
			t.Errorf("after a login that failed another waited %s", took)
		}
		time.Sleep(2 * time.Hour)
		if ok, _ := kept.LogIn(t.Context(), "c", "one that dies", 1); !ok {
			t.Fatal("no turn")
		}
		start = time.Now()
		get(t, a.on(instance(t, kept, key(1))), 2)
		if took := time.Since(start); took > bridge.LoginTurn+time.Second {
			t.Errorf("after a login that died another waited %s", took)
		}
	})
}

// broken is a journal that can't be read.
type broken struct{ memory.Sessions }

func (*broken) Session(context.Context, string) (bridge.Session, error) {
	return bridge.Session{}, errors.New("disk")
}

// forgetful is a journal that can't be written when it matters.
type forgetful struct {
	memory.Sessions
	mended bool
}

func (f *forgetful) Keep(ctx context.Context, credential string, s bridge.Session) (bool, error) {
	if f.mended {
		return f.Sessions.Keep(ctx, credential, s)
	}
	return false, errors.New("disk")
}

func TestSealedSessionWithoutTheJournal(t *testing.T) {
	a := &teller{lives: time.Hour}
	_, _, err := a.on(instance(t, &broken{}, key(1))).Get(t.Context())
	if o := NotSent(err).Class; o != bridge.NotApplied || len(a.asked()) > 0 {
		t.Errorf("unreadable: %v after %d logins; want not applied after none", o, len(a.asked()))
	}
	s := a.on(instance(t, &forgetful{}, key(1)))
	get(t, s, 1)
	get(t, s, 1)
	a.want(t, 1)
	if _, ok := s.End(); !ok {
		t.Error("what nobody else can use was not given out to be logged out")
	}
}

// A session that could not be kept is renewed in its time, whatever shorter-lived one another instance has kept since.
func TestALongerSessionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, other := &teller{lives: 2 * time.Hour, renew: 10 * time.Minute}, &teller{lives: 115 * time.Minute}
		kept := &forgetful{}
		s := a.on(instance(t, kept, key(1)))
		get(t, s, 1)
		kept.mended = true
		get(t, other.on(instance(t, kept, key(1))), 1)
		time.Sleep(111 * time.Minute)
		get(t, s, 1) // starts the renewal
		time.Sleep(time.Second)
		get(t, s, 2)
		a.want(t, 2)
		get(t, other.on(instance(t, kept, key(1))), 2)
		other.want(t, 1)
	})
}
