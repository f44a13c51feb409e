package app

import (
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/observe"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// Reloads back and forth while callers call: each call meets one configuration or the other, whole, and none fails.
func TestReloadUnderLoad(t *testing.T) {
	sims, path := sandboxed(t, nil)
	read, _ := os.ReadFile(path)
	other := strings.Replace(string(read), "upstreams:", "contract: {values: {success: Done, token_invalid: Nobody}}\nupstreams:", 1)
	other = strings.Replace(other, access.HashToken(demo.Token), access.HashToken("other"), 1)
	a := started(t, path, observe.NewLogger(io.Discard, "text", "debug"))
	known := regexp.MustCompile(`<status>Success</status>|<status>Done</status>`)
	var calls sync.WaitGroup
	var ended atomic.Bool
	for _, token := range []string{demo.Token, "other", demo.Token, "other"} {
		calls.Go(func() {
			for !ended.Load() {
				body, err := post(a.PublicURL()+"/einvoice", strings.Replace(demo.Envelope(sims[0].Taxpayer, sims[0].Success), demo.Token, token, 1))
				switch said := known.FindString(string(body)); {
				case err != nil, strings.Contains(string(body), "Fault"):
					t.Errorf("%s, %v", body, err)
				case token == demo.Token && said == "<status>Done</status>", token == "other" && said == "<status>Success</status>":
					t.Errorf("token and words are of two configurations: %s", body)
				case said == "" && token == "other" && strings.Contains(string(body), "Nobody"),
					said == "" && token == demo.Token && !strings.Contains(string(body), "Nobody"):
					t.Errorf("refused under the configuration that knows the token: %s", body)
				}
			}
		})
	}
	for i := range 20 {
		text := string(read)
		if i%2 == 0 {
			text = other
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a.Reload("test")
		if r := a.lastReload.Load(); !r.Good() || len(r.Changes) != 3 {
			t.Fatalf("reload %d: %+v", i, r)
		}
		time.Sleep(10 * time.Millisecond)
	}
	ended.Store(true)
	calls.Wait()
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
	a.Reload("too late")
	if a.lastReload.Load().By != "test" {
		t.Error("a stopped bridge reloads")
	}
}

// A taxpayer that is taken out of the file has its cancellations on record still: a repeat is told that it can't be carried
// out, never that the authority, or anybody, has said no. Who was never there is the caller's mistake.
func TestRemovedTaxpayerIsNotRefused(t *testing.T) {
	sims, path := sandboxed(t, nil)
	a := started(t, path, observe.NewLogger(io.Discard, "text", "debug"))
	call := func(taxpayer, want string) {
		t.Helper()
		if body, err := post(a.PublicURL()+"/einvoice", demo.Envelope(taxpayer, sims[0].Success)); err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s, %v; want %s", body, err, want)
		}
	}
	call(sims[0].Taxpayer, "<code>200</code>")
	read, _ := os.ReadFile(path)
	if err := os.WriteFile(path, []byte(strings.Replace(string(read), "  "+sims[0].Taxpayer+":", "  29AABCT1332L000:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if a.Reload("test"); !a.lastReload.Load().Good() {
		t.Fatalf("%+v", a.lastReload.Load())
	}
	call(sims[0].Taxpayer, bridge.FaultMisconfigured)
	call("27AAPFU0939F1ZV", "<code>204</code>")
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
}
