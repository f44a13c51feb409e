package server_test

import (
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/server"
)

const busy = "SOAP-ENV:Server: The bridge is busy; nothing was sent for this call. Retry later."

// onRecord is a service that has one document on record, and is busy until out is closed.
func onRecord(r *rig, known string) (in, out chan struct{}) {
	in, out = make(chan struct{}), make(chan struct{})
	r.answer = func(q bridge.Request) bridge.Answer {
		in <- struct{}{}
		<-out
		return bridge.Answer{Class: bridge.Cancelled, IRN: q.IRN}
	}
	r.recall = func(q bridge.Request) (bridge.Answer, bool) {
		a := bridge.Answer{Class: bridge.Cancelled, IRN: q.IRN, CancelDate: "2026-03-01 10:00:00", Ref: q.Ref}
		return a, q.IRN == known
	}
	return in, out
}

// A repeat of what is on record is told it, whatever its call is turned away for; what is not there is not begun.
func TestTurnedAwayHearsWhatIsOnRecord(t *testing.T) {
	for name, change := range map[string]func(*setup){
		"in_flight":          func(s *setup) { s.InFlight = 1 },
		"caller's in_flight": func(s *setup) { s.Config.Callers[0].InFlight = 1 },
		"per_minute":         func(s *setup) { s.Config.Callers[0].PerMinute = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, change)
			in, out := onRecord(r, irn)
			first := make(chan response, 1)
			go func() { first <- r.post(strings.Replace(envelope, irn, "another", 1)) }()
			<-in
			got := r.post(envelope)
			got.expect(t, "on record", 200, "Success 200 ")
			if got.part("CancelDate") != "2026-03-01 10:00:00" {
				t.Errorf("got %s", got.body)
			}
			r.post(strings.Replace(envelope, irn, "unheard-of", 1)).expect(t, "not on record", 500, busy)
			r.post(strings.Replace(envelope, token, "guess", 1)).expect(t, "a stranger", 200, "Failed 204 The access token provided is invalid")
			r.post(strings.Replace(envelope, gstin, "29AAFCD5862R000", 1)).
				expect(t, "another's", 200, "Failed 204 The access token provided is not valid for this user_gstin")
			if got := r.refusals(); len(got) != 3 || got[0] != server.RefusedBusy {
				t.Errorf("counted %v; an answer from the record is none", got)
			}
			close(out)
			(<-first).expect(t, "first", 200, "Success 200 ")
			if len(r.seen()) != 1 {
				t.Errorf("%d calls were carried out", len(r.seen()))
			}
		})
	}
}

// With no room left only cancellations are looked at.
func TestTurnedAwayWithoutALook(t *testing.T) {
	r := start(t, func(s *setup) { s.InFlight = 1 })
	in, out := onRecord(r, irn)
	done := make(chan response, 1)
	go func() { done <- r.post(strings.Replace(envelope, irn, "another", 1)) }()
	<-in
	r.post(login("s3cret", "s3cret")).expect(t, "login", 500, busy)
	r.post("no XML").expect(t, "no call", 500, busy)
	close(out)
	<-done
}

// A flood is not looked at: a fourth of in_flight may ask the record at once, and not for long.
func TestOnlySoManyAskTheRecord(t *testing.T) {
	r := start(t, func(s *setup) { s.InFlight = 8; s.Config.Callers[0].InFlight = 1 })
	in, out := onRecord(r, irn)
	asked, goOn := make(chan bridge.Request), make(chan struct{})
	r.recall = func(q bridge.Request) (bridge.Answer, bool) {
		asked <- q
		<-goOn
		return bridge.Answer{}, false
	}
	all := make(chan response, 3)
	for range 3 {
		go func() { all <- r.post(envelope) }()
	}
	<-in
	for range 2 {
		if q := <-asked; time.Until(q.Until) > 5*time.Second {
			t.Errorf("the record may take until %v", q.Until)
		}
	}
	r.post(envelope).expect(t, "third", 500, busy)
	if n := r.srv.Calls(); n > 3 {
		t.Errorf("%d calls are being answered", n)
	}
	close(goOn)
	close(out)
	for range 3 {
		<-all
	}
}
