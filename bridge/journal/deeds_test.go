package journal_test

import (
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// What operators do is on a list, in the same write that does it; what no operator did is not.
func TestDeeds(t *testing.T) {
	onBoth(t, func(b *bench) {
		e := b.finish(b.begin("D1", true), bridge.Open, unknown)
		if _, err := b.Resolve(b.Context(), e.ID, bridge.Outcome{Class: bridge.NotApplied}, "asha", "portal", false); err != nil {
			b.Fatal(err)
		}
		if _, err := b.Withdraw(b.Context(), b.begin("D2", false).ID, "ravi"); err != nil {
			b.Fatal(err)
		}
		for _, token := range []bridge.Token{{Hash: "h1", Caller: "sap", Label: "for SAP", By: "asha", Issued: now}, {Hash: "h2", Caller: "sap", Issued: now}} {
			if err := b.Issue(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
		b.is(b.Revoke(b.Context(), "h1", "ravi"), nil)
		b.is(b.Revoke(b.Context(), "h1", "ravi"), bridge.ErrNoEntry)
		if _, err := b.Withdraw(b.Context(), e.ID, "ravi"); err == nil {
			b.Error("what has ended was withdrawn")
		}
		b.is(b.Did(b.Context(), bridge.Deed{Who: "SIGHUP", What: bridge.DidReload, About: "grace: 40s → 1m"}), nil)
		deeds, err := b.Deeds(b.Context(), 0, 100)
		if err != nil {
			b.Fatal(err)
		}
		var got []string
		for _, d := range deeds {
			got = append(got, d.Who+" "+string(d.What)+" "+d.About)
			if d.At.IsZero() || (d.Entry != 0) != (d.What == bridge.DidResolve || d.What == bridge.DidWithdraw) {
				b.Errorf("%+v", d)
			}
		}
		b.same("what was done", strings.Join(got, "\n"), "SIGHUP reload grace: 40s → 1m\nravi revoke token h1\nasha issue token h1 of sap, for SAP\n"+
			"ravi withdraw D2: not_applied, withdrawn\nasha resolve D1: not_applied, portal")
		older, err := b.Deeds(b.Context(), deeds[1].ID, 1)
		if err != nil || len(older) != 1 || older[0].What != bridge.DidIssue {
			b.Errorf("the next page: %+v, %v", older, err)
		}
		time.Sleep(2 * time.Millisecond)
		if _, err := b.Prune(b.Context(), time.Millisecond, time.Millisecond); err != nil {
			b.Fatal(err)
		}
		if deeds, err = b.Deeds(b.Context(), 0, 100); err != nil || len(deeds) > 1 && deeds[0].At.After(time.Now().Add(-time.Millisecond)) {
			b.Errorf("kept for longer than told: %+v, %v", deeds, err)
		}
	})
}
