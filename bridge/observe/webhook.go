package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"einvoice-bridge/bridge"
)

const (
	webhookQueue  = 256             // alarms that wait; what comes on top is counted and dropped
	webhookQuiet  = 5 * time.Minute // the same alarm isn't posted again for so long
	webhookTries  = 8               // then an alarm is given up; it stands in the log
	webhookCall   = 10 * time.Second
	webhookPause  = time.Second // before the second try; doubled each time
	webhookLonger = 2 * time.Minute
)

// Webhook posts alarms to an operator's address, one JSON object each. It never holds anybody up: alarms queue, and a
// full queue loses them, which the next post says.
type Webhook struct {
	url    atomic.Pointer[string] // empty: nobody wants alarms
	pages  string                 // the console's address, that alarms link to; empty: they don't
	host   string
	log    *slog.Logger
	client *http.Client
	pause  time.Duration
	queue  chan alarmJSON
	quit   chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	last    map[bridge.Alarm]time.Time // by alarm without its text
	dropped int
}

// alarmJSON is an alarm on the wire. ID is the same in every try, so that the receiver can tell repeats.
type alarmJSON struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`
	Text     string    `json:"text"`
	Upstream string    `json:"upstream,omitempty"`
	Taxpayer string    `json:"taxpayer,omitempty"`
	Document string    `json:"document,omitempty"`
	Ref      string    `json:"ref,omitempty"`
	Link     string    `json:"link,omitempty"` // the console's page about it
	Host     string    `json:"host"`
	Dropped  int       `json:"dropped,omitempty"` // alarms lost before this one
}

// NewWebhook posts to url; nothing when it is empty.
func NewWebhook(url string, log *slog.Logger) *Webhook {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	w := &Webhook{
		host: host, log: log, pause: webhookPause, queue: make(chan alarmJSON, webhookQueue),
		quit: make(chan struct{}), done: make(chan struct{}), last: map[bridge.Alarm]time.Time{},
		client: &http.Client{Timeout: webhookCall, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	w.Aim(url)
	go w.run()
	return w
}

// Aim sets where alarms are posted from now on, those that wait too.
func (w *Webhook) Aim(url string) { w.url.Store(&url) }

// Answered implements bridge.Observer.
func (w *Webhook) Answered(*bridge.CallReport) {}

// Attempted implements bridge.Observer.
func (w *Webhook) Attempted(bridge.AttemptReport) {}

// Alarm queues an alarm, unless the same one was queued a moment ago.
func (w *Webhook) Alarm(a bridge.Alarm) {
	if *w.url.Load() == "" {
		return
	}
	now := time.Now()
	same := a
	same.Text, same.Ref = "", ""
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.last[same]) < webhookQuiet {
		return
	}
	if len(w.last) >= 10*webhookQueue {
		clear(w.last) // some alarms come twice then, none is lost
	}
	w.last[same] = now
	v := w.wire(a)
	v.Dropped = w.dropped
	select {
	case w.queue <- v:
		w.dropped = 0
	default:
		w.dropped++
	}
}

// wire is an alarm as it is posted.
func (w *Webhook) wire(a bridge.Alarm) alarmJSON {
	return alarmJSON{
		ID: uuid.NewString(), At: time.Now().UTC(), Kind: string(a.Kind), Text: a.Text, Upstream: a.Upstream, Taxpayer: a.Taxpayer,
		Document: a.Key.Document, Ref: a.Ref, Link: w.link(a), Host: w.host,
	}
}

// link is the page about an alarm: its document's, or the overview, which says what is wrong.
func (w *Webhook) link(a bridge.Alarm) string {
	switch {
	case w.pages == "":
		return ""
	case a.Key.Document != "":
		return w.pages + "/show?of=" + url.QueryEscape(a.Key.Document)
	}
	return w.pages + "/"
}

// LinkTo has alarms link to the console's pages, at their public address. It is for before the first alarm.
func (w *Webhook) LinkTo(pages string) { w.pages = strings.TrimRight(pages, "/") }

// Try posts one alarm at once and once, and tells how that went.
func (w *Webhook) Try(a bridge.Alarm) error {
	if *w.url.Load() == "" {
		return errors.New("no webhook is configured (alarms: {webhook: …}): alarms are log lines only")
	}
	body, err := json.Marshal(w.wire(a))
	if err != nil {
		return err
	}
	return w.post(body)
}

func (w *Webhook) run() {
	defer close(w.done)
	for {
		select {
		case a := <-w.queue:
			w.deliver(a)
		case <-w.quit:
			for len(w.queue) > 0 {
				w.deliver(<-w.queue)
			}
			return
		}
	}
}

// deliver tries until the receiver has it, the tries are used up or the program ends; then there is one try.
func (w *Webhook) deliver(a alarmJSON) {
	body, err := json.Marshal(a)
	if err != nil {
		w.log.Error("an alarm can't be encoded: " + err.Error())
		return
	}
	pause := w.pause
	for try := 1; ; try++ {
		if err = w.post(body); err == nil {
			return
		}
		if try == webhookTries || !w.sleep(pause) {
			break
		}
		pause = min(2*pause, webhookLonger)
	}
	w.log.Error("an alarm was not delivered to the webhook", "kind", a.Kind, "id", a.ID, "err", err)
}

// sleep is false when the program ends.
func (w *Webhook) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.quit:
		return false
	}
}

func (w *Webhook) post(body []byte) error {
	address := *w.url.Load()
	if address == "" {
		return nil // the operator wants none any more
	}
	resp, err := w.client.Post(address, "application/json", bytes.NewReader(body))
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err // the address may be a secret, and url.Error repeats it
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection serves again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook answers %s", resp.Status)
	}
	return nil
}

// Close tries what is queued once more, for a while.
func (w *Webhook) Close(within time.Duration) {
	close(w.quit)
	select {
	case <-w.done:
	case <-time.After(within):
		w.log.Error("alarms were not delivered to the webhook", "waiting", len(w.queue))
	}
}
