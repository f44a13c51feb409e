package myinvois_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/myinvois"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

const page = "<html><body>Service temporarily unavailable</body></html>"

// verdict is the part of an outcome that the table below is about.
type verdict struct {
	Class        bridge.Class
	Code         string
	Message      string
	RetryAfter   time.Duration
	Unclassified bool
	ByState      bool
	Alarm        bool
}

func verdictOf(o bridge.Outcome) verdict {
	return verdict{o.Class, o.Code, o.Message, o.RetryAfter, o.Unclassified, o.ByState, o.Alarm != ""}
}

const fault = " without an answer that can be read"

func refused(code, message string) verdict {
	return verdict{Class: bridge.Refused, Code: code, Message: message}
}

// byState is a no that the document's state explains.
func byState(code, message string) verdict {
	return verdict{Class: bridge.Refused, Code: code, Message: message, ByState: true}
}

// unexplained is one that comes with no code for it, so that an operator is told what else it may mean.
func unexplained(code, message string) verdict {
	v := byState(code, message)
	v.Alarm = true
	return v
}

// unclear is an answer in a code or text that no page lists.
func unclear(code, message string) verdict {
	return verdict{Class: bridge.Unclear, Code: code, Message: message, Unclassified: true}
}

func unknown(message string) verdict { return verdict{Class: bridge.Unknown, Message: message} }

func misplaced(status string) verdict {
	return verdict{Class: bridge.Misconfigured, Message: "HTTP " + status + ": not an address of MyInvois", Alarm: true}
}

func wait(d time.Duration) verdict {
	return verdict{Class: bridge.NotApplied, Message: "HTTP 429: the authority asks to wait", RetryAfter: d}
}

const notNow = "The document cannot be cancelled or requested for rejection"

// outer is an error that says no more than notNow.
func outer(code string) string { return `{"error":{"code":"` + code + `","message":"` + notNow + `"}}` }

