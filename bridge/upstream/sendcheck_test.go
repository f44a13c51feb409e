package upstream

import (
	"context"
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
