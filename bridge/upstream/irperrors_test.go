package upstream

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

func TestIRPErrorsClass(t *testing.T) {
	const (
		nicLists   = "NIC, list of error codes"
		production = "Masters India v1, seen in production, 2026-11"
		gateways   = "gateways of GSPs and GSTN, seen in production, 2026-11"
		ours       = "a rule of ours"
	)
	tests := []struct {
		source       string
		list         IRPErrors
		want         IRPClass
		unclassified bool
	}{
		{nicLists, IRPErrors{{"1005", "Invalid Token"}}, IRPToken, false},
		{nicLists, IRPErrors{{"1006", "User Name is required"}}, IRPConfig, false}, // no token error
		{nicLists, IRPErrors{{"2270", ""}}, IRPBusiness, false},
		{nicLists, IRPErrors{{"3029", "GSTIN is inactive or cancelled"}}, IRPBusiness, false},
		{nicLists, IRPErrors{{"5002", "Application error, contact help desk"}}, IRPTemporary, false},
		{nicLists, IRPErrors{{"5002", "The field CnlRsn must be a string"}}, IRPPayload, false},
		{nicLists, IRPErrors{{"5002", "Request body too large"}}, IRPPayload, false},
		{nicLists, IRPErrors{{"5002", "Surprise"}}, IRPTemporary, true},
		{nicLists, IRPErrors{{"SYS_5001", ""}}, IRPTemporary, false},
		{nicLists, IRPErrors{{"2146", ""}}, IRPTemporary, false}, // "try after some time": no refusal
		{nicLists, IRPErrors{{"2278", ""}}, IRPUnlisted, false},  // of generating an invoice
		{nicLists, IRPErrors{{"4017", "x"}}, IRPUnlisted, true},  // the e-way-bill side's

		{"NIC, Cancel IRN", IRPErrors{{"9999", "Invoice is Not Active"}}, IRPAlready, false},
		{"NIC, seen in production, 2026-11", IRPErrors{{"9999", "IRN is already cancelled"}}, IRPAlready, false},
		{ours, IRPErrors{{"9999", "The invoice was canceled"}}, IRPAlready, false},
		{ours, IRPErrors{{"9999", "GSTIN is not active"}}, IRPUnlisted, true},
		{ours, IRPErrors{{"9999", "GSTIN is cancelled"}}, IRPUnlisted, true},
		{ours, IRPErrors{{"9999", "Invoice cannot be cancelled"}}, IRPUnlisted, true},
		{ours, IRPErrors{{"9999", "IRN has not been cancelled"}}, IRPUnlisted, true},
		{ours, IRPErrors{{"9999", "Something else"}}, IRPUnlisted, true},
		{ours, IRPErrors{{"9999", ""}}, IRPUnlisted, true},
		{ours, IRPErrors{{"9999", "Something went wrong"}}, IRPTemporary, false},

		{gateways, IRPErrors{{"GEN5005", "GSP account limit exceeded"}}, IRPConfig, false},
		{gateways, IRPErrors{{"GEN5008", "GSTN Server Error"}}, IRPTemporary, false},
		{gateways, IRPErrors{{"GSPERR300", "GSPGSTDOWN"}}, IRPTemporary, false},
		{gateways, IRPErrors{{"", "GSPERR300 : GSPGSTDOWN"}}, IRPTemporary, false},
		{gateways, IRPErrors{{"114", ""}}, IRPTemporary, false},
		{gateways, IRPErrors{{"118", "Please try after 5 minutes"}}, IRPWait, false},
		{gateways, IRPErrors{{"118", "Invalid something"}}, IRPUnlisted, true},
		{gateways, IRPErrors{{"105", "Invalid Token"}}, IRPToken, false},
		{gateways, IRPErrors{{"106", "Invalid Token"}}, IRPToken, false},
		{gateways, IRPErrors{{"105", "Invalid date"}}, IRPUnlisted, true},
		{"GSPs' clients in public", IRPErrors{{"GSPERR300", "GST system is down"}}, IRPTemporary, false},
		{"GSPs' clients in public", IRPErrors{{"GSP102", "Subscription expired"}}, IRPConfig, false},
		{ours, IRPErrors{{"GSP103", "Odd"}}, IRPTemporary, true}, // a gateway gives no verdict
		{"Adaequare's clients in public", IRPErrors{{"", "Connection reset"}}, IRPTemporary, false},

		{production, IRPErrors{{"", "Connection reset"}}, IRPTemporary, false},
		{production, IRPErrors{{"", "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))"}}, IRPTemporary, false},
		{production, IRPErrors{{"", "No route to host"}}, IRPTemporary, false},
		{production, IRPErrors{{"", "HTTPSConnectionPool(host='x', port=443): Max retries exceeded with url: /"}}, IRPTemporary, false},
		{production, IRPErrors{{"", "Gateway Time-out"}}, IRPTemporary, false},
		{production, IRPErrors{{"", "504"}}, IRPTemporary, false},
		{production, IRPErrors{{"504", "Gateway Time-out"}}, IRPTemporary, false},
		{production, IRPErrors{{"500", "Odd"}}, IRPTemporary, false},
		{production, IRPErrors{{"", "Expecting value: line 1 column 1 (char 0)"}}, IRPTemporary, false},
		{production, IRPErrors{{"500", "Your einvoice username or password is missing"}}, IRPConfig, false},
		{production, IRPErrors{{"", "GSTIN does not exist"}}, IRPConfig, false},
		{production, IRPErrors{{"", "GSTIN is not mapped with logged-in user"}}, IRPConfig, false},

		{ours, IRPErrors{{"7777", "New rule"}}, IRPUnlisted, true},
		{ours, IRPErrors{{"7777", "Please try again"}}, IRPTemporary, false},
		{ours, IRPErrors{{"", "No"}}, IRPUnlisted, true},
		{ours, IRPErrors{{"", "The allowed cancellation time limit is crossed"}}, IRPUnlisted, true}, // no rate limit
		{ours, nil, IRPUnlisted, true},
		{ours, IRPErrors{{"9999", "not active"}, {"7777", ""}}, IRPAmbiguous, true},
		{ours, IRPErrors{{"9999", "not active"}, {"2302", ""}}, IRPAlready, false},
	}
	for _, tt := range tests {
		class, unclassified := tt.list.Class()
		if class != tt.want || unclassified != tt.unclassified {
			t.Errorf("%s: %v is %c, unclassified %v; want %c, %v", tt.source, tt.list, class, unclassified, tt.want, tt.unclassified)
		}
	}
}

