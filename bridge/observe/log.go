package observe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"einvoice-bridge/bridge"
)

// NewLogger writes to w in a form, text or json, from a level on. Both of slog's handlers escape line breaks and control
// characters, so no value can forge a line.
func NewLogger(w io.Writer, form, level string) *slog.Logger {
	from := new(slog.LevelVar)
	o := &slog.HandlerOptions{Level: from}
	log := slog.New(&logHandler{slog.NewTextHandler(w, o), slog.NewJSONHandler(w, o), from, new(atomic.Bool)})
	Restyle(log, form, level)
	return log
}

// Restyle changes form and level of a logger that NewLogger has made, and of every one that was derived from it. Another is
// left as it is.
func Restyle(log *slog.Logger, form, level string) {
	h, ok := log.Handler().(*logHandler)
	if !ok {
		return
	}
	var from slog.Level
	_ = from.UnmarshalText([]byte(level)) // checked by package config
	h.level.Set(from)
	h.asJSON.Store(form == "json")
}

// logHandler writes text or JSON, from a level on, as it was told last.
type logHandler struct {
	text, json slog.Handler
	level      *slog.LevelVar
	asJSON     *atomic.Bool
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

// CallLog writes one line per answered call: who, what, how it ended, how long; of one that ended in trouble, why. No
// body, no remarks, no secret.
type CallLog struct {
	log    *slog.Logger
	hashed atomic.Bool
}

// NewCallLog writes to log.
func NewCallLog(log *slog.Logger) *CallLog { return &CallLog{log: log} }

// HashIDs says whether lines and spans have digests in the place of document ids from now on.
func (l *CallLog) HashIDs(yes bool) { l.hashed.Store(yes) }

// Answered writes the call's line.
func (l *CallLog) Answered(r *bridge.CallReport) {
	level := slog.LevelInfo
	if r.Answer.Fault != "" {
		level = slog.LevelWarn
	}
	log := l.log.Handler()
	if !log.Enabled(context.Background(), level) {
		return
	}
	line := slog.NewRecord(time.Now(), level, "call", 0) // as Logger does, but for the program counter, which no line shows
	l.describe(&line, r)
	_ = log.Handle(context.Background(), line)
}

// describe gives a line its fields; they are off the stack again when it is written.
func (l *CallLog) describe(line *slog.Record, r *bridge.CallReport) {
	if id := trace.SpanContextFromContext(r.Context).TraceID(); id.IsValid() {
		line.AddAttrs(slog.String("trace_id", id.String()))
	}
	line.AddAttrs(
		slog.String("ref", r.Ref), slog.String("caller", r.Caller), slog.String("taxpayer", r.Taxpayer),
		slog.String("upstream", r.Upstream), slog.String("document", l.document(r.Key.Document)),
		slog.String("outcome", r.Answer.Class.String()), slog.Int("code", r.Answer.Code()), slog.String("upstream_code", r.Code),
		slog.String("how", string(r.How)), slog.Int("sends", r.Sends), slog.Int("lookups", r.Lookups),
		slog.String("date_source", string(r.DateSource)), slog.String("upstream_ref", r.UpstreamRef),
		slog.Bool("unclassified_code", r.Unclassified),
		slog.Duration("took", r.Took), slog.Duration("journal", r.Journal), slog.Duration("wire", r.Wire), slog.Duration("queue", r.Queue),
	)
	if r.Answer.Fault != "" {
		line.AddAttrs(slog.String("why", l.hiding(r.Answer.Why, r.Key.Document)))
	}
}

// Attempted is silent: attempts stand in the journal, and the call's line counts them.
func (l *CallLog) Attempted(bridge.AttemptReport) {}

// Alarm writes what an operator must look at.
func (l *CallLog) Alarm(a bridge.Alarm) {
	l.log.LogAttrs(context.Background(), slog.LevelError, l.hiding(a.Text, a.Key.Document), slog.String("alarm", string(a.Kind)),
		slog.String("upstream", a.Upstream), slog.String("taxpayer", a.Taxpayer),
		slog.String("document", l.document(a.Key.Document)), slog.String("ref", a.Ref))
}

func (l *CallLog) document(id string) string {
	if !l.hashed.Load() || id == "" {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:8])
}

// hiding is a text that may name a document, fit for a line.
func (l *CallLog) hiding(text, id string) string {
	if id == "" {
		return text
	}
	return strings.ReplaceAll(text, id, l.document(id))
}

// Observers passes everything on to all of them.
type Observers []bridge.Observer

// Answered implements bridge.Observer.
func (all Observers) Answered(r *bridge.CallReport) {
	for _, o := range all {
		o.Answered(r)
	}
}

// Attempted implements bridge.Observer.
func (all Observers) Attempted(r bridge.AttemptReport) {
	for _, o := range all {
		o.Attempted(r)
	}
}

// Alarm implements bridge.Observer.
func (all Observers) Alarm(a bridge.Alarm) {
	for _, o := range all {
		o.Alarm(a)
	}
}
