//go:build unix

package journal_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// Whatever comes in, in whatever order and from whomever: once Cancelled is Cancelled for good, it is never missed,
// and nothing but a send takes an ended entry up again.
func TestMergeProperties(t *testing.T) {
	ends := []bridge.Class{bridge.Cancelled, bridge.Refused, bridge.NotApplied, bridge.Misconfigured}
	rapid.Check(t, func(t *rapid.T) {
		e := bridge.Entry{State: bridge.Sending}
		proven := false
		for range rapid.IntRange(1, 20).Draw(t, "n") {
			f := bridge.Finish{
				State: rapid.SampledFrom([]bridge.State{bridge.Accepted, bridge.Sending, bridge.Open, bridge.Final}).Draw(t, "state"),
				Outcome: bridge.Outcome{
					Class: bridge.Class(rapid.IntRange(int(bridge.None), int(bridge.Unclear)).Draw(t, "class")),
					Date:  rapid.SampledFrom([]string{"", "2026-11-22 10:00:00", "2026-11-23 10:00:00"}).Draw(t, "date"),
				},
				NextLookup: now.Add(time.Hour), At: now,
			}
			held := rapid.Bool().Draw(t, "held")
			before := e
			journal.Merge(&e, &f, held)
			cancels := f.State == bridge.Final && f.Outcome.Class == bridge.Cancelled
			proven = proven || cancels
			changed := e.State != before.State || e.Outcome.Class != before.Outcome.Class || e.Outcome.Date != before.Outcome.Date

			switch {
			case proven && (e.State != bridge.Final || e.Outcome.Class != bridge.Cancelled):
				t.Fatalf("cancelled, but stands as %s %s", e.State, e.Outcome.Class)
			case before.Outcome.Class == bridge.Cancelled && changed:
				t.Fatalf("cancelled and changed from %+v to %+v", before.Outcome, e.Outcome)
			case !held && !cancels && changed:
				t.Fatal("changed by somebody without the lease")
			case before.State == bridge.Final && e.State != bridge.Final:
				t.Fatalf("taken up again as %s without a send", e.State)
			case e.State == bridge.Final && !slices.Contains(ends, e.Outcome.Class):
				t.Fatalf("ended as %s", e.Outcome.Class)
			case e.State == bridge.Open && e.Outcome.Class != bridge.Unknown:
				t.Fatalf("open with outcome %s", e.Outcome.Class)
			case (e.State == bridge.Accepted || e.State == bridge.Sending) && e.Outcome.Class != bridge.None:
				t.Fatalf("%s with outcome %s", e.State, e.Outcome.Class)
			case e.State != bridge.Open && !e.NextLookup.IsZero():
				t.Fatalf("%s with a lookup due", e.State)
			}
		}
	})
}
