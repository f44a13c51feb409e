package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/fixtures/sandbox/demo"
	"einvoice-bridge/fixtures/sandbox/nic"
)

// A configured webhook hears of refused credentials, without them.
func TestWebhookIsWired(t *testing.T) {
	type alarm struct{ Kind, Upstream, Document, Text string }
	heard := make(chan alarm, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var a alarm
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			t.Error(err)
		}
		heard <- a
	}))
	defer srv.Close()
	sims, path := sandboxed(t, func(text string) string {
		user := fmt.Sprintf("    username: %q\n    password: ", nic.DemoUser)
		return fmt.Sprintf("alarms: {webhook: %q}\n", srv.URL) + strings.Replace(text, user+strconv.Quote(nic.DemoPassword), user+"a-wrong-password", 1)
	})
	a := serving(t, path)
	if _, err := post(a.PublicURL()+"/einvoice", demo.Envelope(sims[0].Taxpayer, sims[0].Success)); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-heard:
		if got.Kind != string(bridge.AlarmMisconfigured) || got.Upstream != "nic" || got.Document != sims[0].Success || strings.Contains(got.Text, "a-wrong-password") {
			t.Errorf("got %+v", got)
		}
	case <-time.After(5 * time.Second):
		t.Error("no alarm came")
	}
}
