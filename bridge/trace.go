package bridge

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Traces: a span for each flight, below that of the call which started it, and one for each step in it. What a flight's
// context is handed to adds its own. The flight's context is not the call's: it has no deadline and outlives it.

// noSpan takes everything and does nothing.
var noSpan = trace.SpanFromContext(context.Background())

// Span begins a span below the one that ctx carries. When there is none, or nobody keeps it, nothing begins: ctx comes
// back as it is, with a span that does nothing. That costs no allocation.
func Span(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	above := trace.SpanFromContext(ctx)
	if !above.SpanContext().IsSampled() {
		return ctx, noSpan
	}
	return above.TracerProvider().Tracer("einvoice-bridge").Start(ctx, name, o...)
}

// TraceParent is the W3C traceparent header to send with what ctx is for: it names ctx's span. Empty when there is none.
// Tracestate is not handed on: it is between the caller and whoever traces him.
func TraceParent(ctx context.Context) string {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsValid() {
		return ""
	}
	return fmt.Sprintf("00-%s-%s-%s", c.TraceID(), c.SpanID(), c.TraceFlags()&trace.FlagsSampled)
}

// trace gives the flight its context and span. One that is thrown away before it flew needs no End.
func (s *Service) trace(f *flight) {
	f.ctx, f.span = Span(s.under(f.req.Span), "cancellation")
}

// under is the context of what is done for a call, outside of a flight.
func (s *Service) under(call trace.Span) context.Context {
	if call == nil {
		return s.ctx
	}
	return trace.ContextWithSpan(s.ctx, call)
}

// traceAlone is trace for a flight of the background: a trace of its own, with the ref of the call that it goes back to.
func (s *Service) traceAlone(f *flight) {
	f.ctx, f.span = s.ctx, noSpan
	if f.terms.Tracer == nil {
		return
	}
	name := "settle"
	if f.resend {
		name = "resume"
	}
	f.ctx, f.span = f.terms.Tracer.Start(s.ctx, name, trace.WithAttributes(
		attribute.String("einvoice.ref", f.c.Ref), attribute.String("einvoice.upstream", f.up.Profile().Name)))
}

// cancel is the upstream's Cancel in a span of its own.
func (f *flight) cancel(ctx context.Context, c Cancellation) Outcome {
	ctx, span := Span(ctx, "send")
	defer span.End()
	o := f.up.Cancel(ctx, c)
	classify(span, o.Class)
	return o
}

// lookup is the upstream's Lookup in a span of its own.
func (f *flight) lookup() (DocumentState, error) {
	ctx, span := Span(f.ctx, "lookup")
	defer span.End()
	st, err := f.up.Lookup(ctx, f.c)
	if err != nil {
		span.SetStatus(codes.Error, "no answer")
	} else if span.IsRecording() {
		span.SetAttributes(attribute.String("einvoice.outcome", lookupOutcome(st).Class.String()))
	}
	return st, err
}

// link points from a joined call's span to the flight that carries it.
func (r Request) link(f *flight) {
	if r.Span != nil {
		r.Span.AddLink(trace.Link{SpanContext: f.span.SpanContext()})
	}
}

// classify notes on a span how its work ended.
func classify(span trace.Span, c Class) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("einvoice.outcome", c.String()))
	switch c {
	case Cancelled, Refused, AlreadyCancelled:
	default:
		span.SetStatus(codes.Error, c.String())
	}
}
