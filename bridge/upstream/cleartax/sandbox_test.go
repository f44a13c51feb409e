package cleartax_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/cleartax"
	"einvoice-bridge/bridge/upstream/upstreamtest"
	"einvoice-bridge/fixtures/sandbox"
	sim "einvoice-bridge/fixtures/sandbox/cleartax"
)

// stopped is a clock that stands at a whole second.
func stopped() sandbox.Options {
	clock := new(sandbox.Clock)
	clock.Set(time.Date(2026, 1, 2, 20, 4, 5, 0, time.UTC))
	return sandbox.Options{Clock: clock}
}

func real() *upstream.Shared {
	return upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler))
}

// againstMalaysia starts the simulator on real sockets and an adapter for its taxpayer.
func againstMalaysia(t *testing.T, change func(*cleartax.MalaysiaConfig)) (*sim.Malaysia, *cleartax.Malaysia) {
	t.Helper()
	s := sim.DemoMalaysia(sim.Options{Options: stopped()})
	return s, malaysiaAt(t, s, change)
}

// malaysiaAt is a new adapter, which remembers nothing.
func malaysiaAt(t *testing.T, s *sim.Malaysia, change func(*cleartax.MalaysiaConfig)) *cleartax.Malaysia {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	t.Cleanup(s.Release)
	cfg := cleartax.MalaysiaConfig{
		Access: cleartax.Access{Settings: upstream.Settings{Name: "my", BaseURL: srv.URL, CallTimeout: bridge.Duration(250 * time.Millisecond)}, Token: sim.DemoToken},
		TIN:    sim.DemoTIN,
	}
	if change != nil {
		change(&cfg)
	}
	return malaysia(t, real(), cfg)
}

func againstIndia(t *testing.T, route string, change func(*cleartax.IndiaConfig)) (*sim.India, *cleartax.India) {
	t.Helper()
	s := sim.DemoIndia(sim.Options{Options: stopped()})
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	t.Cleanup(s.Release)
	cfg := cleartax.IndiaConfig{
		Access: cleartax.Access{Settings: upstream.Settings{Name: "in", Taxpayer: sim.DemoGSTIN, BaseURL: srv.URL, CallTimeout: bridge.Duration(250 * time.Millisecond)}, Token: sim.DemoToken},
		Route:  route,
	}
	if change != nil {
		change(&cfg)
	}
	return s, india(t, real(), cfg)
}

func TestMalaysianSandboxDocumentsEachGetTheirAnswer(t *testing.T) {
	s, m := againstMalaysia(t, func(c *cleartax.MalaysiaConfig) { c.Branch = sim.DemoBranch })
	for _, c := range []struct {
		document string
		class    bridge.Class
		code     string
		byState  bool
		date     string
	}{
		{sim.DemoUUID, bridge.Cancelled, "", false, "2026-01-03 04:04:05"},
		{sim.DemoDocumentID, bridge.AlreadyCancelled, "2272", false, ""},
		{sim.DemoCancelledUUID, bridge.AlreadyCancelled, "2272", false, ""},
		{sim.DemoCancelledID, bridge.AlreadyCancelled, "2272", false, ""},
		{sim.DemoOldID, bridge.Refused, "OperationPeriodOver", false, ""},
		{sim.DemoReferencedUUID, bridge.Refused, "ActiveReferencingDocuments", false, ""},
		{sim.DemoInvalidID, bridge.Refused, "IncorrectState", true, ""},
	} {
		uuid, o := m.Resolve(ctx, c.document)
		if o.Class != bridge.None {
			t.Errorf("%s: %s %s", c.document, o.Class, o.Message)
			continue
		}
		o = m.Cancel(ctx, cancellation(uuid), upstreamtest.Free)
		named := o.Class == bridge.Cancelled || strings.HasPrefix(o.Message, c.code+": ")
		if o.Class != c.class || o.Code != c.code || o.ByState != c.byState || o.Date != c.date || !named || !o.Sent {
			t.Errorf("%s: %s %q %q; want %s %q %q", c.document, o.Class, o.Message, o.Date, c.class, c.code, c.date)
		}
		noSecret(t, o, sim.DemoToken)
		keepSchemas(t, "my-cancel-reply.json", "my-lookup-reply.json", o.Exchanges)
	}
	for _, foreign := range []string{sim.DemoForeignID, sim.DemoForeignUUID, sim.DemoSelfBilledID, "nothing"} {
		if _, o := m.Resolve(ctx, foreign); o.Class != bridge.Refused || o.Message != "NotFound: unknown document" || o.Sent {
			t.Errorf("%s: %s %q", foreign, o.Class, o.Message)
		}
	}
	if d, _ := s.Document(sim.DemoDocumentID); d.Commits() != 1 || d.Reason != "Data entry mistake: Wrong entry" {
		t.Errorf("%d commits, reason %q", d.Commits(), d.Reason)
	}
}

