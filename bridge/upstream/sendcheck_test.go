package upstream

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"

	"einvoice-bridge/bridge"
)

// A cancel whose lease is lost writes nothing and counts as not applied; logins and lookups don't ask.
func TestSendCheckStopsCancelsOnly(t *testing.T) {
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
	defer srv.Close()
	client, err := newShared().Client(Settings{BaseURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx := bridge.WithSendCheck(t.Context(), func(context.Context) error { return bridge.ErrLostLease })
	r := client.Do(ctx, Request{Purpose: "cancel", Method: http.MethodPost, Path: "/", Body: []byte("{}")})
	if o := r.Verdict(); o.Class != bridge.NotApplied || r.Written || calls != 0 {
		t.Errorf("got %s, written %v, %d calls arrived", o.Class, r.Written, calls)
	}
	if r := client.Do(ctx, Request{Purpose: "lookup", Method: http.MethodGet, Path: "/"}); r.Err != nil || calls != 1 {
		t.Errorf("a lookup: %v, %d calls arrived", r.Err, calls)
	}
}

// Connecting takes its time: a lease that is lost meanwhile is noticed before the first byte, on a new connection and
// on a kept one, in clear and in TLS.
func TestSendCheckComesLast(t *testing.T) {
	for name, start := range map[string]func(http.Handler) *httptest.Server{"http": httptest.NewServer, "https": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			srv := start(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
			defer srv.Close()
			set := Settings{BaseURL: srv.URL}
			if c := srv.Certificate(); c != nil {
				set.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
			}
			client, err := newShared().Client(set)
			if err != nil {
				t.Fatal(err)
			}
			for _, kept := range []bool{false, true} {
				if kept {
					if r := client.Do(t.Context(), Request{Purpose: "lookup", Method: http.MethodGet, Path: "/"}); r.Err != nil {
						t.Fatal(r.Err)
					}
				}
				asked, before := 0, calls
				ctx := bridge.WithSendCheck(t.Context(), func(context.Context) error {
					if asked++; asked == 1 {
						return nil
					}
					return bridge.ErrLostLease
				})
				r := client.Do(ctx, Request{Purpose: "cancel", Method: http.MethodPost, Path: "/", Body: []byte("{}")})
				if o := r.Verdict(); o.Class != bridge.NotApplied || r.Written || calls != before || asked != 2 {
					t.Errorf("kept %v: got %s, written %v, %d calls arrived, asked %d times", kept, o.Class, r.Written, calls-before, asked)
				}
			}
		})
	}
}
