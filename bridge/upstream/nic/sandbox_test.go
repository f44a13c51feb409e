package nic_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/nic"
	"einvoice-bridge/bridge/upstream/upstreamtest"
	"einvoice-bridge/fixtures/sandbox"
	sim "einvoice-bridge/fixtures/sandbox/nic"
)

// start runs a simulator and an adapter for its demo account.
func start(t *testing.T, o sim.Options, change func(*nic.Config)) (*sim.Server, *nic.Adapter) {
	t.Helper()
	o.Key = nic.NICKey()
	s := sim.Demo(o)
	srv := httptest.NewServer(s)
	t.Cleanup(func() { s.Release(); srv.Close() })
	return s, connect(t, srv.URL, s, change)
}

func connect(t *testing.T, base string, s *sim.Server, change func(*nic.Config)) *nic.Adapter {
	t.Helper()
	const patience = bridge.Duration(20 * time.Second)
	cfg := nic.Config{
		Settings: upstream.Settings{
			Name: "nic", Taxpayer: sim.DemoGSTIN, BaseURL: base,
			CallTimeout: patience, LoginTimeout: patience, LookupTimeout: patience,
		},
		ClientID: sim.DemoClientID, ClientSecret: sim.DemoClientSecret,
		Username: sim.DemoUser, Password: sim.DemoPassword, PublicKey: s.PublicKeyPEM(),
	}
	if change != nil {
		change(&cfg)
	}
	a, err := nic.New(cfg, upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func of(irn string) bridge.Cancellation {
	return bridge.Cancellation{Document: irn, Reason: bridge.DataEntry, Remarks: "Wrong entry"}
}

func count(o bridge.Outcome, purpose string) (n int) {
	for _, x := range o.Exchanges {
		if x.Purpose == purpose {
			n++
		}
	}
	return n
}

func TestDocumentsOfTheSandbox(t *testing.T) {
	tests := []struct {
		irn     string
		change  func(*nic.Config)
		class   bridge.Class
		message string
	}{
		{sim.DemoIRN, nil, bridge.Cancelled, ""},
		{sim.DemoForeignIRN, nil, bridge.Refused, "2143: Invoice does not belongs to the user GSTIN"},
		{sim.DemoCancelledIRN, nil, bridge.AlreadyCancelled, "9999: Invoice is not active"},
		{sim.DemoEwayBillIRN, nil, bridge.Refused, "2230: "},
		{sim.DemoOldIRN, nil, bridge.Refused, "2270: "},
		{sim.DemoOtherIRN, nil, bridge.Cancelled, ""}, // on NIC2: 2148 first
		{sim.DemoOtherIRN, func(c *nic.Config) { c.IRP = "NIC2" }, bridge.Cancelled, ""},
		{sim.DemoIRN, func(c *nic.Config) { c.IRP = "NIC2" }, bridge.Cancelled, ""}, // on NIC1: 2148 first
		{strings.Repeat("0", 64), nil, bridge.Refused, "2154: "},
		{sim.DemoIRN, func(c *nic.Config) { c.AuthVersion = nic.Auth103 }, bridge.Cancelled, ""},
		{sim.DemoIRN, func(c *nic.Config) { c.HeaderStyle = nic.Hyphen }, bridge.Cancelled, ""},
		{sim.DemoIRN, func(c *nic.Config) { c.Password = "wrong" }, bridge.Misconfigured, "1019: "},
		{sim.DemoIRN, func(c *nic.Config) { c.ClientSecret = "wrong" }, bridge.Misconfigured, "1010: "},
		{sim.DemoIRN, func(c *nic.Config) { c.Taxpayer = sim.DemoForeignGSTIN }, bridge.Misconfigured, "1015: "},
		{sim.DemoIRN, func(c *nic.Config) { c.CancelPath = "/api/Cancel" }, bridge.Misconfigured, "HTTP 404"},
	}
	for _, tt := range tests {
		s, a := start(t, sim.Options{LegacyAuth: true}, tt.change)
		o := a.Cancel(t.Context(), of(tt.irn), upstreamtest.Free)
		if o.Class != tt.class || !strings.HasPrefix(o.Message, tt.message) {
			t.Errorf("%s: %v %q, want %v %q", tt.irn, o.Class, o.Message, tt.class, tt.message)
		}
		doc, _ := s.Document(tt.irn)
		if o.Class == bridge.Cancelled && (o.Date != sandbox.IRPDate(doc.Cancelled) || doc.Reason != "2" || doc.Remarks != "Wrong entry") {
			t.Errorf("cancelled at %q, the sandbox has %+v", o.Date, doc)
		}
	}
}

// fault is a row of the reference: a switch of the simulator and the outcome that it must lead to.
type fault struct {
	arm    []sandbox.Fault
	irn    string // default DemoIRN
	change func(*nic.Config)
	want   bridge.Class
	commit bool // the document is cancelled afterwards
	check  check
}

func on(op, name, value string, times int) sandbox.Fault {
	return sandbox.Fault{Operation: op, Name: name, Value: value, Times: times}
}

func one(op, name, value string, times int) []sandbox.Fault {
	return []sandbox.Fault{on(op, name, value, times)}
}

// What a row checks beside the class.
type check = func(*testing.T, *sim.Server, bridge.Outcome)

// impatient is for calls that are meant to run into their timeout.
func impatient(c *nic.Config) { c.CallTimeout = bridge.Duration(300 * time.Millisecond) }

func impatientLogin(c *nic.Config) { c.LoginTimeout = bridge.Duration(300 * time.Millisecond) }

func sends(n, logins int) check {
	return func(t *testing.T, _ *sim.Server, o bridge.Outcome) {
		if count(o, "cancel") != n || count(o, "login") != logins {
			t.Errorf("%d sends and %d logins, want %d and %d", count(o, "cancel"), count(o, "login"), n, logins)
		}
	}
}

func waits(d time.Duration) check {
	return func(t *testing.T, _ *sim.Server, o bridge.Outcome) {
		if o.RetryAfter != d {
			t.Errorf("RetryAfter %v, want %v", o.RetryAfter, d)
		}
	}
}

// claimed is NIC's word for it alone: one call, an alarm, no look at the document.
func claimed(t *testing.T, _ *sim.Server, o bridge.Outcome) {
	if !o.Claimed || o.Alarm == "" || count(o, "cancel") != 1 || count(o, "lookup") != 0 {
		t.Errorf("%+v", o)
	}
}

func unclaimed(t *testing.T, _ *sim.Server, o bridge.Outcome) {
	if o.Claimed || o.Message == "" || count(o, "cancel") != 1 || count(o, "lookup") != 0 {
		t.Errorf("%+v", o)
	}
}

func unclassified(t *testing.T, _ *sim.Server, o bridge.Outcome) {
	if !o.Unclassified || o.Alarm != "" {
		t.Errorf("%+v", o)
	}
}

func quota(t *testing.T, _ *sim.Server, o bridge.Outcome) {
	if !strings.Contains(o.Alarm, "used up its calls") {
		t.Errorf("alarm %q", o.Alarm)
	}
}

func hint(t *testing.T, _ *sim.Server, o bridge.Outcome) {
	if !strings.Contains(o.Alarm, "header_style: hyphen") {
		t.Errorf("alarm %q", o.Alarm)
	}
}

func foreign(t *testing.T, _ *sim.Server, o bridge.Outcome) {
	if o.Message != "2143: Invoice does not belongs to the user GSTIN" {
		t.Errorf("message %q", o.Message)
	}
}

func cancelFaults() []fault {
	const cancel, auth = sandbox.Cancel, sandbox.Auth
	return []fault{
		{arm: one(cancel, "reset_before", "", 0), want: bridge.Unknown},
		{arm: one(cancel, "drop_before_commit", "", 0), want: bridge.Unknown},
		{arm: one(cancel, "http503_html", "", 0), want: bridge.Unknown},
		{arm: one(cancel, "html_503", "commit", 0), want: bridge.Unknown, commit: true},
		{arm: one(cancel, "http200_html", "", 0), want: bridge.Unknown},
		{arm: one(cancel, "http200_html", "commit", 0), want: bridge.Unknown, commit: true},
		{arm: one(cancel, "html_403", "", 0), want: bridge.Misconfigured},
		{arm: one(cancel, "html_404", "", 0), want: bridge.Misconfigured},
		{arm: one(cancel, "http403", "", 0), want: bridge.Misconfigured},
		{arm: one(cancel, "http401", "", 1), want: bridge.Cancelled, commit: true, check: sends(2, 3)},
		{arm: one(cancel, "http401", "", 0), want: bridge.Misconfigured, check: sends(2, 3)},
		{arm: one(cancel, "http429", "7", 0), want: bridge.NotApplied, check: waits(7 * time.Second)},
		{arm: one(cancel, "lose_reply", "", 0), want: bridge.Unknown, commit: true},
		{arm: one(cancel, "lose_reply", "rst", 0), want: bridge.Unknown, commit: true},
		{arm: one(cancel, "commit_then_drop", "", 0), want: bridge.Unknown, commit: true},
		{arm: one(cancel, "commit_then_500", "", 0), want: bridge.Unknown, commit: true},
		{arm: one(cancel, "delay", "5000", 0), change: impatient, want: bridge.Unknown, commit: true},
		{arm: one(cancel, "slow", "20", 0), want: bridge.Cancelled, commit: true},
		{arm: one(cancel, "late_commit", "2000", 0), change: impatient, want: bridge.Unknown},
		{arm: one(cancel, "hold", "", 0), change: impatient, want: bridge.Unknown, commit: true},
		{arm: one(cancel, "hold_before", "", 0), change: impatient, want: bridge.Unknown},
		{arm: one(cancel, "truncate_json", "", 0), want: bridge.Unknown, commit: true},
		{arm: one(cancel, "bad_json", "", 0), want: bridge.Unknown, commit: true},
		{arm: one("", "clock_offset", "-18000", 0), want: bridge.Cancelled, commit: true, check: sends(1, 1)},
		{arm: one("", "clock_offset", "18000", 0), want: bridge.Cancelled, commit: true, check: sends(1, 1)},
		{arm: one(cancel, "error", "2143", 0), want: bridge.Refused},
		{arm: one(cancel, "error", "1006", 0), want: bridge.Misconfigured, check: hint},
		{arm: one(cancel, "revoke_tokens", "", 1), want: bridge.Cancelled, commit: true, check: sends(2, 2)},
		{arm: one(cancel, "revoke_tokens", "", 0), want: bridge.Misconfigured, check: sends(2, 2)},
		{arm: one(cancel, "revoke_tokens", "keep", 1), want: bridge.Cancelled, commit: true, check: sends(2, 3)},
		{arm: append(one(cancel, "revoke_tokens", "keep", 0), on(auth, "no_force_effect", "", 0)), want: bridge.Misconfigured, check: sends(2, 3)},
		{arm: one(cancel, "rotate_sek", "", 1), want: bridge.Cancelled, commit: true, check: sends(2, 2)},
		{arm: one(cancel, "garbage_data", "", 0), want: bridge.Unknown, commit: true, check: claimed},
		{arm: one(cancel, "garbage_data", "null", 0), want: bridge.Unknown, commit: true, check: unclaimed},
		{arm: one(cancel, "success_and_error", "2270", 0), want: bridge.Unknown, commit: true, check: unclaimed},
		{arm: one(cancel, "no_irn", "", 0), want: bridge.Unknown, commit: true, check: unclaimed},
		{arm: one(cancel, "error", "9999: IRN is already cancelled", 0), want: bridge.AlreadyCancelled},
		{arm: one(cancel, "error", "9999: Odd", 0), want: bridge.Unclear, check: unclassified},
		{arm: one(cancel, "error", "7777: New rule", 0), want: bridge.Unclear, check: unclassified},
		{arm: one(cancel, "error_after_commit", "7777: New rule", 0), want: bridge.Unclear, commit: true, check: unclassified},
		{arm: one(cancel, "error_after_commit", "500: Connection reset", 0), want: bridge.Unknown, commit: true},
		{arm: one(cancel, "error", "118: Please try after 5 minutes", 0), want: bridge.NotApplied, check: waits(5 * time.Minute)},
		{arm: one(cancel, "error", "105: Invalid Token", 1), want: bridge.Cancelled, commit: true, check: sends(2, 3)},
		{arm: one(cancel, "gateway", "GEN5005: GSP account limit exceeded", 0), want: bridge.Misconfigured, check: quota},
		{arm: one(cancel, "gateway", "106: Invalid Token", 1), want: bridge.Cancelled, commit: true, check: sends(2, 3)},
		{arm: one(cancel, "gateway", "GSPERR300: GSPGSTDOWN", 0), want: bridge.Unknown},
		{arm: one(cancel, "gateway", "RET1: New rule", 0), want: bridge.Unknown, check: unclassified},
		{arm: one(cancel, "gateway_after_commit", "GEN5008: GSTN Server Error", 0), want: bridge.Unknown, commit: true},
		{arm: one("", "bom", "", 0), want: bridge.Cancelled, commit: true},
		{arm: one(cancel, "app_error_5002", "", 0), want: bridge.Unknown},
		{arm: one(cancel, "sys_5001", "", 0), want: bridge.Unknown},
		{arm: one(cancel, "err_2141_after_commit", "", 0), want: bridge.Unknown, commit: true},
		{arm: one("", "b64_errordetails", "", 0), irn: sim.DemoForeignIRN, want: bridge.Refused, check: foreign},
		{arm: one("", "lowercase_keys", "", 0), irn: sim.DemoForeignIRN, want: bridge.Refused, check: foreign},
		{arm: one("", "lowercase_keys", "", 0), want: bridge.Cancelled, commit: true},
		{arm: one("", "string_status", "", 0), want: bridge.Cancelled, commit: true},
		{arm: one("", "text_infodtls", "", 0), want: bridge.Cancelled, commit: true},
		{arm: one(cancel, "wrong_irn", "", 0), want: bridge.Unknown, commit: true},
		{arm: one("", "drop_underscore_headers", "", 0), want: bridge.Misconfigured, check: hint},
		{
			arm: one("", "drop_underscore_headers", "", 0), change: func(c *nic.Config) { c.HeaderStyle = nic.Hyphen },
			want: bridge.Cancelled, commit: true,
		},
	}
}

func loginFaults() []fault {
	const auth = sandbox.Auth
	return []fault{
		{arm: one(auth, "reset_before", "", 0), want: bridge.NotApplied},
		{arm: one(auth, "http503_html", "", 0), want: bridge.NotApplied, check: waits(10 * time.Second)},
		{arm: one(auth, "http200_html", "", 0), want: bridge.NotApplied},
		{arm: one(auth, "http429", "30", 0), want: bridge.NotApplied, check: waits(30 * time.Second)},
		{arm: one(auth, "http401", "", 0), want: bridge.Misconfigured},
		{arm: one(auth, "http403", "", 0), want: bridge.Misconfigured},
		{arm: one(auth, "html_404", "", 0), want: bridge.Misconfigured},
		{arm: one(auth, "delay", "5000", 0), change: impatientLogin, want: bridge.NotApplied},
		{arm: one(auth, "truncate_json", "", 0), want: bridge.NotApplied},
		{arm: one(auth, "sys_5001", "", 0), want: bridge.NotApplied},
		{arm: one(auth, "error", "3033", 0), want: bridge.Misconfigured},
		{arm: one(auth, "gateway", "GEN5008: GSTN Server Error", 0), want: bridge.NotApplied},
		{arm: one(auth, "gateway", "GEN5005: GSP account limit exceeded", 0), want: bridge.Misconfigured},
	}
}

func (f fault) name() string {
	var parts []string
	for _, a := range f.arm {
		parts = append(parts, strings.TrimSuffix(a.Operation+" "+a.Name+"="+a.Value, "="))
	}
	name := strings.Join(parts, " + ")
	if f.irn != "" {
		name += " on another IRN"
	}
	return name
}

func TestFaultsOfTheSandbox(t *testing.T) {
	covered := map[string]bool{"get_down": true, "lookup_stale": true} // below, and in what the flow makes of it
	for _, f := range append(cancelFaults(), loginFaults()...) {
		for _, a := range f.arm {
			covered[a.Name] = true
		}
		t.Run(f.name(), func(t *testing.T) {
			t.Parallel()
			f.run(t)
		})
	}
	for _, s := range append(sandbox.Common(), sim.Switches()...) {
		if !covered[s.Name] {
			t.Errorf("no test arms the switch %s", s.Name)
		}
	}
}

func (f fault) run(t *testing.T) {
	s, a := start(t, sim.Options{}, f.change)
	for _, arm := range f.arm {
		if err := s.Arm(arm); err != nil {
			t.Fatal(err)
		}
	}
	irn := f.irn
	if irn == "" {
		irn = sim.DemoIRN
	}
	o := a.Cancel(t.Context(), of(irn), upstreamtest.Free)
	if o.Class != f.want {
		t.Fatalf("%v (%s; %s), want %v", o.Class, o.Message, o.Alarm, f.want)
	}
	if o.Class == bridge.Unknown && !o.Sent {
		t.Error("unknown, though nothing was written")
	}
	doc, _ := s.Document(irn)
	for end := time.Now().Add(5 * time.Second); f.commit && doc.State != "CNL" && time.Now().Before(end); { // it may still be at it
		time.Sleep(5 * time.Millisecond)
		doc, _ = s.Document(irn)
	}
	if (doc.State == "CNL") != f.commit || doc.Commits() > 1 {
		t.Errorf("the document is %s after %d commits", doc.State, doc.Commits())
	}
	if f.check != nil {
		f.check(t, s, o)
	}
	if o.Class != bridge.Unknown {
		return
	}
	want := bridge.StatusActive
	if f.commit {
		want = bridge.StatusCancelled
	}
	if state, err := a.Lookup(t.Context(), of(irn)); err != nil || state.Status != want {
		t.Errorf("looked up: %+v, %v; want %v", state, err, want)
	}
}

// A success that can't be read is looked up by whoever asked for it, not here: with the lookup down nothing is lost.
func TestLookupDown(t *testing.T) {
	s, a := start(t, sim.Options{}, nil)
	for _, f := range []sandbox.Fault{on(sandbox.Cancel, "garbage_data", "", 0), on(sandbox.Get, "get_down", "", 0)} {
		if err := s.Arm(f); err != nil {
			t.Fatal(err)
		}
	}
	if o := a.Cancel(t.Context(), of(sim.DemoIRN), upstreamtest.Free); o.Class != bridge.Unknown || !o.Claimed {
		t.Errorf("%+v", o)
	}
	if state, err := a.Lookup(t.Context(), of(sim.DemoIRN)); err == nil {
		t.Errorf("looked up: %+v", state)
	}
}

// NIC allows few logins. Those that can't even reach it are not counted among them.
func TestUnreachableHostUsesUpNoLogins(t *testing.T) {
	s := sim.Demo(sim.Options{Key: nic.NICKey()})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	a := connect(t, "http://"+l.Addr().String(), s, nil)
	for range 4 { // the breaker would open at the fifth
		if o := a.Cancel(t.Context(), of(sim.DemoIRN), upstreamtest.Free); o.Class != bridge.NotApplied || o.RetryAfter != 0 || count(o, "login") != 1 {
			t.Errorf("%+v", o)
		}
	}
	if l, err = net.Listen("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: s}}
	srv.Start()
	defer srv.Close()
	if o := a.Cancel(t.Context(), of(sim.DemoIRN), upstreamtest.Free); o.Class != bridge.Cancelled {
		t.Errorf("%+v", o)
	}
}

// What goes over the wire, and what is kept of it, has the form of schemas/nic.
func TestSchemas(t *testing.T) {
	var mu sync.Mutex
	bodies := map[string][]byte{} // what it is: its bytes
	s := sim.Demo(sim.Options{Key: nic.NICKey(), LegacyAuth: true})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		mu.Lock()
		bodies[r.URL.Path+" request"], bodies[r.URL.Path+" reply"] = body, rec.Body.Bytes()
		mu.Unlock()
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	}))
	defer srv.Close()

	check := func(schema, what string, body []byte) {
		t.Helper()
		compiled, err := jsonschema.NewCompiler().Compile("../../../schemas/nic/" + schema + ".json")
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v in %q", what, err, body)
		}
		if err := compiled.Validate(instance); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	inside := func(x bridge.Exchange) []byte { // Data of a reply as it was kept
		var e struct{ Data json.RawMessage }
		if err := json.Unmarshal([]byte(x.Response), &e); err != nil {
			t.Fatalf("%s: %v", x.Response, err)
		}
		return e.Data
	}
	a := connect(t, srv.URL, s, nil)
	o := a.Cancel(t.Context(), of(sim.DemoIRN), upstreamtest.Free)
	check("auth-request", "login", bodies[sim.AuthPath+" request"])
	check("auth-reply", "login's reply", bodies[sim.AuthPath+" reply"])
	check("sealed-request", "cancel", bodies[sim.CancelPath+" request"])
	check("reply", "cancel's reply", bodies[sim.CancelPath+" reply"])
	check("cancel-request", "cancel before encryption", []byte(o.Exchanges[1].Request))
	check("cancel-reply", "cancel's reply after decryption", inside(o.Exchanges[1]))
	login := strings.ReplaceAll(o.Exchanges[0].Request, `"AppKey":"***"`, `"AppKey":"`+strings.Repeat("A", 43)+`="`)
	check("auth-credentials", "login before encryption, masked", []byte(login))

	state, err := a.Lookup(t.Context(), of(sim.DemoIRN))
	if err != nil {
		t.Fatal(err)
	}
	check("reply", "GET's reply", bodies[sim.GetPath+sim.DemoIRN+" reply"])
	check("get-reply", "GET's reply after decryption", inside(state.Exchanges[0]))
	a.Cancel(t.Context(), of(sim.DemoForeignIRN), upstreamtest.Free)
	check("reply", "refusal", bodies[sim.CancelPath+" reply"])

	if err := s.Arm(on(sandbox.Cancel, "gateway", "GEN5008: GSTN Server Error", 1)); err != nil {
		t.Fatal(err)
	}
	a.Cancel(t.Context(), of(sim.DemoForeignIRN), upstreamtest.Free)
	check("gateway-error", "a gateway's refusal", bodies[sim.CancelPath+" reply"])

	connect(t, srv.URL, s, func(c *nic.Config) { c.AuthVersion = nic.Auth103 }).Cancel(t.Context(), of(sim.DemoIRN), upstreamtest.Free)
	check("auth-request-v1.03", "legacy login", bodies[sim.AuthPathV03+" request"])
	check("auth-reply", "legacy login's reply", bodies[sim.AuthPathV03+" reply"])
}