// replies are the classification table: what MyInvois may answer to a cancel, and what it means. Where the SDK's page
// Cancel Document or Standard Error Response isn't the source, the row names it.
var replies = []struct {
	name    string
	status  int
	body    string // a fixture when it ends in .json
	headers []string
	want    verdict
}{
	{"cancelled", 200, "cancel-reply.json", nil, verdict{Class: bridge.Cancelled}},
	{"cancelled, in other letter case", 200, `{"UUID":"` + strings.ToLower(uuid) + `","Status":"CANCELLED","error":null}`, nil, verdict{Class: bridge.Cancelled}},
	{"200 with an error", 200, "cancel-reply-with-error.json", nil, refused("OperationPeriodOver", "OperationPeriodOver: The time limit of cancellation has already run out")},
	{"200, cancelled and an error: contradicts itself", 200, `{"uuid":"` + uuid + `","status":"Cancelled","error":{"code":"X","message":"y"}}`, nil,
		verdict{Class: bridge.Unknown, Code: "X", Message: "the reply says cancelled and reports an error: X: y", Unclassified: true}},
	{"200 with a code that no list has", 200, `{"status":"Valid","error":{"code":"X","message":"y"}}`, nil, unclear("X", "X: y")},
	{"200 with IncorrectState", 200, `{"uuid":"` + uuid + `","status":"Cancelled?","error":{"code":"IncorrectState","message":"m"}}`, nil, byState("IncorrectState", "IncorrectState: m")},
	{"200 with another status and no reason", 200, `{"uuid":"` + uuid + `","status":"Valid"}`, nil, unknown("the reply says neither cancelled nor why not")},
	{"200 for another document", 200, "cancel-reply-documented.json", nil, unknown("the reply names another document")},
	{"200 without a document", 200, `{"status":"Cancelled"}`, nil, unknown("the reply names another document")},
	{"200 unreadable", 200, `{"uuid":"` + uuid + `","status":"Canc`, nil, unknown("the reply can't be read")},
	{"200 with more behind it", 200, `{"uuid":"` + uuid + `","status":"Cancelled"}<!-- -->`, nil, unknown("the reply can't be read")},
	{"200 empty", 200, ``, nil, unknown("the reply can't be read")},
	{"200 page", 200, page, nil, unknown("the reply can't be read")},

	{"window over", 400, "error-operation-period-over.json", nil, refused("OperationPeriodOver", "OperationPeriodOver: The time limit of cancellation has already run out")},
	{"referenced", 400, "error-active-references.json", nil, refused("ActiveReferencingDocuments", "ActiveReferencingDocuments: The document is referenced by credit note CN-1")},
	{"bad argument", 400, "error-bad-argument.json", nil, refused("BadArgument", "BadArgument: Reason may have at most 300 characters")},
	{"validation error", 400, `{"error":{"code":"ValidationError","message":"m"}}`, nil, refused("ValidationError", "ValidationError: m")},
	{"bad request", 400, `{"error":{"code":"badrequest"}}`, nil, refused("badrequest", "badrequest: the request is not valid")},
	{"no message at all", 400, "error-null-message.json", nil, refused("OperationPeriodOver", "OperationPeriodOver: the time limit of cancellation has already run out")},
	{"two details", 400, "error-two-details.json", nil, refused("ActiveReferencingDocuments,OperationPeriodOver", "ActiveReferencingDocuments: Referenced; OperationPeriodOver: Too late")},
	{"a listed and an unlisted one", 400, `{"error":{"code":"BadRequest","details":[{"code":"OperationPeriodOver","message":"late"},{"code":"New","message":"m"}]}}`, nil,
		unclear("OperationPeriodOver,New", "OperationPeriodOver: late; New: m")},
	{"a no and one by the state", 400, `{"error":{"code":"BadRequest","details":[{"code":"OperationPeriodOver","message":"late"},{"code":"IncorrectState","message":"m"}]}}`, nil,
		byState("OperationPeriodOver,IncorrectState", "OperationPeriodOver: late; IncorrectState: m")},
	{"incorrect state", 400, "error-incorrect-state.json", nil, byState("IncorrectState", "IncorrectState: The document is in an incorrect state")},
	{"incorrect state, documented shape", 400, "error-documented.json", nil, byState("IncorrectState", "IncorrectState: The document is not valid any more")},
	{"status not valid (seen by clients)", 400, "error-status-not-valid.json", nil, byState("DocumentStatusNotValid", "DocumentStatusNotValid: The status of the document is not valid")},
	{"only the outer text (seen in preprod for an active credit note)", 400, "error-not-now.json", nil, unexplained("ValidationError", "ValidationError: "+notNow)},
	{"only the outer text, with a full stop", 400, strings.Replace(outer("badrequest"), notNow, notNow+".", 1), nil, unexplained("badrequest", "badrequest: "+notNow+".")},
	{"documented shape, a code that no list has", 400, "error-documented-validation.json", nil, unclear("DS302", "DS302: The document has been submitted before")},
	{"trouble of a gateway in a business envelope (project rule)", 400, `{"error":{"code":"E1","message":"Connection reset by peer"}}`, nil,
		verdict{Class: bridge.Unknown, Code: "E1", Message: "the reply reports trouble: E1: Connection reset by peer", Unclassified: true}},
	{"trouble under a code that says nothing (project rule)", 400, `{"error":{"code":"BadRequest","message":"Please try again later"}}`, nil,
		verdict{Class: bridge.Unknown, Code: "BadRequest", Message: "the reply reports trouble: BadRequest: Please try again later"}},
	{"inner error without a code has its holder's", 400, `{"error":{"code":"BadArgument","details":[{"message":"too long"}]}}`, nil, refused("BadArgument", "BadArgument: too long")},
	{"a specific code that no list has beside the general message", 400,
		`{"error":{"code":"ValidationError","message":"` + notNow + `","details":[{"code":"New","message":"m"}]}}`, nil, unclear("New", "New: m")},
	{"a framework's word, which is no code of LHDN's", 403, `{"timestamp":"2026-01-01","status":403,"error":"Forbidden","path":"/"}`, nil,
		verdict{Class: bridge.Misconfigured, Code: "Forbidden", Message: "HTTP 403: the right to cancel is refused: Forbidden", Unclassified: true, Alarm: true}},
	{"a framework's word on 404", 404, `{"error":"NotFound"}`, nil, unclear("NotFound", "NotFound")},
	{"an error that is a word", 400, `{"error":"invalid_request","error_description":"d"}`, nil, unclear("invalid_request", "invalid_request: d")},
	{"an error that is a list", 400, `{"error":[{"code":"OperationPeriodOver","message":"late"}]}`, nil, refused("OperationPeriodOver", "OperationPeriodOver: late")},
	{"400 page", 400, page, nil, unknown("HTTP 400" + fault)},
	{"422 with a code", 422, `{"error":{"code":"DuplicateSubmission","message":"m"}}`, nil, unclear("DuplicateSubmission", "DuplicateSubmission: m")},

	{"not issued by this taxpayer, or no permission (klsheng/myinvois-php-sdk issue 11)", 403, "error-forbidden.json", nil,
		verdict{Class: bridge.Refused, Code: "Forbidden", Message: "Forbidden: It seems that you are not authorized to update document status", Alarm: true}},
	{"Forbidden as the outer code", 403, `{"error":{"code":"Forbidden","message":"no"}}`, nil, verdict{Class: bridge.Refused, Code: "Forbidden", Message: "Forbidden: no", Alarm: true}},
	{"permission missing", 403, "error-permission.json", nil, verdict{Class: bridge.Misconfigured, Code: "AccessDenied",
		Message: "HTTP 403: the right to cancel is refused: AccessDenied: The intermediary has no permission to cancel documents", Unclassified: true, Alarm: true}},
	{"403 with a code that says no more", 403, `{"error":{"code":"ValidationError","message":"m"}}`, nil,
		verdict{Class: bridge.Misconfigured, Code: "ValidationError", Message: "HTTP 403: the right to cancel is refused: ValidationError: m", Alarm: true}},
	{"403 page", 403, page, nil, verdict{Class: bridge.NotApplied, Message: "HTTP 403 from the gateway, not from MyInvois itself"}},
	{"403 of a gateway in JSON", 403, `{"message":"Forbidden"}`, nil, verdict{Class: bridge.NotApplied, Message: "HTTP 403 from the gateway, not from MyInvois itself"}},
	{"unknown document", 404, "error-not-found.json", nil, refused("NotFound", "NotFound: Document not found")},
	{"404 page", 404, page, nil, misplaced("404")},
	{"405", 405, ``, nil, misplaced("405")},
	{"415", 415, `{"error":{"code":"BadRequest"}}`, nil, verdict{Class: bridge.Misconfigured, Code: "BadRequest", Message: "HTTP 415: not an address of MyInvois", Alarm: true}},
	{"501", 501, ``, nil, misplaced("501")},
	{"redirect, never followed", 302, ``, []string{"Location: https://elsewhere.example"}, misplaced("302")},

	{"429 with seconds", 429, "Too many requests", []string{"Retry-After: 17"}, wait(17 * time.Second)},
	{"429 with a date", 429, "", []string{"Date: Sat, 01 Jan 2000 00:00:00 GMT", "Retry-After: Sat, 01 Jan 2000 00:00:40 GMT"}, wait(40 * time.Second)},
	{"429 with the limit's reset", 429, "", []string{"Date: Sat, 01 Jan 2000 00:00:00 GMT", "X-Rate-Limit-Reset: 2000-01-01T00:00:21.1234567Z"}, wait(21*time.Second + 123456700)},
	{"429 with a reset that is over", 429, "", []string{"X-Rate-Limit-Reset: 1999-01-01T00:00:21.1234567Z"}, wait(time.Second)},
	{"429 with nothing", 429, "", nil, wait(5 * time.Second)},
	{"429 in the error's shape", 429, `{"error":{"code":"OperationPeriodOver"}}`, nil, wait(5 * time.Second)},
	{"408", 408, "", nil, unknown("HTTP 408" + fault)},
	{"500", 500, "", nil, unknown("HTTP 500" + fault)},
	{"500 with a code", 500, "error-operation-period-over.json", nil, unknown("HTTP 500" + fault)},
	{"502", 502, page, nil, unknown("HTTP 502" + fault)},
	{"503", 503, page, nil, unknown("HTTP 503" + fault)},
	{"504", 504, page, nil, unknown("HTTP 504" + fault)},
}

