package server

import (
	"context"
	"strings"

	"github.com/gofiber/fiber/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// outbound marks the spans of calls to the provider.
var outbound = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}

// traced answers a call, in a span of its own when there are traces. It continues the caller's trace if his headers name
// one (W3C Trace Context); headers that can't be read count as none.
func (s *Desk) traced(c *fiber.Ctx, in inbound) reply {
	if s.opt.Tracer == nil {
		return s.answer(in)
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{
		"traceparent": strings.Clone(c.Get("traceparent")), "tracestate": strings.Clone(c.Get("tracestate")),
	})
	_, in.span = s.opt.Tracer.Start(ctx, "SOAP call", trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(in.received),
		trace.WithAttributes(attribute.String("einvoice.ref", in.ref), attribute.String("url.path", in.path),
			attribute.String("http.request.method", "POST"), attribute.Int("http.request.body.size", len(in.body))))
	defer in.span.End()
	r := s.answer(in)
	in.span.SetAttributes(attribute.Int("http.response.status_code", r.status), attribute.Int("http.response.body.size", len(r.body)))
	if r.status >= 500 {
		in.span.SetStatus(codes.Error, "")
	}
	return r
}

// is names the call's span after its operation.
func (in inbound) is(operation string) {
	if in.span != nil {
		in.span.SetName(operation)
	}
}

// note adds one of our own words to the call's span.
func (in inbound) note(key, word string) {
	if in.span != nil {
		in.span.SetAttributes(attribute.String(key, word))
	}
}

// context is that of what is done for the call.
func (in inbound) context() context.Context {
	if in.span == nil {
		return context.Background()
	}
	return trace.ContextWithSpan(context.Background(), in.span)
}
