package cleartax_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/cleartax"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

const (
	token   = "1.a6f2b9c0-static-token"
	docID   = "e4a1c07b-95d2-4c3e-8f60-2b7d9a518c36"
	docUUID = "MZQRKQKTXF6F4HJ7HW307B3J10"
	irn     = "a5c12dca80e743321740b001fd70953e8738d109865d28ba4013750f2046f229"
	page    = "<html><body>Service temporarily unavailable</body></html>"
	fault   = " without an answer that can be read"
)

var (
	ctx               = context.Background()
	refusedConnection = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
)

// vendor is ClearTax in memory, as far as one test needs it: everything that isn't a GET is a cancel.
type vendor struct {
	cancel func(r *http.Request) (*http.Response, error)
	lookup func(r *http.Request) *http.Response

	mu       sync.Mutex
	requests []request
}

type request struct {
	*http.Request
	body string
}

func (v *vendor) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	}
	v.mu.Lock()
	v.requests = append(v.requests, request{r, body})
	v.mu.Unlock()
	return upstreamtest.Network(func(*http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet {
			return v.lookup(r), nil
		}
		return v.cancel(r)
	}).RoundTrip(r)
}

func always(status int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return upstreamtest.Respond(status, body, headers...), nil
	}
}

func sharing(network http.RoundTripper) *upstream.Shared {
	s := upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler))
	s.RoundTripper = network
	return s
}

func malaysiaConfig() cleartax.MalaysiaConfig {
	return cleartax.MalaysiaConfig{
		Access: cleartax.Access{Settings: upstream.Settings{Name: "my", BaseURL: "https://api-sandbox.my.cleartax.com"}, Token: token},
		TIN:    "C25845632020",
	}
}

func indiaConfig(route string) cleartax.IndiaConfig {
	return cleartax.IndiaConfig{
		Access: cleartax.Access{Settings: upstream.Settings{Name: "in", Taxpayer: "29AAFCD5862R000", BaseURL: "https://api-sandbox.clear.in"}, Token: token},
		Route:  route,
	}
}

func malaysia(t *testing.T, s *upstream.Shared, c cleartax.MalaysiaConfig) *cleartax.Malaysia {
	t.Helper()
	m, err := cleartax.NewMalaysia(c, s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func india(t *testing.T, s *upstream.Shared, c cleartax.IndiaConfig) *cleartax.India {
	t.Helper()
	in, err := cleartax.NewIndia(c, s)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func cancellation(document string) bridge.Cancellation {
	return bridge.Cancellation{Taxpayer: "T", Document: document, Reason: bridge.DataEntry, Remarks: "Wrong entry"}
}

// fixture is a body from the fixtures, or the text itself when it names none.
func fixture(t testing.TB, name string) string {
	t.Helper()
	if !strings.HasSuffix(name, ".json") {
		return name
	}
	b, err := os.ReadFile("../../../fixtures/cleartax/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}

// sent is a header as it was spelt: on the wire they keep the vendor's lower case.
func (r request) sent(name string) string { return strings.Join(r.Header[name], ",") }

func purposes(exchanges []bridge.Exchange) string {
	var all []string
	for _, e := range exchanges {
		all = append(all, e.Purpose)
	}
	return strings.Join(all, " ")
}

func noSecret(t *testing.T, shown any, secrets ...string) {
	t.Helper()
	text := fmt.Sprintf("%+v", shown)
	for _, s := range append(secrets, token) {
		if strings.Contains(text, s) {
			t.Errorf("%q is shown in %s", s, text)
		}
	}
}

// verdict is the part of an outcome that the tables are about.
type verdict struct {
	Class        bridge.Class
	Code         string
	Message      string
	RetryAfter   time.Duration
	Unclassified bool
	ByState      bool
	Alarm        bool
}

func verdictOf(o bridge.Outcome) verdict {
	return verdict{o.Class, o.Code, o.Message, o.RetryAfter, o.Unclassified, o.ByState, o.Alarm != ""}
}

func refused(code, message string) verdict {
	return verdict{Class: bridge.Refused, Code: code, Message: message}
}

// unclear is an answer in a code or text that no page lists.
func unclear(code, message string) verdict {
	return verdict{Class: bridge.Unclear, Code: code, Message: message, Unclassified: true}
}

func unknown(message string) verdict { return verdict{Class: bridge.Unknown, Message: message} }

func misconfigured(message string) verdict {
	return verdict{Class: bridge.Misconfigured, Message: message, Alarm: true}
}

func misplaced(status string) verdict {
	return misconfigured("HTTP " + status + ": not an address of ClearTax")
}

func wait(d time.Duration) verdict {
	return verdict{Class: bridge.NotApplied, Message: "HTTP 429: the authority asks to wait", RetryAfter: d}
}

// failed is the class of the failure that an error is; None when it is none.
func failed(err error) bridge.Class {
	if f, ok := errors.AsType[*upstream.Failure](err); ok {
		return f.Outcome.Class
	}
	return bridge.None
}
