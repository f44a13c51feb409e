package irp

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

func TestErrorsClass(t *testing.T) {
	const (
		nicLists   = "NIC, list of error codes"
		production = "Masters India v1, seen in production, 2026-11"
		gateways   = "gateways of GSPs and GSTN, seen in production, 2026-11"
		ours       = "a rule of ours"
	)
	tests := []struct {
		source       string
		list         Errors
		want         Class
		unclassified bool
	}{
		{nicLists, Errors{{"1005", "Invalid Token"}}, Token, false},
		{nicLists, Errors{{"1006", "User Name is required"}}, Config, false}, // no token error
		{nicLists, Errors{{"2270", ""}}, Business, false},
		{nicLists, Errors{{"3029", "GSTIN is inactive or cancelled"}}, Business, false},
		{nicLists, Errors{{"5002", "Application error, contact help desk"}}, Temporary, false},
		{nicLists, Errors{{"5002", "The field CnlRsn must be a string"}}, Payload, false},
		{nicLists, Errors{{"5002", "Request body too large"}}, Payload, false},
		{nicLists, Errors{{"5002", "Surprise"}}, Temporary, true},
		{nicLists, Errors{{"SYS_5001", ""}}, Temporary, false},
		{nicLists, Errors{{"2146", ""}}, Temporary, false}, // "try after some time": no refusal
		{nicLists, Errors{{"2278", ""}}, Unlisted, false},  // of generating an invoice
		{nicLists, Errors{{"4017", "x"}}, Unlisted, true},  // the e-way-bill side's

		{"NIC, Cancel IRN", Errors{{"9999", "Invoice is Not Active"}}, Already, false},
		{"NIC, seen in production, 2026-11", Errors{{"9999", "IRN is already cancelled"}}, Already, false},
		{ours, Errors{{"9999", "The invoice was canceled"}}, Already, false},
		{ours, Errors{{"9999", "GSTIN is not active"}}, Unlisted, true},
		{ours, Errors{{"9999", "GSTIN is cancelled"}}, Unlisted, true},
		{ours, Errors{{"9999", "Invoice cannot be cancelled"}}, Unlisted, true},
		{ours, Errors{{"9999", "IRN has not been cancelled"}}, Unlisted, true},
		{ours, Errors{{"9999", "Something else"}}, Unlisted, true},
		{ours, Errors{{"9999", ""}}, Unlisted, true},
		{ours, Errors{{"9999", "Something went wrong"}}, Temporary, false},

		{gateways, Errors{{"GEN5005", "GSP account limit exceeded"}}, Config, false},
		{gateways, Errors{{"GEN5008", "GSTN Server Error"}}, Temporary, false},
		{gateways, Errors{{"GSPERR300", "GSPGSTDOWN"}}, Temporary, false},
		{gateways, Errors{{"", "GSPERR300 : GSPGSTDOWN"}}, Temporary, false},
		{gateways, Errors{{"114", ""}}, Temporary, false},
		{gateways, Errors{{"118", "Please try after 5 minutes"}}, Wait, false},
		{gateways, Errors{{"118", "Invalid something"}}, Unlisted, true},
		{gateways, Errors{{"105", "Invalid Token"}}, Token, false},
		{gateways, Errors{{"106", "Invalid Token"}}, Token, false},
		{gateways, Errors{{"105", "Invalid date"}}, Unlisted, true},
		{"GSPs' clients in public", Errors{{"GSPERR300", "GST system is down"}}, Temporary, false},
		{"GSPs' clients in public", Errors{{"GSP102", "Subscription expired"}}, Config, false},
		{ours, Errors{{"GSP103", "Odd"}}, Temporary, true}, // a gateway gives no verdict
		{"Adaequare's clients in public", Errors{{"", "Connection reset"}}, Temporary, false},

		{production, Errors{{"", "Connection reset"}}, Temporary, false},
		{production, Errors{{"", "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))"}}, Temporary, false},
		{production, Errors{{"", "No route to host"}}, Temporary, false},
		{production, Errors{{"", "HTTPSConnectionPool(host='x', port=443): Max retries exceeded with url: /"}}, Temporary, false},
		{production, Errors{{"", "Gateway Time-out"}}, Temporary, false},
		{production, Errors{{"", "504"}}, Temporary, false},
		{production, Errors{{"504", "Gateway Time-out"}}, Temporary, false},
		{production, Errors{{"500", "Odd"}}, Temporary, false},
		{production, Errors{{"", "Expecting value: line 1 column 1 (char 0)"}}, Temporary, false},
		{production, Errors{{"500", "Your einvoice username or password is missing"}}, Config, false},
		{production, Errors{{"", "GSTIN does not exist"}}, Config, false},
		{production, Errors{{"", "GSTIN is not mapped with logged-in user"}}, Config, false},

		{ours, Errors{{"7777", "New rule"}}, Unlisted, true},
		{ours, Errors{{"7777", "Please try again"}}, Temporary, false},
		{ours, Errors{{"", "No"}}, Unlisted, true},
		{ours, Errors{{"", "The allowed cancellation time limit is crossed"}}, Unlisted, true}, // no rate limit
		{ours, nil, Unlisted, true},
		{ours, Errors{{"9999", "not active"}, {"7777", ""}}, Ambiguous, true},
		{ours, Errors{{"9999", "not active"}, {"2302", ""}}, Already, false},
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
		if got := Weigh(Class(a), Class(a)); got != Class(a) {
			t.Errorf("%c twice is %c", a, got)
		}
		for _, b := range classes {
			got := Weigh(Class(a), Class(b))
			if other := Weigh(Class(b), Class(a)); got != other {
				t.Errorf("%c beside %c is %c, the other way round %c", a, b, got, other)
			}
			if a == b {
				continue
			}
			pair := string(a) + string(b)
			switch doubtful := strings.ContainsAny(pair, "RA?"); {
			case doubtful && got != Ambiguous:
				t.Errorf("%s is %c, want doubt", pair, got)
			case got.cancel() == bridge.NotApplied && strings.Trim(pair, "TW") != "":
				t.Errorf("%s is %c: sent again though not all of it was stopped at the gate", pair, got)
			case got.cancel() == bridge.Refused && strings.Trim(pair, "CB") != "":
				t.Errorf("%s is %c: refused though not all of it is a refusal", pair, got)
			}
		}
	}
	for pair, want := range map[string]Class{
		"TW": Wait, "TK": Config, "WK": Config, "KB": Config, "KC": Config, "CB": Payload,
		"BU": Unlisted, "CU": Unlisted, "TB": Ambiguous, "TU": Ambiguous, "KU": Ambiguous, "BR": Ambiguous, "BA": Ambiguous,
	} {
		if got := Weigh(Class(pair[0]), Class(pair[1])); got != want {
			t.Errorf("%s is %c, want %c", pair, got, want)
		}
	}
}

