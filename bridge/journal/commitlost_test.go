//go:build unix

package journal_test

import (
	"bytes"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// A cutter stands between a journal and PostgreSQL and ends one connection at its COMMIT, or lets nothing through.
type cutter struct {
	dsn    string
	when   atomic.Int32 // cutBefore or cutAfter, once
	frozen sync.RWMutex // locked while nothing gets through
}

// through carries bytes on, unless nothing gets through now.
func (c *cutter) through(to net.Conn, b []byte) error {
	c.frozen.RLock()
	defer c.frozen.RUnlock()
	_, err := to.Write(b)
	return err
}

const (
	cutBefore = iota + 1 // the server never hears of the COMMIT
	cutAfter             // the server has committed, and nobody hears of it
)

func newCutter(t *testing.T, dsn string) *cutter {
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	server, dir := filepath.Join(q.Get("host"), ".s.PGSQL.5432"), t.TempDir()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &cutter{dsn: u.String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(client, server)
		}
	}()
	return c
}

func (c *cutter) carry(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("unix", address)
	if err != nil {
		return
	}
	defer server.Close()
	var last atomic.Bool // the next answer is not to arrive
	go func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || last.Load() {
				return
			}
			if err := c.through(client, buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte("COMMIT\x00")) {
			switch c.when.Swap(0) {
			case cutBefore:
				return
			case cutAfter:
				last.Store(true)
			}
		}
		if err := c.through(server, buf[:n]); err != nil {
			return
		}
	}
}

// cutBench is a journal on PostgreSQL behind a cutter, with one writer or more, none of which has lost anything yet.
func cutBench(t *testing.T) (*bench, *cutter) {
	t.Parallel()
	c := newCutter(t, postgresJournal(t))
	b := &bench{T: t, dsn: c.dsn}
	var err error
	if b.Journal, err = journal.Open(t.Context(), c.dsn, journal.Options{Instance: "one", Lease: time.Minute}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, c
}

// A cancellation whose Begin failed is never carried out, whether the server had committed it or not: its caller was
// told that it was not cancelled. The document is free for the next call.
func TestBeginCommitLost(t *testing.T) {
	for name, when := range map[string]int32{"before": cutBefore, "after": cutAfter} {
		t.Run(name, func(t *testing.T) {
			b, c := cutBench(t)
			c.when.Store(when)
			_, _, err := b.Begin(t.Context(), bridge.Begin{SendNow: true, Entry: wish("doc", "T1")})
			if err == nil || c.when.Load() != 0 {
				t.Fatalf("the COMMIT was not lost: %v", err)
			}
			var e bridge.Entry
			created := false
			b.soon("the document is free", func() bool {
				e, created, err = b.Begin(t.Context(), bridge.Begin{Entry: wish("doc", "T1")})
				return err == nil && (created || e.State == bridge.Final)
			})
			if created != (when == cutBefore) {
				t.Errorf("created %v", created)
			}
			if !created && e.Outcome.Class != bridge.NotApplied {
				t.Errorf("it stands as %+v", e)
			}
		})
	}
}

// An outcome whose Finish failed can be finished again, and stands once, whether the server had committed it or not.
func TestFinishCommitLost(t *testing.T) {
	for name, when := range map[string]int32{"before": cutBefore, "after": cutAfter} {
		t.Run(name, func(t *testing.T) {
			b, c := cutBench(t)
			e := b.begin("doc", true)
			f := bridge.Finish{
				Entry: e.ID, Attempt: e.Attempts[0].ID, Result: cancelled, State: bridge.Final, Outcome: cancelled, At: now,
				Asks: []bridge.Ask{{
					Ref: "r1", Caller: "erp", Taxpayer: e.Taxpayer, Key: e.Key, Entry: e.ID, Received: now, ToldAt: now,
					Told: bridge.Answer{Class: bridge.Cancelled}, How: bridge.FromUpstream,
				}},
				Release: true,
			}
			c.when.Store(when)
			if _, err := b.Finish(t.Context(), &f); err == nil || c.when.Load() != 0 {
				t.Fatalf("the COMMIT was not lost: %v", err)
			} else if strings.Contains(err.Error(), "password") {
				t.Error(err)
			}
			got, err := b.Finish(t.Context(), &f)
			if err != nil {
				t.Fatal(err)
			}
			b.same("the outcome", got.Outcome, cancelled)
			stories, err := b.Show(t.Context(), "doc")
			if err != nil || len(stories) != 1 {
				t.Fatal(err, len(stories))
			}
			if n := len(stories[0].Asks); n != 1 {
				t.Errorf("the one call is told %d times", n)
			}
			if n := len(stories[0].Entry.Attempts); n != 1 {
				t.Errorf("the one send is told %d times", n)
			}
		})
	}
}

// A claim whose commit was lost keeps no lease, whether the server had committed it or not.
func TestClaimCommitLost(t *testing.T) {
	for name, claim := range map[string]func(*bench, bridge.Entry) error{
		"due": func(b *bench, _ bridge.Entry) error { _, err := b.Due(b.Context(), now, 1); return err },
		"begin": func(b *bench, e bridge.Entry) error {
			_, _, err := b.Begin(b.Context(), bridge.Begin{Entry: e})
			return err
		},
		"release": func(b *bench, e bridge.Entry) error {
			if _, err := b.Due(b.Context(), now, 1); err != nil {
				b.Fatal(err)
			}
			b.cutter.when.Store(cutBefore)
			return b.Release(b.Context(), e)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, c := cutBench(t)
			e := b.finish(b.begin("doc", true), bridge.Open, unknown, lookupAt(now), release)
			b.cutter = c
			if name != "release" {
				c.when.Store(cutAfter)
			}
			if err := claim(b, e); err == nil || c.when.Load() != 0 {
				t.Fatalf("the COMMIT was not lost: %v", err)
			}
			second := b.open("two")
			b.soon("free for others", func() bool {
				_, _, err := second.Begin(t.Context(), bridge.Begin{Entry: wish("doc", "T1")})
				return err == nil
			})
		})
	}
}

// A booking that nobody heard of is given back.
func TestTakeCommitLost(t *testing.T) {
	b, c := cutBench(t)
	rate := bridge.Rate{Key: "k", Limit: 1, Per: time.Hour}
	c.when.Store(cutAfter)
	if _, _, err := b.Take(t.Context(), rate, 1); err == nil || c.when.Load() != 0 {
		t.Fatalf("the COMMIT was not lost: %v", err)
	}
	b.soon("given back", func() bool {
		_, wait, err := b.Take(t.Context(), rate, 1)
		return err == nil && wait == 0
	})
}