func TestEveryReplyHasItsMeaning(t *testing.T) {
	for _, c := range replies {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := c.body
				if strings.HasSuffix(body, ".json") {
					body = fixture(t, body)
				}
				a := adapter(t, sharing(&authority{cancel: always(c.status, body, c.headers...)}), config())
				o := a.Cancel(ctx, cancellation(), upstreamtest.Free)
				if d := cmp.Diff(c.want, verdictOf(o)); d != "" {
					t.Error(d)
				}
				if !o.Sent || o.HTTPStatus != c.status || purposes(o.Exchanges) != "login cancel" {
					t.Errorf("written %v, status %d, exchanges %s", o.Sent, o.HTTPStatus, purposes(o.Exchanges))
				}
				noSecret(t, o)
			})
		})
	}
}

// TestNothingIsConcluded: what a no means for the document is not the adapter's to find out, so that it asks nothing else.
func TestNothingIsConcluded(t *testing.T) {
	for _, name := range []string{"error-incorrect-state.json", "error-status-not-valid.json", "error-not-now.json", "error-documented-validation.json"} {
		m := &authority{cancel: always(400, fixture(t, name))}
		o := adapter(t, sharing(m), config()).Cancel(ctx, cancellation(), upstreamtest.Free)
		if len(m.requests) != 2 || o.Date != "" {
			t.Errorf("%s: %d requests, date %q", name, len(m.requests), o.Date)
		}
	}
}

