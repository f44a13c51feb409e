package upstream

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// outbound is shared, so that a call without traces allocates nothing for it.
var outbound = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}

// noSpan takes everything and does nothing.
var noSpan = trace.SpanFromContext(context.Background())

// beginSpan begins a span below the one that ctx carries. When there is none, or nobody keeps it, nothing begins and
// nothing is allocated.
func beginSpan(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	above := trace.SpanFromContext(ctx)
	if !above.SpanContext().IsSampled() {
		return ctx, noSpan
	}
	return above.TracerProvider().Tracer("einvoice-bridge").Start(ctx, name, o...)
}

// traceParent is the W3C traceparent header to send with what ctx is for: it names ctx's span. Empty when there is none.
// Tracestate is not handed on: it is between the caller and whoever traces him.
func traceParent(ctx context.Context) string {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsValid() {
		return ""
	}
	return fmt.Sprintf("00-%s-%s-%s", c.TraceID(), c.SpanID(), c.TraceFlags()&trace.FlagsSampled)
}

// endSpan notes what a call was and what came of it, in the words of OpenTelemetry's conventions for HTTP. Neither
// documents nor what may be secret: no path but its Route, no query, header, body or error text.
func (c *Client) endSpan(span trace.Span, q *Request, r *Reply) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	route := q.Route
	if route == "" {
		route, _, _ = strings.Cut(q.Path, "?")
	}
	span.SetName(q.Method + " " + route)
	span.SetAttributes(
		attribute.String("einvoice.purpose", string(q.Purpose)), attribute.String("http.request.method", q.Method),
		attribute.String("url.template", route), attribute.Int("http.request.body.size", len(q.Body)),
	)
	if u, err := url.Parse(c.base); err == nil {
		span.SetAttributes(attribute.String("server.address", u.Hostname()))
	}
	if r.Status != 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", r.Status), attribute.Int("http.response.body.size", len(r.Body)))
	}
	switch {
	case r.Err != nil && !r.Written:
		span.SetStatus(codes.Error, "nothing was sent")
	case r.Err != nil:
		span.SetStatus(codes.Error, "no complete reply")
	case r.Status >= 400:
		span.SetStatus(codes.Error, "")
	}
}
