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

// traced answers a call, in a span of its own when there are traces. It continues the caller's trace if his headers name
// one (W3C Trace Context); headers that can't be read count as none.
func (s *Desk) traced(c *fiber.Ctx, in *inbound) (r reply) {
	if s.opt.Tracer == nil {
		return s.answer(in)
	}
	defer endSpan(s.span(c, in), &r)
	return s.answer(in)
}

// endSpan says in a call's span what it came to.
func endSpan(span trace.Span, r *reply) {
	span.SetAttributes(attribute.Int("http.response.status_code", r.status), attribute.Int("http.response.body.size", len(r.body)))
	if r.status >= 500 {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// span begins a call's span, which its context carries from then on.
func (s *Desk) span(c *fiber.Ctx, in *inbound) (span trace.Span) {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{
		"traceparent": strings.Clone(c.Get("traceparent")), "tracestate": strings.Clone(c.Get("tracestate")),
	})
	in.trace, span = s.opt.Tracer.Start(ctx, "SOAP call", trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(in.received),
		trace.WithAttributes(attribute.String("einvoice.ref", in.ref), attribute.String("url.path", in.path),
			attribute.String("http.request.method", "POST"), attribute.Int("http.request.body.size", len(in.body))))
	return span
}

// is names the call's span after its operation.
func (in *inbound) is(operation string) {
	trace.SpanFromContext(in.trace).SetName(operation) // of no context: one that does nothing
}

// note adds one of our own words to the call's span.
func (in *inbound) note(key, word string) {
	trace.SpanFromContext(in.trace).SetAttributes(attribute.String(key, word))
}

// beginSpan begins a span of a call to the provider below the call's own.
func (in *inbound) beginSpan(name string) (context.Context, trace.Span) {
	above := trace.SpanFromContext(in.trace)
	if in.trace == nil {
		return context.Background(), above
	}
	return above.TracerProvider().Tracer("einvoice-bridge").Start(in.trace, name, trace.WithSpanKind(trace.SpanKindClient))
}
