package myinvois_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/myinvois"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

const uuid = "MZQRKQKTXF6F4HJ7HW307B3J10"

// authority is MyInvois in memory, as far as one test needs it: it logs everybody in with numbered tokens and
// answers cancels and details as it is told.
type authority struct {
	login   func(n int, form url.Values, onBehalfOf string) *http.Response
	cancel  func(n int, r *http.Request) (*http.Response, error)
	details func(n int) *http.Response

	mu       sync.Mutex
	requests []request
}

// request is one that came, with its body.
type request struct {
	*http.Request
	body string
}

// onBehalfOf is the login's header, which keeps its lower case on the wire.
func (r request) onBehalfOf() string {
	for name, values := range r.Header {
		if name == "onbehalfof" {
			return strings.Join(values, ",")
		}
	}
	return ""
}

func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	}
	a.mu.Lock()
	a.requests = append(a.requests, request{r, body})
	a.mu.Unlock()
	return upstreamtest.Network(func(*http.Request) (*http.Response, error) { return a.answer(r, body) }).RoundTrip(r)
}

func (a *authority) answer(r *http.Request, body string) (*http.Response, error) {
	switch {
	case r.URL.Path == "/connect/token":
		n := len(a.seen("/connect/token"))
		form, _ := url.ParseQuery(body)
		if a.login != nil {
			return a.login(n, form, request{r, body}.onBehalfOf()), nil
		}
		return loggedIn(fmt.Sprintf("token-%d", n)), nil
	case strings.HasSuffix(r.URL.Path, "/details"):
		return a.details(len(a.seen("/details"))), nil
	case a.cancel != nil:
		return a.cancel(len(a.seen("/state")), r)
	}
	return upstreamtest.Respond(200, `{"uuid":"`+uuid+`","status":"Cancelled"}`), nil
}

// seen are the requests whose path ends so, in order.
func (a *authority) seen(suffix string) []request {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []request
	for _, r := range a.requests {
		if strings.HasSuffix(r.URL.Path, suffix) {
			all = append(all, r)
		}
	}
	return all
}

func loggedIn(token string) *http.Response {
	return upstreamtest.Respond(200, `{"access_token":"`+token+`","token_type":"Bearer","expires_in":3600,"scope":"InvoicingAPI"}`)
}

func always(status int, body string, headers ...string) func(int, *http.Request) (*http.Response, error) {
	return func(int, *http.Request) (*http.Response, error) {
		return upstreamtest.Respond(status, body, headers...), nil
	}
}

func config() myinvois.Config {
	return myinvois.Config{
		Settings:     upstream.Settings{Name: "my", BaseURL: "https://preprod-api.myinvois.hasil.gov.my"},
		ClientID:     "7d3c1f52-client",
		ClientSecret: "s3cr3t-one",
	}
}

// sharing makes a Shared over the fake, with a budget of its own.
func sharing(network http.RoundTripper) *upstream.Shared {
	s := upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler))
	s.RoundTripper = network
	return s
}

func adapter(t *testing.T, s *upstream.Shared, c myinvois.Config) *myinvois.Adapter {
	t.Helper()
	a, err := myinvois.New(c, s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func cancellation() bridge.Cancellation {
	return bridge.Cancellation{Taxpayer: "C25845632020", Document: uuid, Reason: bridge.DataEntry, Remarks: "Wrong buyer details"}
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../../fixtures/myinvois/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}

func purposes(exchanges []bridge.Exchange) string {
	var all []string
	for _, e := range exchanges {
		all = append(all, e.Purpose)
	}
	return strings.Join(all, " ")
}

// noSecret fails when anything that is kept or shown holds a credential or a token.
func noSecret(t *testing.T, shown any, secrets ...string) {
	t.Helper()
	text := fmt.Sprintf("%+v", shown)
	for _, s := range append(secrets, "s3cr3t-one", "s3cr3t-two", "token-1", "token-2") {
		if strings.Contains(text, s) {
			t.Errorf("%q is shown in %s", s, text)
		}
	}
}

var ctx = context.Background()

// refusedConnection is a connection that never came about.
var refusedConnection = &net.OpError{Op: "dial", Err: errors.New("connection refused")}

func decode(t *testing.T, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatal(err)
	}
}
