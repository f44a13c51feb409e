package invx_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/invx"
	"einvoice-bridge/bridge/upstream/upstreamtest"
	"einvoice-bridge/fixtures/sandbox"
	sim "einvoice-bridge/fixtures/sandbox/invx"
)

// newShared runs on the network given, nil for the real one.
func newShared(network http.RoundTripper) *upstream.Shared {
	s := upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler))
	s.RoundTripper = network
	return s
}

func failure(err error) (*upstream.Failure, bool) {
	return errors.AsType[*upstream.Failure](err)
}

// memory is a simulator without sockets, so that it runs on synctest's clock.
func memory(h http.Handler) http.RoundTripper {
	return upstreamtest.Network(func(r *http.Request) (*http.Response, error) {
		w, r := httptest.NewRecorder(), r.Clone(r.Context())
		for name, values := range r.Header { // as a server reads them
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
		h.ServeHTTP(w, r)
		return w.Result(), nil
	})
}

func adapter(t *testing.T, shared *upstream.Shared, change func(*invx.Config)) bench {
	t.Helper()
	cfg := config("https://invx.example")
	if change != nil {
		change(&cfg)
	}
	a, err := invx.New(cfg, shared)
	if err != nil {
		t.Fatal(err)
	}
	return bench{Adapter: a}
}

func irn(i int) string { return fmt.Sprintf("%064x", 0xabc000+i) }

// together cancels n documents at once.
func (b bench) together(t *testing.T, n int, taxpayer string, first int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			c := cancellation(irn(first + i))
			c.Taxpayer = taxpayer
			if o := b.Cancel(t.Context(), c, upstreamtest.Free); o.Class != bridge.Cancelled {
				t.Errorf("%s %d: %+v", taxpayer, i, o)
			}
		})
	}
	wg.Wait()
}

func TestManyCallsOnAnExpiredTokenRefreshItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := sim.New(sim.Options{AutoSeed: true})
		server.AddUser(demoUser())
		b := adapter(t, newShared(memory(server)), nil)
		b.sim = server
		b.together(t, 1, sim.DemoGSTIN, 1000)
		if err := server.Arm(sandbox.Fault{Name: "expire_tokens", Times: 1}); err != nil {
			t.Fatal(err)
		}
		b.together(t, 50, sim.DemoGSTIN, 0)
		if logins, refreshes := b.count("POST", "/authtokens"), b.count("PUT", "/authtokens"); logins != 1 || refreshes != 1 {
			t.Errorf("%d logins and %d refreshes, want one of each", logins, refreshes)
		}
	})
}

func TestManyCallsWithoutATokenLogInOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := sim.New(sim.Options{AutoSeed: true})
		server.AddUser(demoUser())
		b := adapter(t, newShared(memory(server)), nil)
		b.sim = server
		b.together(t, 50, sim.DemoGSTIN, 0)
		if n := b.count("POST", "/authtokens"); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}

func demoUser() sim.User {
	return sim.User{Handle: sim.DemoHandle, Password: sim.DemoPassword, Orgs: []sim.Org{
		{ID: sim.DemoOrgID, Name: "Demo", GSTINs: []string{sim.DemoGSTIN}},
		{ID: "second", Name: "Second", GSTINs: []string{"29AAFCD5862R000"}},
	}}
}

// The simulator lets a token only into its own user's organisations.
func TestUsersNeverSeeEachOthersToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := sim.New(sim.Options{AutoSeed: true})
		server.AddUser(sim.User{Handle: sim.DemoHandle, Password: sim.DemoPassword,
			Orgs: []sim.Org{{ID: sim.DemoOrgID, GSTINs: []string{sim.DemoGSTIN}}}})
		server.AddUser(sim.User{Handle: "other@example.com", Password: "Other@2026",
			Orgs: []sim.Org{{ID: "other", GSTINs: []string{"29AAFCD5862R000"}}}})
		shared := newShared(memory(server))
		one := adapter(t, shared, nil)
		two := adapter(t, shared, func(c *invx.Config) {
			c.Taxpayer, c.OrgID, c.Username, c.Password = "29AAFCD5862R000", "other", "other@example.com", "Other@2026"
		})
		var wg sync.WaitGroup
		wg.Go(func() { one.together(t, 25, sim.DemoGSTIN, 0) })
		wg.Go(func() { two.together(t, 25, "29AAFCD5862R000", 100) })
		wg.Wait()
	})
}

