package observe

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"einvoice-bridge/bridge"
)

// With hashed ids no line names a document, in whatever field.
func TestHashedIDsHideDocuments(t *testing.T) {
	var out bytes.Buffer
	l := NewCallLog(slog.New(slog.NewTextHandler(&out, nil)))
	l.HashIDs(true)
	key := bridge.Key{Space: "myinvois", Document: "F9D425P6DS7D8IU"}
	l.Answered(&bridge.CallReport{Key: key, Answer: bridge.Answer{Class: bridge.Unknown, Fault: bridge.FaultUnknown, Why: "a success for another document than " + key.Document}})
	l.Alarm(bridge.Alarm{Kind: bridge.AlarmUpstream, Key: key, Text: "look at " + key.Document})
	if s := out.String(); strings.Contains(s, key.Document) || strings.Count(s, "than sha256:") != 1 || strings.Count(s, "look at sha256:") != 1 {
		t.Error(s)
	}
}

// A line of trouble says in one field what was in the way; a business answer needs none.
func TestCallLineSaysWhy(t *testing.T) {
	const why = "logins held back until 02:52 UTC: 4 in 15m are used up"
	traced := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0x0a}, SpanID: trace.SpanID{1}}))
	for name, c := range map[string]struct {
		report        bridge.CallReport
		wanted, never string
	}{
		"trouble": {bridge.CallReport{Answer: bridge.Answer{Class: bridge.NotApplied, Fault: bridge.FaultNotApplied, Why: why}},
			"level=WARN msg=call outcome=not_applied code=503 sends=0 why=\"" + why + "\"", "trace_id"},
		"refused":   {bridge.CallReport{Answer: bridge.Answer{Class: bridge.Refused, Message: "2143: not yours"}, Sends: 1}, "level=INFO msg=call outcome=refused code=204 sends=1", "why="},
		"traced":    {bridge.CallReport{Answer: bridge.Answer{Class: bridge.Cancelled}, Context: traced}, "trace_id=0a00", "why="},
		"untraced":  {bridge.CallReport{Answer: bridge.Answer{Class: bridge.Cancelled}, Context: context.Background()}, "code=200", "trace_id"},
		"no reason": {bridge.CallReport{Answer: bridge.Answer{Fault: bridge.FaultBusy}}, "why=\"\"", "trace_id"},
	} {
		var out bytes.Buffer
		NewCallLog(slog.New(slog.NewTextHandler(&out, nil))).Answered(&c.report)
		line := out.String()
		for word := range strings.SplitSeq(c.wanted, " ") {
			if !strings.Contains(line, word) {
				t.Errorf("%s: lacks %s: %s", name, word, line)
			}
		}
		if strings.Contains(line, c.never) {
			t.Errorf("%s: has %s: %s", name, c.never, line)
		}
	}
}

// Log form and level follow the file, also for loggers that were derived before.
func TestLogFollows(t *testing.T) {
	var b strings.Builder
	log := NewLogger(&b, "text", "warn")
	derived := log.With("a", 1).WithGroup("g")
	derived.Info("not this")
	Restyle(log, "json", "info")
	derived.Info("this", slog.Int("b", 2))
	if got := b.String(); !strings.Contains(got, `"msg":"this","a":1,"g":{"b":2}}`) || strings.Contains(got, "not this") {
		t.Errorf("got %s", got)
	}
}

var cancelled = bridge.CallReport{
	Ref: "01KB9ZV3Q1M7", Caller: "sap-pi", Taxpayer: "29AAFCD5862R000", Upstream: "nic",
	Key:     bridge.Key{Space: "irp", Document: "1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae"},
	Answer:  bridge.Answer{Class: bridge.Cancelled},
	Context: context.Background(), How: bridge.FromUpstream, Sends: 1, DateSource: bridge.DateUpstream,
	Took: 12 * time.Millisecond, Journal: 2 * time.Millisecond, Wire: 9500 * time.Microsecond,
}

func BenchmarkCallLine(b *testing.B) {
	l := NewCallLog(NewLogger(io.Discard, "text", "info"))
	b.ReportAllocs()
	for b.Loop() {
		l.Answered(&cancelled)
	}
}

// Operators parse the line: every field, in this order, after what the logger itself was given.
func TestCallLineWhole(t *testing.T) {
	var out strings.Builder
	r := cancelled
	r.Context = trace.ContextWithSpanContext(r.Context, trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0x0a}, SpanID: trace.SpanID{1}}))
	NewCallLog(NewLogger(&out, "text", "info").With("instance", "a")).Answered(&r)
	NewCallLog(NewLogger(&out, "text", "error")).Answered(&r)
	_, got, _ := strings.Cut(out.String(), " ") // the time
	want := "level=INFO msg=call instance=a trace_id=0a000000000000000000000000000000 ref=01KB9ZV3Q1M7 caller=sap-pi " +
		"taxpayer=29AAFCD5862R000 upstream=nic document=" + r.Key.Document + " outcome=cancelled code=200 upstream_code=\"\" how=upstream " +
		"sends=1 lookups=0 date_source=upstream upstream_ref=\"\" unclassified_code=false took=12ms journal=2ms wire=9.5ms queue=0s\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}