// TestAPermissionIsMissedOnceAnHour: a refusal for want of a permission comes with every document; the alarm that names it
// comes to each taxpayer once an hour.
func TestAPermissionIsMissedOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sharing(&authority{cancel: always(403, fixture(t, "error-forbidden.json"))})
		other := config()
		other.OnBehalfOf = "C25845632020"
		one, two := adapter(t, s, config()), adapter(t, s, other)
		alarms := func(a *myinvois.Adapter) string {
			o := a.Cancel(ctx, cancellation(), upstreamtest.Free)
			if o.Class != bridge.Refused {
				t.Errorf("%s %s", o.Class, o.Message)
			}
			return o.Alarm
		}
		if first := alarms(one); !strings.Contains(first, "the permission to cancel documents") {
			t.Errorf("the alarm names no permission: %q", first)
		}
		time.Sleep(59 * time.Minute)
		if again := alarms(one); again != "" {
			t.Errorf("again within the hour: %s", again)
		}
		if alarms(two) == "" {
			t.Error("another taxpayer's is kept back")
		}
		time.Sleep(time.Minute)
		if alarms(one) == "" {
			t.Error("not again after an hour")
		}
	})
}

// TestACancelThatLeftWasSent: one that was stopped at the gate has left, even when its replay has not.
func TestACancelThatLeftWasSent(t *testing.T) {
	m := &authority{cancel: func(n int, _ *http.Request) (*http.Response, error) {
		if n == 1 {
			return upstreamtest.Respond(401, ""), nil
		}
		return nil, refusedConnection
	}}
	if o := adapter(t, sharing(m), config()).Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.NotApplied || !o.Sent {
		t.Errorf("%s, sent %v", o.Class, o.Sent)
	}
}

func TestTransportDecidesWithoutAReply(t *testing.T) {
	for _, c := range []struct {
		name    string
		err     error
		want    bridge.Class
		written bool
	}{
		{"nothing was sent", refusedConnection, bridge.NotApplied, false},
		{"the connection broke after the request", errors.New("reset by peer"), bridge.Unknown, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &authority{cancel: func(int, *http.Request) (*http.Response, error) { return nil, c.err }}
			o := adapter(t, sharing(m), config()).Cancel(ctx, cancellation(), upstreamtest.Free)
			if o.Class != c.want || o.Sent != c.written {
				t.Errorf("%s, written %v; want %s, %v", o.Class, o.Sent, c.want, c.written)
			}
		})
	}
}

func TestASlowReplyIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &authority{cancel: func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		start := time.Now()
		o := adapter(t, sharing(m), config()).Cancel(ctx, cancellation(), upstreamtest.Free)
		if o.Class != bridge.Unknown || time.Since(start) != 30*time.Second {
			t.Errorf("%s after %s, want unknown after 30 s", o.Class, time.Since(start))
		}
	})
}

func TestTheRequestThatCancels(t *testing.T) {
	m := &authority{}
	adapter(t, sharing(m), config()).Cancel(ctx, cancellation(), upstreamtest.Free)
	put := m.seen("/state")[0]
	if got := put.Method + " " + put.URL.String(); got != "PUT https://preprod-api.myinvois.hasil.gov.my/api/v1.0/documents/state/"+uuid+"/state" {
		t.Error(got)
	}
	if d := cmp.Diff(fixture(t, "cancel-request.json"), put.body); d != "" {
		t.Error(d)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer token-1", "Content-Type": "application/json", "Accept": "application/json",
		"Accept-Language": "en", "Onbehalfof": "",
	} {
		if got := put.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestReasonIsLabelAndRemarksInOneLine(t *testing.T) {
	long := strings.Repeat("ü", 400)
	for _, c := range []struct {
		reason  bridge.Reason
		remarks string
		want    string
	}{
		{bridge.Duplicate, "", "Duplicate"},
		{bridge.DataEntry, "Wrong buyer", "Data entry mistake: Wrong buyer"},
		{bridge.OrderCancelled, "a\r\n\tb\x00c", "Order cancelled: a b c"},
		{bridge.Others, `"quoted" <b> & \ 😀`, `Others: "quoted" <b> & \ 😀`},
		{bridge.Others, long, "Others: " + long[:2*292]},
		{bridge.Others, strings.Repeat("x", 291) + " y", "Others: " + strings.Repeat("x", 291)}, // cut at a blank
	} {
		m := &authority{}
		can := cancellation()
		can.Reason, can.Remarks = c.reason, c.remarks
		adapter(t, sharing(m), config()).Cancel(ctx, can, upstreamtest.Free)
		var sent struct{ Status, Reason string }
		decode(t, m.seen("/state")[0].body, &sent)
		if sent.Reason != c.want || sent.Status != "cancelled" {
			t.Errorf("%+v, want %q", sent, c.want)
		}
	}
}

func TestCancelDate(t *testing.T) {
	const replied = "Date: Mon, 01 Mar 2021 16:30:05 GMT"
	for _, c := range []struct {
		name    string
		fetch   bool
		details string
		want    string
		source  bridge.DateSource
	}{
		{"the time of the reply, in Malaysia", false, "", "2021-03-02 00:30:05", bridge.DateReply},
		{"the authority's own", true, "details-cancelled.json", "2021-02-25 09:59:10", bridge.DateUpstream},
		{"the reply's when the details lag behind", true, "details-valid.json", "2021-03-02 00:30:05", bridge.DateReply},
		{"the reply's when the details can't be had", true, "", "2021-03-02 00:30:05", bridge.DateReply},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &authority{cancel: always(200, fixture(t, "cancel-reply.json"), replied), details: func(int) *http.Response {
				if c.details == "" {
					return upstreamtest.Respond(500, "")
				}
				return upstreamtest.Respond(200, fixture(t, c.details))
			}}
			cfg := config()
			cfg.FetchCancelDate = c.fetch
			o := adapter(t, sharing(m), cfg).Cancel(ctx, cancellation(), upstreamtest.Free)
			if o.Class != bridge.Cancelled || o.Date != c.want || o.DateSource != c.source {
				t.Errorf("%s %q %s, want %q %s", o.Class, o.Date, o.DateSource, c.want, c.source)
			}
			if asked := len(m.seen("/details")) > 0; asked != c.fetch {
				t.Errorf("details asked: %v, want %v", asked, c.fetch)
			}
		})
	}
}

func TestCorrelationIDIsKept(t *testing.T) {
	m := &authority{cancel: always(400, fixture(t, "error-forbidden.json"), "correlationId: 0HN1")}
	if o := adapter(t, sharing(m), config()).Cancel(ctx, cancellation(), upstreamtest.Free); o.UpstreamRef != "0HN1" {
		t.Errorf("%q", o.UpstreamRef)
	}
}

