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
