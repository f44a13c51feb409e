package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
)

// newLogger writes to w as the configuration says. Both of slog's handlers escape line breaks and control characters,
// so no value can forge a line.
func newLogger(w io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // checked by config
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// callLog writes one line per answered call: who, what, how it ended, how long. No body, no remarks, no secret.
type callLog struct {
	log    *slog.Logger
	hashed bool // document ids as digests
}

// Answered writes the call's line.
func (l callLog) Answered(r bridge.CallReport) {
	level := slog.LevelInfo
	if r.Answer.Fault != "" {
		level = slog.LevelWarn
	}
	log := l.log
	if r.Span != nil {
		log = log.With("trace_id", r.Span.SpanContext().TraceID().String())
	}
	log.LogAttrs(context.Background(), level, "call",
		slog.String("ref", r.Ref), slog.String("caller", r.Caller), slog.String("taxpayer", r.Taxpayer),
		slog.String("upstream", r.Upstream), slog.String("document", l.document(r.Key.Document)),
		slog.String("outcome", r.Answer.Class.String()), slog.Int("code", r.Answer.Code()), slog.String("upstream_code", r.Code),
		slog.String("how", string(r.How)), slog.Int("sends", r.Sends), slog.Int("lookups", r.Lookups),
		slog.String("date_source", string(r.DateSource)), slog.String("upstream_ref", r.UpstreamRef),
		slog.Bool("unclassified_code", r.Unclassified),
		slog.Duration("took", r.Took), slog.Duration("journal", r.Journal), slog.Duration("wire", r.Wire), slog.Duration("queue", r.Queue))
}

// Attempted is silent: attempts stand in the journal, and the call's line counts them.
func (l callLog) Attempted(bridge.AttemptReport) {}

// Alarm writes what an operator must look at.
func (l callLog) Alarm(a bridge.Alarm) {
	l.log.LogAttrs(context.Background(), slog.LevelError, a.Text, slog.String("alarm", string(a.Kind)),
		slog.String("upstream", a.Upstream), slog.String("taxpayer", a.Taxpayer),
		slog.String("document", l.document(a.Key.Document)), slog.String("ref", a.Ref))
}

func (l callLog) document(id string) string {
	if !l.hashed || id == "" {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:8])
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
