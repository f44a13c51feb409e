package observe

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// What comes when the queue is full is lost, counted, and holds nobody up.
func TestTracesQueueIsBounded(t *testing.T) {
	hang := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer srv.Close()
	var log bytes.Buffer
	tr, err := NewTraces(t.Context(), Collector{OTLP: srv.URL, Sample: 1}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range traceQueue + 100 {
		_, span := tr.Tracer().Start(t.Context(), "span")
		span.End()
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	if lost := tr.lost.Load(); lost != 100 || strings.Count(log.String(), "traces are lost") != 1 {
		t.Errorf("%d lost; log:\n%s", lost, log.String())
	}
	close(hang)
	tr.Close(10 * time.Second)
	if waiting, lost := tr.waiting.Load(), tr.lost.Load(); waiting != 0 || lost != 100 {
		t.Errorf("in the end %d wait and %d are lost", waiting, lost)
	}
}

// The share that is kept, and a caller's own decision, which counts more.
func TestTracesAreSampled(t *testing.T) {
	for share, want := range map[float64]int{0: 0, 0.25: 250, 1: 1000} {
		tr, err := NewTraces(t.Context(), Collector{OTLP: "http://127.0.0.1:1", Sample: share}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		kept := 0
		for range 1000 {
			_, span := tr.Tracer().Start(t.Context(), "call")
			if _, ok := span.(sdktrace.ReadOnlySpan); ok && span.SpanContext().IsSampled() {
				kept++
			}
		}
		if kept < want-100 || kept > want+100 {
			t.Errorf("share %v: %d of 1000 kept", share, kept)
		}
		tr.Close(time.Millisecond)
	}
}