func TestOneTokenServesAllOrganisationsOfAUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := sim.New(sim.Options{AutoSeed: true})
		server.AddUser(demoUser())
		shared := newShared(memory(server))
		one := adapter(t, shared, nil)
		two := adapter(t, shared, func(c *invx.Config) { c.Taxpayer, c.OrgID = "29AAFCD5862R000", "second" })
		one.sim = server
		one.together(t, 1, sim.DemoGSTIN, 0)
		two.together(t, 1, "29AAFCD5862R000", 100)
		if n := one.count("POST", "/authtokens"); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
		if one.Profile().Credential == two.Profile().Credential {
			t.Error("two organisations share a gate")
		}
	})
}

// A token lives six hours, can be refreshed for thirty-six, and is then replaced by a login.
func TestTokenIsRefreshedUntilItsHardExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := sim.New(sim.Options{AutoSeed: true})
		server.AddUser(demoUser())
		b := adapter(t, newShared(memory(server)), nil)
		b.sim = server
		for i := range 12 { // each time after the token has expired
			b.together(t, 1, sim.DemoGSTIN, i)
			time.Sleep(7 * time.Hour)
		}
		if logins, refreshes := b.count("POST", "/authtokens"), b.count("PUT", "/authtokens"); logins != 2 || refreshes != 10 {
			t.Errorf("%d logins and %d refreshes in 84 hours", logins, refreshes)
		}
	})
}

func TestBusyTokenIsRenewedBeforeItsEndWithoutAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := sim.New(sim.Options{AutoSeed: true})
		server.AddUser(demoUser())
		b := adapter(t, newShared(memory(server)), nil)
		b.sim = server
		b.together(t, 1, sim.DemoGSTIN, 0)
		time.Sleep(6*time.Hour - 4*time.Minute)
		b.together(t, 1, sim.DemoGSTIN, 1)
		synctest.Wait()
		b.together(t, 1, sim.DemoGSTIN, 2)
		if logins, refreshes := b.count("POST", "/authtokens"), b.count("PUT", "/authtokens"); logins != 1 || refreshes != 1 {
			t.Errorf("%d logins and %d refreshes, want one of each", logins, refreshes)
		}
	})
}

func TestClockOfTheirsDecidesOnTheLifeOfAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := sim.New(sim.Options{AutoSeed: true})
		server.AddUser(demoUser())
		if err := server.Arm(sandbox.Fault{Name: "clock_offset", Value: "-32400"}); err != nil { // ours is nine hours fast
			t.Fatal(err)
		}
		b := adapter(t, newShared(memory(server)), nil)
		b.sim = server
		b.together(t, 3, sim.DemoGSTIN, 0)
		time.Sleep(time.Hour)
		b.together(t, 3, sim.DemoGSTIN, 10)
		if n := b.count("POST", "/authtokens") + b.count("PUT", "/authtokens"); n != 1 {
			t.Errorf("%d tokens in one hour, want 1", n)
		}
	})
}

func TestRefusedTokensDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := sim.New(sim.Options{AutoSeed: true})
		server.AddUser(demoUser())
		b := adapter(t, newShared(memory(server)), func(c *invx.Config) { c.CallHeaders = map[string]bridge.Secret{"X-Wrong": "{token}"} })
		b.sim = server
		for range 12 {
			if o := b.Cancel(t.Context(), cancellation(irn(1)), upstreamtest.Free); o.Class != bridge.Misconfigured || o.Code != "" {
				t.Errorf("%+v", o)
			}
			time.Sleep(time.Minute)
		}
		if logins, logouts := b.count("POST", "/authtokens"), b.count("POST", "/logout"); logins-logouts > 1 {
			t.Errorf("%d logins but %d logouts", logins, logouts)
		}
	})
}

func TestAtMostFiveCallsAtOncePerOrganisation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := sim.New(sim.Options{AutoSeed: true})
		server.AddUser(demoUser())
		var mu sync.Mutex
		running, most := 0, 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			running += n
			most = max(most, running)
		}
		shared := newShared(memory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			count(1)
			defer count(-1)
			time.Sleep(time.Second)
			server.ServeHTTP(w, r)
		})))
		b := adapter(t, shared, nil)
		b.together(t, 20, sim.DemoGSTIN, 0)
		if most != 5 {
			t.Errorf("%d calls at once, want 5", most)
		}
	})
}
