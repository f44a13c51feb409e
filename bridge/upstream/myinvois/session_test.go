package myinvois_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

func TestLoginIsAForm(t *testing.T) {
	for _, c := range []struct{ onBehalfOf, header string }{
		{"", ""},
		{"C25845632020", "C25845632020"},
		{"IG12345678912:201901234567", "IG12345678912:201901234567"},
	} {
		cfg := config()
		cfg.OnBehalfOf = c.onBehalfOf
		m := &authority{}
		if o := adapter(t, sharing(m), cfg).Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Cancelled {
			t.Fatalf("%s: %s", o.Class, o.Message)
		}
		login := m.requests[0]
		want := url.Values{"client_id": {cfg.ClientID}, "client_secret": {cfg.ClientSecret.Reveal()}, "grant_type": {"client_credentials"}, "scope": {"InvoicingAPI"}}
		got, err := url.ParseQuery(login.body)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Error(d, err)
		}
		if login.Method != "POST" || login.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Error(login.Method, login.Header)
		}
		if got := login.onBehalfOf(); got != c.header {
			t.Errorf("onbehalfof %q, want %q", got, c.header)
		}
		for _, r := range m.requests[1:] {
			if r.onBehalfOf() != "" {
				t.Error("onbehalfof was sent with the cancel")
			}
		}
	}
}

func TestLoginGoesToItsOwnHost(t *testing.T) {
	cfg := config()
	cfg.IdentityURL = "https://identity.example"
	m := &authority{}
	adapter(t, sharing(m), cfg).Cancel(ctx, cancellation(), upstreamtest.Free)
	if got := m.requests[0].URL.Host; got != "identity.example" {
		t.Error(got)
	}
}

// TestEveryLoginReplyHasItsMeaning: nothing was cancelled by a login, so its trouble is NotApplied or Misconfigured.
func TestEveryLoginReplyHasItsMeaning(t *testing.T) {
	refused := func(status int, text string) verdict {
		return verdict{Class: bridge.Misconfigured, Message: fmt.Sprintf("login refused: HTTP %d %s", status, text), Alarm: true}
	}
	temporary := func(message string) verdict { return verdict{Class: bridge.NotApplied, Message: "login: " + message} }
	with := func(v verdict, code string) verdict { v.Code = code; return v }
	for _, c := range []struct {
		name    string
		status  int
		body    string
		headers []string
		want    verdict
	}{
		{"user blocked", 400, "login-error.json", nil, with(refused(400, "invalid_client: User blocked"), "invalid_client")},
		{"in British spelling", 400, `{"error":"unauthorised_client"}`, nil, with(refused(400, "unauthorised_client"), "unauthorised_client")},
		{"401", 401, page, nil, refused(401, "")},
		{"403 in JSON: production credentials in the sandbox", 403, `{"error":{"code":"Forbidden","message":"m"}}`, nil, with(refused(403, "Forbidden: m"), "Forbidden")},
		{"403 page", 403, page, nil, temporary("HTTP 403" + fault)},
		{"400 page", 400, page, nil, temporary("HTTP 400" + fault)},
		{"404", 404, page, nil, verdict{Class: bridge.Misconfigured, Message: "HTTP 404: not an address of MyInvois", Alarm: true}},
		{"redirect", 301, "", nil, verdict{Class: bridge.Misconfigured, Message: "HTTP 301: not an address of MyInvois", Alarm: true}},
		{"429", 429, "slow down", []string{"Retry-After: 9"}, verdict{Class: bridge.NotApplied, Message: "login: HTTP 429: the authority asks to wait", RetryAfter: 9 * time.Second}},
		{"500", 500, page, nil, temporary("HTTP 500" + fault)},
		{"503", 503, page, nil, temporary("HTTP 503" + fault)},
		{"200 page", 200, page, nil, temporary("HTTP 200" + fault)},
		{"200 without a token", 200, `{"token_type":"Bearer"}`, nil, temporary("HTTP 200" + fault)},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := c.body
			if strings.HasSuffix(body, ".json") {
				body = fixture(t, body)
			}
			m := &authority{login: func(int, url.Values, string) *http.Response {
				return upstreamtest.Respond(c.status, body, c.headers...)
			}}
			o := adapter(t, sharing(m), config()).Cancel(ctx, cancellation(), upstreamtest.Free)
			got := verdictOf(o)
			got.Message = strings.TrimSpace(got.Message)
			c.want.Message = strings.TrimSpace(c.want.Message)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if o.Sent || purposes(o.Exchanges) != "login" || len(m.seen("/state")) != 0 {
				t.Errorf("written %v, exchanges %s", o.Sent, purposes(o.Exchanges))
			}
			noSecret(t, o)
		})
	}
}

