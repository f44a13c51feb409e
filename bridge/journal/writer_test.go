//go:build unix

package journal_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// Writes that come in while the disk is busy share the next commit: fifty of them cost one fsync.
func TestGroupCommit(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	release := b.Hold()
	before, written, _ := b.Commits()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() { b.begin(fmt.Sprint("doc", i), true) })
	}
	b.soon("queued", func() bool { return b.Queued() == 50 })
	release()
	all.Wait()
	commits, writes, _ := b.Commits()
	b.same("commits: one that was held, one for the fifty", commits-before, int64(2))
	b.same("writes", writes-written, int64(51))
	for i := range 50 {
		b.find(fmt.Sprint("doc", i))
	}
}

// Ends that share a commit are appended in the order of their entries, whoever was first: two whose bodies are of the usual
// size fit a page of the file, and none is left half empty as it would be by rows that come between others.
func TestEndsFillTheirPages(t *testing.T) {
	const calls = 80
	b := newBench(t, sqliteDSN(t))
	var entries []bridge.Entry
	for i := range calls {
		entries = append(entries, b.begin(fmt.Sprint("doc", i), true))
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(calls, func(i, k int) { entries[i], entries[k] = entries[k], entries[i] })
	release := b.Hold()
	var all sync.WaitGroup
	for i, e := range entries {
		all.Go(func() {
			b.finish(e, bridge.Final, bridge.Outcome{Class: bridge.Cancelled}, func(f *bridge.Finish) {
				f.Asks = []bridge.Ask{{Ref: fmt.Sprint("ref", i), Entry: e.ID, How: bridge.FromUpstream, SOAPIn: make([]byte, 900), SOAPOut: make([]byte, 900)}}
			})
		})
		b.soon("queued", func() bool { return b.Queued() == i+1 })
	}
	release()
	all.Wait()
	pages, err := b.Leaves(b.Context(), "ends")
	b.is(err, nil)
	b.same("pages", pages, calls/2)
}

// A write that breaks its transaction takes nobody with it.
func TestBrokenWrite(t *testing.T) {
	onBoth(t, func(b *bench) {
		release := b.Hold()
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() { b.begin(fmt.Sprint("doc", i), true) })
		}
		all.Go(func() {
			if err := b.Do(b.Context(), "INSERT INTO gates (credential) VALUES ('x')"); err == nil {
				b.Error("a row without its columns went through")
			}
		})
		if !strings.HasPrefix(b.dsn, "postgres") { // there several writers share the work
			b.soon("queued", func() bool { return b.Queued() == 6 })
		}
		release()
		all.Wait()
		for i := range 5 {
			b.find(fmt.Sprint("doc", i))
		}
	})
}

// Whoever gives up before his write begins has written nothing, and the document is free.
func TestGiveUpWaiting(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	release := b.Hold()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, err := b.Begin(ctx, bridge.Begin{Entry: wish("a", "T1")})
	b.is(err, context.DeadlineExceeded)
	if !strings.Contains(err.Error(), "bridge.db") {
		t.Errorf("doesn't name the file: %v", err)
	}
	release()
	_, err = b.Find(t.Context(), wish("a", "T1").Key, "T1")
	b.is(err, bridge.ErrNoEntry)
	if _, created, err := b.Begin(t.Context(), bridge.Begin{Entry: wish("a", "T2")}); err != nil || !created {
		t.Error(created, err)
	}
}

// Whoever gives up in the middle of a commit is told that it was not written down. If it was after all, it is ended
// unsent: nothing is carried out after its caller was told otherwise.
func TestGiveUpCommitting(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	first := b.Hold()
	second := b.HoldNext()
	b.soon("queued", func() bool { return b.Queued() == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, _, err := b.Begin(ctx, bridge.Begin{Entry: wish("a", "T1")})
		failed <- err
	}()
	b.soon("queued", func() bool { return b.Queued() == 2 })
	first()
	b.soon("taken into the commit", func() bool { return b.Queued() == 0 })
	cancel()
	b.is(<-failed, context.Canceled)
	second()
	b.soon("ended", func() bool {
		e, err := b.Find(t.Context(), wish("a", "T1").Key, "T1")
		return err == nil && e.State == bridge.Final && e.Outcome.Class == bridge.NotApplied
	})
	b.soon("free again", func() bool {
		_, _, err := b.Begin(t.Context(), bridge.Begin{Entry: wish("a", "T2")})
		return err == nil
	})
}

// Nor does a booking stand that nobody heard of.
func TestGiveUpBooking(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	rate := bridge.Rate{Key: "k", Limit: 1, Per: time.Hour}
	first := b.Hold()
	second := b.HoldNext()
	b.soon("queued", func() bool { return b.Queued() == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, _, err := b.Take(ctx, rate, 1)
		failed <- err
	}()
	b.soon("queued", func() bool { return b.Queued() == 2 })
	first()
	b.soon("taken into the commit", func() bool { return b.Queued() == 0 })
	cancel()
	b.is(<-failed, context.Canceled)
	second()
	b.soon("given back", func() bool {
		_, wait, err := b.Take(t.Context(), rate, 1)
		return err == nil && wait == 0
	})
}

func TestWriteAfterClose(t *testing.T) {
	onBoth(t, func(b *bench) {
		if err := b.Close(); err != nil {
			b.Fatal(err)
		}
		if _, _, err := b.Begin(b.Context(), bridge.Begin{Entry: wish("a", "T1")}); err == nil {
			b.Error("written after the end")
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
