package invx_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream/invx"
	"einvoice-bridge/bridge/upstream/irp"
	"einvoice-bridge/bridge/upstream/upstreamtest"
	sim "einvoice-bridge/fixtures/sandbox/invx"
)

func TestLookup(t *testing.T) {
	for name, c := range map[string]struct {
		irn    string
		faults []string
		want   bridge.DocumentStatus
		text   string
		dated  bool
	}{
		"created":                 {irn: sim.DemoIRN, want: bridge.StatusActive},
		"accepted":                {irn: sim.DemoEwayBillIRN, want: bridge.StatusActive},
		"cancelled":               {irn: sim.DemoCancelledIRN, want: bridge.StatusCancelled, dated: true},
		"cancelled, no response":  {irn: sim.DemoCancelledIRN, faults: []string{"get:null_irnresponse"}, want: bridge.StatusCancelled, dated: true},
		"draft":                   {irn: sim.DemoDraftIRN, want: bridge.StatusOther, text: "DRAFT"},
		"frozen":                  {irn: sim.DemoFrozenIRN, want: bridge.StatusOther, text: "FROZEN"},
		"deleted":                 {irn: sim.DemoDeletedIRN, want: bridge.StatusOther, text: "DELETE"},
		"unheard of":              {irn: unheardOf, want: bridge.StatusUnknown, text: "0 documents"},
		"two documents":           {irn: sim.DemoIRN, faults: []string{"get:two_matches"}, want: bridge.StatusUnknown, text: "2 documents"},
		"found among others":      {irn: sim.DemoIRN, faults: []string{"get:ignore_filter"}, want: bridge.StatusActive},
		"after an expired token":  {irn: sim.DemoIRN, faults: []string{"get:expire_tokens*1"}, want: bridge.StatusActive},
		"after a token was wiped": {irn: sim.DemoIRN, faults: []string{"get:revoke_tokens*1"}, want: bridge.StatusActive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			b.arm(t, c.faults...)
			s, err := b.Lookup(t.Context(), cancellation(c.irn))
			if err != nil || s.Status != c.want || !strings.Contains(s.Text, c.text) || (s.Date != "") != c.dated {
				t.Errorf("%+v, %v", s, err)
			}
			if len(s.Exchanges) == 0 {
				t.Error("no exchanges")
			}
			noSecrets(t, s.Text, s.Exchanges)
		})
	}
}

func TestLookupThatBringsNoAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		faults []string
		change func(*invx.Config)
		class  bridge.Class
	}{
		"down":          {faults: []string{"get:lookup_down"}, class: bridge.NotApplied},
		"half a reply":  {faults: []string{"get:bad_json"}, class: bridge.NotApplied},
		"page":          {faults: []string{"get:http200_html"}, class: bridge.NotApplied},
		"asked to wait": {faults: []string{"get:http429=3"}, class: bridge.NotApplied},
		"no rights":     {faults: []string{"get:html_403"}, class: bridge.Misconfigured},
		"organisation":  {faults: []string{"get:invalid_org"}, class: bridge.Misconfigured},
		"401 for ever":  {faults: []string{"get:http401"}, class: bridge.Misconfigured},
		"login refused": {change: func(c *invx.Config) { c.Password = "wrong" }, class: bridge.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.change)
			b.arm(t, c.faults...)
			_, err := b.Lookup(t.Context(), cancellation(sim.DemoIRN))
			f, ok := failure(err)
			if !ok || f.Outcome.Class != c.class {
				t.Errorf("%v", err)
			}
			if errors.Is(err, bridge.ErrUnavailable) {
				t.Error("a question that was asked counts as none")
			}
		})
	}
}

