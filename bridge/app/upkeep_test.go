package app

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/fixtures/sandbox/demo"
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
	a := wired(t, path, slog.New(slog.DiscardHandler))
	heard := &alarms{}
	a.observer = heard
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	url, s := a.PublicURL()+server.Paths[0], sims[0]
	if body, err := post(url, demo.Envelope(s.Taxpayer, s.Refusal)); err != nil || !strings.Contains(string(body), "<code>204</code>") {
		t.Fatalf("got %s, %v", body, err)
	}
	known := a.alarmToldOtherwise(a.journal, nil)
	if len(heard.all) != 0 {
		t.Errorf("alarms before anything is otherwise: %+v", heard.all)
	}
	e, err := a.journal.Find(t.Context(), bridge.Key{Space: "irp/sandbox", Document: s.Refusal}, s.Taxpayer)
	if err != nil {
		t.Fatal(err)
	}
	seen := bridge.Outcome{Class: bridge.Cancelled, Date: "2026-03-01 15:00:00"}
	if _, err := a.journal.Resolve(t.Context(), e.ID, seen, "asha", "the portal shows it cancelled", true); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		known = a.alarmToldOtherwise(a.journal, known)
	}
	if len(heard.all) != 1 || heard.all[0].Kind != bridge.AlarmToldOtherwise || heard.all[0].Key.Document != s.Refusal ||
		!strings.Contains(heard.all[0].Text, "as asha recorded") {
		t.Errorf("got %+v, want one alarm", heard.all)
	}
	body, err := post(url, demo.Envelope(s.Taxpayer, s.Refusal))
	if err != nil || !strings.Contains(string(body), "<CancelDate>2026-03-01 15:00:00</CancelDate>") {
		t.Errorf("asked again: %s, %v", body, err)
	}
	a.alarmToldOtherwise(a.journal, nil)
	if len(heard.all) != 1 {
		t.Error("a caller who knows the truth is no alarm any more")
	}
}

// shelf is a journal whose list of callers who were told otherwise is as long as it says, and may break off.
type shelf struct {
	entries int64
	breaks  bool // before the last one
}

func (s shelf) Export(_ context.Context, f bridge.Filter) iter.Seq2[bridge.Entry, error] {
	return func(yield func(bridge.Entry, error) bool) {
		for id := s.entries; id > 0 && f.ToldOtherwise; id-- {
			if s.breaks && id == 1 {
				yield(bridge.Entry{}, errors.New("database away"))
				return
			}
			if !yield(bridge.Entry{ID: id}, nil) {
				return
			}
		}
	}
}

// idle is an app without a bridge: with what the upkeep needs.
func idle(log io.Writer) (*App, *alarms) {
	heard := &alarms{}
	a := &App{Process: Process{Log: slog.New(slog.NewTextHandler(log, nil))}, observer: heard}
	a.working, a.halt = context.WithCancel(context.Background())
	a.plan.Store(&plan{file: &config.File{}})
	return a, heard
}

// All of them are told, however many, each once; one that was settled and is otherwise again is told again.
func TestAllToldOtherwiseAreTold(t *testing.T) {
	a, heard := idle(io.Discard)
	known := a.alarmToldOtherwise(shelf{entries: 250}, nil)
	if known = a.alarmToldOtherwise(shelf{entries: 250}, known); len(heard.all) != 250 {
		t.Errorf("%d alarms, want 250", len(heard.all))
	}
	if known = a.alarmToldOtherwise(shelf{entries: 250, breaks: true}, known); !known[1] {
		t.Error("what was not seen is forgotten")
	}
	known = a.alarmToldOtherwise(shelf{}, known)
	if a.alarmToldOtherwise(shelf{entries: 1}, known); len(heard.all) != 251 {
		t.Errorf("%d alarms, want 251", len(heard.all))
	}
}

// endless is a journal that is not done pruning before it must.
type endless struct{ begun chan struct{} }

func (e endless) Prune(ctx context.Context, _, _ time.Duration) (int, error) {
	close(e.begun)
	<-ctx.Done()
	return 0, ctx.Err()
}

// A stop doesn't wait for a prune, and nobody is told that it failed.
func TestStopEndsAPrune(t *testing.T) {
	_, path := sandboxed(t, nil)
	log := &lockedBuffer{}
	a := started(t, path, slog.New(slog.NewTextHandler(log, nil)))
	e := endless{make(chan struct{})}
	a.upkeep.Go(func() { a.prune(e) })
	<-e.begun
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop() }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the stop waits for the prune")
	}
	if strings.Contains(log.String(), "pruned") {
		t.Errorf("log:\n%s", log.String())
	}
}
