package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/observe"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// otlpReceiver is a collector: what it got, as it came over the wire.
type otlpReceiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*collectorpb.ExportTraceServiceRequest
	headers  []http.Header
}

func newOTLPReceiver(t *testing.T) *otlpReceiver {
	t.Helper()
	r := &otlpReceiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		got := &collectorpb.ExportTraceServiceRequest{}
		if err == nil {
			err = proto.Unmarshal(body, got)
		}
		if err != nil || req.URL.Path != "/v1/traces" {
			t.Errorf("%s %v", req.URL.Path, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.requests, r.headers = append(r.requests, got), append(r.headers, req.Header)
	}))
	t.Cleanup(r.Close)
	return r
}

// spans are all that came, oldest first.
func (r *otlpReceiver) spans() (all []*tracepb.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, req := range r.requests {
		for _, res := range req.ResourceSpans {
			for _, scope := range res.ScopeSpans {
				all = append(all, scope.Spans...)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *tracepb.Span) int { return int(a.StartTimeUnixNano) - int(b.StartTimeUnixNano) })
	return all
}

// text is everything that came, for a grep.
func (r *otlpReceiver) text() string {
	var b strings.Builder
	for _, req := range r.requests {
		b.WriteString(protojson.Format(req))
	}
	return b.String()
}

// tree writes down the spans below a parent.
func tree(spans []*tracepb.Span, parent []byte, indent string) string {
	var b strings.Builder
	for _, s := range spans {
		if bytes.Equal(s.ParentSpanId, parent) {
			b.WriteString(indent + s.Name + "\n" + tree(spans, s.SpanId, indent+"  "))
		}
	}
	return b.String()
}

func spanNamed(t *testing.T, spans []*tracepb.Span, name string) *tracepb.Span {
	t.Helper()
	i := slices.IndexFunc(spans, func(s *tracepb.Span) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no span %q", name)
	}
	return spans[i]
}

func attributesOf(s *tracepb.Span) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes {
		all[a.Key] = a.Value.GetStringValue()
		if a.Value.GetStringValue() == "" {
			all[a.Key] = fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return all
}

// tracing starts a bridge in front of the simulators whose spans go to an address; edit changes its configuration more.
func tracing(t *testing.T, traces string, edit func(string) string) (sims []demo.Simulator, path string, a *app.App) {
	t.Helper()
	sims, path = sandboxed(t, func(text string) string {
		if edit != nil {
			text = edit(text)
		}
		return traces + text
	})
	return sims, path, startFile(t, path, slog.New(slog.DiscardHandler))
}

func startFile(t *testing.T, path string, log *slog.Logger) *app.App {
	t.Helper()
	f, err := config.Load(path, app.FileKinds)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), f, app.Process{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	return a
}

// postTraced is post with a traceparent.
func postTraced(t *testing.T, a *app.App, envelope, traceparent string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, a.PublicURL()+"/einvoice", strings.NewReader(envelope))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("traceparent", traceparent)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// One call is one tree of spans that continues the caller's trace; the authority gets the traceparent of the very span
// that stands for its call.
func TestTraceOfACall(t *testing.T) {
	r := newOTLPReceiver(t)
	sims, _, a := tracing(t, fmt.Sprintf("traces: {otlp: %q, headers: {x-vendor-key: the-vendors-key}}\n", r.URL), nil)
	const traceID, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	body := postTraced(t, a, demo.Envelope(sims[0].Taxpayer, sims[0].Success), "00-"+traceID+"-"+parent+"-01")
	if !strings.Contains(body, "<code>200</code>") {
		t.Fatal(body)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	spans := r.spans()
	above, _ := hex.DecodeString(parent)
	want := `eInvoiceCancel
  cancellation
    journal begin
    send
      login
        POST /eivital/v1.04/auth
      POST /eicore/v1.03/Invoice/Cancel
    journal finish
`
	if diff := cmp.Diff(want, tree(spans, above, "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, s := range spans {
		if hex.EncodeToString(s.TraceId) != traceID {
			t.Errorf("%s is not in the caller's trace", s.Name)
		}
	}
	call := attributesOf(spanNamed(t, spans, "eInvoiceCancel"))
	for key, want := range map[string]string{
		"einvoice.caller": "erp", "einvoice.taxpayer": sims[0].Taxpayer, "einvoice.upstream": "nic", "einvoice.document": sims[0].Success,
		"einvoice.outcome": "cancelled", "einvoice.code": "200", "einvoice.how": "upstream", "http.response.status_code": "200",
	} {
		if call[key] != want {
			t.Errorf("the call's %s is %q, want %q", key, call[key], want)
		}
	}
	cancel := spanNamed(t, spans, "POST /eicore/v1.03/Invoice/Cancel")
	if at := attributesOf(cancel); at["server.address"] != "127.0.0.1" || at["http.response.status_code"] != "200" || at["http.response.body.size"] == "" {
		t.Errorf("the cancel at the authority: %v", at)
	}
	if got, want := sentTraceParent(t, sims[0].Log), "00-"+traceID+"-"+hex.EncodeToString(cancel.SpanId)+"-01"; got != want {
		t.Errorf("the authority got %q, want %q", got, want)
	}
	if got := r.headers[0].Get("x-vendor-key"); got != "the-vendors-key" {
		t.Errorf("the collector got the key %q", got)
	}
	resource := protojson.Format(r.requests[0].ResourceSpans[0].Resource)
	if !strings.Contains(resource, "service.name") || !strings.Contains(resource, "einvoice-bridge") {
		t.Errorf("the spans are of %s", resource)
	}
}

// sentTraceParent is the header of the first cancel that a simulator got.
func sentTraceParent(t *testing.T, sim *sandbox.Sandbox) string {
	t.Helper()
	for _, c := range sim.Calls() {
		if c.Operation == sandbox.Cancel {
			return http.Header(c.Header).Get("Traceparent")
		}
	}
	t.Fatal("the simulator got no cancel")
	return ""
}

// Without the key nothing is traced, whatever the environment says, and the authority gets no traceparent.
func TestNoTracesByDefault(t *testing.T) {
	r := newOTLPReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.URL)
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	sims, _, a := tracing(t, "", nil)
	postTraced(t, a, demo.Envelope(sims[0].Taxpayer, sims[0].Success), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := sentTraceParent(t, sims[0].Log); len(r.requests) != 0 || got != "" {
		t.Errorf("%d exports, traceparent %q", len(r.requests), got)
	}
}

// Two calls for one document at once: the joined one links to the flight of the other.
func TestTracesOfJoinedCalls(t *testing.T) {
	r := newOTLPReceiver(t)
	sims, _, a := tracing(t, fmt.Sprintf("traces: {otlp: %q}\n", r.URL), nil)
	s := sims[0]
	if err := s.Log.Arm(sandbox.Fault{Name: "hold", Operation: sandbox.Cancel, Times: 1}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	call := func() {
		if _, err := post(a.PublicURL()+"/einvoice", demo.Envelope(s.Taxpayer, s.Success)); err != nil {
			t.Error(err)
		}
	}
	wg.Go(call)
	if _, err := s.Log.WaitFor(t.Context(), func(r sandbox.Record) bool { return r.Operation == sandbox.Cancel && r.Held }); err != nil {
		t.Fatal(err)
	}
	wg.Go(call)
	for deadline := time.Now().Add(5 * time.Second); metricValue(t, a.ConsoleURL()+"/metrics", `einvoice_pool_held{name="erp",pool="caller"}`) < 2 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // from being let in to joining
	s.Log.Release()
	wg.Wait()
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	spans := r.spans()
	flight := spanNamed(t, spans, "cancellation")
	joined := slices.IndexFunc(spans, func(s *tracepb.Span) bool { return attributesOf(s)["einvoice.how"] == "joined" })
	if joined < 0 {
		t.Fatal("no call joined")
	}
	if links := spans[joined].Links; len(links) != 1 || !bytes.Equal(links[0].SpanId, flight.SpanId) || !bytes.Equal(links[0].TraceId, flight.TraceId) {
		t.Errorf("it links to %v, the flight is %x", links, flight.SpanId)
	}
}

// Through every upstream, with refusals, doubts, logins and lookups: no span holds a secret, a token, remarks or a body,
// and with hashed ids no document either.
func TestTracesTellNoSecret(t *testing.T) {
	r := newOTLPReceiver(t)
	traces := fmt.Sprintf("traces: {otlp: %q, headers: {x-vendor-key: the-vendors-key}}\n", r.URL)
	sims, path := sandboxed(t, func(text string) string {
		return traces + strings.Replace(text, "log: {level: warn}", "log: {level: debug, ids: hashed}", 1)
	})
	logIn(t, path)
	var log bytes.Buffer
	a := startFile(t, path, slog.New(slog.NewTextHandler(&log, nil)))
	for _, s := range sims { // the first cancel's reply is lost: it is looked up
		if err := s.Log.Arm(sandbox.Fault{Name: "lose_reply", Operation: sandbox.Cancel, Times: 1}); err != nil {
			t.Fatal(err)
		}
	}
	secrets := append(demoSecrets(t, path), callEverySort(t, sims, a.PublicURL()+"/einvoice", path)...)
	secrets = append(secrets, sessionSecrets(t, sims)...)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	shown := r.text()
	for _, s := range sims {
		secrets = append(secrets, s.Success, s.Refusal)
	}
	for _, secret := range append(secrets, "the-vendors-key", "Wrong entry", "no such document", "Envelope", `"CnlRsn`, "2143:") {
		if strings.Contains(strings.ToLower(shown), strings.ToLower(secret)) {
			t.Errorf("a span shows %q", secret)
		}
	}
	for _, route := range []string{
		"POST /eivital/v1.04/auth", "GET /eicore/v1.03/Invoice/irn/{irn}", "PUT /api/v1.0/documents/state/{uuid}/state",
		"GET /api/v1.0/documents/{uuid}/details", "GET /invx/apis/v1/orgs/", "GET /einv/v1/govt/api/Invoice/irn/{irn}",
		"GET /getEinvoiceData", "PUT /einvoice/v1/documents/{id}/state", "access_new_token", "journal finish",
	} {
		if !strings.Contains(shown, route) {
			t.Errorf("no span %s: was it called?", route)
		}
	}
	if strings.Contains(log.String(), "the-vendors-key") || !strings.Contains(log.String(), "trace_id=") {
		t.Errorf("log:\n%s", log.String())
	}
}

// lockedBuffer takes log lines of goroutines that nobody waits for.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var spansLost = regexp.MustCompile(`spans_lost=(\d+)`)

// A collector that is away, refuses or hangs changes nothing for callers, and little for the end. What is lost is
// counted and said once.
func TestTracesThatNobodyTakes(t *testing.T) {
	hang := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "not with key "+r.Header.Get("x-vendor-key"), http.StatusUnauthorized)
	}))
	t.Cleanup(func() { close(hang); hanging.Close(); refusing.Close() })
	for name, url := range map[string]string{"away": "http://" + freePorts(t, 1)[0], "refusing": refusing.URL, "hanging": hanging.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sims, path := sandboxed(t, func(text string) string {
				return fmt.Sprintf("traces: {otlp: %q, headers: {x-vendor-key: the-vendors-key}}\n", url+"/secret-path") + text
			})
			var log lockedBuffer // what was given up at the end may still say so
			a := startFile(t, path, slog.New(slog.NewTextHandler(&log, nil)))
			body, err := post(a.PublicURL()+"/einvoice", demo.Envelope(sims[0].Taxpayer, sims[0].Success))
			if err != nil || !strings.Contains(string(body), "<code>200</code>") {
				t.Errorf("answered %s, %v", body, err)
			}
			began := time.Now()
			if err := a.Stop(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > observe.TraceFlush+2*time.Second {
				t.Errorf("the end took %s", took)
			}
			said := log.String()
			if n := strings.Count(said, `level=WARN msg="traces `); n == 0 || n > 1 && name == "refusing" {
				t.Errorf("log:\n%s", said)
			}
			if strings.Contains(said, "secret-path") || strings.Contains(said, "the-vendors-key") {
				t.Errorf("the log shows a secret:\n%s", said)
			}
			if counted := spansLost.FindStringSubmatch(said); name == "refusing" && (counted == nil || len(counted[1]) == 1 && counted[1] < "5") {
				t.Errorf("spans counted as lost: %v", counted)
			}
		})
	}
}
