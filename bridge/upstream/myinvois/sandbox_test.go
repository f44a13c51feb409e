package myinvois_test

import (
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/myinvois"
	"einvoice-bridge/bridge/upstream/upstreamtest"
	"einvoice-bridge/fixtures/sandbox"
	sim "einvoice-bridge/fixtures/sandbox/myinvois"
)

// against starts the simulator on real sockets, its clock stopped at a whole second, and an adapter for its taxpayer.
func against(t *testing.T, change func(*myinvois.Config)) (*sim.Server, *myinvois.Adapter) {
	t.Helper()
	clock := new(sandbox.Clock)
	clock.Set(time.Date(2026, 1, 2, 20, 4, 5, 0, time.UTC))
	s := sim.Demo(sim.Options{Options: sandbox.Options{Clock: clock}})
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	t.Cleanup(s.Release)
	cfg := myinvois.Config{
		Name: "sandbox", Settings: upstream.Settings{BaseURL: srv.URL},
		ClientID: sim.DemoClientID, ClientSecret: sim.DemoClientSecret, CallTimeout: 250 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	return s, adapter(t, upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler)), cfg)
}

func document(id string) bridge.Cancellation {
	c := cancellation()
	c.Document = id
	return c
}

func TestSandboxDocumentsEachGetTheirAnswer(t *testing.T) {
	s, a := against(t, nil)
	for _, c := range []struct {
		id, message string
		class       bridge.Class
		date        string
	}{
		{sim.DemoUUID, "", bridge.Cancelled, "2026-01-03 04:04:05"},
		{sim.DemoUUID, "IncorrectState: The document's state doesn't allow this transition", bridge.AlreadyCancelled, "2026-01-03 04:04:05"},
		{sim.DemoForeignUUID, "Forbidden: It seems that you are not authorized to update document status", bridge.Refused, ""},
		{sim.DemoCancelledUUID, "IncorrectState: The document's state doesn't allow this transition", bridge.AlreadyCancelled, "2026-01-03 04:03:05"},
		{sim.DemoOldUUID, "OperationPeriodOver: The time limit of cancellation has already run out", bridge.Refused, ""},
		{sim.DemoReferencedUUID, "ActiveReferencingDocuments: The document is referenced by other active documents", bridge.Refused, ""},
		{sim.DemoSubmittedUUID, "IncorrectState: The document's state doesn't allow this transition", bridge.Refused, ""},
		{sim.DemoInvalidUUID, "IncorrectState: The document's state doesn't allow this transition", bridge.Refused, ""},
		{strings.Repeat("Z", 26), "NotFound: The document is not found", bridge.Refused, ""},
	} {
		o := a.Cancel(ctx, document(c.id))
		if o.Class != c.class || o.Message != c.message || o.Date != c.date || o.UpstreamRef == "" {
			t.Errorf("%s: %s %q %q, ref %q", c.id, o.Class, o.Message, o.Date, o.UpstreamRef)
		}
		bearer := strings.TrimPrefix(s.Calls()[1].Header.Get("Authorization"), "Bearer ")
		noSecret(t, o, sim.DemoClientSecret, bearer)
		keepSchemas(t, o.Exchanges)
	}
	if d, _ := s.Document(sim.DemoUUID); d.Commits() != 1 || d.Reason != "Data entry mistake: Wrong buyer details" {
		t.Errorf("%d commits, reason %q", d.Commits(), d.Reason)
	}
}

func TestSandboxIntermediary(t *testing.T) {
	_, a := against(t, func(c *myinvois.Config) {
		c.ClientID, c.ClientSecret, c.OnBehalfOf = sim.DemoIntermediaryID, sim.DemoIntermediarySecret, sim.DemoForeignTIN
	})
	if o := a.Cancel(ctx, document(sim.DemoForeignUUID)); o.Class != bridge.Cancelled {
		t.Errorf("the represented taxpayer's document: %s %s", o.Class, o.Message)
	}
	if o := a.Cancel(ctx, document(sim.DemoUUID)); o.Class != bridge.Refused || o.Code != "Forbidden" {
		t.Errorf("another's document: %s %s", o.Class, o.Message)
	}
	_, stranger := against(t, func(c *myinvois.Config) {
		c.ClientID, c.ClientSecret, c.OnBehalfOf = sim.DemoIntermediaryID, sim.DemoIntermediarySecret, "C99990000010"
	})
	if o := stranger.Cancel(ctx, document(sim.DemoUUID)); o.Class != bridge.Misconfigured || o.Code != "unauthorised_client" {
		t.Errorf("a taxpayer that is not represented: %s %s", o.Class, o.Message)
	}
}

