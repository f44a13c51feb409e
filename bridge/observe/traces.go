package observe

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"einvoice-bridge/bridge"
)

const (
	traceQueue = 8192            // spans that wait for the collector; what comes on top is counted and dropped
	traceQuiet = 5 * time.Minute // between two log lines about lost ones
)

// TraceFlush is how long the end of the process waits for what the collector has not taken yet.
const TraceFlush = 3 * time.Second

// Traces sends spans to an OpenTelemetry collector, in batches and behind everybody's back: what the collector does not
// take is lost, counted, and holds nobody up. A nil one is what there is without configuration; it does nothing.
type Traces struct {
	log      *slog.Logger
	address  string
	exporter sdktrace.SpanExporter
	provider *sdktrace.TracerProvider

	waiting, lost, said atomic.Int64 // said: Unix time of the last log line
}

// Collector is where spans go.
type Collector struct {
	OTLP    string            // its address for OTLP over HTTP, without /v1/traces; empty: there is none
	Headers map[string]string // on every export
	Sample  float64           // share of traces kept
	Version string            // of this program
}

// NewTraces is nil when there is no collector, whatever the environment says. When there is one, the library reads the
// OTEL_EXPORTER_OTLP_… variables for what is not configured here (certificates, timeout, compression, headers).
func NewTraces(ctx context.Context, c Collector, log *slog.Logger) (*Traces, error) {
	if c.OTLP == "" {
		return nil, nil
	}
	t := &Traces{log: log, address: strings.TrimSuffix(strings.TrimRight(c.OTLP, "/"), "/v1/traces") + "/v1/traces"}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(t.address)}
	if len(c.Headers) > 0 {
		options = append(options, otlptracehttp.WithHeaders(c.Headers))
	}
	var err error
	if t.exporter, err = otlptracehttp.New(ctx, options...); err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithHost(), resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "einvoice-bridge"), attribute.String("service.version", c.Version)),
		resource.WithFromEnv()) // OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
	if err != nil {
		log.Warn("traces: the environment's description of this service is incomplete: " + err.Error())
	}
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(about), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Sample))),
		sdktrace.WithSpanProcessor(spanQueue{sdktrace.NewBatchSpanProcessor(t, sdktrace.WithMaxQueueSize(traceQueue)), t}))
	return t, nil
}

// Tracer is where spans without a parent begin; nil when there are no traces.
func (t *Traces) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer("einvoice-bridge")
}

// spanQueue is the library's queue in front of the exporter. The library doesn't tell how much it drops; this one drops
// before it would.
type spanQueue struct {
	sdktrace.SpanProcessor
	t *Traces
}

// OnEnd queues a span, if there is room.
func (q spanQueue) OnEnd(s sdktrace.ReadOnlySpan) {
	if q.t.waiting.Add(1) > traceQueue {
		q.t.waiting.Add(-1)
		q.t.lose(1, "the collector takes them too slowly")
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// ExportSpans sends a batch; the library tries again for a while where that may help.
func (t *Traces) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	defer t.waiting.Add(-int64(len(spans)))
	if err := t.exporter.ExportSpans(ctx, spans); err != nil {
		t.lose(len(spans), t.reason(err))
	}
	return nil // it is said already
}

// Shutdown ends the connection.
func (t *Traces) Shutdown(ctx context.Context) error { return t.exporter.Shutdown(ctx) }

func (t *Traces) lose(spans int, why string) {
	lost := t.lost.Add(int64(spans))
	now, last := time.Now().Unix(), t.said.Load()
	if now-last >= int64(traceQuiet.Seconds()) && t.said.CompareAndSwap(last, now) {
		t.log.Warn("traces are lost", "why", why, "spans_lost", lost)
	}
}

// reason is an error fit for the log: without the address, which may be a secret, and without what the collector wrote,
// which may repeat one.
func (t *Traces) reason(err error) string {
	text, _, _ := strings.Cut(strings.ReplaceAll(err.Error(), t.address, "the collector"), "body: ")
	return bridge.OneLine(strings.TrimRight(text, "( :"), 300)
}

// Lost counts what was lost, for the metrics.
func (t *Traces) Lost() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "einvoice_trace_spans_lost_total", Help: "Spans of traces that the collector did not take, or not in time.",
	}, func() float64 { return float64(t.lost.Load()) })
}

// Close sends what waits, for a while.
func (t *Traces) Close(within time.Duration) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		_ = t.exporter.Shutdown(ctx) // ends the try that is under way
		t.log.Warn("traces were not delivered", "spans", t.waiting.Load())
	}
}

// SpanNotes writes on a call's span what its log line says, ids as there.
type SpanNotes struct{ *CallLog }

// Answered implements bridge.Observer.
func (n SpanNotes) Answered(r *bridge.CallReport) {
	span := trace.SpanFromContext(r.Context)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.String("einvoice.caller", r.Caller), attribute.String("einvoice.taxpayer", r.Taxpayer),
		attribute.String("einvoice.upstream", r.Upstream), attribute.String("einvoice.document", n.document(r.Key.Document)),
		attribute.String("einvoice.outcome", r.Answer.Class.String()), attribute.Int("einvoice.code", r.Answer.Code()),
		attribute.String("einvoice.upstream_code", r.Code), attribute.String("einvoice.how", string(r.How)))
	if r.Answer.Fault != "" {
		span.SetAttributes(attribute.String("einvoice.why", n.hiding(r.Answer.Why, r.Key.Document)))
	}
}

// Alarm implements bridge.Observer.
func (SpanNotes) Alarm(bridge.Alarm) {}
