package mastersindia_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
	"einvoice-bridge/bridge/upstream/mastersindia"
	"einvoice-bridge/bridge/upstream/upstreamtest"
	"einvoice-bridge/fixtures/sandbox"
	sim "einvoice-bridge/fixtures/sandbox/mastersindia"
)

// bench is the adapter in front of its simulator.
type bench struct {
	*mastersindia.Adapter
	sim    *sim.Server
	budget *upstreamtest.Budget
}

func config(base, api string) mastersindia.Config {
	return mastersindia.Config{
		Settings: upstream.Settings{Name: "mi", Taxpayer: sim.DemoGSTIN, BaseURL: base}, API: api,
		Username: sim.DemoUsername, Password: sim.DemoPassword, ClientID: sim.DemoClientID, ClientSecret: sim.DemoClientSecret,
	}
}

func newShared(network http.RoundTripper, budget *upstreamtest.Budget) *upstream.Shared {
	s := upstream.NewShared(budget, slog.New(slog.DiscardHandler))
	s.RoundTripper = network
	return s
}

func newBench(t *testing.T, api string, change func(*mastersindia.Config)) bench {
	t.Helper()
	server := sim.Demo(sim.Options{})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	cfg := config(listener.URL, api)
	if change != nil {
		change(&cfg)
	}
	budget := &upstreamtest.Budget{}
	a, err := mastersindia.New(cfg, newShared(nil, budget))
	if err != nil {
		t.Fatal(err)
	}
	return bench{a, server, budget}
}

// arm takes faults as "operation:name=value"; "*1" at the end lets it strike once.
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

// count is how many calls of an operation the simulator has seen.
func (b bench) count(operation string) int {
	n := 0
	for _, call := range b.sim.Calls() {
		if call.Operation == operation {
			n++
		}
	}
	return n
}

func cancellation(irn string) bridge.Cancellation {
	return bridge.Cancellation{Taxpayer: sim.DemoGSTIN, Document: irn, Reason: bridge.DataEntry, Remarks: "Wrong entry", Ref: "r"}
}

// both runs a test against each generation.
func both(t *testing.T, f func(t *testing.T, api string)) {
	for _, api := range []string{mastersindia.Legacy, mastersindia.V1} {
		t.Run(api, func(t *testing.T) { f(t, api) })
	}
}

const unheardOf = "00000000000000000000000000000000000000000000000000000000000000ff"

func quick(c *mastersindia.Config) { c.CallTimeout = bridge.Duration(100 * time.Millisecond) }