// TestAllNamesOfADocumentAreOneKey: with the UUID in the look-up's reply or in that of the status only.
func TestAllNamesOfADocumentAreOneKey(t *testing.T) {
	for _, fault := range []string{"lookup_uuid", "success_as_bool"} {
		s, m := againstMalaysia(t, nil)
		arm(t, s, sandbox.Fault{Name: fault})
		for _, name := range []string{sim.DemoDocumentID, sim.DemoUUID, strings.ToLower(sim.DemoUUID)} {
			if got, o := m.Resolve(ctx, name); got != sim.DemoUUID || o.Class != bridge.None {
				t.Errorf("%s: %q %s %s", name, got, o.Class, o.Message)
			}
		}
	}
}

// TestADocumentThatIsNotFoundAnyMore: reads lag writes, so that what was found under a name before is not unknown when it
// isn't found now.
func TestADocumentThatIsNotFoundAnyMore(t *testing.T) {
	s, m := againstMalaysia(t, nil)
	uuid, _ := m.Resolve(ctx, sim.DemoDocumentID)
	m.Cancel(ctx, cancellation(uuid), upstreamtest.Free)
	arm(t, s, sandbox.Fault{Name: "lookup_missing"})
	if got, o := m.Resolve(ctx, sim.DemoDocumentID); got != "" || o.Class != bridge.NotApplied || o.Sent {
		t.Errorf("%q %s %s", got, o.Class, o.Message)
	}
	if got, o := m.Resolve(ctx, sim.DemoUUID); got != uuid {
		t.Errorf("by its UUID: %q %s %s", got, o.Class, o.Message)
	}
}

// TestADocumentIDThatNamesANewDocument: after a cancel and a new generation under the same id, the id leads to the new
// document, and a cancel of the old one, which is looked up as cancelled, never reaches the new one.
func TestADocumentIDThatNamesANewDocument(t *testing.T) {
	const next = "NEWER000000000000000000010"
	for _, known := range []bool{true, false} {
		s, m := againstMalaysia(t, nil)
		arm(t, s, sandbox.Fault{Name: "reissue", Value: next, Operation: sandbox.Cancel, Times: 1}, sandbox.Fault{Name: "lose_reply", Operation: sandbox.Cancel, Times: 1})
		old, _ := m.Resolve(ctx, sim.DemoDocumentID)
		if o := m.Cancel(ctx, cancellation(old), upstreamtest.Free); o.Class != bridge.Unknown || !o.Sent {
			t.Fatalf("%s %s", o.Class, o.Message)
		}
		if !known { // as after a restart
			m = malaysiaAt(t, s, nil)
		}
		if got, o := m.Resolve(ctx, sim.DemoDocumentID); got != next {
			t.Errorf("the document id leads to %q, %s", got, o.Message)
		}
		state, err := m.Lookup(ctx, cancellation(old))
		if err != nil || state.Status != bridge.StatusCancelled {
			t.Errorf("the old one is %q, %v", state.Text, err)
		}
		if o := m.Cancel(ctx, cancellation(old), upstreamtest.Free); o.Class != bridge.Refused || !o.ByState || o.Sent {
			t.Errorf("the old one again: %s %q, sent %v", o.Class, o.Message, o.Sent)
		}
		if d, _ := s.Document(next); d.State != sim.Valid || len(d.Attempts) != 0 {
			t.Errorf("the new one is %s after %d attempts", d.State, len(d.Attempts))
		}
		if o := m.Cancel(ctx, cancellation(next), upstreamtest.Free); o.Class != bridge.Cancelled {
			t.Errorf("the new one: %s %s", o.Class, o.Message)
		}
	}
}

