package flow

import (
	"strings"
	"testing"

	"einvoice-bridge/bridge"
)

var irpRules = bridge.Rules{
	Document: "irn", Remarks: "utf16max=100", Normal: strings.ToLower,
	Refusal: func(field, rule string) (string, string) { return "2142", "2142: " + field + " " + rule },
}

const irn = "1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae"

// A request in order comes out in the authority's normal form.
func TestCheckNormalises(t *testing.T) {
	c, refusal := check(&bridge.Request{Ref: "r", Taxpayer: "T", IRN: strings.ToUpper(irn), Reason: "1", Remarks: " two\r\n lines\t\tand tabs "}, irpRules)
	if refusal != nil {
		t.Fatal(refusal.Message)
	}
	want := bridge.Cancellation{Taxpayer: "T", Document: irn, Reason: bridge.Duplicate, Remarks: "two lines and tabs", Ref: "r"}
	if c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

// A broken rule is a refusal that names the parameter and the rule.
func TestCheckRefuses(t *testing.T) {
	good := bridge.Request{IRN: irn, Reason: "1", Remarks: "x"}
	tests := []struct {
		name  string
		spoil func(*bridge.Request)
		want  string
	}{
		{"no irn", func(r *bridge.Request) { r.IRN = "" }, "irn is missing"},
		{"short irn", func(r *bridge.Request) { r.IRN = irn[1:] }, "irn must be 64 hexadecimal characters"},
		{"0x is no hexadecimal digit", func(r *bridge.Request) { r.IRN = "0x" + irn[2:] }, "irn must be 64 hexadecimal characters"},
		{"no reason", func(r *bridge.Request) { r.Reason = "" }, "cancel_reason is missing"},
		{"unknown reason", func(r *bridge.Request) { r.Reason = "7" }, "cancel_reason must be one of 1, 2, 3, 4"},
		{"reason in words", func(r *bridge.Request) { r.Reason = "1 2" }, "cancel_reason must be one of 1, 2, 3, 4"},
		{"long remarks", func(r *bridge.Request) { r.Remarks = strings.Repeat("x", 101) }, "cancel_remarks may have at most 100 characters"},
		{"remarks count as the authority counts", func(r *bridge.Request) { r.Remarks = strings.Repeat("😀", 51) }, "cancel_remarks may have at most 100 characters"},
		{"control characters", func(r *bridge.Request) { r.Remarks = "a\x01b" }, "cancel_remarks may not have control characters"},
	}
	for _, test := range tests {
		r := good
		test.spoil(&r)
		_, refusal := check(&r, irpRules)
		if refusal == nil || refusal.Class != bridge.Refused || !strings.Contains(refusal.Message, test.want) {
			t.Errorf("%s: got %+v, want %q", test.name, refusal, test.want)
		}
	}
	if _, refusal := check(&bridge.Request{IRN: irn, Reason: "4"}, irpRules); refusal != nil {
		t.Errorf("remarks may be left out: %s", refusal.Message)
	}
}

func TestPathSafe(t *testing.T) {
	for s, ok := range map[string]bool{"F9D425P6DS7D8IU": true, "a.b_c-d": true, "a/b": false, `a\b`: false, "..": false, "a\x00b": false} {
		if got := breach(s, "pathsafe") == ""; got != ok {
			t.Errorf("%q: got %v", s, got)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	r := bridge.Request{IRN: irn, Reason: "1", Remarks: "Wrong entry"}
	b.ReportAllocs()
	for b.Loop() {
		check(&r, irpRules)
	}
	b.ReportMetric(3, "budget-µs/op")
	b.ReportMetric(10, "budget-allocs/op")
}
