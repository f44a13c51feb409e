package server_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// Balancers hear in each way that they ask whether calls are taken here; however many ask, the journal is looked at once
// in a while, and a drain is told at once.
func TestHealth(t *testing.T) {
	var looks atomic.Int32
	var gone atomic.Bool
	r := start(t, func(s *setup) {
		s.Ready = func(context.Context) error {
			looks.Add(1)
			if gone.Load() {
				return errors.New("disk full: /var/lib/secret")
			}
			return nil
		}
	})
	asks := []string{"GET /healthz", "HEAD /healthz", "OPTIONS /healthz", "OPTIONS /"}
	all := func(want int, body string) {
		t.Helper()
		for _, ask := range asks {
			for range 20 {
				got := r.raw(ask + " HTTP/1.1\r\nHost: bridge\r\n\r\n")
				if ask[0] == 'H' {
					got.body = body
				}
				if got.status != want || got.body != body {
					t.Fatalf("%s: %d %s, want %d", ask, got.status, got.body, want)
				}
			}
		}
	}
	begun := time.Now()
	all(200, `{"status":"ready"}`)
	if most := 1 + int32(time.Since(begun)/(2*time.Second)); looks.Load() < 1 || looks.Load() > most {
		t.Errorf("%d looks, want 1 to %d", looks.Load(), most)
	}
	gone.Store(true)
	time.Sleep(2100 * time.Millisecond)
	all(503, `{"status":"not ready"}`)
	gone.Store(false)
	time.Sleep(2100 * time.Millisecond)
	all(200, `{"status":"ready"}`)
	r.srv.Drain()
	all(503, `{"status":"not ready"}`)
	if n := len(r.refusals()); n != 0 {
		t.Errorf("%d refusals are counted", n)
	}
	r.raw("POST /healthz HTTP/1.1\r\nHost: bridge\r\nContent-Length: 0\r\n\r\n").expect(t, "POST", 405, client+"Method not allowed; SOAP calls are POST requests, the WSDL is a GET of ?wsdl")
}