func TestErrorsOutcome(t *testing.T) {
	tests := []struct {
		name   string
		list   Errors
		status int
		want   bridge.Outcome
	}{
		{"token behind a gateway", Errors{{"1005", "Invalid Token"}}, 200,
			bridge.Outcome{Class: bridge.NotApplied, Message: "1005: Invalid Token"}},
		{"wait", Errors{{"118", "try after 5 minutes"}}, 200,
			bridge.Outcome{Class: bridge.NotApplied, Message: "118: try after 5 minutes", RetryAfter: 5 * time.Minute}},
		{"wait, longer", Errors{{"118", "Try after 15 minutes"}}, 453,
			bridge.Outcome{Class: bridge.NotApplied, Message: "118: Try after 15 minutes", RetryAfter: 15 * time.Minute}},
		{"wait, no time", Errors{{"118", ""}}, 200,
			bridge.Outcome{Class: bridge.NotApplied, Message: "118", RetryAfter: 5 * time.Minute}},
		{"credentials", Errors{{"1010", "Invalid Client-ID/Client-Secret"}}, 200,
			bridge.Outcome{Class: bridge.Misconfigured, Message: "1010: Invalid Client-ID/Client-Secret",
				Alarm: "Acme refuses the credentials or the settings: 1010: Invalid Client-ID/Client-Secret"}},
		{"quota", Errors{{"GEN5005", "GSP account limit exceeded"}}, 453,
			bridge.Outcome{Class: bridge.Misconfigured, Message: "GEN5005: GSP account limit exceeded",
				Alarm: "the account at the gateway has used up its calls (GEN5005: GSP account limit exceeded): have its limit raised; until then nothing gets through"}},
		{"payload", Errors{{"2142", ""}}, 200,
			bridge.Outcome{Class: bridge.Refused, Message: "2142: Incomplete request parameters",
				Alarm: "Acme finds the request malformed: 2142: Incomplete request parameters"}},
		{"refusal on 502", Errors{{"2270", "late"}}, 502, bridge.Outcome{Class: bridge.Refused, Message: "2270: late"}},
		{"trouble", Errors{{"2141", "Error while cancelling invoice"}}, 200,
			bridge.Outcome{Class: bridge.Unknown, Message: "2141: Error while cancelling invoice"}},
		{"already", Errors{{"2302", "x"}}, 200, bridge.Outcome{Class: bridge.AlreadyCancelled, Message: "2302: x"}},
		{"unlisted", Errors{{"7777", "x"}}, 200, bridge.Outcome{Class: bridge.Unclear, Message: "7777: x", Unclassified: true}},
		{"unlisted on 400", Errors{{"7777", "x"}}, 400, bridge.Outcome{Class: bridge.Unclear, Message: "7777: x", Unclassified: true}},
		{"unlisted on 502", Errors{{"7777", "x"}}, 502, bridge.Outcome{Class: bridge.Unknown, Message: "7777: x", Unclassified: true}},
		{"unlisted on 453", Errors{{"7777", "x"}}, 453, bridge.Outcome{Class: bridge.Unknown, Message: "7777: x", Unclassified: true}},
		{"unlisted on 429", Errors{{"7777", "x"}}, 429, bridge.Outcome{Class: bridge.NotApplied, Message: "7777: x", Unclassified: true}},
		{"trouble on 429", Errors{{"", "Too many requests"}}, 429, bridge.Outcome{Class: bridge.NotApplied, Message: "Too many requests"}},
		{"trouble on 403", Errors{{"", "Try again"}}, 403, bridge.Outcome{Class: bridge.Unknown, Message: "Try again"}},
		{"of generating", Errors{{"2150", "x"}}, 200, bridge.Outcome{Class: bridge.Unclear, Message: "2150: x", Unclassified: true}},
		{"no reason", nil, 200, bridge.Outcome{Class: bridge.Unclear, Message: NoReason, Unclassified: true}},
		{"no reason on 500", nil, 500, bridge.Outcome{Class: bridge.Unknown, Message: "HTTP 500 without an answer that can be read", Unclassified: true}},
	}
	for _, tt := range tests {
		o := tt.list.Outcome(&upstream.Reply{Status: tt.status, Written: true}, "Acme")
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
			if o := l.GSPOutcome(&upstream.Reply{Status: 200, Written: true}, "Acme"); o.Class != tt.then {
				t.Errorf("%s: %s, want %s", tt.body, o.Class, tt.then)
			}
		}
	}
}

