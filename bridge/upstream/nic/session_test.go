package nic

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

func TestFiftyCallsOnAnExpiredTokenLogInOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNIC{t: t, takes: time.Second}
		a, _ := f.adapter()
		wantClass(t, cancel(t, a), bridge.Cancelled)
		time.Sleep(6 * time.Hour)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { wantClass(t, cancel(t, a), bridge.Cancelled) })
		}
		wg.Wait()
		if n := len(f.logins()); n != 2 {
			t.Errorf("%d logins, want one at first and one after the expiry", n)
		}
	})
}

func TestLifeOfATokenByNICsClock(t *testing.T) {
	tests := []struct {
		name string
		nic  *fakeNIC
		want time.Duration // how long the first token is used
	}{
		{"360 minutes", &fakeNIC{life: 6 * time.Hour}, 6*time.Hour - time.Minute},
		{"the sandbox's 60 minutes", &fakeNIC{life: time.Hour}, 59 * time.Minute},
		{"our clock 5 hours slow", &fakeNIC{life: time.Hour, skew: 5 * time.Hour}, 59 * time.Minute},
		{"our clock 5 hours fast", &fakeNIC{life: time.Hour, skew: -5 * time.Hour}, 59 * time.Minute},
		{"longer than six hours", &fakeNIC{life: 48 * time.Hour}, 6*time.Hour - time.Minute},
		{"expiry of another form", &fakeNIC{life: 6 * time.Hour, expiry: func(e time.Time) string { return e.Format(time.RFC1123) }}, 55 * time.Minute},
		{"expiry already over", &fakeNIC{life: 3 * time.Hour, expiry: func(e time.Time) string { return e.UTC().Format(time.DateTime) }}, 55 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := tt.nic
				f.t, f.sticky = t, true // no new token by force: the first one is used to its end
				a, _ := f.adapter()
				cancel(t, a)
				time.Sleep(tt.want - time.Second) // HTTP dates have whole seconds
				cancel(t, a)
				synctest.Wait()
				fresh := func() (n int) {
					for _, in := range f.logins() {
						if !in.ForceRefreshAccessToken {
							n++
						}
					}
					return n
				}
				if fresh() != 1 {
					t.Errorf("a new login before %v", tt.want)
				}
				time.Sleep(2 * time.Second)
				cancel(t, a)
				if fresh() != 2 {
					t.Errorf("no new login after %v", tt.want)
				}
			})
		})
	}
}

func TestTokenIsRefreshedByForceOnceInItsLastTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNIC{t: t, life: time.Hour, takes: time.Second}
		a, _ := f.adapter()
		cancel(t, a)
		time.Sleep(49 * time.Minute)
		cancel(t, a)
		if n := len(f.logins()); n != 1 {
			t.Fatalf("%d logins after 49 of 60 minutes", n)
		}
		time.Sleep(90 * time.Second)
		start := time.Now()
		wantClass(t, cancel(t, a), bridge.Cancelled)
		if time.Since(start) != 0 {
			t.Error("a call waited for the refresh")
		}
		time.Sleep(2 * time.Second)
		cancel(t, a)
		logins := f.logins()
		if len(logins) != 2 || logins[0].ForceRefreshAccessToken || !logins[1].ForceRefreshAccessToken {
			t.Errorf("logins %+v, want a plain one and a forced one", logins)
		}
		if used := f.used(); used[len(used)-1] != "token00000000000000000002" {
			t.Errorf("calls used %v", used)
		}
	})
}

func TestRefreshThatBringsNothingIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNIC{t: t, life: time.Hour, sticky: true}
		a, _ := f.adapter()
		for range 9 {
			cancel(t, a)
			synctest.Wait()
			time.Sleep(time.Minute)
		}
		time.Sleep(42 * time.Minute)
		for range 7 {
			wantClass(t, cancel(t, a), bridge.Cancelled)
			synctest.Wait()
			time.Sleep(time.Minute)
		}
		if n := len(f.logins()); n != 2 {
			t.Errorf("%d logins, want the first and one refresh", n)
		}
	})
}

func TestDyingTokenIsReplacedAtLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNIC{t: t}
		a, _ := f.adapter()
		f.token, f.sek, f.ends = "dying", make([]byte, 32), time.Now().Add(40*time.Second)
		wantClass(t, cancel(t, a), bridge.Cancelled)
		if logins, used := f.logins(), f.used(); len(logins) != 2 || !logins[1].ForceRefreshAccessToken || used[0] == "dying" {
			t.Errorf("logins %d, used %v", len(logins), used)
		}
	})
}

func TestAtMostFourLoginsIn15Minutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNIC{t: t, auth: func(int) string { return errorReply("3020", "Internal Server Error pls try after sometime") }}
		a, _ := f.adapter()
		start := time.Now()
		var at []time.Duration
		said := map[string]bool{}
		for time.Since(start) < 15*time.Minute {
			before := len(f.logins())
			o := cancel(t, a)
			wantClass(t, o, bridge.NotApplied)
			if len(f.logins()) > before {
				at = append(at, time.Since(start))
			} else if o.RetryAfter <= 0 {
				t.Fatalf("held back without a time: %+v", o)
			}
			if o.Sent {
				t.Fatalf("sent: %+v", o)
			}
			said[o.Message] = true
			time.Sleep(time.Second)
		}
		want := []time.Duration{0, 10 * time.Second, 70 * time.Second, 370 * time.Second}
		if !slices.Equal(at, want) {
			t.Errorf("logins after %v, want %v", at, want)
		}
		for _, want := range []string{
			"calls held back until 00:00:10 UTC: 3020: Internal Server Error pls try after sometime",
			"logins held back until 00:15 UTC: 4 in 15m are used up",
		} {
			if !said[want] {
				t.Errorf("nobody was told %q, but %q", want, slices.Sorted(maps.Keys(said)))
			}
		}
		time.Sleep(time.Second)
		cancel(t, a)
		if len(f.logins()) != 5 {
			t.Errorf("%d logins after 15 minutes, want a fifth", len(f.logins()))
		}
	})
}

func TestPausesStartAgainAfterALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		f := &fakeNIC{t: t, life: time.Hour, sticky: true}
		f.auth = func(int) string {
			if down {
				return "503 <html>"
			}
			return ""
		}
		a, _ := f.adapter()
		for _, want := range []time.Duration{10 * time.Second, time.Minute} {
			if o := cancel(t, a); o.RetryAfter != want {
				t.Errorf("pause %v, want %v", o.RetryAfter, want)
			}
			time.Sleep(want)
		}
		down = false
		wantClass(t, cancel(t, a), bridge.Cancelled)
		down = true
		time.Sleep(time.Hour)
		if o := cancel(t, a); o.RetryAfter != 10*time.Second {
			t.Errorf("pause %v, want 10s again", o.RetryAfter)
		}
	})
}

func TestParallelRefusalsOfATokenLogInOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNIC{t: t, takes: time.Second}
		f.answer = func(r *http.Request, _ int) string {
			time.Sleep(100 * time.Millisecond)
			f.mu.Lock()
			defer f.mu.Unlock()
			if tokenOf(r) != f.token || f.ends.IsZero() {
				return errorReply("1005", "Invalid Token")
			}
			return ""
		}
		a, _ := f.adapter()
		cancel(t, a)
		f.revoke()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				o := cancel(t, a)
				wantClass(t, o, bridge.Cancelled)
				if n := sends(o); n != 2 {
					t.Errorf("%d sends, want a refused one and its replay", n)
				}
			})
		}
		wg.Wait()
		if n := len(f.logins()); n != 2 {
			t.Errorf("%d logins, want 2", n)
		}
	})
}

func sends(o bridge.Outcome) (n int) {
	for _, x := range o.Exchanges {
		if x.Purpose == "cancel" {
			n++
		}
	}
	return n
}

func TestTheRefusedTokenAgain(t *testing.T) {
	for name, reply := range map[string]string{"1005": errorReply("1005", "Invalid Token"), "HTTP 401": "401 <html>"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeNIC{t: t, answer: func(*http.Request, int) string { return reply }}
				a, budget := f.adapter()
				o := cancel(t, a)
				wantClass(t, o, bridge.Misconfigured)
				if !strings.Contains(o.Alarm, "a token that it has just issued") || sends(o) != 2 {
					t.Errorf("%d sends, alarm %q", sends(o), o.Alarm)
				}
				logins := f.logins()
				if len(logins) != 3 || logins[1].ForceRefreshAccessToken || !logins[2].ForceRefreshAccessToken {
					t.Errorf("logins %+v, want plain, plain (the same token), forced", logins)
				}
				g, shut, _ := budget.Gate(t.Context(), a.profile.Credential)
				if !shut || time.Until(g.Until) != time.Minute || g.Class != bridge.Misconfigured {
					t.Errorf("gate %+v, shut %v; want a minute", g, shut)
				}
			})
		})
	}
}

