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
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	t.Cleanup(s.Release)
	cfg := cleartax.MalaysiaConfig{
		Name: "my", Settings: upstream.Settings{BaseURL: srv.URL}, Token: sim.DemoToken, TIN: sim.DemoTIN,
		CallTimeout: 250 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	return s, malaysia(t, real(), cfg)
}

func againstIndia(t *testing.T, route string, change func(*cleartax.IndiaConfig)) (*sim.India, *cleartax.India) {
	t.Helper()
	s := sim.DemoIndia(sim.Options{Options: stopped()})
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	t.Cleanup(s.Release)
	cfg := cleartax.IndiaConfig{
		Name: "in", Settings: upstream.Settings{BaseURL: srv.URL}, Token: sim.DemoToken, GSTIN: sim.DemoGSTIN, Route: route,
		CallTimeout: 250 * time.Millisecond,
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
		date     string
	}{
		{sim.DemoUUID, bridge.Cancelled, "", "2026-01-03 04:04:05"},
		{sim.DemoDocumentID, bridge.AlreadyCancelled, "2272", ""},
		{sim.DemoCancelledUUID, bridge.AlreadyCancelled, "2272", ""},
		{sim.DemoCancelledID, bridge.AlreadyCancelled, "2272", ""},
		{sim.DemoOldID, bridge.Refused, "OperationPeriodOver", ""},
		{sim.DemoReferencedUUID, bridge.Refused, "ActiveReferencingDocuments", ""},
		{sim.DemoInvalidID, bridge.Refused, "IncorrectState", ""},
		{sim.DemoForeignID, bridge.Refused, "NOT_THE_GENERATOR", ""},
		{sim.DemoForeignUUID, bridge.Refused, "DOCUMENT_NOT_FOUND", ""},
		{sim.DemoSelfBilledID, bridge.Refused, "DOCUMENT_NOT_FOUND", ""},
	} {
		o := m.Cancel(ctx, cancellation(c.document))
		named := o.Class == bridge.Cancelled || strings.HasPrefix(o.Message, c.code+": ")
		if o.Class != c.class || o.Code != c.code || o.Date != c.date || !named {
			t.Errorf("%s: %s %q %q; want %s %q %q", c.document, o.Class, o.Message, o.Date, c.class, c.code, c.date)
		}
		noSecret(t, o, sim.DemoToken)
		keepSchemas(t, "my-cancel-reply.json", "my-lookup-reply.json", o.Exchanges)
	}
	if d, _ := s.Document(sim.DemoDocumentID); d.Commits() != 1 || d.Reason != "Data entry mistake: Wrong entry" {
		t.Errorf("%d commits, reason %q", d.Commits(), d.Reason)
	}
}

func TestTheBuyerCancelsWhatItIssuedItself(t *testing.T) {
	s, m := againstMalaysia(t, func(c *cleartax.MalaysiaConfig) { c.InvoiceType = "PURCHASE" })
	if o := m.Cancel(ctx, cancellation(sim.DemoSelfBilledUUID)); o.Class != bridge.Cancelled {
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
			o := in.Cancel(ctx, cancellation(c.irn))
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
		_, without := againstIndia(t, route, func(c *cleartax.IndiaConfig) { c.GSTIN = sim.DemoGSTINWithoutNIC })
		if o := without.Cancel(ctx, cancellation(sim.DemoIRN)); o.Class != bridge.Misconfigured || o.Code != "201" || o.Alarm == "" {
			t.Errorf("%s without credentials at the portal: %s %s", route, o.Class, o.Message)
		}
		_, other := againstIndia(t, route, func(c *cleartax.IndiaConfig) { c.GSTIN = "09AAAPG7885R002" })
		if o := other.Cancel(ctx, cancellation(sim.DemoIRN)); o.Class != bridge.Misconfigured || o.Code != "502" {
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
		{armed("success_as_yn", ""), sim.DemoOldID, bridge.Refused, "OperationPeriodOver", 0, 0},
		{armed("success_as_bool", ""), sim.DemoCancelledID, bridge.AlreadyCancelled, "2272", 0, 0},
		{armed("two_errors", ""), sim.DemoOldID, bridge.Refused, "OperationPeriodOver,SECOND_ERROR", 0, 0},
		{armed("null_errordetails", ""), sim.DemoOldID, bridge.Unknown, "", 0, 0},
		{armed("wrong_uuid", ""), sim.DemoUUID, bridge.Unknown, "", 1, 0},
		{sandbox.Fault{Name: "lookup_down"}, sim.DemoUUID, bridge.NotApplied, "", 0, 0},
	})
	s, _ := againstMalaysia(t, nil)
	covered(t, s, rows)
	for _, r := range rows {
		t.Run(r.fault.String(), func(t *testing.T) {
			t.Parallel()
			s, m := againstMalaysia(t, nil)
			strike(t, s, m, r, sim.DemoDocumentID)
		})
	}
}

func TestEveryIndianSwitch(t *testing.T) {
	both := slices.Concat(common, []row{
		{armed("success_as_string", ""), sim.DemoOldIRN, bridge.Refused, "2270", 0, 0},
		{armed("two_errors", ""), sim.DemoOldIRN, bridge.Refused, "2270,3999", 0, 0},
		{armed("two_errors", ""), sim.DemoCancelledIRN, bridge.Unknown, "9999,3999", 0, 0},
		{armed("null_errordetails", ""), sim.DemoOldIRN, bridge.Unknown, "", 0, 0},
		{armed("wrong_irn", ""), "", bridge.Unknown, "", 1, 0},
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
	o := up.Cancel(ctx, cancellation(id))
	if o.Class != r.class || o.Code != r.code || o.RetryAfter != r.wait {
		t.Errorf("%s %q, wait %s (%s); want %s %q, wait %s", o.Class, o.Code, o.RetryAfter, o.Message, r.class, r.code, r.wait)
	}
	noSecret(t, o, sim.DemoToken)
	before, _ := s.Document(id)
	if before.Commits() != r.commits {
		t.Errorf("carried out %d times, want %d", before.Commits(), r.commits)
	}
	if o.Class != bridge.Unknown {
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