// A reply with several errors never says more than all of them: nothing doubtful becomes a refusal, and nothing is sent
// again unless every one of them says that it was stopped at the gate.
func TestWeigh(t *testing.T) {
	const classes = "TWKCBRAU?"
	for _, a := range classes {
		if got := Weigh(IRPClass(a), IRPClass(a)); got != IRPClass(a) {
			t.Errorf("%c twice is %c", a, got)
		}
		for _, b := range classes {
			got := Weigh(IRPClass(a), IRPClass(b))
			if other := Weigh(IRPClass(b), IRPClass(a)); got != other {
				t.Errorf("%c beside %c is %c, the other way round %c", a, b, got, other)
			}
			if a == b {
				continue
			}
			pair := string(a) + string(b)
			switch doubtful := strings.ContainsAny(pair, "RA?"); {
			case doubtful && got != IRPAmbiguous:
				t.Errorf("%s is %c, want doubt", pair, got)
			case got.cancel() == bridge.NotApplied && strings.Trim(pair, "TW") != "":
				t.Errorf("%s is %c: sent again though not all of it was stopped at the gate", pair, got)
			case got.cancel() == bridge.Refused && strings.Trim(pair, "CB") != "":
				t.Errorf("%s is %c: refused though not all of it is a refusal", pair, got)
			}
		}
	}
	for pair, want := range map[string]IRPClass{
		"TW": IRPWait, "TK": IRPConfig, "WK": IRPConfig, "KB": IRPConfig, "KC": IRPConfig, "CB": IRPPayload,
		"BU": IRPUnlisted, "CU": IRPUnlisted, "TB": IRPAmbiguous, "TU": IRPAmbiguous, "KU": IRPAmbiguous, "BR": IRPAmbiguous, "BA": IRPAmbiguous,
	} {
		if got := Weigh(IRPClass(pair[0]), IRPClass(pair[1])); got != want {
			t.Errorf("%s is %c, want %c", pair, got, want)
		}
	}
}