// A session key that changed under the same token is not the refused session again: no force is needed.
func TestNewKeyUnderTheSameToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNIC{t: t}
		a, _ := f.adapter()
		cancel(t, a)
		f.sek = []byte(strings.Repeat("k", 32))
		wantClass(t, cancel(t, a), bridge.Cancelled)
		if logins := f.logins(); len(logins) != 2 || logins[1].ForceRefreshAccessToken {
			t.Errorf("logins %+v", logins)
		}
	})
}

func TestWrongPasswordIsNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNIC{t: t, auth: func(int) string { return errorReply("1019", "Incorrect Password") }}
		a, budget := f.adapter()
		for range 20 {
			wantClass(t, cancel(t, a), bridge.Misconfigured)
			time.Sleep(time.Second)
		}
		if err := a.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "1019: Incorrect Password") {
			t.Errorf("probe: %v", err)
		}
		if _, err := a.Lookup(t.Context(), vectorCancel); err == nil {
			t.Error("a lookup without a session")
		}
		if n := len(f.logins()); n != 1 {
			t.Errorf("%d logins with a wrong password, want 1 in 5 minutes", n)
		}
		g, _, _ := budget.Gate(t.Context(), a.profile.Credential)
		if want := time.Now().Add(5*time.Minute - 20*time.Second); !g.Until.Equal(want) {
			t.Errorf("gate until %v, want %v", g.Until, want)
		}
		f.auth = nil
		time.Sleep(5 * time.Minute)
		wantClass(t, cancel(t, a), bridge.Cancelled)
	})
}

// Two taxpayers under one client id, and one taxpayer whose password was changed, have sessions of their own; the
// same access under two names has one.
func TestSessionsBelongToCredentials(t *testing.T) {
	f := &fakeNIC{t: t}
	a, _ := f.adapter()
	shared := func(change func(*Config)) *Adapter {
		cfg := testConfig(t)
		change(&cfg)
		b, err := New(cfg, upstream.NewShared(nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, change := range map[string]func(*Config){
		"gstin":    func(c *Config) { c.Taxpayer = "09AAAPG7885R002" },
		"user":     func(c *Config) { c.Username = "user-name-2" },
		"password": func(c *Config) { c.Password = "Pa$$word-2" },
		"secret":   func(c *Config) { c.ClientSecret = "client-secret-2" },
		"client":   func(c *Config) { c.ClientID = "client-id-2" },
		"base URL": func(c *Config) { c.BaseURL = "https://nic2.example" },
		"headers":  func(c *Config) { c.Headers = map[string]bridge.Secret{"aspid": "1"} },
	} {
		if b := shared(change); b.profile.Credential == a.profile.Credential {
			t.Errorf("another %s has the same credential digest", name)
		}
	}
	same := shared(func(c *Config) {
		c.Name, c.Taxpayer, c.BaseURL, c.RemarksTooLong = "other name", " 29aafcd5862r000 ", "https://nic.example/", irp.Truncate
	})
	if same.profile.Credential != a.profile.Credential {
		t.Error("the same access under another name has another credential digest")
	}
	if strings.Contains(a.profile.Credential, "Pa$$") || len(a.profile.Credential) != 64 {
		t.Errorf("credential %q", a.profile.Credential)
	}
}

func TestLegacyLogin(t *testing.T) {
	f := &fakeNIC{t: t}
	a, _ := f.adapter(func(c *Config) { c.AuthVersion = Auth103 })
	appKey := make([]byte, 32)
	_, body, err := a.authBody(appKey, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"data":{"UserName":"user-name-1","Password":"`, `","AppKey":"`, `","ForceRefreshAccessToken":false}}`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	if a.cfg.AuthPath != "/eivital/v1.03/auth" || len(a.authHeader["Gstin"]) != 0 {
		t.Errorf("path %s, headers %v", a.cfg.AuthPath, a.authHeader)
	}
}
