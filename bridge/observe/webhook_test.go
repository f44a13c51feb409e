package observe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"einvoice-bridge/bridge"
)

// receiver is an operator's address that fails as often as it is told.
type receiver struct {
	mu    sync.Mutex
	fails int
	got   []alarmJSON
	ids   []string // of all tries
	hold  chan struct{}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.hold != nil {
		<-r.hold
	}
	var a alarmJSON
	err := json.NewDecoder(req.Body).Decode(&a)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, a.ID)
	if r.fails--; r.fails >= 0 || err != nil || req.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "not now", http.StatusBadGateway)
		return
	}
	r.got = append(r.got, a)
}

func (r *receiver) wait(t *testing.T, n int) []alarmJSON {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		got := append([]alarmJSON(nil), r.got...)
		r.mu.Unlock()
		if len(got) >= n {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d alarms came, want %d", len(got), n)
		}
	}
}

func hook(t *testing.T, r *receiver) (*Webhook, *bytes.Buffer) {
	t.Helper()
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	var log bytes.Buffer
	w := NewWebhook(srv.URL+"/secret-path", slog.New(slog.NewTextHandler(&log, nil)))
	w.pause = time.Millisecond
	return w, &log
}

func alarmAbout(document string) bridge.Alarm {
	return bridge.Alarm{
		Kind: bridge.AlarmOpen, Upstream: "nic", Taxpayer: "29AAFCD5862R000", Key: bridge.Key{Space: "irp", Document: document},
		Ref: "r", Text: "doubtful for 1h0m0s",
	}
}

// An alarm comes through, once, although the receiver fails at first; each try has the same id.
func TestWebhookTriesAgain(t *testing.T) {
	r := &receiver{fails: 3}
	w, _ := hook(t, r)
	w.Alarm(alarmAbout("1"))
	got := r.wait(t, 1)
	w.Close(time.Minute)
	want := []alarmJSON{{
		Kind: "open", Text: "doubtful for 1h0m0s", Upstream: "nic", Taxpayer: "29AAFCD5862R000", Document: "1", Ref: "r", Host: w.host,
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(alarmJSON{}, "ID", "At")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(r.ids) != 4 || r.ids[0] != r.ids[3] || r.ids[0] == "" {
		t.Errorf("tries %v", r.ids)
	}
}

// A changed address gets what comes from then on, and what still waits; none at all ends it.
func TestWebhookIsAimedElsewhere(t *testing.T) {
	first, second := &receiver{fails: 1000}, &receiver{}
	w, log := hook(t, first)
	srv := httptest.NewServer(second)
	defer srv.Close()
	w.pause = 10 * time.Millisecond
	w.Alarm(alarmAbout("1"))
	w.Aim(srv.URL)
	w.Alarm(alarmAbout("2"))
	second.wait(t, 2)
	w.Aim("")
	w.Alarm(alarmAbout("3"))
	w.Close(time.Minute)
	if got := second.wait(t, 2); len(got) != 2 || got[0].Document != "1" || got[1].Document != "2" || log.Len() > 0 {
		t.Errorf("the second receiver got %+v\n%s", got, log)
	}
}

// The same alarm within minutes is one; another document's is another.
func TestWebhookIsNotFlooded(t *testing.T) {
	r := &receiver{}
	w, _ := hook(t, r)
	for i := range 100 {
		a := alarmAbout(fmt.Sprint(i % 2))
		a.Ref, a.Text = fmt.Sprint(i), fmt.Sprint(i)
		w.Alarm(a)
	}
	w.Close(time.Minute)
	if got := r.wait(t, 2); len(got) != 2 {
		t.Errorf("%d alarms came", len(got))
	}
}

// A receiver that hangs holds nobody up. What is too much is lost, and said.
func TestWebhookNeverBlocks(t *testing.T) {
	r := &receiver{hold: make(chan struct{})}
	w, _ := hook(t, r)
	start := time.Now()
	for i := range 3 * webhookQueue {
		w.Alarm(alarmAbout(fmt.Sprint(i)))
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("alarms took %v", took)
	}
	close(r.hold)
	r.wait(t, webhookQueue)
	w.Alarm(alarmAbout("last"))
	w.Close(time.Minute)
	all := len(r.got)
	for _, a := range r.got {
		all += a.Dropped
	}
	if last := r.got[len(r.got)-1]; last.Document != "last" || all != 3*webhookQueue+1 {
		t.Errorf("%d came, %d in all are accounted for, the last one is %+v", len(r.got), all, last)
	}
}

// One that can't be delivered ends in the log, which does not repeat the address.
func TestWebhookGivesUp(t *testing.T) {
	r := &receiver{fails: 1000}
	w, log := hook(t, r)
	w.Alarm(alarmAbout("1"))
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		n := len(r.ids)
		r.mu.Unlock()
		if n == webhookTries {
			break
		}
	}
	w.Close(time.Minute)
	if !strings.Contains(log.String(), "was not delivered") || strings.Contains(log.String(), "secret-path") {
		t.Errorf("log:\n%s", log.String())
	}
}

// At the end, what is queued is tried once, and no longer than there is time.
func TestWebhookClose(t *testing.T) {
	r := &receiver{hold: make(chan struct{})}
	w, log := hook(t, r)
	for i := range 3 {
		w.Alarm(alarmAbout(fmt.Sprint(i)))
	}
	w.Close(20 * time.Millisecond)
	if !strings.Contains(log.String(), "were not delivered") {
		t.Errorf("log:\n%s", log.String())
	}
	close(r.hold)
	<-w.done
}

// An alarm leads to the console's page about it, if that has an address; a test says at once whether it was taken.
func TestWebhookLinksAndTries(t *testing.T) {
	r := &receiver{fails: 1}
	w, _ := hook(t, r)
	w.LinkTo("https://console.example/")
	if err := w.Try(bridge.Alarm{Kind: bridge.AlarmTest, Text: "a test"}); err == nil || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("a receiver that fails: %v", err)
	}
	if err := w.Try(bridge.Alarm{Kind: bridge.AlarmTest, Text: "a test"}); err != nil {
		t.Error(err)
	}
	w.Alarm(alarmAbout("9B2Y V8"))
	got := r.wait(t, 2)
	w.Close(time.Minute)
	if got[0].Kind != "test" || got[0].Link != "https://console.example/" || got[1].Link != "https://console.example/show?of=9B2Y+V8" {
		t.Errorf("got %+v", got)
	}
	w.Aim("")
	if err := w.Try(bridge.Alarm{Kind: bridge.AlarmTest}); err == nil || !strings.Contains(err.Error(), "no webhook is configured") {
		t.Errorf("without a webhook: %v", err)
	}
}