func TestIRPErrorsOutcome(t *testing.T) {
	tests := []struct {
		name   string
		list   IRPErrors
		status int
		want   bridge.Outcome
	}{
		{"token behind a gateway", IRPErrors{{"1005", "Invalid Token"}}, 200,
			bridge.Outcome{Class: bridge.NotApplied, Message: "1005: Invalid Token"}},
		{"wait", IRPErrors{{"118", "try after 5 minutes"}}, 200,
			bridge.Outcome{Class: bridge.NotApplied, Message: "118: try after 5 minutes", RetryAfter: 5 * time.Minute}},
		{"wait, longer", IRPErrors{{"118", "Try after 15 minutes"}}, 453,
			bridge.Outcome{Class: bridge.NotApplied, Message: "118: Try after 15 minutes", RetryAfter: 15 * time.Minute}},
		{"wait, no time", IRPErrors{{"118", ""}}, 200,
			bridge.Outcome{Class: bridge.NotApplied, Message: "118", RetryAfter: 5 * time.Minute}},
		{"credentials", IRPErrors{{"1010", "Invalid Client-ID/Client-Secret"}}, 200,
			bridge.Outcome{Class: bridge.Misconfigured, Message: "1010: Invalid Client-ID/Client-Secret",
				Alarm: "Acme refuses the credentials or the settings: 1010: Invalid Client-ID/Client-Secret"}},
		{"quota", IRPErrors{{"GEN5005", "GSP account limit exceeded"}}, 453,
			bridge.Outcome{Class: bridge.Misconfigured, Message: "GEN5005: GSP account limit exceeded",
				Alarm: "the account at the gateway has used up its calls (GEN5005: GSP account limit exceeded): have its limit raised; until then nothing gets through"}},
		{"payload", IRPErrors{{"2142", ""}}, 200,
			bridge.Outcome{Class: bridge.Refused, Message: "2142: Incomplete request parameters",
				Alarm: "Acme finds the request malformed: 2142: Incomplete request parameters"}},
		{"refusal on 502", IRPErrors{{"2270", "late"}}, 502, bridge.Outcome{Class: bridge.Refused, Message: "2270: late"}},
		{"trouble", IRPErrors{{"2141", "Error while cancelling invoice"}}, 200,
			bridge.Outcome{Class: bridge.Unknown, Message: "2141: Error while cancelling invoice"}},
		{"already", IRPErrors{{"2302", "x"}}, 200, bridge.Outcome{Class: bridge.AlreadyCancelled, Message: "2302: x"}},
		{"unlisted", IRPErrors{{"7777", "x"}}, 200, bridge.Outcome{Class: bridge.Unclear, Message: "7777: x", Unclassified: true}},
		{"unlisted on 400", IRPErrors{{"7777", "x"}}, 400, bridge.Outcome{Class: bridge.Unclear, Message: "7777: x", Unclassified: true}},
		{"unlisted on 502", IRPErrors{{"7777", "x"}}, 502, bridge.Outcome{Class: bridge.Unknown, Message: "7777: x", Unclassified: true}},
		{"unlisted on 453", IRPErrors{{"7777", "x"}}, 453, bridge.Outcome{Class: bridge.Unknown, Message: "7777: x", Unclassified: true}},
		{"unlisted on 429", IRPErrors{{"7777", "x"}}, 429, bridge.Outcome{Class: bridge.NotApplied, Message: "7777: x", Unclassified: true}},
		{"trouble on 429", IRPErrors{{"", "Too many requests"}}, 429, bridge.Outcome{Class: bridge.NotApplied, Message: "Too many requests"}},
		{"trouble on 403", IRPErrors{{"", "Try again"}}, 403, bridge.Outcome{Class: bridge.Unknown, Message: "Try again"}},
		{"of generating", IRPErrors{{"2150", "x"}}, 200, bridge.Outcome{Class: bridge.Unclear, Message: "2150: x", Unclassified: true}},
		{"no reason", nil, 200, bridge.Outcome{Class: bridge.Unclear, Message: NoReason, Unclassified: true}},
		{"no reason on 500", nil, 500, bridge.Outcome{Class: bridge.Unknown, Message: "HTTP 500 without an answer that can be read", Unclassified: true}},
	}
	for _, tt := range tests {
		o := tt.list.Outcome(Reply{Status: tt.status, Written: true}, "Acme")
		if o.Class != tt.want.Class || o.Message != tt.want.Message || o.Alarm != tt.want.Alarm || o.RetryAfter != tt.want.RetryAfter ||
			o.Unclassified != tt.want.Unclassified || !o.Sent || o.Code != tt.list.Codes() {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.name, o, tt.want)
		}
	}
}

