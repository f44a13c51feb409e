package irpcode_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream/irpcode"
)

func TestOneError(t *testing.T) {
	for _, c := range []struct {
		code, text string
		want       irpcode.Class
		listed     bool
	}{
		{"1005", "Invalid Token", irpcode.Token, true},
		{"1020", "Decryption failed", irpcode.Token, true},
		{"1006", "User Name is required", irpcode.Credential, true},
		{" 1010 ", "Invalid Client-ID/Client-Secret", irpcode.Credential, true},
		{"5003", "Data cannot be null or empty", irpcode.Credential, true},
		{"2142", "Incomplete request parameters", irpcode.Payload, true},
		{"5002", "The field CnlRsn must be a string with a maximum length of 1.", irpcode.Payload, true},
		{"5002", "Request body too large", irpcode.Payload, true},
		{"5002", "Application error, Please Contact the help desk", irpcode.Temporary, true},
		{"5001", "Application Error, Please Contact the help desk", irpcode.Temporary, true},
		{"SYS_5001", "Application error, issue with application", irpcode.Temporary, true},
		{"2141", "Error while cancelling invoice", irpcode.Temporary, true},
		{"4004", "Error while retrieving IRN details", irpcode.Temporary, true},
		{"2270", "The allowed cancellation time limit is crossed", irpcode.Business, true},
		{"2230", "This IRN cannot be cancelled", irpcode.Business, true},
		{"3077", "GSTIN is inactive", irpcode.Business, true},
		{"4711", "whatever the e-way bill side says", irpcode.Business, true},
		{"9999", "Invoice is not active", irpcode.Already, true},
		{"9999", "Invoice is NOT ACTIVE", irpcode.Already, true},
		{"9999", "Something else", irpcode.Business, true},
		{"2302", "Status of the IRN is not active", irpcode.Already, true},
		{"4000", "Status of the IRN is not active", irpcode.Already, true},
		{"7777", "a code of tomorrow", irpcode.Business, false},
		{"", "no code at all", irpcode.Business, false},
	} {
		got, listed := irpcode.Error{Code: c.code, Text: c.text}.Class()
		if got != c.want || listed != c.listed {
			t.Errorf("%s %q: class %d, listed %v; want %d, %v", c.code, c.text, got, listed, c.want, c.listed)
		}
	}
}

var (
	token    = irpcode.Error{Code: "1005", Text: "Invalid Token"}
	rights   = irpcode.Error{Code: "3053", Text: "Unauthorised access"}
	payload  = irpcode.Error{Code: "2142", Text: "Incomplete request parameters"}
	late     = irpcode.Error{Code: "2270", Text: "too late"}
	crash    = irpcode.Error{Code: "2141", Text: "Error while cancelling invoice"}
	inactive = irpcode.Error{Code: "9999", Text: "Invoice is not active"}
	unheard  = irpcode.Error{Code: "8888", Text: "unheard of"}
)

func TestErrorsOfOneReplyWeighedTogether(t *testing.T) {
	for name, c := range map[string]struct {
		errs []irpcode.Error
		want irpcode.Class
	}{
		"token before rights":           {[]irpcode.Error{rights, token}, irpcode.Token},
		"rights before payload":         {[]irpcode.Error{payload, rights}, irpcode.Credential},
		"payload before business":       {[]irpcode.Error{late, payload}, irpcode.Payload},
		"business before crash":         {[]irpcode.Error{crash, late}, irpcode.Business},
		"already alone":                 {[]irpcode.Error{inactive}, irpcode.Already},
		"already twice":                 {[]irpcode.Error{inactive, {Code: "2302"}}, irpcode.Already},
		"already beside another: doubt": {[]irpcode.Error{inactive, late}, irpcode.Temporary},
		"already beside a crash: doubt": {[]irpcode.Error{crash, inactive}, irpcode.Temporary},
		"no error at all: doubt":        {nil, irpcode.Temporary},
	} {
		if got := irpcode.Of(c.errs...).Class; got != c.want {
			t.Errorf("%s: class %d, want %d", name, got, c.want)
		}
	}
}

func TestVerdictNamesEveryError(t *testing.T) {
	got := irpcode.Of(late, unheard, late, irpcode.Error{Text: "and so on"})
	want := irpcode.Verdict{
		Class: irpcode.Business, Codes: "2270,8888", Listed: false,
		Text: "2270: too late; 8888: unheard of; 2270: too late; and so on",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestVerdictAsOutcome(t *testing.T) {
	for _, c := range []struct {
		e     irpcode.Error
		want  bridge.Class
		alarm bool
	}{
		{token, bridge.NotApplied, false},
		{rights, bridge.Misconfigured, true},
		{payload, bridge.Refused, true},
		{late, bridge.Refused, false},
		{crash, bridge.Unknown, false},
		{inactive, bridge.AlreadyCancelled, false},
		{unheard, bridge.Refused, false},
	} {
		o := irpcode.Of(c.e).On(bridge.Outcome{HTTPStatus: 502, Written: true})
		if o.Class != c.want || (o.Alarm != "") != c.alarm || o.Message != c.e.String() || o.Code != c.e.Code {
			t.Errorf("%s: %+v, want %s", c.e, o, c.want)
		}
		if o.HTTPStatus != 502 || !o.Written || o.Unclassified != (c.e == unheard) {
			t.Errorf("%s: %+v lost what the reply said", c.e, o)
		}
	}
}

func TestRefusalNamesParameterAndRule(t *testing.T) {
	for _, c := range []struct{ field, rule, code, message string }{
		{"irn", "must be 64 hexadecimal characters", "2145", "2145: IRN is not valid (irn must be 64 hexadecimal characters)"},
		{"cancel_reason", "is missing", "2142", "2142: Incomplete request parameters (cancel_reason is missing)"},
	} {
		if code, message := irpcode.Refusal(c.field, c.rule); code != c.code || message != c.message {
			t.Errorf("%s: %q, %q", c.field, code, message)
		}
	}
}

func TestRemarks(t *testing.T) {
	x := strings.Repeat("x", 99)
	for _, c := range []struct{ remarks, want string }{
		{"", "Order cancelled"},
		{"Wrong entry", "Wrong entry"},
		{x + "yz", x + "y"},
		{x + "é!", x + "é"},
		{x + "😀", x}, // two UTF-16 units: a half one is never sent
	} {
		if got := irpcode.Remarks(bridge.Cancellation{Reason: bridge.OrderCancelled, Remarks: c.remarks}); got != c.want {
			t.Errorf("%q became %q, want %q", c.remarks, got, c.want)
		}
	}
}
