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
		Settings: upstream.Settings{Name: "sandbox", BaseURL: srv.URL, CallTimeout: bridge.Duration(250 * time.Millisecond)},
		ClientID: sim.DemoClientID, ClientSecret: sim.DemoClientSecret,
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
	const state = "IncorrectState: The document's state doesn't allow this transition"
	s, a := against(t, nil)
	for _, c := range []struct {
		id, message string
		class       bridge.Class
		byState     bool
		date        string
	}{
		{sim.DemoUUID, "", bridge.Cancelled, false, "2026-01-03 04:04:05"},
		{sim.DemoUUID, state, bridge.Refused, true, ""},
		{sim.DemoForeignUUID, "Forbidden: It seems that you are not authorized to update document status", bridge.Refused, false, ""},
		{sim.DemoCancelledUUID, state, bridge.Refused, true, ""},
		{sim.DemoOldUUID, "OperationPeriodOver: The time limit of cancellation has already run out", bridge.Refused, false, ""},
		{sim.DemoReferencedUUID, "ActiveReferencingDocuments: The document is referenced by other active documents", bridge.Refused, false, ""},
		{sim.DemoSubmittedUUID, state, bridge.Refused, true, ""},
		{sim.DemoInvalidUUID, state, bridge.Refused, true, ""},
		{strings.Repeat("Z", 26), "NotFound: The document is not found", bridge.Refused, false, ""},
	} {
		o := a.Cancel(ctx, document(c.id), upstreamtest.Free)
		if o.Class != c.class || o.Message != c.message || o.ByState != c.byState || o.Date != c.date || o.UpstreamRef == "" || !o.Sent {
			t.Errorf("%s: %s %q, by state %v, %q, ref %q", c.id, o.Class, o.Message, o.ByState, o.Date, o.UpstreamRef)
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
	if o := a.Cancel(ctx, document(sim.DemoForeignUUID), upstreamtest.Free); o.Class != bridge.Cancelled {
		t.Errorf("the represented taxpayer's document: %s %s", o.Class, o.Message)
	}
	if o := a.Cancel(ctx, document(sim.DemoUUID), upstreamtest.Free); o.Class != bridge.Refused || o.Code != "Forbidden" {
		t.Errorf("another's document: %s %s", o.Class, o.Message)
	}
	_, stranger := against(t, func(c *myinvois.Config) {
		c.ClientID, c.ClientSecret, c.OnBehalfOf = sim.DemoIntermediaryID, sim.DemoIntermediarySecret, "C99990000010"
	})
	if o := stranger.Cancel(ctx, document(sim.DemoUUID), upstreamtest.Free); o.Class != bridge.Misconfigured || o.Code != "unauthorised_client" {
		t.Errorf("a taxpayer that is not represented: %s %s", o.Class, o.Message)
	}
}

func TestSandboxSpareSecret(t *testing.T) {
	_, a := against(t, func(c *myinvois.Config) { c.ClientSecret, c.SpareSecret = "an-old-secret", sim.DemoClientSecret })
	if o := a.Cancel(ctx, document(sim.DemoUUID), upstreamtest.Free); o.Class != bridge.Cancelled {
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
	{onCancel("error", "SomethingNew"), "", bridge.Unclear, "SomethingNew", 0, 0},
	{onCancel("error", "ConnectionReset by peer"), "", bridge.Unknown, "ConnectionReset by peer", 0, 0},
	{onCancel("commit_then_error", "SomethingNew"), "", bridge.Unclear, "SomethingNew", 1, 0},
	{onCancel("error", "403:SomethingElse"), "", bridge.Misconfigured, "SomethingElse", 0, 0},
	{onCancel("error", "500:OperationPeriodOver"), "", bridge.Unknown, "", 0, 0},
	{onCancel("documented_error_shape", ""), sim.DemoOldUUID, bridge.Refused, "OperationPeriodOver", 0, 0},
	{onCancel("null_message", ""), sim.DemoReferencedUUID, bridge.Refused, "ActiveReferencingDocuments", 0, 0},
	{onCancel("null_message", "all"), sim.DemoForeignUUID, bridge.Refused, "Forbidden", 0, 0},
	{onCancel("code_top_level", ""), sim.DemoOldUUID, bridge.Refused, "OperationPeriodOver", 0, 0},
	{onCancel("code_top_level", ""), sim.DemoCancelledUUID, bridge.Refused, "IncorrectState", 0, 0},
	{onCancel("no_details", ""), sim.DemoReferencedUUID, bridge.Refused, "ValidationError", 0, 0},
	{onCancel("status_not_valid", ""), sim.DemoCancelledUUID, bridge.Refused, "DocumentStatusNotValid", 0, 0},
	{onCancel("forbidden", ""), "", bridge.Refused, "Forbidden", 0, 0},
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
	{onGet("details_stale"), sim.DemoCancelledUUID, bridge.Refused, "IncorrectState", 0, 0},
	{onGet("details_missing"), sim.DemoCancelledUUID, bridge.Refused, "IncorrectState", 0, 0},
	{onGet("details_hidden"), sim.DemoCancelledUUID, bridge.Refused, "IncorrectState", 0, 0},
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
			o := a.Cancel(ctx, document(id), upstreamtest.Free)
			if o.Class != r.class || o.Code != r.code || o.RetryAfter != r.wait {
				t.Errorf("%s %q, wait %s (%s); want %s %q, wait %s", o.Class, o.Code, o.RetryAfter, o.Message, r.class, r.code, r.wait)
			}
			noSecret(t, o, sim.DemoClientSecret)
			d, _ := s.Document(id)
			if d.Commits() != r.commits {
				t.Errorf("carried out %d times, want %d", d.Commits(), r.commits)
			}
			if (o.Class == bridge.Unknown || o.Class == bridge.Unclear) && r.fault.Operation == sandbox.Cancel {
				settles(t, a, id, r.commits > 0)
			}
		})
	}
}