func TestGSPErrors(t *testing.T) {
	tests := []struct {
		body string
		want string // the codes
		is   bool
		then bridge.Class // of a cancel
	}{
		{`{"status_cd":"0","error":{"error_cd":"GEN5008","message":"GSTN Server Error"}}`, "GEN5008", true, bridge.Unknown},
		{`{"status_cd":0,"error":{"error_cd":"GEN5005","message":"GSP account limit exceeded"}}`, "GEN5005", true, bridge.Misconfigured},
		{`{"status_cd":"0","error":{"error_cd":"118","message":"try after 5 minutes"}}`, "118", true, bridge.NotApplied},
		{`{"status_cd":"0","status_desc":"[{\"ErrorCode\":\"2270\",\"ErrorMessage\":\"late\"}]"}`, "2270", true, bridge.Refused},
		{`{"status_cd":"0","error":{"error_cd":"RET13509","message":"Odd"}}`, "RET13509", true, bridge.Unknown}, // no verdict
		{`{"status_cd":"0"}`, "", true, bridge.Unknown},
		{`{"status_cd":"1","data":{}}`, "", false, 0},
		{`{"Status":0,"ErrorDetails":[]}`, "", false, 0},
		{`<html>`, "", false, 0},
	}
	for _, tt := range tests {
		l, ok := GSPErrors([]byte(tt.body))
		if ok != tt.is || l.Codes() != tt.want {
			t.Errorf("%s: %v, %v", tt.body, l, ok)
			continue
		}
		if ok {
			if o := l.GSPOutcome(Reply{Status: 200, Written: true}, "Acme"); o.Class != tt.then {
				t.Errorf("%s: %s, want %s", tt.body, o.Class, tt.then)
			}
		}
	}
}

func TestIRPCodesAllHaveAClassAndAText(t *testing.T) {
	for code, known := range irpCodes {
		if !strings.ContainsRune("TKCBRAU", rune(known.class)) || known.text == "" {
			t.Errorf("%s: class %c, text %q", code, known.class, known.text)
		}
		if c, listed := (IRPError{code, known.text}).class(); !listed || c != known.class {
			t.Errorf("%s sorts as %c, listed %v", code, c, listed)
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

func TestIRPErrorsInText(t *testing.T) {
	for in, want := range map[string]IRPErrors{
		"9999: Invoice is not active": {{"9999", "Invoice is not active"}},
		" 2270 : time: crossed ":      {{"2270", "time: crossed"}},
		"SYS_5001: Application error": {{"SYS_5001", "Application error"}},
		"301:Invalid eway bill":       {{"301", "Invalid eway bill"}},
		"2143:":                       {{"2143", ""}},
		"2143: two\nlines":            {{"2143", "two\nlines"}},
		"Invoice is not active":       {{"", "Invoice is not active"}},
		"12: too short for a code":    {{"", "12: too short for a code"}},
		"err-x: 2270: later":          {{"", "err-x: 2270: later"}},
		"":                            nil,
		`[{"ErrorCode":"2270","ErrorMessage":"late"},{"ErrorCode":9999,"ErrorMessage":"Invoice is not active"}]`: {
			{"2270", "late"}, {"9999", "Invoice is not active"}},
		`{"error_code":"GEN5008","error_message":"GSTN Server Error"}`: {{"GEN5008", "GSTN Server Error"}},
		`["2270: late"]`: {{"2270", "late"}},
		`[]`:             nil,
	} {
		got := IRPErrorsInText(in)
		if a, b := encoded(got), encoded(want); a != b {
			t.Errorf("%q: %s, want %s", in, a, b)
		}
	}
}

func encoded(l IRPErrors) string {
	b, _ := json.Marshal(l)
	return string(b)
}