// TestCancel walks every way in which a cancel can end, each against a simulator of its own, in both generations.
func TestCancel(t *testing.T) {
	for name, c := range map[string]struct {
		irn     string // default: a document that can be cancelled
		faults  []string
		change  func(*mastersindia.Config)
		only    string // a generation; empty: both
		class   bridge.Class
		message string // part of it
		sends   int
		commits int
		alarm   bool
		wait    time.Duration
	}{
		"carried out":                        {class: bridge.Cancelled, sends: 1, commits: 1},
		"code a text":                        {faults: []string{"cancel:code_string"}, class: bridge.Cancelled, sends: 1, commits: 1},
		"status in small letters":            {faults: []string{"cancel:status_lowercase"}, class: bridge.Cancelled, sends: 1, commits: 1},
		"answered for another IRN":           {faults: []string{"cancel:wrong_irn"}, class: bridge.Unknown, message: "another IRN", sends: 1, commits: 1},
		"cancelled before":                   {irn: sim.DemoCancelledIRN, class: bridge.AlreadyCancelled, message: "9999: Invoice is not active", sends: 1},
		"another owner":                      {irn: sim.DemoForeignIRN, class: bridge.Refused, message: "2143: Invoice does not belongs to the user GSTIN", sends: 1},
		"other portal":                       {irn: sim.DemoOtherPortalIRN, class: bridge.Refused, message: "2148: ", sends: 1},
		"e-way bill":                         {irn: sim.DemoEwayBillIRN, class: bridge.Refused, message: "2230: ", sends: 1},
		"too old":                            {irn: sim.DemoOldIRN, class: bridge.Refused, message: "2270: ", sends: 1},
		"unheard of":                         {irn: unheardOf, class: bridge.Refused, message: "2154: ", sends: 1},
		"too old, code a text":               {irn: sim.DemoOldIRN, faults: []string{"cancel:code_string"}, class: bridge.Refused, message: "2270: ", sends: 1},
		"too old, small letters":             {irn: sim.DemoOldIRN, faults: []string{"cancel:status_lowercase"}, class: bridge.Refused, message: "2270: ", sends: 1},
		"too old, message null":              {irn: sim.DemoOldIRN, faults: []string{"cancel:message_null"}, class: bridge.Refused, message: "2270: ", sends: 1},
		"too old, text in message":           {irn: sim.DemoOldIRN, faults: []string{"cancel:error_in_message"}, class: bridge.Refused, message: "2270: ", sends: 1},
		"too old, no text":                   {irn: sim.DemoOldIRN, faults: []string{"cancel:empty_failure"}, class: bridge.Unclear, message: "reason not given", sends: 1},
		"too old, HTTP 204":                  {irn: sim.DemoOldIRN, faults: []string{"cancel:http_204"}, class: bridge.Unclear, message: "reason not given", sends: 1},
		"too old, JSON list in a text":       {irn: sim.DemoOldIRN, faults: []string{"cancel:error_list"}, class: bridge.Refused, message: "2270: The allowed", sends: 1},
		"carried out, HTTP 204":              {faults: []string{"cancel:commit_then_204"}, class: bridge.Unclear, sends: 1, commits: 1},
		"carried out, failure without text":  {faults: []string{"cancel:commit_then_fail"}, class: bridge.Unclear, sends: 1, commits: 1},
		"carried out, Connection reset":      {faults: []string{"cancel:commit_then_say=Connection reset"}, class: bridge.Unknown, message: "Connection reset", sends: 1, commits: 1},
		"carried out, parser's words":        {faults: []string{"cancel:commit_then_say=Expecting value: line 1 column 1 (char 0)"}, class: bridge.Unknown, sends: 1, commits: 1},
		"carried out, unlisted text":         {faults: []string{"cancel:commit_then_say=Moon is full"}, class: bridge.Unclear, message: "Moon is full", sends: 1, commits: 1},
		"success and an error":               {faults: []string{"cancel:success_and_error=2270: late"}, class: bridge.Unknown, message: "success and an error", sends: 1, commits: 1},
		"success that names none":            {faults: []string{"cancel:no_irn"}, class: bridge.Unknown, sends: 1, commits: 1},
		"already, in other words":            {faults: []string{"cancel:nic_error=9999: IRN is already cancelled"}, class: bridge.AlreadyCancelled, sends: 1},
		"Gateway Time-out":                   {faults: []string{"cancel:says=Gateway Time-out"}, class: bridge.Unknown, sends: 1},
		"504":                                {faults: []string{"cancel:says=504"}, class: bridge.Unknown, sends: 1},
		"no einvoice password":               {faults: []string{"cancel:says=500: Your einvoice username or password is missing"}, class: bridge.Misconfigured, sends: 1, alarm: true},
		"GSTIN is not mapped":                {faults: []string{"cancel:says=GSTIN is not mapped with logged-in user"}, class: bridge.Misconfigured, sends: 1, alarm: true},
		"account used up":                    {faults: []string{"cancel:says=GEN5005: GSP account limit exceeded"}, class: bridge.Misconfigured, sends: 1, alarm: true},
		"called too early":                   {faults: []string{"cancel:says=118: try after 5 minutes"}, class: bridge.NotApplied, sends: 1, wait: 5 * time.Minute},
		"gateway in trouble":                 {faults: []string{"cancel:gateway=GEN5008: GSTN Server Error"}, class: bridge.Unknown, sends: 1},
		"gateway after the commit":           {faults: []string{"cancel:gateway_after_commit=GSPERR300: GSPGSTDOWN"}, class: bridge.Unknown, sends: 1, commits: 1},
		"gateway's token once":               {faults: []string{"cancel:gateway=105: Invalid Token*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"gateway's token for ever":           {faults: []string{"cancel:says=105: Invalid Token"}, class: bridge.Misconfigured, sends: 2, alarm: true},
		"byte order marks":                   {faults: []string{":bom"}, class: bridge.Cancelled, sends: 1, commits: 1},
		"token expired, 403":                 {faults: []string{"cancel:expire_tokens=403*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"token expired for ever, 403":        {faults: []string{"cancel:expire_tokens=403"}, class: bridge.Misconfigured, sends: 2, alarm: true},
		"unheard-of code":                    {faults: []string{"cancel:nic_error=7777"}, class: bridge.Unclear, message: "7777: ", sends: 1},
		"payload":                            {faults: []string{"cancel:nic_error=2142"}, class: bridge.Refused, message: "2142: ", sends: 1, alarm: true},
		"the provider's session at NIC":      {faults: []string{"cancel:nic_error=1005"}, class: bridge.NotApplied, sends: 1},
		"the taxpayer's rights at NIC":       {faults: []string{"cancel:nic_error=1014"}, class: bridge.Misconfigured, sends: 1, alarm: true},
		"NIC stumbles":                       {faults: []string{"cancel:nic_error=5002"}, class: bridge.Unknown, sends: 1},
		"reply lost":                         {faults: []string{"cancel:commit_then_drop"}, class: bridge.Unknown, sends: 1, commits: 1},
		"500 after the commit":               {faults: []string{"cancel:commit_then_500"}, class: bridge.Unknown, sends: 1, commits: 1},
		"dropped before the commit":          {faults: []string{"cancel:drop_before_commit"}, class: bridge.Unknown, sends: 1},
		"reset before the commit":            {faults: []string{"cancel:reset_before"}, class: bridge.Unknown, sends: 1},
		"page on 503":                        {faults: []string{"cancel:html_503"}, class: bridge.Unknown, sends: 1},
		"page on 200":                        {faults: []string{"cancel:http200_html"}, class: bridge.Unknown, sends: 1},
		"page on 403":                        {faults: []string{"cancel:html_403"}, class: bridge.Misconfigured, sends: 1, alarm: true},
		"page on 404":                        {faults: []string{"cancel:html_404"}, class: bridge.Misconfigured, sends: 1, alarm: true},
		"half a reply":                       {faults: []string{"cancel:truncate_json"}, class: bridge.Unknown, sends: 1, commits: 1},
		"half a reply as a whole":            {faults: []string{"cancel:bad_json"}, class: bridge.Unknown, sends: 1, commits: 1},
		"slower than the timeout":            {faults: []string{"cancel:slow=500"}, change: quick, class: bridge.Unknown, sends: 1, commits: 1},
		"asked to wait":                      {faults: []string{"cancel:http429=7"}, class: bridge.NotApplied, sends: 1, wait: 7 * time.Second},
		"token expired, 401":                 {faults: []string{"cancel:expire_tokens=401*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"token expired, in the body":         {faults: []string{"cancel:expire_tokens=body*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"token expired, in message":          {faults: []string{"cancel:expire_tokens=body*1", "cancel:error_in_message*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"token revoked":                      {faults: []string{"cancel:revoke_tokens*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"401 once":                           {faults: []string{"cancel:http401*1"}, class: bridge.Cancelled, sends: 2, commits: 1},
		"401 for ever":                       {faults: []string{"cancel:http401"}, class: bridge.Misconfigured, sends: 2, alarm: true},
		"token in the body refused for ever": {faults: []string{"cancel:expire_tokens=body"}, class: bridge.Misconfigured, sends: 2, alarm: true},
		"wrong password":                     {change: func(c *mastersindia.Config) { c.Password = "wrong-one" }, class: bridge.Misconfigured, alarm: true},
		"client refused":                     {faults: []string{"auth:invalid_client"}, only: mastersindia.Legacy, class: bridge.Misconfigured, message: "invalid_client", alarm: true},
		"login refused with 206":             {faults: []string{"auth:login_206"}, only: mastersindia.V1, class: bridge.Misconfigured, message: "206", alarm: true},
		"login refused with 400":             {faults: []string{"auth:login_400"}, only: mastersindia.V1, class: bridge.Misconfigured, message: "username: missing field", alarm: true},
		"wrong address":                      {change: func(c *mastersindia.Config) { c.BaseURL += "/nowhere" }, class: bridge.Misconfigured, message: "404", alarm: true},
		"login down":                         {faults: []string{"auth:html_503"}, class: bridge.NotApplied},
		"login dropped":                      {faults: []string{"auth:drop_before_commit"}, class: bridge.NotApplied},
		"login answers a page":               {faults: []string{"auth:http200_html"}, class: bridge.NotApplied},
		"login meets a gateway in trouble":   {faults: []string{"auth:gateway=GEN5008: GSTN Server Error"}, class: bridge.NotApplied},
		"login meets a quota":                {faults: []string{"auth:gateway=GEN5005: GSP account limit exceeded"}, class: bridge.Misconfigured, alarm: true},
		"login asks to wait":                 {faults: []string{"auth:http429=9"}, class: bridge.NotApplied, wait: 9 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, api string) {
				if c.only != "" && c.only != api {
					return
				}
				t.Parallel()
				irn := c.irn
				if irn == "" {
					irn = sim.DemoIRN
				}
				b := newBench(t, api, c.change)
				b.arm(t, c.faults...)
				o := b.Cancel(t.Context(), cancellation(irn), upstreamtest.Free)
				if o.Class != c.class || !strings.Contains(o.Message, c.message) || (o.Alarm != "") != c.alarm || o.RetryAfter != c.wait {
					t.Errorf("%+v", o)
				}
				if sends := b.count(sandbox.Cancel); sends != c.sends {
					t.Errorf("%d cancels were sent, want %d", sends, c.sends)
				}
				if doc, _ := b.sim.Document(irn); doc.Commits() != c.commits {
					t.Errorf("carried out %d times, want %d", doc.Commits(), c.commits)
				}
				if o.Sent != (c.sends > 0) {
					t.Errorf("sent %v, and %d cancels arrived", o.Sent, c.sends)
				}
				if n := b.count(sandbox.Get); n != 0 {
					t.Errorf("%d lookups: a verdict on the document is not the adapter's", n)
				}
				noSecrets(t, b, o.Message+o.Alarm, o.Exchanges)
			})
		})
	}
}

// noSecrets looks for the credentials and for every token that the simulator gave out.
func noSecrets(t *testing.T, b bench, text string, exchanges []bridge.Exchange) {
	t.Helper()
	for _, e := range exchanges {
		text += e.URL + e.Request + e.Response + e.Err
	}
	secrets := []string{sim.DemoPassword, sim.DemoClientSecret, "wrong-one"}
	for _, call := range b.sim.Calls() {
		for _, before := range []string{`"token":"`, `"access_token":"`} {
			if _, after, ok := strings.Cut(string(call.Reply), before); ok {
				token, _, _ := strings.Cut(after, `"`)
				secrets = append(secrets, token)
			}
		}
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%q shows in %s", secret, text)
		}
	}
}

func TestCancelTellsTheAuthoritysDate(t *testing.T) {
	both(t, func(t *testing.T, api string) {
		b := newBench(t, api, nil)
		o := b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
		doc, _ := b.sim.Document(sim.DemoIRN)
		if want := doc.Cancelled.Add(19800 * time.Second).Format("2006-01-02 15:04:00"); o.Date != want || o.DateSource != bridge.DateUpstream {
			t.Errorf("%s (%s), want %s", o.Date, o.DateSource, want)
		}
	})
}

func TestReasonAndRemarksArrive(t *testing.T) {
	both(t, func(t *testing.T, api string) {
		b := newBench(t, api, func(c *mastersindia.Config) { c.RemarksTooLong = irp.Truncate })
		c := cancellation(sim.DemoIRN)
		c.Remarks = strings.Repeat("ä", 120)
		b.Cancel(t.Context(), c, upstreamtest.Free)
		if doc, _ := b.sim.Document(sim.DemoIRN); doc.Reason != "2" || doc.Remarks != strings.Repeat("ä", 100) {
			t.Errorf("reason %q, remarks %q", doc.Reason, doc.Remarks)
		}
	})
}

func TestNothingIsSentAfterTheLeaseIsLost(t *testing.T) {
	both(t, func(t *testing.T, api string) {
		b := newBench(t, api, nil)
		if o := b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Lost); o.Class != bridge.NotApplied || o.Sent || b.count(sandbox.Cancel) != 0 {
			t.Errorf("%+v", o)
		}
	})
}

func TestARedirectIsNotFollowed(t *testing.T) {
	moved := httptest.NewServer(http.RedirectHandler("https://elsewhere.example/", http.StatusMovedPermanently))
	defer moved.Close()
	both(t, func(t *testing.T, api string) {
		b := newBench(t, api, func(c *mastersindia.Config) { c.BaseURL = moved.URL })
		if o := b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free); o.Class != bridge.Misconfigured || !strings.Contains(o.Alarm, "301") {
			t.Errorf("%+v", o)
		}
	})
}

func TestUnreachableIsNotApplied(t *testing.T) {
	b := newBench(t, mastersindia.V1, func(c *mastersindia.Config) { c.BaseURL = "http://127.0.0.1:1" })
	if o := b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free); o.Class != bridge.NotApplied || o.Sent {
		t.Errorf("%+v", o)
	}
}

func TestRefusedCredentialsShutTheGate(t *testing.T) {
	both(t, func(t *testing.T, api string) {
		b := newBench(t, api, func(c *mastersindia.Config) { c.Password = "wrong-one" })
		for range 3 {
			b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
		}
		gate, shut, _ := b.budget.Gate(t.Context(), b.Profile().Credential)
		if left := time.Until(gate.Until); !shut || gate.Class != bridge.Misconfigured || left > time.Minute || left < 50*time.Second {
			t.Errorf("gate %+v, shut %v", gate, shut)
		}
		if n := b.count(sandbox.Auth); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}

func TestAskedToWaitShutsTheGate(t *testing.T) {
	b := newBench(t, mastersindia.Legacy, nil)
	b.arm(t, "cancel:http429=7")
	b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
	if gate, shut, _ := b.budget.Gate(t.Context(), b.Profile().Credential); !shut || gate.Class != bridge.NotApplied {
		t.Errorf("gate %+v, shut %v", gate, shut)
	}
}

func TestLookup(t *testing.T) {
	for name, c := range map[string]struct {
		irn    string
		faults []string
		want   bridge.DocumentStatus
		text   string
	}{
		"active":                     {irn: sim.DemoIRN, want: bridge.StatusActive, text: "ACT"},
		"cancelled":                  {irn: sim.DemoCancelledIRN, want: bridge.StatusCancelled, text: "CNL"},
		"reported cancelled":         {irn: sim.DemoIRN, faults: []string{"get:lookup_cnl"}, want: bridge.StatusCancelled},
		"code a text":                {irn: sim.DemoIRN, faults: []string{"get:code_string", "get:status_lowercase"}, want: bridge.StatusActive},
		"other portal":               {irn: sim.DemoOtherPortalIRN, want: bridge.StatusUnknown, text: "2148"},
		"unheard of":                 {irn: unheardOf, want: bridge.StatusUnknown, text: "2154"},
		"foreign":                    {irn: sim.DemoForeignIRN, want: bridge.StatusUnknown, text: "2226"},
		"after a 401":                {irn: sim.DemoIRN, faults: []string{"get:expire_tokens=401*1"}, want: bridge.StatusActive},
		"after a refusal by the way": {irn: sim.DemoIRN, faults: []string{"get:expire_tokens=body*1"}, want: bridge.StatusActive},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, api string) {
				t.Parallel()
				b := newBench(t, api, nil)
				b.arm(t, c.faults...)
				s, err := b.Lookup(t.Context(), cancellation(c.irn))
				if err != nil || s.Status != c.want || !strings.Contains(s.Text, c.text) || len(s.Exchanges) == 0 {
					t.Errorf("%+v, %v", s, err)
				}
				noSecrets(t, b, s.Text, s.Exchanges)
			})
		})
	}
}

func TestLookupThatBringsNoAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		faults []string
		change func(*mastersindia.Config)
		class  bridge.Class
	}{
		"down":          {faults: []string{"get:lookup_down"}, class: bridge.NotApplied},
		"half a reply":  {faults: []string{"get:bad_json"}, class: bridge.NotApplied},
		"page":          {faults: []string{"get:http200_html"}, class: bridge.NotApplied},
		"no reason":     {faults: []string{"get:http_204"}, class: bridge.NotApplied},
		"asked to wait": {faults: []string{"get:http429=3"}, class: bridge.NotApplied},
		"no such path":  {faults: []string{"get:html_404"}, class: bridge.NotApplied},
		"no rights":     {faults: []string{"get:html_403"}, class: bridge.NotApplied},
		"401 for ever":  {faults: []string{"get:http401"}, class: bridge.Misconfigured},
		"login refused": {change: func(c *mastersindia.Config) { c.Password = "wrong-one" }, class: bridge.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, api string) {
				t.Parallel()
				b := newBench(t, api, c.change)
				b.arm(t, c.faults...)
				_, err := b.Lookup(t.Context(), cancellation(sim.DemoForeignIRN))
				f, ok := errors.AsType[*upstream.Failure](err)
				if !ok || f.Outcome.Class != c.class {
					t.Fatalf("%v", err)
				}
				if errors.Is(err, bridge.ErrUnavailable) {
					t.Error("a question that was asked counts as none")
				}
				noSecrets(t, b, err.Error(), f.Outcome.Exchanges)
			})
		})
	}
}

