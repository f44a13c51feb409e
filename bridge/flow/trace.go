package flow

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"einvoice-bridge/bridge"
)

// Traces: a span for each flight, below that of the call which started it, and one for each step in it. What a flight's
// context is handed to adds its own. The flight's context is not the call's: it has no deadline and outlives it.

// noSpan takes everything and does nothing.
var noSpan = trace.SpanFromContext(context.Background())

// beginSpan begins a span below the one that ctx carries. When there is none, or nobody keeps it, nothing begins and
// nothing is allocated.
func beginSpan(ctx context.Context, name string) (context.Context, trace.Span) {
	above := trace.SpanFromContext(ctx)
	if !above.SpanContext().IsSampled() {
		return ctx, noSpan
	}
	return above.TracerProvider().Tracer("einvoice-bridge").Start(ctx, name)
}

// under is the context of what is done for a call, outside of a flight.
func (s *Service) under(call context.Context) context.Context {
	if call == nil {
		return s.ctx
	}
	return trace.ContextWithSpan(s.ctx, trace.SpanFromContext(call))
}

// trace gives the flight its context and span: below its caller's or, in the background, a trace of its own with the ref
// of the call that it goes back to. One that is thrown away before it flew needs no End.
func (s *Service) trace(f *flight, a *ask) {
	if a != nil {
		f.ctx, f.span = beginSpan(s.under(a.req.Context), "cancellation")
		return
	}
	f.ctx, f.span = s.ctx, noSpan
	if f.terms.Tracer == nil {
		return
	}
	name := "settle"
	if f.errand == forTurn {
		name = "resume"
	}
	f.ctx, f.span = f.terms.Tracer.Start(s.ctx, name, trace.WithAttributes(
		attribute.String("einvoice.ref", f.c.Ref), attribute.String("einvoice.upstream", f.up.Profile().Name)))
}

// link points from a joined call's span to the flight that carries it.
func link(call context.Context, f *flight) {
	if call != nil {
		trace.SpanFromContext(call).AddLink(trace.Link{SpanContext: f.span.SpanContext()})
	}
}

// classify notes on a span how its work ended.
func classify(span trace.Span, c bridge.Class) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("einvoice.outcome", c.String()))
	switch c {
	case bridge.Cancelled, bridge.Refused, bridge.AlreadyCancelled:
	default:
		span.SetStatus(codes.Error, c.String())
	}
}

// failed notes on a span that its work came to nothing. The error's text stays out: it stands in the alarm.
func failed(span trace.Span, err error) {
	if err != nil && !errors.Is(err, bridge.ErrNoEntry) {
		span.SetStatus(codes.Error, "")
	}
}
