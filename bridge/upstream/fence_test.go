package upstream

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"

	"einvoice-bridge/bridge"
)

// The fences of a process that may send, and of one whose lease another has taken over.
func free(context.Context) error { return nil }
func lost(context.Context) error { return bridge.ErrLostLease }

// A cancel whose lease is lost writes nothing and counts as not applied, and so does whatever else changes state and
// comes without a fence; logins and lookups need none.
func TestFenceFailsClosed(t *testing.T) {
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
	defer srv.Close()
	client := newClient(t, Settings{BaseURL: srv.URL})
	for name, q := range map[string]Request{
		"lease lost": {Purpose: ForCancel, Fence: lost}, "no fence": {Purpose: ForCancel}, "no purpose": {},
	} {
		q.Method, q.Path, q.Body = http.MethodPost, "/", []byte("{}")
		r := client.Do(t.Context(), &q)
		if o := r.Verdict(); o.Class != bridge.NotApplied || o.Sent || r.Written || calls != 0 {
			t.Errorf("%s: got %s, written %v, %d calls arrived", name, o.Class, r.Written, calls)
		}
	}
	for _, purpose := range []Purpose{ForLookup, ForLogin} {
		if r := client.Do(t.Context(), &Request{Purpose: purpose, Method: http.MethodGet, Path: "/"}); r.Err != nil {
			t.Errorf("a %s: %v", purpose, r.Err)
		}
	}
}

// Connecting takes its time: a lease that is lost meanwhile is noticed before the first byte, on a new connection and
// on a kept one, in clear and in TLS.
func TestFenceComesLast(t *testing.T) {
	for name, start := range map[string]func(http.Handler) *httptest.Server{"http": httptest.NewServer, "https": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			srv := start(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
			defer srv.Close()
			set := Settings{BaseURL: srv.URL}
			if c := srv.Certificate(); c != nil {
				set.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
			}
			client := newClient(t, set)
			for _, kept := range []bool{false, true} {
				if kept {
					if r := client.Do(t.Context(), &Request{Purpose: ForLookup, Method: http.MethodGet, Path: "/"}); r.Err != nil {
						t.Fatal(r.Err)
					}
				}
				asked, before := 0, calls
				fence := func(context.Context) error {
					if asked++; asked == 1 {
						return nil
					}
					return bridge.ErrLostLease
				}
				r := client.Do(t.Context(), &Request{Purpose: ForCancel, Fence: fence, Method: http.MethodPost, Path: "/", Body: []byte("{}")})
				if o := r.Verdict(); o.Class != bridge.NotApplied || r.Written || calls != before || asked != 2 {
					t.Errorf("kept %v: got %s, written %v, %d calls arrived, asked %d times", kept, o.Class, r.Written, calls-before, asked)
				}
			}
		})
	}
}
