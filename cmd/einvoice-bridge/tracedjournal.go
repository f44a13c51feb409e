package main

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/codes"

	"einvoice-bridge/bridge"
)

// journalFor is the Service's journal; with traces, each thing that it does there is a span.
func (t *traces) journalFor(j bridge.Journal) bridge.Journal {
	if t == nil {
		return j
	}
	return tracedJournal{j}
}

type tracedJournal struct{ bridge.Journal }

// journalSpan begins a span; end closes it with how it went. An error's text stays out: it stands in the alarm.
func journalSpan(ctx context.Context, name string) (_ context.Context, end func(*error)) {
	ctx, span := bridge.Span(ctx, name)
	return ctx, func(err *error) {
		if *err != nil && !errors.Is(*err, bridge.ErrNoEntry) {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Find implements bridge.Journal.
func (j tracedJournal) Find(ctx context.Context, k bridge.Key, taxpayer string) (_ bridge.Entry, err error) {
	ctx, end := journalSpan(ctx, "journal find")
	defer end(&err)
	return j.Journal.Find(ctx, k, taxpayer)
}

// Begin implements bridge.Journal.
func (j tracedJournal) Begin(ctx context.Context, b bridge.Begin) (_ bridge.Entry, created bool, err error) {
	ctx, end := journalSpan(ctx, "journal begin")
	defer end(&err)
	return j.Journal.Begin(ctx, b)
}

// Requeue implements bridge.Journal.
func (j tracedJournal) Requeue(ctx context.Context, e bridge.Entry) (_ bridge.Entry, err error) {
	ctx, end := journalSpan(ctx, "journal requeue")
	defer end(&err)
	return j.Journal.Requeue(ctx, e)
}

// Attempt implements bridge.Journal.
func (j tracedJournal) Attempt(
	ctx context.Context, e bridge.Entry, kind bridge.AttemptKind, start time.Time,
) (_ bridge.Attempt, err error) {
	ctx, end := journalSpan(ctx, "journal attempt")
	defer end(&err)
	return j.Journal.Attempt(ctx, e, kind, start)
}

// Finish implements bridge.Journal.
func (j tracedJournal) Finish(ctx context.Context, f bridge.Finish) (_ bridge.Entry, err error) {
	ctx, end := journalSpan(ctx, "journal finish")
	defer end(&err)
	return j.Journal.Finish(ctx, f)
}

// Tell implements bridge.Journal.
func (j tracedJournal) Tell(ctx context.Context, asks ...bridge.Ask) (err error) {
	ctx, end := journalSpan(ctx, "journal tell")
	defer end(&err)
	return j.Journal.Tell(ctx, asks...)
}

// Release implements bridge.Journal.
func (j tracedJournal) Release(ctx context.Context, e bridge.Entry) (err error) {
	ctx, end := journalSpan(ctx, "journal release")
	defer end(&err)
	return j.Journal.Release(ctx, e)
}