func TestManyCallsOnAnExpiredTokenLogInOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &authority{login: func(n int, _ url.Values, _ string) *http.Response {
			time.Sleep(time.Second)
			return loggedIn(fmt.Sprintf("token-%d", n))
		}}
		a := adapter(t, sharing(m), config())
		a.Cancel(ctx, cancellation(), upstreamtest.Free)
		time.Sleep(2 * time.Hour)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if o := a.Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Cancelled {
					t.Errorf("%s: %s", o.Class, o.Message)
				}
			})
		}
		wg.Wait()
		if n := len(m.seen("/connect/token")); n != 2 {
			t.Errorf("%d logins, want one per hour", n)
		}
	})
}

func TestManyRefusedCallsLogInOnceAndReplayOnceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &authority{cancel: func(_ int, r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			if r.Header.Get("Authorization") == "Bearer token-1" {
				return upstreamtest.Respond(401, ""), nil
			}
			return upstreamtest.Respond(200, fixture(t, "cancel-reply.json")), nil
		}}
		cfg := config()
		cfg.CancelsPerMinute = 1000
		a := adapter(t, sharing(m), cfg)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				o := a.Cancel(ctx, cancellation(), upstreamtest.Free)
				if o.Class != bridge.Cancelled || strings.Count(purposes(o.Exchanges), "cancel") != 2 {
					t.Errorf("%s: %s", o.Class, purposes(o.Exchanges))
				}
			})
		}
		wg.Wait()
		if logins, cancels := len(m.seen("/connect/token")), len(m.seen("/state")); logins != 2 || cancels != 100 {
			t.Errorf("%d logins, %d cancels; want 2 and each cancel twice", logins, cancels)
		}
	})
}

func TestASecondRefusedTokenIsMisconfiguredAndRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &authority{cancel: always(401, "")}
		a := adapter(t, sharing(m), config())
		o := a.Cancel(ctx, cancellation(), upstreamtest.Free)
		if o.Class != bridge.Misconfigured || o.Alarm == "" || purposes(o.Exchanges) != "login cancel login cancel" {
			t.Errorf("%s %q: %s", o.Class, o.Alarm, purposes(o.Exchanges))
		}
		before := len(m.requests)
		if o := a.Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Misconfigured || len(m.requests) != before {
			t.Errorf("%s after %d more requests, want none for a minute", o.Class, len(m.requests)-before)
		}
		time.Sleep(61 * time.Second)
		if a.Cancel(ctx, cancellation(), upstreamtest.Free); len(m.requests) == before {
			t.Error("nothing was tried after a minute")
		}
	})
}

// TestTheReplayIsPaidFor: the authority counts the repeat of a refused call as well.
func TestTheReplayIsPaidFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.CancelsPerMinute = 1
		budget := &upstreamtest.Budget{}
		s := upstream.NewShared(budget, slog.New(slog.DiscardHandler))
		m := &authority{cancel: always(401, "")}
		s.RoundTripper = m
		a := adapter(t, s, cfg)
		if _, _, err := budget.Take(ctx, a.Profile().Cancels, bridge.Last); err != nil { // as the Service does before it calls
			t.Fatal(err)
		}
		o := a.Cancel(ctx, cancellation(), upstreamtest.Free)
		if o.Class != bridge.NotApplied || o.RetryAfter != 62*time.Second || !o.Sent || len(m.seen("/state")) != 1 {
			t.Errorf("%s, wait %s, %d cancels", o.Class, o.RetryAfter, len(m.seen("/state")))
		}
	})
}

