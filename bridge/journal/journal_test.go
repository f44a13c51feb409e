package journal_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

var now = time.Date(2026, 11, 22, 4, 30, 0, 0, time.UTC)

func open(t *testing.T, dsn string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), dsn, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func entry(doc, taxpayer string) bridge.Entry {
	return bridge.Entry{
		Key: bridge.Key{Space: "irp", Document: doc}, Taxpayer: taxpayer, Upstream: "nic", Ref: "r1", Caller: "sap",
		IRN: doc, Reason: bridge.Duplicate, Remarks: "typo", Created: now, Expires: now.Add(time.Hour),
	}
}

func begin(t *testing.T, j *journal.Journal, b bridge.Begin) bridge.Entry {
	t.Helper()
	e, created, err := j.Begin(t.Context(), b)
	if err != nil || !created {
		t.Fatalf("begin: created %v, %v", created, err)
	}
	return e
}

func TestSendNow(t *testing.T) {
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "j.db")
	j, err := journal.Open(t.Context(), dsn, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := begin(t, j, bridge.Begin{Entry: entry("a", "T1"), SendNow: true})
	if e.State != bridge.Sending || len(e.Attempts) != 1 {
		t.Fatalf("got %+v", e)
	}
	o := bridge.Outcome{Class: bridge.Cancelled, Date: "2026-11-22 10:00:00", DateSource: bridge.DateUpstream}
	got, err := j.Finish(t.Context(), bridge.Finish{Entry: e.ID, Attempt: e.Attempts[0].ID, Result: o, Outcome: o,
		State: bridge.Final, At: now, Release: true, Asks: []bridge.Ask{{Ref: "r1", Told: bridge.Answer{Class: bridge.Cancelled}}}})
	if err != nil {
		t.Fatal(err)
	}
	found, err := j.Find(t.Context(), e.Key, "T1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, found); diff != "" {
		t.Error(diff)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, dsn)
	found, err = j.Find(t.Context(), e.Key, "T1")
	if diff := cmp.Diff(got, found); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := j.Find(t.Context(), e.Key, "T2"); !errors.Is(err, bridge.ErrNoEntry) {
		t.Error(err)
	}
}

func TestOrphans(t *testing.T) {
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "j.db")
	j, err := journal.Open(t.Context(), dsn, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	begin(t, j, bridge.Begin{Entry: entry("a", "T1")})
	begin(t, j, bridge.Begin{Entry: entry("b", "T1"), SendNow: true})
	begin(t, j, bridge.Begin{Entry: entry("c", "T1")})
	if got, err := j.Orphans(t.Context(), now); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, dsn)
	got, err := j.Orphans(t.Context(), now)
	if err != nil || len(got) != 2 || got[0].Key.Document != "a" || got[1].Key.Document != "c" {
		t.Fatal(got, err)
	}
	if due, err := j.Due(t.Context(), now, 10); err != nil || len(due) != 1 || due[0].Key.Document != "b" {
		t.Fatal(due, err)
	}
	if again, err := j.Orphans(t.Context(), now); err != nil || len(again) != 0 {
		t.Fatal(again, err)
	}
}

func TestTokenAndBudget(t *testing.T) {
	j := open(t, "sqlite:"+filepath.Join(t.TempDir(), "j.db"))
	if err := j.Issue(t.Context(), bridge.Token{Hash: "h", Caller: "sap", Issued: now}); err != nil {
		t.Fatal(err)
	}
	if tok, err := j.Token(t.Context(), "h"); err != nil || tok.Caller != "sap" {
		t.Fatal(tok, err)
	}
	r := bridge.Rate{Key: "k", Limit: 2, Per: time.Minute}
	for i := range 3 {
		wait, err := j.Take(context.Background(), r)
		if err != nil || (wait > 0) != (i == 2) {
			t.Fatal(i, wait, err)
		}
	}
}