func TestAStaleLeaseSendsNothing(t *testing.T) {
	m := &authority{}
	for name, fence := range map[string]bridge.Fence{"lost": upstreamtest.Lost, "none": nil} {
		o := adapter(t, sharing(m), config()).Cancel(ctx, cancellation(), fence)
		if o.Class != bridge.NotApplied || o.Sent || o.Message == "" || len(m.seen("/state")) != 0 {
			t.Errorf("%s: %s %q, sent %v, %d cancels", name, o.Class, o.Message, o.Sent, len(m.seen("/state")))
		}
	}
}

// TestOneDocumentHasOneKey: UUIDs are in upper case (MyInvois SDK, Cancel Document), so a caller's lower case and a mapped
// number are the same document.
func TestOneDocumentHasOneKey(t *testing.T) {
	cfg := config()
	cfg.IRNMap = map[string]string{"INV/2024-0001": uuid, "INV/2024-0001/copy": strings.ToLower(uuid)}
	m := &authority{}
	a := adapter(t, sharing(m), cfg)
	rules := a.Profile().Rules
	for irn, want := range map[string]string{"INV/2024-0001": uuid, " INV/2024-0001 ": uuid, uuid: uuid,
		"INV/2024-0001/copy": uuid, strings.ToLower(uuid): uuid, "\t" + uuid[:20] + strings.ToLower(uuid[20:]) + "\n": uuid,
		"inv/2024-0001": "inv/2024-0001"} {
		if got := rules.Normal(irn); got != want {
			t.Errorf("%q is %q, want %q", irn, got, want)
		}
	}
	c := cancellation()
	c.Document = "not-mapped"
	o := a.Cancel(ctx, c, upstreamtest.Free)
	want := "NotFound: unknown document (irn must be 26 letters and digits, or stand in irn_map)"
	if o.Class != bridge.Refused || o.Message != want || o.Sent || len(m.requests) != 0 {
		t.Errorf("%s %q, %d requests", o.Class, o.Message, len(m.requests))
	}
}

func TestRefusedFieldsAreNamed(t *testing.T) {
	rules := adapter(t, sharing(&authority{}), config()).Profile().Rules
	for _, c := range []struct{ field, rule, code, message string }{
		{"irn", "must have exactly 26 characters", "NotFound", "NotFound: unknown document (irn must have exactly 26 characters)"},
		{"cancel_reason", "must be one of 1, 2, 3, 4", "BadArgument", "BadArgument: invalid argument (cancel_reason must be one of 1, 2, 3, 4)"},
	} {
		if code, message := rules.Refusal(c.field, c.rule); code != c.code || message != c.message {
			t.Errorf("%s %q", code, message)
		}
	}
}

