package mastersindia_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/mastersindia"
	"einvoice-bridge/bridge/upstream/upstreamtest"
	"einvoice-bridge/fixtures/sandbox"
	sim "einvoice-bridge/fixtures/sandbox/mastersindia"
)

// memory is a simulator without sockets, so that it runs on synctest's clock.
func memory(h http.Handler) http.RoundTripper {
	return upstreamtest.Network(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result(), nil
	})
}

func inMemory(t *testing.T, o sim.Options) (*sim.Server, *upstream.Shared) {
	t.Helper()
	o.AutoSeed = true
	server := sim.New(o)
	server.AddAccount(sim.Account{Username: sim.DemoUsername, Password: sim.DemoPassword, ClientID: sim.DemoClientID,
		ClientSecret: sim.DemoClientSecret, GSTINs: []string{sim.DemoGSTIN, sim.DemoSecondGSTIN}})
	return server, newShared(memory(server), &upstreamtest.Budget{})
}

func adapter(t *testing.T, server *sim.Server, shared *upstream.Shared, api string, change func(*mastersindia.Config)) bench {
	t.Helper()
	cfg := config("https://mi.example", api)
	if change != nil {
		change(&cfg)
	}
	a, err := mastersindia.New(cfg, shared)
	if err != nil {
		t.Fatal(err)
	}
	return bench{Adapter: a, sim: server}
}

// The key stands in the header api_key and nothing logs in (the vendor's v1 pages, "Authentication", 2026-11).
func TestTheKeyInsteadOfALogin(t *testing.T) {
	keyed := func(key string) func(*mastersindia.Config) {
		return func(c *mastersindia.Config) {
			c.Username, c.Password, c.ClientID, c.ClientSecret, c.APIKey = "", "", "", "", bridge.Secret(key)
		}
	}
	b := newBench(t, mastersindia.V1, keyed(sim.DemoAPIKey))
	o := b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
	if o.Class != bridge.Cancelled || !o.Sent || len(o.Exchanges) != 1 || b.count(sandbox.Auth) != 0 {
		t.Errorf("%+v, %d logins", o, b.count(sandbox.Auth))
	}
	state, err := b.Lookup(t.Context(), cancellation(sim.DemoIRN))
	if err != nil || state.Status != bridge.StatusCancelled || b.count(sandbox.Auth) != 0 {
		t.Errorf("%+v, %v", state, err)
	}
	if err := b.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	o = b.Cancel(t.Context(), cancellation(sim.DemoForeignIRN), upstreamtest.Free)
	if o.Class != bridge.Refused || !strings.HasPrefix(o.Message, "2143") {
		t.Errorf("another's document: %+v", o)
	}

	b = newBench(t, mastersindia.V1, keyed("a-wrong-key"))
	o = b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
	if o.Class != bridge.Misconfigured || !strings.Contains(o.Alarm, "api_key") || b.count(sandbox.Cancel) != 1 || b.count(sandbox.Auth) != 0 {
		t.Errorf("wrong key: %+v, %d calls", o, b.count(sandbox.Cancel))
	}
	if strings.Contains(fmt.Sprintf("%+v", o), "a-wrong-key") {
		t.Error("the key shows")
	}
	if _, err = b.Lookup(t.Context(), cancellation(sim.DemoIRN)); err == nil {
		t.Error("a lookup with the wrong key found something")
	}

	for name, tt := range map[string]struct {
		api, want string
		change    func(*mastersindia.Config)
	}{
		"legacy has none": {mastersindia.Legacy, "api_key can't stand beside api: legacy", keyed("k")},
		"both":            {mastersindia.V1, "password can't stand beside api_key", func(c *mastersindia.Config) { c.APIKey, c.Username = "k", "" }},
		"no header":       {mastersindia.V1, "api_key has blanks", keyed("a\nb")},
		"neither":         {mastersindia.V1, "username is missing", keyed("")},
	} {
		cfg := config("https://mi.example", tt.api)
		tt.change(&cfg)
		_, err := mastersindia.New(cfg, newShared(nil, &upstreamtest.Budget{}))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// together cancels n documents at once.
func (b bench) together(t *testing.T, n int, taxpayer string, first int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			c := cancellation(fmt.Sprintf("%064x", first+i))
			c.Taxpayer = taxpayer
			if o := b.Cancel(t.Context(), c, upstreamtest.Free); o.Class != bridge.Cancelled {
				t.Errorf("%s %d: %+v", taxpayer, i, o)
			}
		})
	}
	wg.Wait()
}

func TestManyCallsOnAnExpiredTokenLogInOnce(t *testing.T) {
	both(t, func(t *testing.T, api string) {
		synctest.Test(t, func(t *testing.T) {
			server, shared := inMemory(t, sim.Options{})
			b := adapter(t, server, shared, api, nil)
			b.together(t, 50, sim.DemoGSTIN, 0)
			if n := b.count(sandbox.Auth); n != 1 {
				t.Errorf("%d logins at the start, want 1", n)
			}
			if err := server.Arm(sandbox.Fault{Name: "expire_tokens", Times: 1}); err != nil {
				t.Fatal(err)
			}
			b.together(t, 50, sim.DemoGSTIN, 1000)
			if n := b.count(sandbox.Auth); n != 2 {
				t.Errorf("%d logins in all, want 2", n)
			}
		})
	})
}