func TestTaxpayersOfOneIntermediaryNeverShareAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &authority{
			login: func(_ int, _ url.Values, onBehalfOf string) *http.Response {
				return loggedIn("for-" + onBehalfOf)
			},
			cancel: func(_ int, r *http.Request) (*http.Response, error) {
				if r.Header.Get("X-Want") != r.Header.Get("Authorization") {
					return upstreamtest.Respond(403, fixture(t, "error-forbidden.json")), nil
				}
				return upstreamtest.Respond(200, fixture(t, "cancel-reply.json")), nil
			},
		}
		s := sharing(m)
		var wg sync.WaitGroup
		for _, tin := range []string{"", "C25845632020", "C99990000010", "IG12345678912:201901234567"} {
			cfg := config()
			cfg.OnBehalfOf = tin
			cfg.CancelsPerMinute = 1000
			cfg.Headers = map[string]bridge.Secret{"X-Want": bridge.Secret("Bearer for-" + tin)}
			a := adapter(t, s, cfg)
			for range 10 {
				wg.Go(func() {
					for range 3 { // across renewals, too
						if o := a.Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Cancelled {
							t.Errorf("%s was served with another's token: %s", tin, o.Message)
						}
						time.Sleep(58 * time.Minute)
					}
				})
			}
		}
		wg.Wait()
	})
}

func TestTokenIsRenewedBeforeItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &authority{}
		cfg := config()
		cfg.OnBehalfOf = "C25845632020"
		a := adapter(t, sharing(m), cfg)
		a.Cancel(ctx, cancellation(), upstreamtest.Free)
		time.Sleep(54 * time.Minute)
		a.Cancel(ctx, cancellation(), upstreamtest.Free)
		if n := len(m.seen("/connect/token")); n != 1 {
			t.Errorf("%d logins after 54 minutes", n)
		}
		time.Sleep(2 * time.Minute)
		if o := a.Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Cancelled {
			t.Error(o.Message)
		}
		synctest.Wait()
		logins := m.seen("/connect/token")
		if len(logins) != 2 || logins[1].onBehalfOf() != "C25845632020" {
			t.Errorf("%d logins after 56 minutes, want a renewal for the same taxpayer", len(logins))
		}
		a.Cancel(ctx, cancellation(), upstreamtest.Free)
		puts := m.seen("/state")
		if got := puts[len(puts)-1].Header.Get("Authorization"); got != "Bearer token-2" {
			t.Errorf("after the renewal: %s", got)
		}
	})
}

func TestSpareSecretIsTriedOnce(t *testing.T) {
	const first, spare = "s3cr3t-one", "s3cr3t-two"
	synctest.Test(t, func(t *testing.T) {
		good := spare
		m := &authority{login: func(n int, form url.Values, _ string) *http.Response {
			if form.Get("client_secret") != good {
				return upstreamtest.Respond(400, `{"error":"invalid_client","error_description":"wrong `+form.Get("client_secret")+`"}`)
			}
			r := loggedIn(fmt.Sprintf("token-%d", n))
			return r
		}}
		used := func(from int) string {
			var all []string
			for _, r := range m.seen("/connect/token")[from:] {
				form, _ := url.ParseQuery(r.body)
				all = append(all, form.Get("client_secret"))
			}
			return strings.Join(all, " ")
		}
		cfg := config()
		cfg.SpareSecret = spare
		a := adapter(t, sharing(m), cfg)
		o := a.Cancel(ctx, cancellation(), upstreamtest.Free)
		if o.Class != bridge.Cancelled || used(0) != first+" "+spare || purposes(o.Exchanges) != "login login cancel" {
			t.Errorf("%s with %s: %s", o.Class, used(0), purposes(o.Exchanges))
		}
		noSecret(t, o)

		time.Sleep(2 * time.Hour)
		a.Cancel(ctx, cancellation(), upstreamtest.Free)
		if used(2) != spare {
			t.Errorf("the next login began with %s, want the one that worked", used(2))
		}

		good = "neither"
		time.Sleep(2 * time.Hour)
		o = a.Cancel(ctx, cancellation(), upstreamtest.Free)
		if o.Class != bridge.Misconfigured || used(3) != spare+" "+first {
			t.Errorf("%s with %s", o.Class, used(3))
		}
		noSecret(t, o)
	})
}

func TestASecretThatIsNotWrongLeavesTheSpareAlone(t *testing.T) {
	cfg := config()
	cfg.SpareSecret = "s3cr3t-two"
	m := &authority{login: func(int, url.Values, string) *http.Response {
		return upstreamtest.Respond(400, `{"error":"invalid_scope"}`)
	}}
	adapter(t, sharing(m), cfg).Cancel(ctx, cancellation(), upstreamtest.Free)
	if n := len(m.requests); n != 1 {
		t.Errorf("%d logins", n)
	}
}

func TestLoginsAreRationedOverAllTaxpayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &authority{}
		s := sharing(m)
		var held bridge.Outcome
		for i := range 13 {
			cfg := config()
			cfg.OnBehalfOf = fmt.Sprintf("C2584563%04d0", i)
			if o := adapter(t, s, cfg).Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Cancelled {
				held = o
			}
		}
		if n := len(m.seen("/connect/token")); n != 12 {
			t.Errorf("%d logins in one minute, want 12", n)
		}
		if held.Class != bridge.NotApplied || held.RetryAfter != 62*time.Second || held.HTTPStatus != 0 {
			t.Errorf("the thirteenth: %s, wait %s", held.Class, held.RetryAfter)
		}
	})
}

func TestLookupsAreRationed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &authority{details: func(int) *http.Response { return upstreamtest.Respond(200, fixture(t, "details-valid.json")) }}
		a := adapter(t, sharing(m), config())
		var last error
		for range 126 {
			_, last = a.Lookup(ctx, cancellation())
		}
		if n := len(m.seen("/details")); n != 125 || !errors.Is(last, bridge.ErrUnavailable) {
			t.Errorf("%d lookups in one minute, then %v", n, last)
		}
		time.Sleep(62 * time.Second)
		if _, err := a.Lookup(ctx, cancellation()); err != nil {
			t.Error(err)
		}
	})
}

func TestA429HoldsEveryTaxpayerOfTheClientBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &authority{cancel: always(429, "", "Retry-After: 20")}
		s := sharing(m)
		other := config()
		other.OnBehalfOf = "C99990000010"
		stranger := config()
		stranger.ClientID = "another-client"
		one, two, three := adapter(t, s, config()), adapter(t, s, other), adapter(t, s, stranger)
		if o := one.Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.NotApplied || o.RetryAfter != 20*time.Second {
			t.Fatalf("%s, %s", o.Class, o.RetryAfter)
		}
		m.cancel = nil
		before := len(m.requests)
		if o := two.Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.NotApplied || o.RetryAfter != 20*time.Second || len(m.requests) != before {
			t.Errorf("another taxpayer of the client id: %s, wait %s", o.Class, o.RetryAfter)
		}
		if _, err := two.Lookup(ctx, cancellation()); !errors.Is(err, bridge.ErrUnavailable) {
			t.Errorf("a lookup of the client id: %v", err)
		}
		if o := three.Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Cancelled {
			t.Errorf("another client id: %s", o.Class)
		}
		time.Sleep(21 * time.Second)
		if o := two.Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Cancelled {
			t.Errorf("after the wait: %s %s", o.Class, o.Message)
		}
	})
}

func TestOneTaxpayersRefusedLoginLeavesTheOthersAlone(t *testing.T) {
	m := &authority{login: func(_ int, _ url.Values, onBehalfOf string) *http.Response {
		if onBehalfOf == "C99990000010" {
			return upstreamtest.Respond(400, fixture(t, "login-error.json"))
		}
		return loggedIn("token")
	}}
	s := sharing(m)
	without := config()
	without.OnBehalfOf = "C99990000010"
	if o := adapter(t, s, without).Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Misconfigured {
		t.Error(o.Class)
	}
	if o := adapter(t, s, config()).Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Cancelled {
		t.Errorf("%s: %s", o.Class, o.Message)
	}
}

func TestATokenForSomebodyElseIsWarnedOf(t *testing.T) {
	jwt := func(tin string) string {
		return "h." + base64.RawURLEncoding.EncodeToString([]byte(`{"TaxTin":"`+tin+`"}`)) + ".s"
	}
	for tin, warned := range map[string]bool{"C25845632020": false, "c25845632020": false, "C99990000010": true} {
		var log strings.Builder
		s := upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.NewTextHandler(&log, nil)))
		s.RoundTripper = &authority{login: func(int, url.Values, string) *http.Response { return loggedIn(jwt(tin)) }}
		cfg := config()
		cfg.OnBehalfOf = "C25845632020"
		if o := adapter(t, s, cfg).Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Cancelled {
			t.Errorf("%s: %s", o.Class, o.Message)
		}
		if got := strings.Contains(log.String(), "another taxpayer"); got != warned {
			t.Errorf("%s: warned %v, want %v: %s", tin, got, warned, log.String())
		}
		noSecret(t, log.String(), jwt(tin))
	}
}
