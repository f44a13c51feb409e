package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/server"
)

const placesInTest = 60

// Whatever it is whose calls hang (one caller's, an authority's, the provider's, log-ins): it comes to no more than its
// share of the places, everybody else is served at once, and who is turned away still hears what is on record.
func TestNobodyTakesAllPlaces(t *testing.T) {
	theirs := func(token string) string {
		return strings.Replace(envelope, "b29cee2156282be62f51b24fe8b3f07f01c9bff1", token, 1)
	}
	post := func(body string) string { return request("/api.einvoice.php", body) }
	for name, tc := range map[string]struct {
		pool  bridge.Pool // that fills
		calls []string    // that hang, in turns
	}{
		"a caller":     {bridge.Pool{Kind: bridge.PoolCaller, Name: "hog", Held: placesInTest / 3}, []string{post(theirs("hog"))}},
		"an authority": {bridge.Pool{Kind: bridge.PoolUpstream, Name: "hangs", Held: placesInTest / 2}, []string{post(theirs("hog")), post(theirs("other")), post(theirs("third"))}},
		"the provider": {bridge.Pool{Kind: bridge.PoolRelay, Held: placesInTest / 5}, []string{strings.Replace(post(generate), "#eInvoiceCancel", "#eInvoiceGenerate", 1)}},
		"log-ins":      {bridge.Pool{Kind: bridge.PoolCaller, Name: "sap", Held: placesInTest / 3}, []string{post(login("s3cret", "s3cret"))}},
	} {
		t.Run(name, func(t *testing.T) {
			out := make(chan struct{})
			provider := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-out }))
			t.Cleanup(provider.Close)
			r := start(t, func(s *setup) {
				s.InFlight, s.Forward = placesInTest, &server.Forward{URL: provider.URL}
				s.Upstream = func(taxpayer string) (string, bool) { return map[string]string{gstin: "hangs"}[taxpayer], true }
				for _, name := range []string{"hog", "other", "third"} {
					s.Config.Callers = append(s.Config.Callers, access.CallerConfig{
						Name: name, Tokens: []string{"sha256:" + access.HashToken(name)}, AllTaxpayers: true,
					})
				}
			})
			r.answer = func(q bridge.Request) bridge.Answer {
				if q.Taxpayer == gstin {
					<-out
				}
				return bridge.Answer{Class: bridge.Cancelled, IRN: q.IRN}
			}
			r.recall = func(q bridge.Request) (bridge.Answer, bool) {
				return bridge.Answer{Class: bridge.Cancelled, IRN: q.IRN}, q.IRN == "on record"
			}
			r.journal.mu.Lock() // log-ins hang where their token is written down
			var all sync.WaitGroup
			t.Cleanup(func() { close(out); r.journal.mu.Unlock(); all.Wait() })

			answered := make(chan response, 4*placesInTest)
			for n := range 2 * placesInTest {
				all.Go(func() { answered <- r.raw(tc.calls[n%len(tc.calls)]) })
				r.awaitPlaced(t, n+1, tc.pool.Kind, tc.pool.Name, answered)
			}
			held, full := r.poolOf(tc.pool)
			if held != tc.pool.Held || full == 0 || len(answered) != 2*placesInTest-held {
				t.Errorf("%d calls hang and %d were turned away, %d counted; want %d that hang", held, len(answered), full, tc.pool.Held)
			}
			(<-answered).expect(t, "one too many", 500, busy)
			for range 10 {
				r.post(strings.NewReplacer(token, "all", gstin, "29AAFCD5862R000").Replace(envelope)).expect(t, "somebody else", 200, "Success 200 ")
			}
			if tc.pool.Name == "hog" || tc.pool.Name == "hangs" {
				r.post(strings.Replace(theirs("hog"), irn, "on record", 1)).expect(t, "a repeat", 200, "Success 200 ")
			}
		})
	}
}