func TestSandboxSpareSecret(t *testing.T) {
	_, a := against(t, func(c *myinvois.Config) { c.ClientSecret, c.SpareSecret = "an-old-secret", sim.DemoClientSecret })
	if o := a.Cancel(ctx, document(sim.DemoUUID)); o.Class != bridge.Cancelled {
		t.Errorf("%s %s", o.Class, o.Message)
	}
}

func TestSandboxProbe(t *testing.T) {
	_, good := against(t, nil)
	if err := good.Probe(ctx); err != nil {
		t.Error(err)
	}
	_, bad := against(t, func(c *myinvois.Config) { c.ClientSecret = "wrong-secret" })
	if err := bad.Probe(ctx); err == nil || !strings.Contains(err.Error(), "check client_id, client_secret and on_behalf_of") {
		t.Error(err)
	}
}

// row is what becomes of a cancel while a fault is armed.
type row struct {
	fault    sandbox.Fault
	document string // empty: DemoUUID, which can be cancelled
	class    bridge.Class
	code     string
	commits  int
	wait     time.Duration
}

func onCancel(name, value string) sandbox.Fault {
	return sandbox.Fault{Name: name, Value: value, Operation: sandbox.Cancel}
}

func onGet(name string) sandbox.Fault { return sandbox.Fault{Name: name, Operation: sandbox.Get} }

func onLogin(name, value string) sandbox.Fault {
	return sandbox.Fault{Name: name, Value: value, Operation: sandbox.Auth}
}

func once(f sandbox.Fault) sandbox.Fault { f.Times = 1; return f }

// rows are every fault that the simulator knows.
var rows = []row{
	{onCancel("reset_before", ""), "", bridge.Unknown, "", 0, 0},
	{onCancel("drop_before_commit", ""), "", bridge.Unknown, "", 0, 0},
	{onCancel("http503_html", ""), "", bridge.Unknown, "", 0, 0},
	{onCancel("html_503", "commit"), "", bridge.Unknown, "", 1, 0},
	{onCancel("http200_html", "commit"), "", bridge.Unknown, "", 1, 0},
	{onCancel("html_403", ""), "", bridge.NotApplied, "", 0, 0},
	{onCancel("html_404", ""), "", bridge.Misconfigured, "", 0, 0},
	{once(onCancel("http401", "")), "", bridge.Cancelled, "", 1, 0},
	{onCancel("http401", ""), "", bridge.Misconfigured, "", 0, 0},
	{onCancel("http403", ""), "", bridge.NotApplied, "", 0, 0},
	{onCancel("http429", "7"), "", bridge.NotApplied, "", 0, 7 * time.Second},
	{onCancel("lose_reply", ""), "", bridge.Unknown, "", 1, 0},
	{onCancel("commit_then_drop", "rst"), "", bridge.Unknown, "", 1, 0},
	{onCancel("commit_then_500", ""), "", bridge.Unknown, "", 1, 0},
	{onCancel("delay", "20"), "", bridge.Cancelled, "", 1, 0},
	{onCancel("slow", "2000"), "", bridge.Unknown, "", 1, 0},
	{onCancel("late_commit", "20"), "", bridge.Cancelled, "", 1, 0},
	{onCancel("hold", ""), "", bridge.Unknown, "", 1, 0},
	{onCancel("hold_before", ""), "", bridge.Unknown, "", 0, 0},
	{onCancel("truncate_json", ""), "", bridge.Unknown, "", 1, 0},
	{onCancel("bad_json", ""), "", bridge.Unknown, "", 1, 0},
	{onCancel("clock_offset", "3600"), "", bridge.Cancelled, "", 1, 0},

	{onCancel("error", "BadRequest"), "", bridge.Refused, "BadRequest", 0, 0},
	{onCancel("error", "403:SomethingElse"), "", bridge.Misconfigured, "SomethingElse", 0, 0},
	{onCancel("error", "500:OperationPeriodOver"), "", bridge.Unknown, "", 0, 0},
	{onCancel("documented_error_shape", ""), sim.DemoOldUUID, bridge.Refused, "OperationPeriodOver", 0, 0},
	{onCancel("null_message", ""), sim.DemoReferencedUUID, bridge.Refused, "ActiveReferencingDocuments", 0, 0},
	{onCancel("null_message", "all"), sim.DemoForeignUUID, bridge.Refused, "Forbidden", 0, 0},
	{onCancel("code_top_level", ""), sim.DemoOldUUID, bridge.Refused, "OperationPeriodOver", 0, 0},
	{onCancel("code_top_level", ""), sim.DemoCancelledUUID, bridge.AlreadyCancelled, "IncorrectState", 0, 0},
	{onCancel("rate_limit", "int"), "", bridge.NotApplied, "", 0, 5 * time.Second},
	{onCancel("rate_limit", "date"), "", bridge.NotApplied, "", 0, 5 * time.Second},
	{onCancel("rate_limit", "reset"), "", bridge.NotApplied, "", 0, 5 * time.Second},
	{onCancel("rate_limit", "none"), "", bridge.NotApplied, "", 0, 5 * time.Second},
	{onCancel("ok_with_error", ""), "", bridge.Refused, "IncorrectState", 0, 0},
	{onCancel("wrong_uuid", ""), "", bridge.Unknown, "", 1, 0},
	{once(onCancel("expire_tokens", "")), "", bridge.Cancelled, "", 1, 0},
	{onLogin("invalid_client", ""), "", bridge.Misconfigured, "invalid_client", 0, 0},
	{onLogin("user_blocked", ""), "", bridge.Misconfigured, "invalid_client", 0, 0},
	{onLogin("html_503", ""), "", bridge.NotApplied, "", 0, 0},
	{onLogin("html_403", ""), "", bridge.NotApplied, "", 0, 0},
	{onLogin("rate_limit", "9"), "", bridge.NotApplied, "", 0, 9 * time.Second},
	{onGet("details_down"), sim.DemoCancelledUUID, bridge.Refused, "IncorrectState", 0, 0},
	{once(onGet("details_stale")), sim.DemoCancelledUUID, bridge.AlreadyCancelled, "IncorrectState", 0, 0},
}