// TestADocumentThatLHDNDoesNotHave: without a UUID there is nothing to cancel, and no key.
func TestADocumentThatLHDNDoesNotHave(t *testing.T) {
	s, m := againstMalaysia(t, nil)
	for _, state := range []string{sim.NotSubmitted, sim.Submitted, sim.Invalid} {
		if err := s.Add(sandbox.Document{ID: "fresh-1", Owner: sim.DemoTIN, State: state, Issued: s.Clock.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, o := m.Resolve(ctx, "fresh-1"); o.Class != bridge.Refused || o.Sent || !strings.Contains(o.Message, "has no LHDN UUID ("+state+")") {
			t.Errorf("%s: %s %q, sent %v", state, o.Class, o.Message, o.Sent)
		}
	}
	if err := s.Add(sandbox.Document{ID: "fresh-1", AltID: "FRESH000000000000000000010", Owner: sim.DemoTIN, State: sim.Valid, Issued: s.Clock.Now()}); err != nil {
		t.Fatal(err)
	}
	if uuid, o := m.Resolve(ctx, "fresh-1"); uuid != "FRESH000000000000000000010" {
		t.Errorf("once it has one: %q %s", uuid, o.Message)
	}
}

func TestReadsOfClearTaxMayLag(t *testing.T) {
	for name, while := range map[string]bridge.DocumentStatus{"lookup_stale": bridge.StatusActive, "lookup_missing": bridge.StatusUnknown} {
		s, m := againstMalaysia(t, nil)
		arm(t, s, sandbox.Fault{Name: name, Value: "4"}, sandbox.Fault{Name: "lose_reply", Operation: sandbox.Cancel, Times: 1})
		if o := m.Cancel(ctx, cancellation(sim.DemoUUID), upstreamtest.Free); o.Class != bridge.Unknown || o.Message == "" {
			t.Errorf("%s %q", o.Class, o.Message)
		}
		for _, want := range []bridge.DocumentStatus{while, bridge.StatusCancelled} {
			if state, err := m.Lookup(ctx, cancellation(sim.DemoUUID)); err != nil || state.Status != want {
				t.Errorf("%s: %v %q %v, want %v", name, state.Status, state.Text, err, want)
			}
			s.Clock.Advance(4 * time.Second)
		}
	}
}

func arm(t *testing.T, s simulator, faults ...sandbox.Fault) {
	t.Helper()
	for _, f := range faults {
		if err := s.Arm(f); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheBuyerCancelsWhatItIssuedItself(t *testing.T) {
	s, m := againstMalaysia(t, func(c *cleartax.MalaysiaConfig) { c.InvoiceType = "PURCHASE" })
	if o := m.Cancel(ctx, cancellation(sim.DemoSelfBilledUUID), upstreamtest.Free); o.Class != bridge.Cancelled {
		t.Errorf("%s %s", o.Class, o.Message)
	}
	if d, _ := s.Document(sim.DemoSelfBilledID); d.Commits() != 1 {
		t.Errorf("%d commits", d.Commits())
	}
}

func TestIndianSandboxDocumentsEachGetTheirAnswer(t *testing.T) {
	for route, date := range map[string]string{cleartax.Govt: "2026-01-03 01:34:00", cleartax.V2: "2026-01-03 01:34:05"} {
		s, in := againstIndia(t, route, nil)
		for _, c := range []struct {
			irn   string
			class bridge.Class
			code  string
		}{
			{sim.DemoIRN, bridge.Cancelled, ""},
			{sim.DemoIRN, bridge.AlreadyCancelled, "9999"},
			{sim.DemoCancelledIRN, bridge.AlreadyCancelled, "9999"},
			{sim.DemoForeignIRN, bridge.Refused, "2143"},
			{sim.DemoOtherPortalIRN, bridge.Refused, "2148"},
			{sim.DemoEwayBillIRN, bridge.Refused, "2230"},
			{sim.DemoOldIRN, bridge.Refused, "2270"},
			{strings.Repeat("0", 64), bridge.Refused, "2148"},
		} {
			o := in.Cancel(ctx, cancellation(c.irn), upstreamtest.Free)
			want := ""
			if c.class == bridge.Cancelled {
				want = date
			}
			if o.Class != c.class || o.Code != c.code || o.Date != want || o.Unclassified {
				t.Errorf("%s %s: %s %q %q", route, c.irn, o.Class, o.Message, o.Date)
			}
			noSecret(t, o, sim.DemoToken)
			keepSchemas(t, indianReply[route].cancel, indianReply[route].get, o.Exchanges)
		}
		if d, _ := s.Document(sim.DemoIRN); d.Commits() != 1 || d.Reason != "2" || d.Remarks != "Wrong entry" {
			t.Errorf("%d commits, %q %q", d.Commits(), d.Reason, d.Remarks)
		}
		_, without := againstIndia(t, route, func(c *cleartax.IndiaConfig) { c.Taxpayer = sim.DemoGSTINWithoutNIC })
		if o := without.Cancel(ctx, cancellation(sim.DemoIRN), upstreamtest.Free); o.Class != bridge.Misconfigured || o.Code != "201" || o.Alarm == "" {
			t.Errorf("%s without credentials at the portal: %s %s", route, o.Class, o.Message)
		}
		_, other := againstIndia(t, route, func(c *cleartax.IndiaConfig) { c.Taxpayer = "09AAAPG7885R002" })
		if o := other.Cancel(ctx, cancellation(sim.DemoIRN), upstreamtest.Free); o.Class != bridge.Misconfigured || o.Code != "502" {
			t.Errorf("%s without access to the GSTIN: %s %s", route, o.Class, o.Message)
		}
	}
}

func TestSandboxProbes(t *testing.T) {
	_, m := againstMalaysia(t, nil)
	_, govt := againstIndia(t, cleartax.Govt, nil)
	_, v2 := againstIndia(t, cleartax.V2, nil)
	_, wrong := againstMalaysia(t, func(c *cleartax.MalaysiaConfig) { c.Token = "not-a-token" })
	_, rights := againstMalaysia(t, func(c *cleartax.MalaysiaConfig) { c.TIN = "C99990000010" })
	for name, c := range map[string]struct {
		up   bridge.Upstream
		want string
	}{
		"Malaysia": {m, ""}, "India, government-compatible": {govt, ""}, "India, v2": {v2, ""},
		"wrong token": {wrong, "refuses the token (HTTP 401)"}, "no Admin role": {rights, "needs the Admin role"},
	} {
		err := c.up.Probe(ctx)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// row is what becomes of a cancel while a fault is armed.
type row struct {
	fault    sandbox.Fault
	document string // empty: one that can be cancelled
	class    bridge.Class
	code     string
	commits  int
	wait     time.Duration
}

func armed(name, value string) sandbox.Fault {
	return sandbox.Fault{Name: name, Value: value, Operation: sandbox.Cancel}
}

// common are the faults of the transport; every simulator has them.
var common = []row{
	{armed("reset_before", ""), "", bridge.Unknown, "", 0, 0},
	{armed("drop_before_commit", ""), "", bridge.Unknown, "", 0, 0},
	{armed("http503_html", ""), "", bridge.Unknown, "", 0, 0},
	{armed("html_503", "commit"), "", bridge.Unknown, "", 1, 0},
	{armed("http200_html", "commit"), "", bridge.Unknown, "", 1, 0},
	{armed("html_403", ""), "", bridge.Misconfigured, "", 0, 0},
	{armed("html_404", ""), "", bridge.Misconfigured, "", 0, 0},
	{armed("http401", ""), "", bridge.Misconfigured, "", 0, 0},
	{armed("http403", ""), "", bridge.Misconfigured, "", 0, 0},
	{armed("http429", "7"), "", bridge.NotApplied, "", 0, 7 * time.Second},
	{armed("lose_reply", ""), "", bridge.Unknown, "", 1, 0},
	{armed("commit_then_drop", "rst"), "", bridge.Unknown, "", 1, 0},
	{armed("commit_then_500", ""), "", bridge.Unknown, "", 1, 0},
	{armed("delay", "20"), "", bridge.Cancelled, "", 1, 0},
	{armed("slow", "2000"), "", bridge.Unknown, "", 1, 0},
	{armed("late_commit", "20"), "", bridge.Cancelled, "", 1, 0},
	{armed("hold", ""), "", bridge.Unknown, "", 1, 0},
	{armed("hold_before", ""), "", bridge.Unknown, "", 0, 0},
	{armed("truncate_json", ""), "", bridge.Unknown, "", 1, 0},
	{armed("bad_json", ""), "", bridge.Unknown, "", 1, 0},
	{armed("clock_offset", "3600"), "", bridge.Cancelled, "", 1, 0},

	{armed("success_as_bool", ""), "", bridge.Cancelled, "", 1, 0},
	{armed("success_as_string", ""), "", bridge.Cancelled, "", 1, 0},
	{armed("success_as_yn", ""), "", bridge.Cancelled, "", 1, 0},
	{armed("rate_limit", ""), "", bridge.NotApplied, "", 0, 0},
	{armed("rate_limit", "9"), "", bridge.NotApplied, "", 0, 9 * time.Second},
	{armed("revoke_token", ""), "", bridge.Misconfigured, "", 0, 0},
	{sandbox.Fault{Name: "lookup_down"}, "", bridge.Cancelled, "", 1, 0},
}

func TestEveryMalaysianSwitch(t *testing.T) {
	rows := slices.Concat(common, []row{
		{armed("success_as_yn", ""), sim.DemoOldUUID, bridge.Refused, "OperationPeriodOver", 0, 0},
		{armed("success_as_bool", ""), sim.DemoCancelledUUID, bridge.AlreadyCancelled, "2272", 0, 0},
		{armed("two_errors", ""), sim.DemoOldUUID, bridge.Unclear, "OperationPeriodOver,SECOND_ERROR", 0, 0},
		{armed("null_errordetails", ""), sim.DemoOldUUID, bridge.Unknown, "", 0, 0},
		{armed("wrong_uuid", ""), "", bridge.Unknown, "", 1, 0},
		{armed("wrong_id", ""), "", bridge.Unknown, "", 1, 0},
		{armed("no_uuid", ""), "", bridge.Unknown, "", 1, 0},
		{armed("error_with_success", ""), "", bridge.Unknown, "WARNED", 1, 0},
		{armed("error", "4711"), "", bridge.Unclear, "4711", 0, 0},
		{armed("error", "4711:Connection reset by peer"), "", bridge.Unknown, "4711", 0, 0},
		{armed("commit_then_error", "4711"), "", bridge.Unclear, "4711", 1, 0},
		{armed("commit_then_error", "4711:Connection reset by peer"), "", bridge.Unknown, "4711", 1, 0},
		{armed("reissue", ""), "", bridge.Cancelled, "", 1, 0},
		{sandbox.Fault{Name: "lookup_uuid"}, sim.DemoOldUUID, bridge.Refused, "OperationPeriodOver", 0, 0},
		{sandbox.Fault{Name: "lookup_stale"}, sim.DemoCancelledUUID, bridge.AlreadyCancelled, "2272", 0, 0},
		{sandbox.Fault{Name: "lookup_missing"}, sim.DemoCancelledUUID, bridge.Refused, "NotFound", 0, 0},
		{sandbox.Fault{Name: "lookup_error", Value: "4711"}, sim.DemoOldUUID, bridge.NotApplied, "", 0, 0},
		{sandbox.Fault{Name: "lookup_down"}, sim.DemoOldUUID, bridge.NotApplied, "", 0, 0},
	})
	s, _ := againstMalaysia(t, nil)
	covered(t, s, rows)
	for _, r := range rows {
		t.Run(r.fault.String(), func(t *testing.T) {
			t.Parallel()
			s, m := againstMalaysia(t, nil)
			m.Resolve(ctx, sim.DemoUUID) // what is known is not looked up before the cancel
			strike(t, s, m, r, sim.DemoUUID)
		})
	}
}

func TestEveryIndianSwitch(t *testing.T) {
	both := slices.Concat(common, []row{
		{armed("success_as_string", ""), sim.DemoOldIRN, bridge.Refused, "2270", 0, 0},
		{armed("two_errors", ""), sim.DemoOldIRN, bridge.Unclear, "2270,3999", 0, 0},
		{armed("two_errors", ""), sim.DemoCancelledIRN, bridge.Unknown, "9999,3999", 0, 0},
		{armed("null_errordetails", ""), sim.DemoOldIRN, bridge.Unclear, "", 0, 0},
		{armed("wrong_irn", ""), "", bridge.Unknown, "", 1, 0},
		{armed("no_irn", ""), "", bridge.Unknown, "", 1, 0},
		{armed("success_and_error", "2270"), "", bridge.Unknown, "2270", 1, 0},
		{armed("commit_then_cleartax", "500"), "", bridge.Unknown, "500", 1, 0},
		{armed("commit_then_nic", "7777: New rule"), "", bridge.Unclear, "7777", 1, 0},
		{armed("nic_error", "9999: IRN is already cancelled"), sim.DemoCancelledIRN, bridge.AlreadyCancelled, "9999", 0, 0},
		{armed("nic_error", "118: try after 5 minutes"), "", bridge.NotApplied, "118", 0, 5 * time.Minute},
		{armed("cleartax_error", "105"), "", bridge.Misconfigured, "105", 0, 0},
		{armed("gateway", "GEN5005: GSP account limit exceeded"), "", bridge.Misconfigured, "GEN5005", 0, 0},
		{armed("gateway_after_commit", "GEN5008: GSTN Server Error"), "", bridge.Unknown, "GEN5008", 1, 0},
		{armed("v2_cancel_date", ""), "", bridge.Cancelled, "", 1, 0},
		{sandbox.Fault{Name: "bom"}, "", bridge.Cancelled, "", 1, 0},
		{sandbox.Fault{Name: "lookup_stale"}, sim.DemoCancelledIRN, bridge.AlreadyCancelled, "9999", 0, 0},
		{armed("commit_then_301", ""), "", bridge.Unknown, "301", 1, 0},
		{armed("cleartax_error", "101"), "", bridge.Unknown, "101", 0, 0},
		{armed("cleartax_error", "201"), "", bridge.Misconfigured, "201", 0, 0},
		{armed("cleartax_error", "301"), "", bridge.Unknown, "301", 0, 0},
		{armed("cleartax_error", "302"), "", bridge.Unknown, "302", 0, 0},
		{armed("cleartax_error", "502"), "", bridge.Misconfigured, "502", 0, 0},
		{armed("cleartax_error", "5002"), "", bridge.Unknown, "5002", 0, 0},
		{armed("nic_error", "1005"), "", bridge.NotApplied, "1005", 0, 0},
		{armed("nic_error", "2141"), "", bridge.Unknown, "2141", 0, 0},
		{armed("nic_error", "3033"), "", bridge.Misconfigured, "3033", 0, 0},
	})
	rows := map[string][]row{
		cleartax.Govt: both,
		cleartax.V2: slices.Concat(both, []row{
			{armed("empty_array", ""), "", bridge.Unknown, "", 0, 0},
			{armed("empty_array", "commit"), "", bridge.Unknown, "", 1, 0},
			{armed("error_on_400", ""), sim.DemoCancelledIRN, bridge.AlreadyCancelled, "9999", 0, 0},
		}),
	}
	s, _ := againstIndia(t, cleartax.V2, nil)
	covered(t, s, rows[cleartax.V2])
	for route, list := range rows {
		for _, r := range list {
			t.Run(route+" "+r.fault.String(), func(t *testing.T) {
				t.Parallel()
				s, in := againstIndia(t, route, nil)
				strike(t, s, in, r, sim.DemoIRN)
			})
		}
	}
}

// simulator is either of the two.
type simulator interface {
	http.Handler
	Arm(sandbox.Fault) error
	Document(string) (sandbox.Document, bool)
}

// covered fails for a switch that the simulator knows and no row shows.
func covered(t *testing.T, s simulator, rows []row) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/_sandbox/faults", nil))
	var faults struct{ Known []sandbox.Switch }
	if err := json.Unmarshal(w.Body.Bytes(), &faults); err != nil || len(faults.Known) == 0 {
		t.Fatal(err, w.Body.String())
	}
	for _, known := range faults.Known {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.fault.Name == known.Name }) {
			t.Errorf("no row for the switch %s", known.Name)
		}
	}
}

// strike cancels under a fault and checks the outcome, what was carried out, and that a lookup finds the truth.
func strike(t *testing.T, s simulator, up bridge.Upstream, r row, otherwise string) {
	t.Helper()
	if err := s.Arm(r.fault); err != nil {
		t.Fatal(err)
	}
	id := r.document
	if id == "" {
		id = otherwise
	}
	o := up.Cancel(ctx, cancellation(id), upstreamtest.Free)
	if o.Class != r.class || o.Code != r.code || o.RetryAfter != r.wait {
		t.Errorf("%s %q, wait %s (%s); want %s %q, wait %s", o.Class, o.Code, o.RetryAfter, o.Message, r.class, r.code, r.wait)
	}
	noSecret(t, o, sim.DemoToken)
	before, _ := s.Document(id)
	if before.Commits() != r.commits {
		t.Errorf("carried out %d times, want %d", before.Commits(), r.commits)
	}
	if o.Class != bridge.Unknown && o.Class != bridge.Unclear {
		return
	}
	want := bridge.StatusActive
	if r.commits > 0 || !before.Cancelled.IsZero() {
		want = bridge.StatusCancelled
	}
	if state, err := up.Lookup(ctx, cancellation(id)); err != nil || state.Status != want {
		t.Errorf("lookup: %v %q %v, want %v", state.Status, state.Text, err, want)
	}
}
