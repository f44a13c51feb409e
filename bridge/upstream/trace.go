package upstream

import (
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// outbound is shared, so that a call without traces allocates nothing for it.
var outbound = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}

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
		attribute.String("einvoice.purpose", q.Purpose), attribute.String("http.request.method", q.Method),
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