// TestEverySwitch: what the adapter makes of each fault, whether the cancel was carried out, and that a lookup
// afterwards tells the truth.
func TestEverySwitch(t *testing.T) {
	for _, s := range slices.Concat(sandbox.Common(), sim.Switches()) {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.fault.Name == s.Name }) {
			t.Errorf("no row for the switch %s", s.Name)
		}
	}
	for _, r := range rows {
		t.Run(r.fault.String(), func(t *testing.T) {
			t.Parallel()
			s, a := against(t, nil)
			if err := s.Arm(r.fault); err != nil {
				t.Fatal(err)
			}
			id := r.document
			if id == "" {
				id = sim.DemoUUID
			}
			o := a.Cancel(ctx, document(id))
			if o.Class != r.class || o.Code != r.code || o.RetryAfter != r.wait {
				t.Errorf("%s %q, wait %s (%s); want %s %q, wait %s", o.Class, o.Code, o.RetryAfter, o.Message, r.class, r.code, r.wait)
			}
			noSecret(t, o, sim.DemoClientSecret)
			d, _ := s.Document(id)
			if d.Commits() != r.commits {
				t.Errorf("carried out %d times, want %d", d.Commits(), r.commits)
			}
			if o.Class == bridge.Unknown && r.fault.Operation == sandbox.Cancel {
				settles(t, a, id, r.commits > 0)
			}
		})
	}
}

// IncorrectState that can't be looked up is a refusal, unless an earlier send of ours may be what cancelled the document.
func TestIncorrectStateAfterADoubtfulSend(t *testing.T) {
	s, a := against(t, nil)
	if err := s.Arm(onGet("details_down")); err != nil {
		t.Fatal(err)
	}
	c := document(sim.DemoCancelledUUID)
	c.Doubtful = true
	if o := a.Cancel(ctx, c); o.Class != bridge.Unknown {
		t.Errorf("got %s", o.Class)
	}
}

// settles checks that a lookup finds out what a doubtful cancel has come to.
func settles(t *testing.T, a *myinvois.Adapter, id string, carriedOut bool) {
	t.Helper()
	want := bridge.StatusActive
	if carriedOut {
		want = bridge.StatusCancelled
	}
	state, err := a.Lookup(ctx, document(id))
	if err != nil || state.Status != want || carriedOut && state.Date != "2026-01-03 04:04:05" {
		t.Errorf("lookup: %v %q %v, want %v", state.Status, state.Date, err, want)
	}
}

func TestSandboxKeepsItsRate(t *testing.T) {
	s, a := against(t, func(c *myinvois.Config) { c.CancelsPerMinute = 1000 })
	var held bridge.Outcome
	for range 13 { // without the Service, which paces them
		held = a.Cancel(ctx, document(strings.Repeat("Z", 26)))
	}
	if held.Class != bridge.NotApplied || held.RetryAfter != time.Minute {
		t.Errorf("the thirteenth: %s, wait %s", held.Class, held.RetryAfter)
	}
	before := len(s.Calls())
	if o := a.Cancel(ctx, document(sim.DemoUUID)); o.Class != bridge.NotApplied || len(s.Calls()) != before {
		t.Errorf("%s with %d more calls: the client id's gate is not shut", o.Class, len(s.Calls())-before)
	}
}
