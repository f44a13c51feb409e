//go:build unix

package journal_test

import (
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// An operator who can't wait for the next lookup has it made due, once nobody is at it.
func TestLookUpSoon(t *testing.T) {
	onBoth(t, func(b *bench) {
		later := now.Add(time.Hour)
		e := b.finish(b.begin("a", true), bridge.Open, unknown, lookupAt(later), release)
		if err := b.LookUpSoon(b.Context(), e.ID); err != nil {
			b.Fatal(err)
		}
		due, err := b.Due(b.Context(), time.Now().Add(time.Second), 10)
		if err != nil {
			b.Fatal(err)
		}
		b.same("due", documents(due), []string{"a"})
		b.finish(due[0], bridge.Final, cancelled, release)
		b.is(b.LookUpSoon(b.Context(), e.ID), bridge.ErrNotWaiting)
		b.is(b.LookUpSoon(b.Context(), 999), bridge.ErrNoEntry)
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

func TestCommits(t *testing.T) {
	onBoth(t, func(b *bench) {
		before, writesBefore, _ := b.Commits()
		b.begin("a", true)
		commits, writes, busy := b.Commits()
		b.same("commits", commits-before, int64(1))
		b.same("writes", writes-writesBefore, int64(1))
		if busy <= 0 {
			b.Error("commits take no time")
		}
	})
}
