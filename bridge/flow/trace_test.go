package flow_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/flow"
)

// tracer records every span of a bench's flights; calls get theirs by spanned.
type tracer struct {
	trace.Tracer
	seen *tracetest.SpanRecorder
}

func traced(into *tracer) func(*bench) {
	into.seen = tracetest.NewSpanRecorder()
	into.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(into.seen)).Tracer("test")
	return func(b *bench) { b.cfg.Tracer = into }
}

// ask is a call with a span of its own.
func (t *tracer) ask(b *bench, change ...func(*bridge.Request)) bridge.Answer {
	_, span := t.Start(context.Background(), "call")
	defer span.End()
	return b.ask(append(change, func(r *bridge.Request) { r.Context = trace.ContextWithSpan(context.Background(), span) })...)
}

// named are the spans that have ended under a name, oldest first.
func (t *tracer) named(name string) (all []sdktrace.ReadOnlySpan) {
	for _, s := range t.seen.Ended() {
		if s.Name() == name {
			all = append(all, s)
		}
	}
	return all
}

// tree writes down which span ended below which, with outcomes.
func (t *tracer) tree() string {
	ended := t.seen.Ended()
	slices.SortStableFunc(ended, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	var w strings.Builder
	var below func(parent trace.SpanID, indent string)
	below = func(parent trace.SpanID, indent string) {
		for _, s := range ended {
			if s.Parent().SpanID() == parent {
				fmt.Fprintln(&w, strings.TrimRight(indent+s.Name()+" "+attributeOf(s, "einvoice.outcome"), " "))
				below(s.SpanContext().SpanID(), indent+"  ")
			}
		}
	}
	below(trace.SpanID{}, "")
	return w.String()
}

func attributeOf(s sdktrace.ReadOnlySpan, key string) string {
	for _, a := range s.Attributes() {
		if string(a.Key) == key {
			return a.Value.AsString()
		}
	}
	return ""
}

// What happened to a doubtful cancellation shows: the call, its flight, the send, the question.
func TestSpansOfACall(t *testing.T) {
	var spans tracer
	run(t, func(b *bench) {
		spans.ask(b)
		spans.ask(b)
		spans.ask(b, func(r *bridge.Request) { r.IRN = "no such document" })
	}, script(outcomes(unknown), states(bridge.StatusCancelled)), traced(&spans))
	want := `call
  cancellation cancelled
    journal begin
    send unknown
    journal finish
    lookup already_cancelled
    journal finish
call
  cancellation cancelled
    journal begin
    journal tell
call
  journal tell
`
	if diff := cmp.Diff(want, spans.tree()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Waiting its turn is a span. A flight that outlives its call ends when its work does.
func TestSpansOutliveTheCall(t *testing.T) {
	var spans tracer
	run(t, func(b *bench) {
		for i := range 12 {
			b.wantCode("within the budget", b.ask(func(r *bridge.Request) { r.IRN = fmt.Sprintf("%064x", i) }), 200)
		}
		a := spans.ask(b, func(r *bridge.Request) { r.Until = r.Received.Add(10 * time.Second) })
		if a.Fault != bridge.FaultWaiting {
			b.Errorf("got %+v", a)
		}
		time.Sleep(2 * time.Minute)
	}, script(outcomes(cancelled), nil), paced, traced(&spans))
	if diff := cmp.Diff("call\n  cancellation cancelled\n    journal find\n    journal begin\n    wait turn\n    journal attempt\n    send cancelled\n    journal finish\n", spans.tree()); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	call, flight, wait := spans.named("call")[0], spans.named("cancellation")[0], spans.named("wait turn")[0]
	if !flight.EndTime().After(call.EndTime()) || wait.EndTime().Sub(wait.StartTime()) < 30*time.Second {
		t.Errorf("the call ended at %s, its flight at %s, which waited %s", call.EndTime(), flight.EndTime(), wait.EndTime().Sub(wait.StartTime()))
	}
}

// A call that joins another's flight points to it. One that may not have its answer doesn't.
func TestJoinedSpansLink(t *testing.T) {
	var spans tracer
	run(t, func(b *bench) {
		var wg sync.WaitGroup
		for i, taxpayer := range []string{gstin, gstin, gstin, "29AAFCD5862R000"} {
			time.Sleep(time.Duration(i) * time.Millisecond)
			wg.Go(func() { spans.ask(b, func(r *bridge.Request) { r.Taxpayer = taxpayer }) })
		}
		wg.Wait()
	}, script(func(int, bridge.Cancellation) bridge.Outcome { time.Sleep(time.Second); return cancelled }, nil), traced(&spans))
	flight := spans.named("cancellation")[0].SpanContext()
	linked := 0
	for _, call := range spans.named("call") {
		for _, l := range call.Links() {
			if linked++; !l.SpanContext.Equal(flight) {
				t.Errorf("a call links to %v, the flight is %v", l.SpanContext.SpanID(), flight.SpanID())
			}
		}
	}
	if n := len(spans.named("cancellation")); linked != 2 || n != 2 {
		t.Errorf("%d calls link to a flight of %d; want 2 of 2", linked, n)
	}
}

// The background's lookups are traces of their own, with the ref of the call that they go back to.
func TestSpansOfTheBackground(t *testing.T) {
	var spans tracer
	run(t, func(b *bench) {
		spans.ask(b, func(r *bridge.Request) { r.Ref = "the call's" })
		time.Sleep(35 * time.Second)
	}, script(outcomes(unknown), states(bridge.StatusUnknown, bridge.StatusUnknown, bridge.StatusCancelled)), traced(&spans))
	settle := spans.named("settle")
	if len(settle) != 1 || settle[0].Parent().IsValid() || attributeOf(settle[0], "einvoice.ref") != "the call's" {
		t.Fatalf("got %d spans of the background: %v", len(settle), settle)
	}
	lookups := spans.named("lookup")
	if last := lookups[len(lookups)-1]; last.Parent().SpanID() != settle[0].SpanContext().SpanID() {
		t.Errorf("its lookup stands below %v", last.Parent().SpanID())
	}
}

// Where nothing is traced, or this call isn't, spans cost no allocation.
func TestNoSpanIsFree(t *testing.T) {
	drop := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())).Tracer("test")
	dropped, _ := drop.Start(t.Context(), "call")
	for what, ctx := range map[string]context.Context{"no tracer": t.Context(), "not sampled": dropped} {
		if n := testing.AllocsPerRun(100, func() {
			_, span := flow.BeginSpan(ctx, "step")
			span.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}