// TestTheReplyWasLostAndReadsLag is the story that a verdict on the document's state inside Cancel ended with a false no: the
// cancel is executed and its reply lost, reads lag for 4 s, and the resend is refused for the document's state. Each step
// reports what was said, and no more.
func TestTheReplyWasLostAndReadsLag(t *testing.T) {
	const stale, missing = "details_stale", "details_missing"
	for _, c := range []struct {
		lag, resend string
		code        string
		status      bridge.DocumentStatus // while reads lag
	}{
		{stale, "", "IncorrectState", bridge.StatusActive},
		{missing, "", "IncorrectState", bridge.StatusUnknown},
		{stale, "status_not_valid", "DocumentStatusNotValid", bridge.StatusActive},
		{missing, "no_details", "ValidationError", bridge.StatusUnknown},
	} {
		t.Run(c.lag+" "+c.resend, func(t *testing.T) {
			s, a := against(t, nil)
			arm(t, s, sandbox.Fault{Name: c.lag, Value: "4"}, once(onCancel("lose_reply", "")))
			if o := a.Cancel(ctx, document(sim.DemoUUID), upstreamtest.Free); o.Class != bridge.Unknown || !o.Sent || o.Message == "" {
				t.Fatalf("the lost reply: %s %q, sent %v", o.Class, o.Message, o.Sent)
			}
			if state, err := a.Lookup(ctx, document(sim.DemoUUID)); err != nil || state.Status != c.status {
				t.Errorf("while reads lag: %v %q, %v", state.Status, state.Text, err)
			}
			if c.resend != "" {
				arm(t, s, onCancel(c.resend, ""))
			}
			o := a.Cancel(ctx, document(sim.DemoUUID), upstreamtest.Free)
			if o.Class != bridge.Refused || !o.ByState || o.Code != c.code {
				t.Errorf("the resend: %s %q, by state %v", o.Class, o.Message, o.ByState)
			}
			s.Clock.Advance(4 * time.Second)
			settles(t, a, sim.DemoUUID, true)
		})
	}
}

// TestABuyersWishToRejectLeavesADocumentValid: the issuer may cancel it, which accepts the wish (SDK, Cancel Document).
func TestABuyersWishToRejectLeavesADocumentValid(t *testing.T) {
	s, a := against(t, nil)
	if err := s.Add(sandbox.Document{ID: sim.DemoUUID, Owner: sim.DemoTIN, State: "Requested for Rejection", Issued: s.Clock.Now()}); err != nil {
		t.Fatal(err)
	}
	state, err := a.Lookup(ctx, document(sim.DemoUUID))
	if err != nil || state.Status != bridge.StatusActive {
		t.Errorf("%v %q, %v", state.Status, state.Text, err)
	}
	keepSchemas(t, state.Exchanges)
	if o := a.Cancel(ctx, document(sim.DemoUUID), upstreamtest.Free); o.Class != bridge.Cancelled {
		t.Errorf("%s %s", o.Class, o.Message)
	}
}

// TestAHiddenDocumentIsInNoState: what a client may not view tells it nothing.
func TestAHiddenDocumentIsInNoState(t *testing.T) {
	for _, how := range []string{"", "404"} {
		s, a := against(t, func(c *myinvois.Config) {
			c.ClientID, c.ClientSecret, c.OnBehalfOf = sim.DemoIntermediaryID, sim.DemoIntermediarySecret, sim.DemoTIN
		})
		arm(t, s, sandbox.Fault{Name: "details_hidden", Value: how})
		state, err := a.Lookup(ctx, document(sim.DemoUUID))
		if err != nil || state.Status != bridge.StatusUnknown || !strings.Contains(state.Text, "this client may not view the document") {
			t.Errorf("%q: %v %q, %v", how, state.Status, state.Text, err)
		}
	}
}

// TestAnySpellingReachesTheDocument: the key that Rules.Normal makes is the UUID as MyInvois has it.
func TestAnySpellingReachesTheDocument(t *testing.T) {
	s, a := against(t, func(c *myinvois.Config) { c.IRNMap = map[string]string{"INV/1": strings.ToLower(sim.DemoUUID)} })
	for i, irn := range []string{"INV/1", strings.ToLower(sim.DemoUUID), sim.DemoUUID} {
		o := a.Cancel(ctx, document(a.Profile().Rules.Normal(irn)), upstreamtest.Free)
		if want := []bridge.Class{bridge.Cancelled, bridge.Refused, bridge.Refused}[i]; o.Class != want {
			t.Errorf("%s: %s %s", irn, o.Class, o.Message)
		}
	}
	if d, _ := s.Document(sim.DemoUUID); len(d.Attempts) != 3 {
		t.Errorf("%d of 3 cancels reached it", len(d.Attempts))
	}
}

func arm(t *testing.T, s *sim.Server, faults ...sandbox.Fault) {
	t.Helper()
	for _, f := range faults {
		if err := s.Arm(f); err != nil {
			t.Fatal(err)
		}
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
		held = a.Cancel(ctx, document(strings.Repeat("Z", 26)), upstreamtest.Free)
	}
	if held.Class != bridge.NotApplied || held.RetryAfter != time.Minute {
		t.Errorf("the thirteenth: %s, wait %s", held.Class, held.RetryAfter)
	}
	before := len(s.Calls())
	if o := a.Cancel(ctx, document(sim.DemoUUID), upstreamtest.Free); o.Class != bridge.NotApplied || len(s.Calls()) != before {
		t.Errorf("%s with %d more calls: the client id's gate is not shut", o.Class, len(s.Calls())-before)
	}
}