// A lookup whose path or rights are wrong leaves cancels alone; what concerns the taxpayer does not.
func TestWhichFailedLookupsShutTheGate(t *testing.T) {
	both(t, func(t *testing.T, api string) {
		b := newBench(t, api, nil)
		b.arm(t, "get:html_404")
		b.Lookup(t.Context(), cancellation(sim.DemoIRN))
		if _, shut, _ := b.budget.Gate(t.Context(), b.Profile().Credential); shut {
			t.Error("a get that goes astray stops cancels")
		}
		b.sim.Disarm("")
		c := cancellation(sim.DemoIRN)
		c.Taxpayer = sim.DemoForeignGSTIN // 3030: not in the account
		if _, err := b.Lookup(t.Context(), c); err == nil {
			t.Error("a taxpayer who is not in the account was shown something")
		}
		if _, shut, _ := b.budget.Gate(t.Context(), b.Profile().Credential); !shut {
			t.Error("refused rights leave the gate open")
		}
	})
}

func TestProfile(t *testing.T) {
	one := config("https://mi.example", mastersindia.Legacy)
	one.CancelsPerMinute = 30
	two := one
	two.Taxpayer, two.RemarksTooLong = sim.DemoSecondGSTIN, irp.Truncate
	shared := newShared(nil, &upstreamtest.Budget{})
	a, err := mastersindia.New(one, shared)
	if err != nil {
		t.Fatal(err)
	}
	b, err := mastersindia.New(two, shared)
	if err != nil {
		t.Fatal(err)
	}
	p, q := a.Profile(), b.Profile()
	if p.Space != "irp" || p.Kind != "mastersindia" || p.Zone.String() != "IST" || p.CallTimeout != 30*time.Second || p.LookupTimeout != 10*time.Second {
		t.Errorf("%+v", p)
	}
	if p.Cancels != q.Cancels || p.Cancels.Limit != 30 || p.Cancels.Per != time.Minute {
		t.Errorf("two taxpayers of one account have the rates %+v and %+v", p.Cancels, q.Cancels)
	}
	if p.Rules.Remarks != "utf16max=100" || q.Rules.Remarks != "" || p.Rules.Document != "irn" {
		t.Errorf("rules %+v and %+v", p.Rules, q.Rules)
	}
	one.Settings.BaseURL = "https://sandb-api.mastersindia.co"
	if tried, err := mastersindia.New(one, shared); err != nil || tried.Profile().Space != "irp/sandbox" {
		t.Errorf("the sandbox's space: %+v, %v", tried.Profile(), err)
	}
	for _, text := range []string{p.Credential, p.Cancels.Key} {
		if strings.Contains(text, sim.DemoPassword) || strings.Contains(text, sim.DemoUsername) {
			t.Errorf("%s is no digest", text)
		}
	}
}

