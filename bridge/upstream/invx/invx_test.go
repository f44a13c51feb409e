package invx_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/invx"
	"einvoice-bridge/bridge/upstream/irp"
	"einvoice-bridge/bridge/upstream/upstreamtest"
	"einvoice-bridge/fixtures/sandbox"
	sim "einvoice-bridge/fixtures/sandbox/invx"
)

// bench is the adapter in front of its simulator.
type bench struct {
	*invx.Adapter
	sim    *sim.Server
	budget *upstreamtest.Budget
}

// config reaches the simulator at base as its demonstration user.
func config(base string) invx.Config {
	return invx.Config{
		Settings: upstream.Settings{Name: "invx", Taxpayer: sim.DemoGSTIN, BaseURL: base}, AuthURL: base + "/theodore/apis/v1",
		OrgID: sim.DemoOrgID, Username: sim.DemoHandle, Password: sim.DemoPassword,
	}
}

func newBench(t *testing.T, change func(*invx.Config)) bench {
	t.Helper()
	server := sim.Demo(sim.Options{})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	cfg := config(listener.URL)
	if change != nil {
		change(&cfg)
	}
	budget := &upstreamtest.Budget{}
	a, err := invx.New(cfg, upstream.NewShared(budget, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return bench{a, server, budget}
}

// arm takes faults as "operation:name=value*times"; without times they stay.
func (b bench) arm(t *testing.T, faults ...string) {
	t.Helper()
	for _, text := range faults {
		text, once := strings.CutSuffix(text, "*1")
		operation, rest, _ := strings.Cut(text, ":")
		name, value, _ := strings.Cut(rest, "=")
		f := sandbox.Fault{Name: name, Value: value, Operation: operation}
		if once {
			f.Times = 1
		}
		if err := b.sim.Arm(f); err != nil {
			t.Fatal(err)
		}
	}
}

// count is how many calls of that method and path end the simulator has seen.
func (b bench) count(method, end string) int {
	n := 0
	for _, call := range b.sim.Calls() {
		path, _, _ := strings.Cut(call.URL, "?")
		if call.Method == method && strings.HasSuffix(path, end) {
			n++
		}
	}
	return n
}

func cancellation(irn string) bridge.Cancellation {
	return bridge.Cancellation{Taxpayer: sim.DemoGSTIN, Document: irn, Reason: bridge.DataEntry, Remarks: "Wrong entry", Ref: "r"}
}

const unheardOf = "00000000000000000000000000000000000000000000000000000000000000ff"

// TestCancel walks every way in which a cancel can end, each against a simulator of its own.
func TestCancel(t *testing.T) {
	for name, c := range map[string]struct {
		irn     string // default: a document that can be cancelled
		faults  []string
		change  func(*invx.Config)
		class   bridge.Class
		code    string
		message string // part of it
		sends   int    // cancels on the wire
		commits int    // carried out
		alarm   bool
		wait    time.Duration
		byState bool
	}{
		"carried out":                      {class: bridge.Cancelled, sends: 1, commits: 1},
		"found among others":               {faults: []string{"get:ignore_filter"}, class: bridge.Cancelled, sends: 1, commits: 1},
		"answered under another docId":     {faults: []string{"cancel:id_mismatch"}, class: bridge.Cancelled, sends: 1, commits: 1},
		"answered without irnResponse":     {faults: []string{"cancel:null_irnresponse"}, class: bridge.Cancelled, sends: 1, commits: 1},
		"answered for another IRN":         {faults: []string{"cancel:irn_mismatch"}, class: bridge.Unknown, message: "another IRN", sends: 1, commits: 1},
		"answered with another state":      {faults: []string{"cancel:state_not_240"}, class: bridge.Unknown, message: "CREATED", sends: 1, commits: 1},
		"no such IRN":                      {irn: unheardOf, class: bridge.Refused, code: "2154", message: "2154: IRN not found for this GSTIN", byState: true},
		"no such IRN among others":         {irn: unheardOf, faults: []string{"get:ignore_filter"}, class: bridge.NotApplied, message: "other documents and not this one", alarm: true},
		"the IRN is another seller's":      {faults: []string{"get:other_seller"}, class: bridge.Refused, code: "2154", byState: true},
		"two documents with the IRN":       {faults: []string{"get:two_matches"}, class: bridge.Misconfigured, alarm: true},
		"draft":                            {irn: sim.DemoDraftIRN, class: bridge.Refused, message: "100 (DRAFT)"},
		"cancelled before":                 {irn: sim.DemoCancelledIRN, class: bridge.AlreadyCancelled, message: "240 (CANCELLED)"},
		"frozen":                           {irn: sim.DemoFrozenIRN, class: bridge.Refused, message: "250 (FROZEN)"},
		"deleted":                          {irn: sim.DemoDeletedIRN, class: bridge.Refused, message: "260 (DELETE)"},
		"another owner at the authority":   {irn: sim.DemoForeignIRN, class: bridge.Refused, code: "2143", message: "2143: Invoice does not belongs to the user GSTIN", sends: 1},
		"e-way bill":                       {irn: sim.DemoEwayBillIRN, class: bridge.Refused, code: "2230", sends: 1},
		"too old":                          {irn: sim.DemoOldIRN, class: bridge.Refused, code: "2270", sends: 1},
		"too old, other shape":             {irn: sim.DemoOldIRN, faults: []string{"cancel:irp_error_variant=2"}, class: bridge.Refused, code: "2270", sends: 1},
		"too old, on 200":                  {irn: sim.DemoOldIRN, faults: []string{"cancel:error_on_200"}, class: bridge.Refused, code: "2270", sends: 1},
		"not active at the authority":      {irn: sim.DemoInactiveIRN, class: bridge.AlreadyCancelled, code: "9999", sends: 1},
		"not found yet":                    {faults: []string{"get:find_nothing"}, class: bridge.Refused, code: "2154", byState: true},
		"already, in other words":          {faults: []string{"cancel:nic_error=9999: IRN is already cancelled"}, class: bridge.AlreadyCancelled, sends: 1},
		"unheard-of code on 502":           {faults: []string{"cancel:nic_error=7777"}, class: bridge.Unknown, code: "7777", sends: 1},
		"unheard-of code on 200":           {faults: []string{"cancel:nic_error=7777", "cancel:error_on_200"}, class: bridge.Unclear, code: "7777", sends: 1},
		"unheard-of, carried out":          {faults: []string{"cancel:nic_error_after_commit=7777", "cancel:error_on_200"}, class: bridge.Unclear, code: "7777", sends: 1, commits: 1},
		"trouble, carried out":             {faults: []string{"cancel:nic_error_after_commit=500: Connection reset"}, class: bridge.Unknown, sends: 1, commits: 1},
		"our body is wrong":                {faults: []string{"cancel:error=err-invalid-request-body"}, class: bridge.Unclear, code: "err-invalid-request-body", sends: 1, alarm: true},
		"InvX has a new error":             {faults: []string{"cancel:error=err-moon-is-full"}, class: bridge.Unclear, code: "err-moon-is-full", sends: 1},
		"InvX doesn't find the docId":      {faults: []string{"cancel:error=err-resource-not-found"}, class: bridge.Refused, code: "err-resource-not-found", sends: 1, byState: true},
		"wrong state, which isn't said":    {faults: []string{"cancel:error=err-incorrect-update-action"}, class: bridge.Refused, sends: 1, byState: true},
		"success and an error":             {faults: []string{"cancel:success_and_error=2270"}, class: bridge.Unknown, message: "success and an error", sends: 1, commits: 1},
		"account used up":                  {faults: []string{"cancel:gateway=GEN5005: GSP account limit exceeded"}, class: bridge.Misconfigured, sends: 1, alarm: true},
		"called too early":                 {faults: []string{"cancel:nic_error=118: try after 5 minutes"}, class: bridge.NotApplied, sends: 1, wait: 5 * time.Minute},
		"gateway after the commit":         {faults: []string{"cancel:gateway_after_commit=GEN5008: GSTN Server Error"}, class: bridge.Unknown, sends: 1, commits: 1},
		"gateway's token once":             {faults: []string{"cancel:gateway=105: Invalid Token*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"gateway's token for ever":         {faults: []string{"cancel:nic_error=106: Invalid Token"}, class: bridge.Misconfigured, sends: 2, alarm: true},
		"gateway in trouble at the search": {faults: []string{"get:gateway=GEN5008: GSTN Server Error"}, class: bridge.NotApplied},
		"gateway in trouble at the login":  {faults: []string{"auth:gateway=GEN5008: GSTN Server Error"}, class: bridge.NotApplied},
		"byte order marks":                 {faults: []string{":bom"}, class: bridge.Cancelled, sends: 1, commits: 1},
		"payload":                          {faults: []string{"cancel:nic_error=2142"}, class: bridge.Refused, code: "2142", sends: 1, alarm: true},
		"Vayana's session at NIC":          {faults: []string{"cancel:nic_error=1005"}, class: bridge.NotApplied, code: "1005", sends: 1},
		"Vayana's rights at NIC":           {faults: []string{"cancel:nic_error=1014"}, class: bridge.Misconfigured, code: "1014", sends: 1, alarm: true},
		"NIC stumbles":                     {faults: []string{"cancel:nic_error=2141"}, class: bridge.Unknown, code: "2141", sends: 1},
		"item failed, text":                {faults: []string{"cancel:item_failure=text"}, class: bridge.Refused, code: "2230", sends: 1},
		"item failed, InvX's words":        {faults: []string{"cancel:item_failure=object"}, class: bridge.Refused, message: "250 (FROZEN)", sends: 1},
		"item failed, NIC's words":         {faults: []string{"cancel:item_failure=nic"}, class: bridge.Refused, code: "2230", sends: 1},
		"item failed, list":                {faults: []string{"cancel:item_failure=list"}, class: bridge.Refused, code: "2230", sends: 1},
		"item failed, no reason":           {faults: []string{"cancel:item_failure=null"}, class: bridge.Unclear, message: "reason not given", sends: 1},
		"reply lost":                       {faults: []string{"cancel:commit_then_drop"}, class: bridge.Unknown, sends: 1, commits: 1},
		"500 after the commit":             {faults: []string{"cancel:commit_then_500"}, class: bridge.Unknown, sends: 1, commits: 1},
		"dropped before the commit":        {faults: []string{"cancel:drop_before_commit"}, class: bridge.Unknown, sends: 1},
		"reset before the commit":          {faults: []string{"cancel:reset_before"}, class: bridge.Unknown, sends: 1},
		"page on 503":                      {faults: []string{"cancel:html_503"}, class: bridge.Unknown, sends: 1},
		"page on 200":                      {faults: []string{"cancel:http200_html"}, class: bridge.Unknown, sends: 1},
		"page on 403":                      {faults: []string{"cancel:html_403"}, class: bridge.Misconfigured, sends: 1, alarm: true},
		"page on 404":                      {faults: []string{"cancel:html_404"}, class: bridge.Misconfigured, sends: 1, alarm: true},
		"half a reply":                     {faults: []string{"cancel:truncate_json"}, class: bridge.Unknown, sends: 1, commits: 1},
		"half a reply as a whole":          {faults: []string{"cancel:bad_json"}, class: bridge.Unknown, sends: 1, commits: 1},
		"slower than the timeout":          {faults: []string{"cancel:slow=500"}, change: quick, class: bridge.Unknown, sends: 1, commits: 1},
		"asked to wait":                    {faults: []string{"cancel:http429=7"}, class: bridge.NotApplied, sends: 1, wait: 7 * time.Second},
		"token expired":                    {faults: []string{"cancel:expire_tokens*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"token expired beyond refreshing":  {faults: []string{"cancel:expire_tokens=hard*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"token revoked":                    {faults: []string{"cancel:revoke_tokens*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"401 once":                         {faults: []string{"cancel:http401*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"401 for ever":                     {faults: []string{"cancel:http401"}, class: bridge.Misconfigured, sends: 2, alarm: true},
		"token expires for ever":           {faults: []string{"cancel:expire_tokens"}, class: bridge.Misconfigured, sends: 2, alarm: true},
		"token expired in the search":      {faults: []string{"get:expire_tokens*1"}, class: bridge.Cancelled, sends: 1, commits: 1},
		"one new token for search and all": {faults: []string{"get:expire_tokens*1", "cancel:expire_tokens*1"}, class: bridge.Misconfigured, sends: 1, alarm: true},
		"organisation refused at a call":   {faults: []string{"cancel:invalid_org"}, class: bridge.Misconfigured, code: "err-invalid-org", sends: 1, alarm: true},
		"organisation not the user's":      {faults: []string{"auth:invalid_org"}, class: bridge.Misconfigured, alarm: true},
		"call can't be decrypted":          {faults: []string{"cancel:decrypt_500"}, class: bridge.Misconfigured, sends: 1, alarm: true},
		"login can't be decrypted":         {faults: []string{"auth:decrypt_500"}, class: bridge.Misconfigured, alarm: true},
		"ten tokens":                       {faults: []string{"auth:token_limit"}, class: bridge.Misconfigured, alarm: true, wait: 5 * time.Minute},
		"wrong password":                   {change: func(c *invx.Config) { c.Password = "wrong" }, class: bridge.Misconfigured, alarm: true},
		"wrong sign-on address":            {change: func(c *invx.Config) { c.AuthURL += "/nowhere" }, class: bridge.Misconfigured, alarm: true},
		"wrong InvX address":               {change: func(c *invx.Config) { c.BaseURL += "/nowhere" }, class: bridge.Misconfigured, alarm: true},
		"login down":                       {faults: []string{"auth:html_503"}, class: bridge.NotApplied},
		"login dropped":                    {faults: []string{"auth:drop_before_commit"}, class: bridge.NotApplied},
		"login answers a page":             {faults: []string{"auth:http200_html"}, class: bridge.NotApplied},
		"login asks to wait":               {faults: []string{"auth:http429=9"}, class: bridge.NotApplied, wait: 9 * time.Second},
		"search down":                      {faults: []string{"get:lookup_down"}, class: bridge.NotApplied},
		"search drops":                     {faults: []string{"get:drop_before_commit"}, class: bridge.NotApplied},
		"search answers half":              {faults: []string{"get:bad_json"}, class: bridge.NotApplied},
		"search asks to wait":              {faults: []string{"get:http429=5"}, class: bridge.NotApplied, wait: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.irn == "" {
				c.irn = sim.DemoIRN
			}
			b := newBench(t, c.change)
			b.arm(t, c.faults...)
			o := b.Cancel(t.Context(), cancellation(c.irn), upstreamtest.Free)
			if o.Class != c.class || c.code != "" && o.Code != c.code || !strings.Contains(o.Message, c.message) ||
				(o.Alarm != "") != c.alarm || o.RetryAfter != c.wait {
				t.Errorf("%+v", o)
			}
			if sends := b.count("PATCH", "/bulk"); sends != c.sends {
				t.Errorf("%d cancels were sent, want %d", sends, c.sends)
			}
			doc, _ := b.sim.Document(c.irn)
			if doc.Commits() != c.commits {
				t.Errorf("carried out %d times, want %d", doc.Commits(), c.commits)
			}
			if o.Class == bridge.Cancelled && o.Date == "" {
				t.Error("cancelled without a date")
			}
			if o.Sent != (c.sends > 0) {
				t.Errorf("sent %v, and %d cancels arrived", o.Sent, c.sends)
			}
			if o.ByState != c.byState {
				t.Errorf("by state %v, want %v", o.ByState, c.byState)
			}
			if o.Message == "" && o.Class != bridge.Cancelled {
				t.Error("no word of what was in the way")
			}
			noSecrets(t, o.Message+o.Alarm, o.Exchanges)
		})
	}
}

func quick(c *invx.Config) { c.CallTimeout = bridge.Duration(100 * time.Millisecond) }

// noSecrets looks for the password and anything that looks like the simulator's tokens.
func noSecrets(t *testing.T, text string, exchanges []bridge.Exchange) {
	t.Helper()
	for _, e := range exchanges {
		text += e.URL + e.Request + e.Response + e.Err
	}
	for _, secret := range []string{sim.DemoPassword, "eyJhbGciOiJIUzUxMiJ9"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q shows in %s", secret, text)
		}
	}
}

func TestCancelTellsTheAuthoritysDate(t *testing.T) {
	b := newBench(t, nil)
	o := b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
	doc, _ := b.sim.Document(sim.DemoIRN)
	if want := doc.Cancelled.Add(19800 * time.Second).Format("2006-01-02 15:04:00"); o.Date != want || o.DateSource != bridge.DateUpstream {
		t.Errorf("%s (%s), want %s", o.Date, o.DateSource, want)
	}
}

func TestReasonAndRemarksArrive(t *testing.T) {
	b := newBench(t, func(c *invx.Config) { c.RemarksTooLong = irp.Truncate })
	c := cancellation(sim.DemoIRN)
	c.Remarks = strings.Repeat("ä", 120)
	b.Cancel(t.Context(), c, upstreamtest.Free)
	if doc, _ := b.sim.Document(sim.DemoIRN); doc.Reason != "2" || doc.Remarks != strings.Repeat("ä", 100) {
		t.Errorf("reason %q, remarks %q", doc.Reason, doc.Remarks)
	}
}

func TestCancelGoesOnlyToTheDocumentWithTheIRN(t *testing.T) {
	b := newBench(t, nil)
	b.arm(t, "get:ignore_filter")
	b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
	for _, d := range b.sim.Documents() {
		if want := d.AltID == sim.DemoIRN; (d.Commits() == 1) != want {
			t.Errorf("%s was cancelled: %v", d.AltID, !want)
		}
	}
}

func TestDocIDIsSearchedForOnce(t *testing.T) {
	b := newBench(t, nil)
	b.arm(t, "cancel:html_503*1")
	b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
	if o := b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free); o.Class != bridge.Cancelled {
		t.Fatalf("%+v", o)
	}
	if n := b.count("GET", "/edocuments"); n != 1 {
		t.Errorf("%d searches, want 1", n)
	}
}

func TestNothingIsSentAfterTheLeaseIsLost(t *testing.T) {
	b := newBench(t, nil)
	o := b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Lost)
	if o.Class != bridge.NotApplied || o.Sent || b.count("PATCH", "/bulk") != 0 {
		t.Errorf("%+v", o)
	}
}

func TestUnreachableIsNotApplied(t *testing.T) {
	b := newBench(t, func(c *invx.Config) { c.BaseURL = "http://127.0.0.1:1" })
	if o := b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free); o.Class != bridge.NotApplied || o.Sent {
		t.Errorf("%+v", o)
	}
}

func TestRefusedCredentialsShutTheGate(t *testing.T) {
	b := newBench(t, nil)
	b.arm(t, "auth:token_limit")
	b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
	gate, shut, _ := b.budget.Gate(t.Context(), b.Profile().Credential)
	if left := time.Until(gate.Until); !shut || gate.Class != bridge.Misconfigured || left < 4*time.Minute {
		t.Errorf("gate %+v, shut %v", gate, shut)
	}
	b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
	if n := b.count("POST", "/authtokens"); n != 1 {
		t.Errorf("%d logins, want one: another only makes it worse", n)
	}
}

func TestAskedToWaitShutsTheGate(t *testing.T) {
	b := newBench(t, nil)
	b.arm(t, "cancel:http429=7")
	b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
	if gate, shut, _ := b.budget.Gate(t.Context(), b.Profile().Credential); !shut || gate.Class != bridge.NotApplied {
		t.Errorf("gate %+v, shut %v", gate, shut)
	}
}

func TestTroubleWithOneDocumentLeavesTheGateOpen(t *testing.T) {
	b := newBench(t, nil)
	b.arm(t, "get:two_matches")
	b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
	if _, shut, _ := b.budget.Gate(t.Context(), b.Profile().Credential); shut {
		t.Error("one ambiguous document stops the taxpayer")
	}
}