func TestLookup(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   bridge.DocumentState
		class  bridge.Class // of the failure; None: none
	}{
		{"cancelled", 200, "details-cancelled.json", bridge.DocumentState{Status: bridge.StatusCancelled, Text: "Cancelled", Date: "2021-02-25 09:59:10"}, 0},
		{"valid", 200, "details-valid.json", bridge.DocumentState{Status: bridge.StatusActive, Text: "Valid"}, 0},
		{"the buyer asks to reject it, so it is valid (SDK, Reject Document)", 200, `{"uuid":"` + uuid + `","status":"Requested for Rejection"}`,
			bridge.DocumentState{Status: bridge.StatusActive, Text: "Requested for Rejection"}, 0},
		{"invalid", 200, "details-invalid.json", bridge.DocumentState{Status: bridge.StatusOther, Text: "Invalid: Step04-Duplicated Submission Validator"}, 0},
		{"submitted becomes valid or invalid yet", 200, `{"uuid":"` + uuid + `","status":"Submitted"}`, bridge.DocumentState{Status: bridge.StatusActive, Text: "Submitted"}, 0},
		{"cancelled at an unreadable time", 200, `{"uuid":"` + uuid + `","status":"cancelled","cancelDateTime":"soon"}`, bridge.DocumentState{Status: bridge.StatusCancelled, Text: "cancelled"}, 0},
		{"a state of tomorrow", 200, `{"uuid":"` + uuid + `","status":"Archived"}`, bridge.DocumentState{Text: "Archived"}, 0},
		{"not found", 404, "error-not-found.json", bridge.DocumentState{Text: "NotFound: Document not found"}, 0},
		{"another document", 200, `{"uuid":"F9D425P6DS7D8IU","status":"Valid"}`, bridge.DocumentState{}, bridge.NotApplied},
		{"unreadable", 200, page, bridge.DocumentState{}, bridge.NotApplied},
		{"404 page", 404, page, bridge.DocumentState{}, bridge.Misconfigured},
		{"not allowed to read it (SDK, FAQ)", 403, "error-forbidden.json",
			bridge.DocumentState{Text: "this client may not view the document (Forbidden: It seems that you are not authorized to update document status)"}, 0},
		{"401", 401, "", bridge.DocumentState{}, bridge.Misconfigured},
		{"403 page", 403, page, bridge.DocumentState{}, bridge.NotApplied},
		{"503", 503, page, bridge.DocumentState{}, bridge.NotApplied},
		{"429", 429, "", bridge.DocumentState{}, bridge.NotApplied},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := c.body
			if strings.HasSuffix(body, ".json") {
				body = fixture(t, body)
			}
			m := &authority{details: func(int) *http.Response { return upstreamtest.Respond(c.status, body) }}
			got, err := adapter(t, sharing(m), config()).Lookup(ctx, cancellation())
			if !strings.HasPrefix(purposes(got.Exchanges), "login lookup") {
				t.Errorf("exchanges: %s", purposes(got.Exchanges))
			}
			got.Exchanges = nil
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			var class bridge.Class
			if f, ok := errors.AsType[*upstream.Failure](err); ok {
				class = f.Outcome.Class
			}
			if class != c.class || errors.Is(err, bridge.ErrUnavailable) {
				t.Errorf("failure %v (%s), want %s", err, class, c.class)
			}
		})
	}
}

// TestAnIntermediaryMayNotViewWhatItDidNotSubmit (SDK, FAQ): then neither 403 nor 404 says anything about the document, and
// nobody's permissions need a check.
func TestAnIntermediaryMayNotViewWhatItDidNotSubmit(t *testing.T) {
	cfg := config()
	cfg.OnBehalfOf = "C25845632020"
	for status, name := range map[int]string{403: "error-forbidden.json", 404: "error-not-found.json"} {
		m := &authority{details: func(int) *http.Response { return upstreamtest.Respond(status, fixture(t, name)) }}
		state, err := adapter(t, sharing(m), cfg).Lookup(ctx, cancellation())
		if err != nil || state.Status != bridge.StatusUnknown || !strings.Contains(state.Text, "this client may not view the document") {
			t.Errorf("HTTP %d: %v %q, %v", status, state.Status, state.Text, err)
		}
	}
}

func TestARefusedLookupLeavesTheGateOpen(t *testing.T) {
	for status, shut := range map[int]bool{404: false, 503: false, 401: true, 429: true} {
		budget := &upstreamtest.Budget{}
		s := upstream.NewShared(budget, slog.New(slog.DiscardHandler))
		s.RoundTripper = &authority{details: func(int) *http.Response { return upstreamtest.Respond(status, page) }}
		a := adapter(t, s, config())
		if _, err := a.Lookup(ctx, cancellation()); err == nil {
			t.Error("the lookup was answered")
		}
		if _, got, _ := budget.Gate(ctx, a.Profile().Credential); got != shut {
			t.Errorf("HTTP %d: gate shut %v, want %v", status, got, shut)
		}
	}
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string // in the error; empty: none
	}{
		{"a document that can't exist is not found", 404, "error-not-found.json", ""},
		{"the base URL is not MyInvois", 404, "", "base_url does not answer as MyInvois does (HTTP 404)"},
		{"the token counts elsewhere only", 401, "", "HTTP 401"},
	} {
		m := &authority{details: func(int) *http.Response {
			body := c.body
			if body != "" {
				body = fixture(t, body)
			}
			return upstreamtest.Respond(c.status, body)
		}}
		err := adapter(t, sharing(m), config()).Probe(ctx)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
