package app

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/flow"
	"einvoice-bridge/bridge/journal"
	"einvoice-bridge/bridge/upstream"
	adapter "einvoice-bridge/bridge/upstream/myinvois"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
	"einvoice-bridge/fixtures/sandbox/myinvois"
)

// wireless carries requests to a handler without a socket, so that a fake clock sees nothing but our own waits.
type wireless struct{ http.Handler }

func (w wireless) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// silent is an Observer that hears nothing.
type silent struct{}

func (silent) Answered(*bridge.CallReport)    {}
func (silent) Attempted(bridge.AttemptReport) {}
func (silent) Alarm(bridge.Alarm)             {}

// 200 cancellations in 20 s for one MyInvois client id at 12 a minute, through the real adapter, against a simulator
// that counts as LHDN does: all carried out in the order of arrival, none refused for rate, never more than 12 in any
// 60 s, and every caller told the truth within reply_within.
func TestBurstAtMyInvois(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := myinvois.Demo(myinvois.Options{AutoSeed: true, Options: sandbox.Options{KeepCalls: 2000}})
		j, err := journal.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "j.db"), journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		shared := upstream.NewShared(j, slog.New(slog.DiscardHandler))
		shared.RoundTripper = wireless{sim}
		up, err := Kinds["myinvois"].New("myinvois", myinvois.DemoTIN, &adapter.Config{
			Settings:   upstream.Settings{Environment: "sandbox", BaseURL: "https://myinvois.example"},
			OnBehalfOf: myinvois.DemoTIN, ClientID: myinvois.DemoIntermediaryID, ClientSecret: myinvois.DemoIntermediarySecret,
		}, shared)
		if err != nil {
			t.Fatal(err)
		}
		terms := &flow.Terms{
			CarryOutWithin: 30 * time.Minute, RepeatRefusalsAfter: time.Minute, AlreadyCancelled: flow.AlreadyByJournal,
			Route: func(string) (bridge.Upstream, bool) { return up, true },
		}
		s := &canceller{flow.New(j, j, silent{}, terms), terms}
		if err := s.service.Start(); err != nil {
			t.Fatal(err)
		}
		told := burst(t, s)
		time.Sleep(20 * time.Minute)
		verifyBurst(t, sim, told)
		for n := range 200 {
			if a := askMyInvois(s, n); a.Code() != 200 {
				t.Errorf("document %d, asked again: %+v", n, a)
			}
		}
		if err := s.service.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
}

// burst sends 200 calls in 20 s and counts what their callers were told.
func burst(t *testing.T, s *canceller) map[string]int {
	var wg sync.WaitGroup
	var mu sync.Mutex
	told := map[string]int{}
	for n := range 200 {
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() {
			start := time.Now()
			a := askMyInvois(s, n)
			if took := time.Since(start); took > 50*time.Second {
				t.Errorf("call %d was told after %s", n, took)
			}
			mu.Lock()
			defer mu.Unlock()
			told[fmt.Sprint(a.Code(), a.Fault)]++
		})
	}
	wg.Wait()
	return told
}

func askMyInvois(s *canceller, n int) bridge.Answer {
	now := time.Now()
	return s.Cancel(&bridge.Request{
		Ref: fmt.Sprintf("r%d", n), Caller: "erp", Taxpayer: myinvois.DemoTIN, IRN: demo.DocumentID("myinvois", n),
		Reason: "1", Remarks: "Wrong entry", Received: now, Until: now.Add(50 * time.Second),
	})
}

func verifyBurst(t *testing.T, sim *myinvois.Server, told map[string]int) {
	t.Helper()
	var order []string
	var times []time.Time
	for _, c := range sim.Calls() {
		if c.Status == http.StatusTooManyRequests {
			t.Errorf("the authority refused for rate: %s at %s", c.Operation, c.Began)
		}
		if c.Operation == sandbox.Cancel {
			order, times = append(order, c.Document), append(times, c.Began)
		}
	}
	if len(order) != 200 || !slices.IsSorted(order) {
		t.Errorf("%d cancels were sent, in order of arrival: %v", len(order), slices.IsSorted(order))
	}
	for i := 12; i < len(times); i++ {
		if gap := times[i].Sub(times[i-12]); gap < time.Minute {
			t.Errorf("13 cancels within %s", gap)
		}
	}
	if waiting := told[fmt.Sprint(503, bridge.FaultWaiting)]; told["200"] < 12 || told["200"]+waiting != 200 {
		t.Errorf("callers were told %v", told)
	}
	t.Logf("callers were told %v; the last cancel left %s after the first", told, times[len(times)-1].Sub(times[0]))
}
