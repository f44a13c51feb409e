package upstream

import (
	"strings"
	"testing"

	"einvoice-bridge/bridge"
)

func TestIRPErrorsClass(t *testing.T) {
	tests := []struct {
		name         string
		list         IRPErrors
		want         IRPClass
		unclassified bool
	}{
		{"token", IRPErrors{{"1005", "Invalid Token"}}, IRPToken, false},
		{"user name missing is no token error", IRPErrors{{"1006", "User Name is required"}}, IRPConfig, false},
		{"business", IRPErrors{{"2270", ""}}, IRPBusiness, false},
		{"9999 not active", IRPErrors{{"9999", "Invoice is Not Active"}}, IRPAlready, false},
		{"9999 as a catch-all", IRPErrors{{"9999", "Something else"}}, IRPBusiness, false},
		{"9999 without text", IRPErrors{{"9999", ""}}, IRPBusiness, false},
		{"5002 application error", IRPErrors{{"5002", "Application error, contact help desk"}}, IRPTemporary, false},
		{"5002 schema", IRPErrors{{"5002", "The field CnlRsn must be a string"}}, IRPPayload, false},
		{"5002 size", IRPErrors{{"5002", "Request body too large"}}, IRPPayload, false},
		{"5002 new text", IRPErrors{{"5002", "Surprise"}}, IRPTemporary, true},
		{"SYS_5001", IRPErrors{{"SYS_5001", ""}}, IRPTemporary, false},
		{"gateway down", IRPErrors{{"GSPERR300", "GST system is down"}}, IRPTemporary, false},
		{"gateway's own", IRPErrors{{"GSP102", "Subscription expired"}}, IRPConfig, false},
		{"any other 4xxx", IRPErrors{{"4017", "x"}}, IRPBusiness, false},
		{"unlisted", IRPErrors{{"7777", "New rule"}}, IRPBusiness, true},
		{"text only", IRPErrors{{"", "No"}}, IRPBusiness, true},
		{"nothing", nil, IRPAmbiguous, true},
		{"T before K", IRPErrors{{"1010", ""}, {"1005", ""}}, IRPToken, false},
		{"K before C", IRPErrors{{"2145", ""}, {"1014", ""}}, IRPConfig, false},
		{"C before B", IRPErrors{{"2143", ""}, {"2142", ""}}, IRPPayload, false},
		{"B before R", IRPErrors{{"2141", ""}, {"2230", ""}}, IRPBusiness, false},
		{"A with another", IRPErrors{{"9999", "not active"}, {"2143", ""}}, IRPAmbiguous, false},
		{"A twice", IRPErrors{{"9999", "not active"}, {"2302", ""}}, IRPAlready, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			class, unclassified := tt.list.Class()
			if class != tt.want || unclassified != tt.unclassified {
				t.Errorf("Class = %c, %v; want %c, %v", class, unclassified, tt.want, tt.unclassified)
			}
		})
	}
}

func TestIRPCodesAllHaveAClassAndAText(t *testing.T) {
	for code, known := range irpCodes {
		if !strings.ContainsRune("TKCBRA", rune(known.class)) || known.text == "" {
			t.Errorf("%s: class %c, text %q", code, known.class, known.text)
		}
		if c, listed := (IRPError{code, known.text}).class(); !listed || (code != "9999" && c != known.class) {
			t.Errorf("%s sorts as %c, listed %v", code, c, listed)
		}
	}
}

func TestIRPClassBehindAGateway(t *testing.T) {
	want := map[IRPClass]bridge.Class{
		IRPToken: bridge.NotApplied, IRPConfig: bridge.Misconfigured, IRPPayload: bridge.Refused,
		IRPBusiness: bridge.Refused, IRPTemporary: bridge.Unknown, IRPAlready: bridge.AlreadyCancelled,
		IRPAmbiguous: bridge.Unknown,
	}
	for c, w := range want {
		if got := c.Gateway(); got != w {
			t.Errorf("%c behind a gateway is %v, want %v", c, got, w)
		}
	}
}

func TestIRPErrorsMessage(t *testing.T) {
	list := IRPErrors{{"2143", "Invoice does not belongs to the user GSTIN"}, {"2270", ""}, {"", "free text"}, {"7777", ""}, {"2143", "again"}}
	want := "2143: Invoice does not belongs to the user GSTIN; 2270: The allowed cancellation time limit is crossed, you cannot cancel the IRN; free text; 7777; 2143: again"
	if got := list.Message(); got != want {
		t.Errorf("Message\n got %s\nwant %s", got, want)
	}
	if got := list.Codes(); got != "2143,2270,7777" {
		t.Errorf("Codes = %s", got)
	}
}

func TestIRPRules(t *testing.T) {
	rules := IRPRules("max=100")
	if got := rules.Normal("A5C1"); got != "a5c1" {
		t.Error(got)
	}
	_, irn := rules.Refusal("irn", "must be 64 hexadecimal characters")
	code, reason := rules.Refusal("cancel_reason", "must be one of 1, 2, 3, 4")
	if irn != "2145: IRN is not valid (irn must be 64 hexadecimal characters)" ||
		reason != "2142: Incomplete request parameters (cancel_reason must be one of 1, 2, 3, 4)" || code != "2142" {
		t.Errorf("%s\n%s", irn, reason)
	}
}

func TestIRPDate(t *testing.T) {
	for in, want := range map[string]string{
		"2019-12-05 14:26:00":   "2019-12-05 14:26:00",
		" 2019-12-05 14:26:00 ": "2019-12-05 14:26:00",
		"05/12/2019 02:26 PM":   "05/12/2019 02:26 PM", // not ours to read: 19 printable characters pass
		"2019-12-05":            "",
		"2019-12-05 14:26:0\n0": "",
		"":                      "",
	} {
		if got := IRPDate(in); got != want {
			t.Errorf("IRPDate(%q) = %q, want %q", in, got, want)
		}
	}
}
