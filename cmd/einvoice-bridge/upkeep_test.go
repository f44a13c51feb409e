package main

import (
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
)

// alarms is an Observer that keeps alarms.
type alarms struct {
	silent
	mu  sync.Mutex
	all []bridge.Alarm
}

func (a *alarms) Alarm(al bridge.Alarm) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, al)
}

// A caller was told 204, and then the portal shows that the document is cancelled: an operator is told once, and the
// caller hears the truth when it asks again.
func TestToldOtherwise(t *testing.T) {
	sims, path := sandboxed(t, nil)
	f, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(t.Context(), f, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	heard := &alarms{}
	a.observe = heard
	if err := a.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.stop(); err != nil {
			t.Error(err)
		}
	})
	url, s := a.server.PublicURL()+server.Paths[0], sims[0]
	if body, err := post(url, envelope(s.taxpayer, s.refusal)); err != nil || !strings.Contains(string(body), "<code>204</code>") {
		t.Fatalf("got %s, %v", body, err)
	}
	known := map[int64]bool{}
	a.alarmToldOtherwise(known)
	if len(heard.all) != 0 {
		t.Errorf("alarms before anything is otherwise: %+v", heard.all)
	}
	e, err := a.journal.Find(t.Context(), bridge.Key{Space: "irp", Document: s.refusal}, s.taxpayer)
	if err != nil {
		t.Fatal(err)
	}
	seen := bridge.Outcome{Class: bridge.Cancelled, Date: "2026-03-01 15:00:00"}
	if _, err := a.journal.Resolve(t.Context(), e.ID, seen, "asha", "the portal shows it cancelled"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		a.alarmToldOtherwise(known)
	}
	if len(heard.all) != 1 || heard.all[0].Kind != bridge.AlarmToldOtherwise || heard.all[0].Key.Document != s.refusal {
		t.Errorf("got %+v, want one alarm", heard.all)
	}
	body, err := post(url, envelope(s.taxpayer, s.refusal))
	if err != nil || !strings.Contains(string(body), "<CancelDate>2026-03-01 15:00:00</CancelDate>") {
		t.Errorf("asked again: %s, %v", body, err)
	}
	a.alarmToldOtherwise(map[int64]bool{})
	if len(heard.all) != 1 {
		t.Error("a caller who knows the truth is no alarm any more")
	}
}
