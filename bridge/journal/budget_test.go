//go:build unix

package journal_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// Never more than Limit in any window of length Per, whatever the rhythm of the asking and across restarts; and
// whoever waits as long as told gets his turn.
func TestBudgetWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sqliteDSN(t))
		n := 0
		rapid.Check(struct{ testing.TB }{t}, func(r *rapid.T) {
			n++
			rate := bridge.Rate{Key: fmt.Sprint(n), Limit: rapid.IntRange(1, 5).Draw(r, "limit"), Per: time.Minute}
			pauses := rapid.SliceOfN(rapid.IntRange(0, 20_000/rate.Limit), 5, 25).Draw(r, "ms")
			if n%20 == 0 {
				b.restart()
			}
			var sent []time.Time
			for i, ms := range pauses {
				time.Sleep(time.Duration(ms) * time.Millisecond)
				_, wait, err := b.Take(t.Context(), rate, bridge.Last)
				if err != nil {
					r.Fatal(err)
				}
				if wait > 0 && i%2 == 0 { // wait as told
					time.Sleep(wait)
					if _, wait, err = b.Take(t.Context(), rate, bridge.Last); wait > 0 || err != nil {
						r.Fatalf("told to wait, and then to wait %s more (%v)", wait, err)
					}
				}
				if wait == 0 {
					sent = append(sent, time.Now())
				}
				if n%20 == 0 && i == len(pauses)/2 {
					b.restart()
				}
			}
			for i := rate.Limit; i < len(sent); i++ {
				if d := sent[i].Sub(sent[i-rate.Limit]); d <= rate.Per {
					r.Fatalf("%d sends within %s", rate.Limit+1, d)
				}
			}
		})
	})
}

func TestBudgetWithoutLimit(t *testing.T) {
	onBoth(t, func(b *bench) {
		for range 3 {
			if _, wait, err := b.Take(b.Context(), bridge.Rate{Key: "k"}, bridge.Last); wait != 0 || err != nil {
				b.Fatal(wait, err)
			}
		}
	})
}

// Instances on one database share a budget, and each rate has its own.
func TestBudgetIsShared(t *testing.T) {
	t.Parallel()
	b := newBench(t, postgresJournal(t))
	instances := []*journal.Journal{b.Journal, b.open("two"), b.open("three")}
	var booked [2]atomic.Int64
	var all sync.WaitGroup
	for _, j := range instances {
		for range 20 {
			all.Go(func() {
				for k := range booked {
					_, wait, err := j.Take(t.Context(), bridge.Rate{Key: fmt.Sprint(k), Limit: 7 + k, Per: time.Minute}, bridge.Last)
					if err != nil {
						t.Error(err)
					} else if wait == 0 {
						booked[k].Add(1)
					} else if wait > time.Minute {
						t.Errorf("told to wait %s", wait)
					}
				}
			})
		}
	}
	all.Wait()
	for k := range booked {
		if n := booked[k].Load(); n != int64(7+k) {
			t.Errorf("%d sends under a limit of %d", n, 7+k)
		}
	}
}

func TestGates(t *testing.T) {
	onBoth(t, func(b *bench) {
		shut := func(minutes int, text string) bridge.Gate {
			g := bridge.Gate{Class: bridge.Misconfigured, Until: time.Now().Add(time.Duration(minutes) * time.Minute).UTC().Truncate(time.Microsecond), Text: text}
			if err := b.Shut(b.Context(), "cred", g); err != nil {
				b.Fatal(err)
			}
			return g
		}
		if _, ok, err := b.Gate(b.Context(), "cred"); ok || err != nil {
			b.Fatal(ok, err)
		}
		long := shut(5, "1005: invalid token")
		shut(1, "sooner")
		g, ok, err := b.Gate(b.Context(), "cred")
		if !ok || err != nil {
			b.Fatal(ok, err)
		}
		b.gate("the longer one stays", g, long)
		b.restart()
		g, _, _ = b.Gate(b.Context(), "cred")
		b.gate("also after a restart", g, long)
		if _, ok, _ := b.Gate(b.Context(), "another"); ok {
			b.Error("shut for everybody")
		}
	})
}

// gate compares gates whose times may have gone from one clock to another and back.
func (b *bench) gate(what string, got, want bridge.Gate) {
	b.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(time.Second)); diff != "" {
		b.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestGateOpensByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sqliteDSN(t))
		if err := b.Shut(t.Context(), "cred", bridge.Gate{Class: bridge.NotApplied, Until: time.Now().Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, ok, err := b.Gate(t.Context(), "cred"); ok || err != nil {
			t.Error(ok, err)
		}
	})
}

func TestTokens(t *testing.T) {
	onBoth(t, func(b *bench) {
		token := bridge.Token{Hash: "h1", Caller: "sap", Issued: now, Expires: time.Now().Add(4 * time.Hour).UTC().Truncate(time.Second), Label: "test"}
		if err := b.Issue(b.Context(), token); err != nil {
			b.Fatal(err)
		}
		if err := b.Issue(b.Context(), token); err == nil {
			b.Error("issued twice")
		}
		got, err := b.Token(b.Context(), "h1")
		b.is(err, nil)
		b.same("token", got, token)
		_, err = b.Token(b.Context(), "h2")
		b.is(err, bridge.ErrNoEntry)
		b.is(b.Revoke(b.Context(), "h2", "asha"), bridge.ErrNoEntry)
		b.is(b.Revoke(b.Context(), "h1", "asha"), nil)
		got, err = b.Token(b.Context(), "h1")
		if err != nil || got.Revoked.IsZero() {
			b.Error("not revoked at once where it was revoked", err)
		}
		b.restart()
		all, err := b.Issued(b.Context())
		if err != nil || len(all) != 1 {
			b.Fatal(all, err)
		}
		if used := all[0].Used; used.IsZero() || !used.Equal(used.Truncate(time.Minute)) {
			b.Errorf("used %s, want a full minute", used)
		}
	})
}

// A revocation from another process works within 5 s.
func TestRevokeElsewhere(t *testing.T) {
	onBoth(t, func(b *bench) {
		if err := b.Issue(b.Context(), bridge.Token{Hash: "h1", Caller: "sap", Issued: now}); err != nil {
			b.Fatal(err)
		}
		if _, err := b.Token(b.Context(), "h1"); err != nil {
			b.Fatal(err)
		}
		operator, err := journal.OpenBeside(b.Context(), b.dsn)
		if err != nil {
			b.Fatal(err)
		}
		defer operator.Close()
		if err := operator.Revoke(b.Context(), "h1", "asha"); err != nil {
			b.Fatal(err)
		}
		b.soon("revoked", func() bool {
			got, err := b.Token(b.Context(), "h1")
			return err == nil && !got.Revoked.IsZero()
		})
	})
}

func TestRoom(t *testing.T) {
	onBoth(t, func(b *bench) {
		rate := bridge.Rate{Key: "k", Limit: 2, Per: time.Minute}
		for want := 2; want >= 0; want-- {
			left, err := b.Room(b.Context(), rate)
			if err != nil || left != want {
				b.Fatalf("%d left, want %d: %v", left, want, err)
			}
			if _, _, err := b.Take(b.Context(), rate, bridge.Last); err != nil {
				b.Fatal(err)
			}
		}
	})
}
