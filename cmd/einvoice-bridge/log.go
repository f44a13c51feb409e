package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
)

// newLogger writes to w as the configuration says. Both of slog's handlers escape line breaks and control characters,
// so no value can forge a line.
func newLogger(w io.Writer, c config.Log) *slog.Logger {
	level := new(slog.LevelVar)
	o := &slog.HandlerOptions{Level: level}
	h := &logHandler{slog.NewTextHandler(w, o), slog.NewJSONHandler(w, o), level, new(atomic.Bool)}
	h.follow(c)
	return slog.New(h)
}

// logHandler writes text or JSON, and what level demands, as the configuration says now.
type logHandler struct {
	text, json slog.Handler
	level      *slog.LevelVar
	asJSON     *atomic.Bool
}

// follow changes form and level for every logger that was derived from this handler's.
func (h *logHandler) follow(c config.Log) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // checked by config
	h.level.Set(level)
	h.asJSON.Store(c.Format == "json")
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.asJSON.Load() {
		return h.json.Handle(ctx, r)
	}
	return h.text.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(as []slog.Attr) slog.Handler {
	return &logHandler{h.text.WithAttrs(as), h.json.WithAttrs(as), h.level, h.asJSON}
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.text.WithGroup(name), h.json.WithGroup(name), h.level, h.asJSON}
}

// callLog writes one line per answered call: who, what, how it ended, how long; of one that ended in trouble, why. No
// body, no remarks, no secret.
type callLog struct {
	log    *slog.Logger
	hashed *atomic.Bool // document ids as digests
}

// Answered writes the call's line.
func (l callLog) Answered(r bridge.CallReport) {
	level := slog.LevelInfo
	if r.Answer.Fault != "" {
		level = slog.LevelWarn
	}
	log := l.log
	if id := trace.SpanContextFromContext(r.Context).TraceID(); id.IsValid() {
		log = log.With("trace_id", id.String())
	}
	attrs := []slog.Attr{
		slog.String("ref", r.Ref), slog.String("caller", r.Caller), slog.String("taxpayer", r.Taxpayer),
		slog.String("upstream", r.Upstream), slog.String("document", l.document(r.Key.Document)),
		slog.String("outcome", r.Answer.Class.String()), slog.Int("code", r.Answer.Code()), slog.String("upstream_code", r.Code),
		slog.String("how", string(r.How)), slog.Int("sends", r.Sends), slog.Int("lookups", r.Lookups),
		slog.String("date_source", string(r.DateSource)), slog.String("upstream_ref", r.UpstreamRef),
		slog.Bool("unclassified_code", r.Unclassified),
		slog.Duration("took", r.Took), slog.Duration("journal", r.Journal), slog.Duration("wire", r.Wire), slog.Duration("queue", r.Queue),
	}
	if r.Answer.Fault != "" {
		attrs = append(attrs, slog.String("why", l.hiding(r.Answer.Why, r.Key.Document)))
	}
	log.LogAttrs(context.Background(), level, "call", attrs...)
}

// Attempted is silent: attempts stand in the journal, and the call's line counts them.
func (l callLog) Attempted(bridge.AttemptReport) {}

// Alarm writes what an operator must look at.
func (l callLog) Alarm(a bridge.Alarm) {
	l.log.LogAttrs(context.Background(), slog.LevelError, l.hiding(a.Text, a.Key.Document), slog.String("alarm", string(a.Kind)),
		slog.String("upstream", a.Upstream), slog.String("taxpayer", a.Taxpayer),
		slog.String("document", l.document(a.Key.Document)), slog.String("ref", a.Ref))
}

func (l callLog) document(id string) string {
	if !l.hashed.Load() || id == "" {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:8])
}

// hiding is a text that may name a document, fit for a line.
func (l callLog) hiding(text, id string) string {
	if id == "" {
		return text
	}
	return strings.ReplaceAll(text, id, l.document(id))
}

// observers passes everything on to all of them.
type observers []bridge.Observer

// Answered implements bridge.Observer.
func (all observers) Answered(r bridge.CallReport) {
	for _, o := range all {
		o.Answered(r)
	}
}

// Attempted implements bridge.Observer.
func (all observers) Attempted(r bridge.AttemptReport) {
	for _, o := range all {
		o.Attempted(r)
	}
}

// Alarm implements bridge.Observer.
func (all observers) Alarm(a bridge.Alarm) {
	for _, o := range all {
		o.Alarm(a)
	}
}