// awaitPlaced waits until each of n calls has its place or its answer.
func (r *rig) awaitPlaced(t *testing.T, n int, kind bridge.PoolKind, name string, answered chan response) {
	t.Helper()
	for range 5000 {
		if held, _ := r.poolOf(bridge.Pool{Kind: kind, Name: name}); held+len(answered) >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("call %d has neither a place nor an answer", n)
}

// poolOf is what a pool holds now, and how often it was full.
func (r *rig) poolOf(p bridge.Pool) (held int, full uint64) {
	for _, q := range r.srv.Pools() {
		if q.Kind == p.Kind && q.Name == p.Name {
			return q.Held, q.Full
		}
	}
	return 0, 0
}

// Work that outlasts its callers holds their places until it has ended; work that waits its turn holds others, so that the
// caller's other cancellations go on, until these are used up, too.
func TestWorkHoldsItsPlace(t *testing.T) {
	caller, upstream, waiting := bridge.Pool{Kind: bridge.PoolCaller, Name: "sap"}, bridge.Pool{Kind: bridge.PoolUpstream, Name: "hangs"}, bridge.Pool{Kind: bridge.PoolWaiting, Name: "hangs"}
	for fault, tc := range map[string]struct {
		pool bridge.Pool
		most int
	}{
		bridge.FaultUnknown: {caller, placesInTest / 3},
		bridge.FaultWaiting: {waiting, placesInTest / 2},
	} {
		t.Run(fault, func(t *testing.T) {
			r := start(t, func(s *setup) {
				s.InFlight, s.Config.Callers[0].AllTaxpayers = placesInTest, true
				s.Upstream = func(taxpayer string) (string, bool) { return map[string]string{gstin: "hangs"}[taxpayer], true }
			})
			var ends []func()
			r.answer = func(q bridge.Request) bridge.Answer {
				if q.Taxpayer != gstin {
					return bridge.Answer{Class: bridge.Cancelled, IRN: q.IRN}
				}
				ends = append(ends, q.Carried())
				return bridge.Answer{Fault: fault}
			}
			for range tc.most {
				r.post(envelope).expect(t, "there is room", 500, "SOAP-ENV:Server: "+fault)
			}
			r.post(envelope).expect(t, "there is none", 500, busy)
			if held, full := r.poolOf(tc.pool); held != tc.most || full != 1 {
				t.Errorf("%d held, %d times full", held, full)
			}
			if tc.pool == waiting {
				r.post(strings.NewReplacer(gstin, "29AAFCD5862R000").Replace(envelope)).expect(t, "elsewhere", 200, "Success 200 ")
			}
			ends[0]()
			ends = ends[1:]
			r.post(envelope).expect(t, "one has ended", 500, "SOAP-ENV:Server: "+fault)
			r.post(envelope).expect(t, "and one only", 500, busy)
			for _, end := range ends {
				end()
			}
			for _, p := range []bridge.Pool{caller, upstream, waiting} {
				if held, _ := r.poolOf(p); held != 0 || r.srv.Calls() != 0 {
					t.Errorf("%s %s still holds %d", p.Kind, p.Name, held)
				}
			}
		})
	}
}

// Strangers who are being read, and of whom nobody knows yet who they are, keep out their like, but no caller on a connection
// of his own.
func TestStrangersKeepOutStrangers(t *testing.T) {
	r := start(t, func(s *setup) {
		s.InFlight, s.Config.Callers[0].Tokens = placesInTest, []string{"sha256:" + access.HashToken("config")}
	})
	theirs := strings.Replace(envelope, token, "config", 1)
	known := r.dial()
	defer known.Close()
	in := bufio.NewReader(known)
	again := func(what string) {
		t.Helper()
		if _, err := io.WriteString(known, request("/api.einvoice.php", theirs)); err != nil {
			t.Fatal(err)
		}
		got, err := readResponse(in, "POST")
		if err != nil {
			t.Fatal(err)
		}
		got.expect(t, what, 200, "Success 200 ")
	}
	again("before")
	r.journal.mu.Lock() // whoever shows a token that is in no file waits for the journal
	var all sync.WaitGroup
	defer all.Wait()
	defer r.journal.mu.Unlock()
	answered := make(chan response, placesInTest)
	for n := range placesInTest / 2 {
		all.Go(func() { answered <- r.post(strings.Replace(envelope, token, fmt.Sprint("guess", n), 1)) })
		r.awaitPlaced(t, n+1, bridge.PoolArriving, "", answered)
	}
	r.post(theirs).expect(t, "on a new connection", 500, busy)
	again("meanwhile")
}

// What a pool may hold is what it comes to when nobody else comes.
func TestPoolsTellWhatTheyMayHold(t *testing.T) {
	r := start(t, func(s *setup) { s.InFlight, s.Upstreams = placesInTest, []string{"nic"} })
	want := map[bridge.Pool]bool{
		{Kind: bridge.PoolArriving, Most: placesInTest / 2}: true, {Kind: bridge.PoolCaller, Name: "sap", Most: placesInTest / 3}: true,
		{Kind: bridge.PoolUpstream, Name: "nic", Most: placesInTest / 2}: true, {Kind: bridge.PoolWaiting, Name: "nic", Most: placesInTest / 2}: true,
		{Kind: bridge.PoolLogin, Most: placesInTest / 15}: true,
		{Kind: bridge.PoolRelay, Most: placesInTest / 5}:  true, {Kind: bridge.PoolRecall, Most: placesInTest / 4}: true,
	}
	for _, p := range r.srv.Pools() {
		delete(want, p)
	}
	if len(want) > 0 {
		t.Errorf("%+v are not among %+v", want, r.srv.Pools())
	}
}
