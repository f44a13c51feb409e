package journal_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

func rejected(ref, from, caller, kind string) bridge.Rejected {
	return bridge.Rejected{Ref: ref, At: time.Now(), From: from, Caller: caller, Kind: kind, Why: "because",
		Came: []bridge.Fact{{Name: "elements", Text: "eInvoiceCancel, irn"}}}
}

// awaitRejected waits until so many rows are there.
func awaitRejected(t *testing.T, j *journal.Journal, f bridge.RejectedFilter, n int) []bridge.Rejected {
	t.Helper()
	f.Limit = 10_000
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		all, err := j.Rejected(context.Background(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == n {
			return all
		}
		if time.Now().After(end) {
			t.Fatalf("%+v: %d rows, want %d", f, len(all), n)
		}
	}
}

// What was turned away is found by its reference, in whatever form that is copied, and forgotten with the bodies.
func TestRejectedIsFound(t *testing.T) {
	onBoth(t, func(b *bench) {
		t, j := b.T, b.Journal
		one := rejected("ref-1", "10.0.0.1", "erp", "taxpayer")
		j.Reject(one)
		j.Reject(rejected("ref-2", "10.0.0.2", "", "token"))
		awaitRejected(t, j, bridge.RejectedFilter{}, 2)
		for what, f := range map[string]bridge.RejectedFilter{
			"ref": {Ref: bridge.Ref(" [ref ref-1]")}, "caller": {Caller: "erp"}, "address": {From: "10.0.0.1"}, "kind": {Kind: "taxpayer"},
		} {
			got := awaitRejected(t, j, f, 1)[0]
			if got.ID = 0; fmt.Sprint(got.Ref, got.From, got.Caller, got.Kind, got.Why, got.Came) != fmt.Sprint(one.Ref, one.From, one.Caller, one.Kind, one.Why, one.Came) ||
				got.At.Sub(one.At).Abs() > time.Millisecond {
				t.Errorf("by %s: %+v, want %+v", what, got, one)
			}
		}
		awaitRejected(t, j, bridge.RejectedFilter{Since: one.At.Add(time.Hour)}, 0)
		if _, err := j.Prune(t.Context(), time.Hour, time.Hour); err != nil {
			t.Fatal(err)
		}
		awaitRejected(t, j, bridge.RejectedFilter{}, 2)
		time.Sleep(2 * time.Millisecond)
		if _, err := j.Prune(t.Context(), time.Hour, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		awaitRejected(t, j, bridge.RejectedFilter{}, 0)
	})
}

// A stranger who knocks all day, from one address or from thousands, fills no more than his part, and pushes out neither a
// caller's rows nor another kind of mistake.
func TestStrangersFillNothing(t *testing.T) {
	onBoth(t, func(b *bench) {
		t, j := b.T, b.Journal
		j.Reject(rejected("mine", "10.0.0.1", "erp", "taxpayer"))
		j.Reject(rejected("typo", "10.0.0.2", "", "token"))
		for i := range 20_000 {
			j.Reject(rejected(fmt.Sprint("one ", i), "192.0.2.1", "", "soap"))
			j.Reject(rejected(fmt.Sprint("many ", i), fmt.Sprintf("2001:db8:%x::1", i), "", "http"))
			j.Reject(rejected(fmt.Sprint("network ", i), fmt.Sprintf("2001:db8::%x", i), "", "login"))
		}
		awaitRejected(t, j, bridge.RejectedFilter{Kind: "soap"}, 25)
		awaitRejected(t, j, bridge.RejectedFilter{Kind: "http"}, 60)
		awaitRejected(t, j, bridge.RejectedFilter{Kind: "login"}, 25)
		awaitRejected(t, j, bridge.RejectedFilter{Caller: "erp"}, 1)
		awaitRejected(t, j, bridge.RejectedFilter{Ref: "typo"}, 1)
		if lost := j.Unrecorded(); lost < 59_000 || lost > 60_000 {
			t.Errorf("%d are counted as lost", lost)
		}
	})
}

// The rows of all strangers are bounded, too, however slowly they come: the oldest go.
func TestStrangersRowsAreBounded(t *testing.T) {
	onBoth(t, func(b *bench) {
		t, j := b.T, b.Journal
		var all []bridge.Rejected
		for i := range 700 {
			all = append(all, rejected(fmt.Sprint(i), fmt.Sprintf("10.1.%d.%d", i/200, i%200), "", "token"))
		}
		for i := range 300 {
			all = append(all, rejected(fmt.Sprint("erp ", i), "10.0.0.1", "erp", "taxpayer"))
		}
		journal.WriteRejected(j, all)
		rows := awaitRejected(t, j, bridge.RejectedFilter{Kind: "token"}, 500)
		if rows[0].Ref != "699" || rows[499].Ref != "200" {
			t.Errorf("kept are %s to %s", rows[499].Ref, rows[0].Ref)
		}
		awaitRejected(t, j, bridge.RejectedFilter{Caller: "erp"}, 200)
	})
}

// Nobody waits for the disk, and what is too long to keep is kept without it.
func TestRejectWaitsForNobody(t *testing.T) {
	j, err := journal.Open(t.Context(), sqliteDSN(t), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	long := rejected("long", "10.0.0.1", "", "soap")
	long.Came[0].Text = strings.Repeat("x", 5<<10)
	j.Reject(long)
	if got := awaitRejected(t, j, bridge.RejectedFilter{}, 1); len(got[0].Came) != 0 {
		t.Errorf("%d bytes were kept", len(got[0].Came[0].Text))
	}
	begin := time.Now()
	for i := range 100_000 {
		j.Reject(rejected(fmt.Sprint(i), fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "", "soap"))
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("100,000 took %s", took)
	}
}