func TestCodesAllHaveAClassAndAText(t *testing.T) {
	for code, known := range codes {
		if !strings.ContainsRune("TKCBRAU", rune(known.class)) || known.text == "" {
			t.Errorf("%s: class %c, text %q", code, known.class, known.text)
		}
		if c, listed := (Error{code, known.text}).class(); !listed || c != known.class {
			t.Errorf("%s sorts as %c, listed %v", code, c, listed)
		}
	}
}

func TestErrorsMessage(t *testing.T) {
	list := Errors{{"2143", "Invoice does not belongs to the user GSTIN"}, {"2270", ""}, {"", "free text"}, {"7777", ""}, {"2143", "again"}}
	want := "2143: Invoice does not belongs to the user GSTIN; 2270: The allowed cancellation time limit is crossed, you cannot cancel the IRN; free text; 7777; 2143: again"
	if got := list.Message(); got != want {
		t.Errorf("Message\n got %s\nwant %s", got, want)
	}
	if got := list.Codes(); got != "2143,2270,7777" {
		t.Errorf("Codes = %s", got)
	}
}

func TestErrorsInText(t *testing.T) {
	for in, want := range map[string]Errors{
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
		got := ErrorsInText(in)
		if a, b := encoded(got), encoded(want); a != b {
			t.Errorf("%q: %s, want %s", in, a, b)
		}
	}
}

func encoded(l Errors) string {
	b, _ := json.Marshal(l)
	return string(b)
}
