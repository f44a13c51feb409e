//go:build unix

package journal_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

func rehearsedRefs(b *bench, since time.Time) (refs []string) {
	b.Helper()
	err := b.Rehearsed(b.Context(), since, func(c bridge.Rehearsed) error {
		refs = append(refs, c.Ref)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return refs
}

// What was rehearsed outlives the process, comes back as it was, oldest first, and goes when bodies go.
func TestRehearsed(t *testing.T) {
	onBoth(t, func(b *bench) {
		now := time.Now()
		full := bridge.Rehearsed{
			Ref: "new", At: now, Took: time.Second, From: "10.0.0.1", Caller: "sap", Taxpayer: "T1", Operation: "eInvoiceCancel", Ours: true, Refused: "no", Notes: []string{"é"},
			Request: bridge.Message{Path: "/einvoice", Size: 3, Headers: [][2]string{{"A", "b"}}, Body: "<a>\u00e9</a>"}, Answer: bridge.Message{Status: 200, Body: "x"}, Lost: 2,
		}
		calls := []bridge.Rehearsed{{Ref: "old", At: now.AddDate(0, 0, -40)}, {Ref: "recent", At: now.AddDate(0, 0, -20)}, full}
		if err := b.Rehearse(b.Context(), calls); err != nil {
			b.Fatal(err)
		}
		b.restart()
		if got := rehearsedRefs(b, time.Time{}); !slices.Equal(got, []string{"old", "recent", "new"}) {
			b.Errorf("kept are %v", got)
		}
		if got := rehearsedRefs(b, now.AddDate(0, 0, -30)); !slices.Equal(got, []string{"recent", "new"}) {
			b.Errorf("since 30 days: %v", got)
		}
		var got bridge.Rehearsed
		stop := errors.New("enough")
		err := b.Rehearsed(b.Context(), now.Add(-time.Minute), func(c bridge.Rehearsed) error { got = c; return stop })
		if got.At = got.At.UTC(); err != stop || got.ID == 0 || !got.At.Equal(full.At) {
			b.Errorf("%v: %+v", err, got)
		}
		full.ID, full.At = got.ID, got.At
		b.same("the whole call", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", full))
		if n, err := b.Prune(b.Context(), 400*24*time.Hour, 30*24*time.Hour); err != nil || n != 1 {
			b.Errorf("pruned %d, %v", n, err)
		}
		if got := rehearsedRefs(b, time.Time{}); !slices.Equal(got, []string{"recent", "new"}) {
			b.Errorf("after pruning: %v", got)
		}
	})
}

// However long a rehearsal takes, the oldest make room.
func TestRehearsedIsBounded(t *testing.T) {
	onBoth(t, func(b *bench) {
		const most, more = 20_000, 500
		batch := make([]bridge.Rehearsed, more)
		for n := 0; n < most+more; n += more {
			for i := range batch {
				batch[i] = bridge.Rehearsed{Ref: fmt.Sprint(n + i), At: time.Now()}
			}
			if err := b.Rehearse(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
		got := rehearsedRefs(b, time.Time{})
		if len(got) != most || got[0] != fmt.Sprint(more) {
			b.Errorf("%d are kept, from %s on", len(got), got[0])
		}
	})
}