// TestLookupAfterEachDoubt settles what a cancel left open.
func TestLookupAfterEachDoubt(t *testing.T) {
	for fault, want := range map[string]bridge.DocumentStatus{
		"cancel:commit_then_drop":   bridge.StatusCancelled,
		"cancel:commit_then_500":    bridge.StatusCancelled,
		"cancel:bad_json":           bridge.StatusCancelled,
		"cancel:drop_before_commit": bridge.StatusActive,
		"cancel:html_503":           bridge.StatusActive,
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			b.arm(t, fault)
			if o := b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free); o.Class != bridge.Unknown {
				t.Fatalf("%+v", o)
			}
			if s, err := b.Lookup(t.Context(), cancellation(sim.DemoIRN)); err != nil || s.Status != want {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

// A get that goes astray leaves cancels alone.
func TestLookupGoneAstrayLeavesTheGateOpen(t *testing.T) {
	b := newBench(t, nil)
	if _, err := b.Lookup(t.Context(), cancellation(sim.DemoIRN)); err != nil { // the docId is known from here on
		t.Fatal(err)
	}
	for _, fault := range []string{"get:html_404", "get:html_403", "get:lookup_down"} {
		b.arm(t, fault)
		_, err := b.Lookup(t.Context(), cancellation(sim.DemoIRN))
		if f, ok := failure(err); !ok || f.Outcome.Class != bridge.NotApplied {
			t.Errorf("%s: %v", fault, err)
		}
		b.sim.Disarm("")
	}
	if _, shut, _ := b.budget.Gate(t.Context(), b.Profile().Credential); shut {
		t.Error("the gate is shut")
	}
}

func TestProfile(t *testing.T) {
	shared := newShared(nil)
	one := adapter(t, shared, func(c *invx.Config) { c.CancelsPerMinute = 30 }).Profile()
	two := adapter(t, shared, func(c *invx.Config) {
		c.CancelsPerMinute, c.Taxpayer, c.RemarksTooLong = 30, "29AAFCD5862R000", irp.Truncate
	}).Profile()
	if one.Space != "irp" || one.Kind != "invx" || one.Zone.String() != "IST" || one.CallTimeout != 30*time.Second || one.LookupTimeout != 10*time.Second {
		t.Errorf("%+v", one)
	}
	tried := adapter(t, shared, func(c *invx.Config) { c.AuthURL = "https://sandbox.services.vayananet.com/theodore/apis/v1" }).Profile()
	named := adapter(t, shared, func(c *invx.Config) { c.Environment = "pilot" }).Profile()
	if tried.Space != "irp/sandbox" || named.Space != "irp/pilot" {
		t.Errorf("spaces %s and %s", tried.Space, named.Space)
	}
	if one.Cancels != two.Cancels || one.Cancels.Limit != 30 || one.Credential == two.Credential {
		t.Errorf("two taxpayers of one organisation: %+v and %+v", one, two)
	}
	if one.Rules.Remarks != "utf16max=100" || two.Rules.Remarks != "" || one.Rules.Document != "irn" {
		t.Errorf("rules %+v and %+v", one.Rules, two.Rules)
	}
}

func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		faults []string
		change func(*invx.Config)
		want   string // part of what the operator reads; empty: all is well
	}{
		"all is well":    {},
		"wrong password": {change: func(c *invx.Config) { c.Password = "wrong" }, want: "check auth_url, username and password"},
		"wrong base_url": {change: func(c *invx.Config) { c.BaseURL += "/x" }, want: "check base_url"},
		"wrong org_id":   {change: func(c *invx.Config) { c.OrgID = "other" }, want: "check org_id"},
		"ten tokens":     {faults: []string{"auth:token_limit"}, want: "ten active tokens"},
		"down":           {faults: []string{"auth:html_503"}, want: "HTTP 503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.change)
			b.arm(t, c.faults...)
			err := b.Probe(t.Context())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestCloseGivesTheTokenBack(t *testing.T) {
	b := newBench(t, nil)
	b.Cancel(t.Context(), cancellation(sim.DemoIRN), upstreamtest.Free)
	for range 2 { // the second finds nothing to give back
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := b.count("POST", "/logout"); n != 1 {
		t.Errorf("%d logouts, want 1", n)
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*invx.Config)
		want   string
	}{
		"no org":       {func(c *invx.Config) { c.OrgID = "" }, "org_id is missing"},
		"odd org":      {func(c *invx.Config) { c.OrgID = "a/../b" }, "org_id may not have slashes"},
		"no sign-on":   {func(c *invx.Config) { c.AuthURL = "" }, "auth_url"},
		"no address":   {func(c *invx.Config) { c.BaseURL = "" }, "base_url"},
		"no password":  {func(c *invx.Config) { c.Password = "" }, "password is missing"},
		"no taxpayer":  {func(c *invx.Config) { c.Taxpayer = "" }, "is not 15 letters and digits"},
		"odd header":   {func(c *invx.Config) { c.CallHeaders = map[string]bridge.Secret{"X": "a\r\nb"} }, "call_headers"},
		"odd too long": {func(c *invx.Config) { c.RemarksTooLong = "shrug" }, "remarks_too_long"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config("https://invx.example")
			c.change(&cfg)
			_, err := invx.New(cfg, newShared(nil))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), sim.DemoPassword) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