func TestProbe(t *testing.T) {
	both(t, func(t *testing.T, api string) {
		if err := newBench(t, api, nil).Probe(t.Context()); err != nil {
			t.Error(err)
		}
		err := newBench(t, api, func(c *mastersindia.Config) { c.Password = "wrong-one" }).Probe(t.Context())
		if err == nil || !strings.Contains(err.Error(), "check base_url, api, username, password") || strings.Contains(err.Error(), "wrong-one") {
			t.Errorf("%v", err)
		}
	})
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*mastersindia.Config)
		want   string // in the error; empty: it is fine
	}{
		"legacy needs a client": {func(c *mastersindia.Config) { c.ClientSecret = "" }, "client_secret is missing"},
		"v1 needs none":         {func(c *mastersindia.Config) { c.API, c.ClientID, c.ClientSecret = mastersindia.V1, "", "" }, ""},
		"legacy is the default": {func(c *mastersindia.Config) { c.API, c.ClientID = "", "" }, "client_id is missing"},
		"no such generation":    {func(c *mastersindia.Config) { c.API = "v2" }, `api is "v2"`},
		"no password":           {func(c *mastersindia.Config) { c.Password = "" }, "password is missing"},
		"no taxpayer":           {func(c *mastersindia.Config) { c.Taxpayer = " " }, "is not 15 letters and digits"},
		"no address":            {func(c *mastersindia.Config) { c.BaseURL = "" }, "base_url"},
		"odd too long":          {func(c *mastersindia.Config) { c.RemarksTooLong = "shrug" }, "remarks_too_long"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config("https://mi.example", mastersindia.Legacy)
			c.change(&cfg)
			_, err := mastersindia.New(cfg, newShared(nil, &upstreamtest.Budget{}))
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), sim.DemoPassword)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*mastersindia.Config)
		want   string // empty: nothing to say
	}{
		"all is well":   {func(*mastersindia.Config) {}, ""},
		"password":      {func(c *mastersindia.Config) { c.Password = "secret!" }, "password begins or ends with a special character"},
		"raw gateway":   {func(c *mastersindia.Config) { c.BaseURL = "https://api.mastersindia.co" }, "use kind nic"},
		"special midst": {func(c *mastersindia.Config) { c.Password = "sec!ret" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config("https://mi.example", mastersindia.Legacy)
			c.change(&cfg)
			a, err := mastersindia.New(cfg, newShared(nil, &upstreamtest.Budget{}))
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(a.Warnings(), "; ")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.Contains(got, "secret!") {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
