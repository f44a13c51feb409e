package server_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"einvoice-bridge/bridge/server"
)

// traced records the spans of a server.
func traced(into **tracetest.SpanRecorder) func(*setup) {
	*into = tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(*into)).Tracer("test")
	return func(s *setup) { s.Tracer = tracer }
}

const (
	parentTrace = "0af7651916cd43dd8448eb211c80319c"
	parentSpan  = "b7ad6b7169203331"
)

// A caller's trace goes on, if his header names one; what is no such header counts as none.
func TestCallersTraceGoesOn(t *testing.T) {
	var spans *tracetest.SpanRecorder
	r := start(t, traced(&spans))
	for name, tc := range map[string]struct {
		header            string
		continued, traced bool
	}{
		"none":             {"", false, true},
		"valid":            {"traceparent: 00-" + parentTrace + "-" + parentSpan + "-01\r\n", true, true},
		"in capitals":      {"TraceParent: 00-" + parentTrace + "-" + parentSpan + "-01\r\n", true, true},
		"of a later form":  {"traceparent: cc-" + parentTrace + "-" + parentSpan + "-01-what-will-be\r\n", true, true},
		"not sampled":      {"traceparent: 00-" + parentTrace + "-" + parentSpan + "-00\r\n", true, false},
		"malformed":        {"traceparent: 00-" + parentTrace + "-01\r\n", false, true},
		"with capital hex": {"traceparent: 00-" + strings.ToUpper(parentTrace) + "-" + parentSpan + "-01\r\n", false, true},
		"of zeros":         {"traceparent: 00-00000000000000000000000000000000-" + parentSpan + "-01\r\n", false, true},
		"forbidden form":   {"traceparent: ff-" + parentTrace + "-" + parentSpan + "-01\r\n", false, true},
		"garbage":          {"traceparent: \x01\xff'\"><%00\r\n", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			spans.Reset()
			if res := r.post(envelope, tc.header); res.status != 200 && name != "garbage" {
				t.Fatalf("answered %d", res.status)
			} else if res.status == 400 {
				return // the engine takes no such header at all
			}
			ended := spans.Ended()
			if len(ended) != map[bool]int{true: 1}[tc.traced] {
				t.Fatalf("%d spans", len(ended))
			}
			call := trace.SpanFromContext(t.Context())
			if seen := r.seen(); len(seen) > 0 {
				call = trace.SpanFromContext(seen[len(seen)-1].Context)
			}
			if got := call.SpanContext().TraceID().String() == parentTrace; got != tc.continued {
				t.Errorf("continued %v, want %v", got, tc.continued)
			}
			if tc.traced && tc.continued && ended[0].Parent().SpanID().String() != parentSpan {
				t.Errorf("the parent is %v", ended[0].Parent().SpanID())
			}
		})
	}
}

// Every call has a span under its operation's name; one that can't be read, or that is refused, says so.
func TestSpanOfEveryCall(t *testing.T) {
	var spans *tracetest.SpanRecorder
	p := newProvider(t, say(200, "text/xml", "<ok/>"))
	r := start(t, traced(&spans), relaying(p, false))
	for _, tc := range []struct {
		what, body, name, refused string
		status                    codes.Code
	}{
		{"cancel", envelope, "eInvoiceCancel", "", codes.Unset},
		{"wrong token", strings.Replace(envelope, token, "guessed", 1), "eInvoiceCancel", string(server.RefusedToken), codes.Unset},
		{"no XML", "hello", "SOAP call", string(server.RefusedSOAP), codes.Error},
		{"another operation", generate, "forward", "", codes.Unset},
	} {
		spans.Reset()
		if tc.body == generate {
			r.generating(tc.body)
		} else {
			r.post(tc.body)
		}
		ended := spans.Ended()
		call := ended[len(ended)-1]
		if call.Name() != tc.name || call.SpanKind() != trace.SpanKindServer || call.Status().Code != tc.status {
			t.Errorf("%s: got %s, %s, %s", tc.what, call.Name(), call.SpanKind(), call.Status().Code)
		}
		refused := ""
		for _, a := range call.Attributes() {
			if a.Key == "einvoice.refused" {
				refused = a.Value.AsString()
			}
			if strings.Contains(a.Value.String(), token) || strings.Contains(a.Value.String(), "guessed") {
				t.Errorf("%s: %s shows the token", tc.what, a.Key)
			}
		}
		if refused != tc.refused {
			t.Errorf("%s: refused as %q, want %q", tc.what, refused, tc.refused)
		}
	}
	relay := spans.Ended()[0]
	if got := p.headers[0].Get("Traceparent"); !strings.Contains(got, relay.SpanContext().SpanID().String()) || relay.Name() != "relay" {
		t.Errorf("the provider got traceparent %q; the span is %s %s", got, relay.Name(), relay.SpanContext().SpanID())
	}
}