// A token is used to its end: renewed in the background when calls go on, replaced when they come later.
func TestTokenLivesAsLongAsItSays(t *testing.T) {
	for name, c := range map[string]struct {
		api   string
		lives time.Duration // of a legacy token
		still time.Duration // at this age it is used as it is
		renew time.Duration // at this age the next call renews it, and nobody waits
	}{
		"legacy, one hour":   {mastersindia.Legacy, time.Hour, 54 * time.Minute, 56 * time.Minute},
		"legacy, four hours": {mastersindia.Legacy, 4 * time.Hour, 234 * time.Minute, 236 * time.Minute},
		"v1":                 {mastersindia.V1, 0, 22*time.Hour + 54*time.Minute, 22*time.Hour + 56*time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, shared := inMemory(t, sim.Options{ExpiresIn: c.lives})
				b := adapter(t, server, shared, c.api, nil)
				b.together(t, 1, sim.DemoGSTIN, 0)
				time.Sleep(c.still)
				b.together(t, 1, sim.DemoGSTIN, 1)
				synctest.Wait()
				if n := b.count(sandbox.Auth); n != 1 {
					t.Errorf("%d logins before its time, want 1", n)
				}
				time.Sleep(c.renew - c.still)
				b.together(t, 1, sim.DemoGSTIN, 2)
				synctest.Wait()
				if n := b.count(sandbox.Auth); n != 2 {
					t.Errorf("%d logins, want a second one near the end", n)
				}
				time.Sleep(48 * time.Hour)
				b.together(t, 1, sim.DemoGSTIN, 3)
				if n := b.count(sandbox.Auth); n != 3 {
					t.Errorf("%d logins, want a third one long after", n)
				}
				if refused := b.refused(); refused != 0 {
					t.Errorf("%d calls went out with a dead token", refused)
				}
			})
		})
	}
}

// refused counts the calls that the simulator turned away.
func (b bench) refused() int {
	n := 0
	for _, call := range b.sim.Calls() {
		if call.Status == http.StatusUnauthorized {
			n++
		}
	}
	return n
}

// The simulator lets a token act for its own account's taxpayers only.
func TestAccountsNeverSeeEachOthersToken(t *testing.T) {
	both(t, func(t *testing.T, api string) {
		synctest.Test(t, func(t *testing.T) {
			server, shared := inMemory(t, sim.Options{})
			server.AddAccount(sim.Account{Username: "other", Password: "other2026", ClientID: "other-id", ClientSecret: "other-secret",
				GSTINs: []string{sim.DemoForeignGSTIN}})
			one := adapter(t, server, shared, api, nil)
			two := adapter(t, server, shared, api, func(c *mastersindia.Config) {
				c.Taxpayer, c.Username, c.Password = sim.DemoForeignGSTIN, "other", "other2026"
				c.ClientID, c.ClientSecret = "other-id", "other-secret"
			})
			var wg sync.WaitGroup
			wg.Go(func() { one.together(t, 25, sim.DemoGSTIN, 0) })
			wg.Go(func() { two.together(t, 25, sim.DemoForeignGSTIN, 1000) })
			wg.Wait()
			if n := one.count(sandbox.Auth); n != 2 {
				t.Errorf("%d logins, want one for each account", n)
			}
		})
	})
}

func TestTaxpayersOfOneAccountShareItsSessionButNotTheirGates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, shared := inMemory(t, sim.Options{})
		one := adapter(t, server, shared, mastersindia.V1, nil)
		two := adapter(t, server, shared, mastersindia.V1, func(c *mastersindia.Config) { c.Taxpayer = sim.DemoSecondGSTIN })
		one.together(t, 1, sim.DemoGSTIN, 0)
		two.together(t, 1, sim.DemoSecondGSTIN, 100)
		if n := one.count(sandbox.Auth); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
		if one.Profile().Credential == two.Profile().Credential {
			t.Error("what one taxpayer is refused stops the other")
		}
	})
}

func TestClockOfTheirsDecidesOnTheLifeOfAJWT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, shared := inMemory(t, sim.Options{})
		if err := server.Arm(sandbox.Fault{Name: "clock_offset", Value: "-84600"}); err != nil { // ours is 23½ hours fast
			t.Fatal(err)
		}
		b := adapter(t, server, shared, mastersindia.V1, nil)
		b.together(t, 1, sim.DemoGSTIN, 0)
		time.Sleep(time.Hour)
		b.together(t, 1, sim.DemoGSTIN, 1)
		if n := b.count(sandbox.Auth); n != 1 {
			t.Errorf("%d logins in an hour, want 1", n)
		}
	})
}
