package cleartax_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

// TestEveryMalaysianReplyHasItsMeaning walks the classification table.
func TestEveryMalaysianReplyHasItsMeaning(t *testing.T) {
	cancelled := verdict{Class: bridge.Cancelled}
	already := verdict{Class: bridge.AlreadyCancelled, Code: "2272", Message: "2272: EInvoice is already Cancelled"}
	for _, c := range []struct {
		name    string
		status  int
		body    string
		headers []string
		want    verdict
	}{
		{"cancelled", 200, "my-cancel-success-documented.json", nil, cancelled},
		{"Success as a Boolean", 200, "my-cancel-success-bool.json", nil, cancelled},
		{"Success as Y", 200, `{"Uuid":null,"Success":"Y"}`, nil, cancelled},
		{"Success in capitals", 200, `{"success":"TRUE"}`, nil, cancelled},
		{"already cancelled", 200, "my-cancel-already-documented.json", nil, already},
		{"already cancelled, by its text", 200, `{"Success":false,"ErrorDetails":[{"ErrorCode":"9","ErrorMessage":"Document is ALREADY CANCELLED"}]}`, nil,
			verdict{Class: bridge.AlreadyCancelled, Code: "9", Message: "9: Document is ALREADY CANCELLED"}},
		{"already cancelled, with a 400", 400, "my-cancel-already-documented.json", nil, already},
		{"refused by LHDN", 200, "my-cancel-refused-lhdn.json", nil, refusedUnlisted("OperationPeriodOver", "OperationPeriodOver: The time limit of cancellation has already run out")},
		{"two errors", 200, "my-cancel-two-errors.json", nil, refusedUnlisted("A1,A2", "A1: First; A2: Second")},
		{"one error without a list", 200, `{"Success":"N","ErrorDetails":{"ErrorCode":7,"ErrorMessage":"m"}}`, nil, refusedUnlisted("7", "7: m")},
		{"an error without a code", 200, `{"Success":"N","ErrorDetails":[{"ErrorMessage":"m"}]}`, nil, refusedUnlisted("", "m")},
		{"failure without a reason", 200, `{"Success":"false","ErrorDetails":null}`, nil, unknown("ClearTax reported failure without a reason")},
		{"success and an error: contradicts itself", 200, `{"Success":"true","ErrorDetails":[{"ErrorCode":"1","ErrorMessage":"m"}]}`, nil,
			verdict{Class: bridge.Unknown, Code: "1", Message: "1: m"}},
		{"neither true nor false", 200, `{"Success":"maybe"}`, nil, unknown("the reply says neither success nor failure")},
		{"empty", 200, ``, nil, unknown("HTTP 200" + fault)},
		{"page", 200, page, nil, unknown("HTTP 200" + fault)},
		{"cut off", 200, `{"Success":"true"`, nil, unknown("HTTP 200" + fault)},

		{"400 with a text", 400, `{"Success":"false","ErrorDetails":[{"ErrorCode":"X","ErrorMessage":"m"}]}`, nil, refusedUnlisted("X", "X: m")},
		{"400 without", 400, ``, nil, refused("", "invalid request")},
		{"400 that says success", 400, `{"Success":"true"}`, nil, unknown("HTTP 400" + fault)},
		{"401", 401, `{"message":"User is not authenticated"}`, nil, misconfigured("HTTP 401: the token was refused")},
		{"403", 403, `{"message":"User is not authorized"}`, nil, misconfigured("HTTP 403")},
		{"403 with a code is no refusal of LHDN", 403, "my-cancel-refused-lhdn.json", nil,
			verdict{Class: bridge.Misconfigured, Code: "OperationPeriodOver", Message: "HTTP 403 OperationPeriodOver: The time limit of cancellation has already run out", Alarm: true}},
		{"404 of ClearTax", 404, `{"message":"no such document"}`, nil, refused("", "unknown document")},
		{"404 page", 404, page, nil, misplaced("404")},
		{"405", 405, ``, nil, misplaced("405")},
		{"redirect, never followed", 302, ``, []string{"Location: https://elsewhere.example"}, misplaced("302")},
		{"501", 501, ``, nil, misplaced("501")},
		{"409 page", 409, page, nil, unknown("HTTP 409" + fault)},
		{"429", 429, `{"message":"Too many requests"}`, nil, wait(0)},
		{"429 with seconds", 429, ``, []string{"Retry-After: 3"}, wait(3 * time.Second)},
		{"429 with a date", 429, ``, []string{"Date: Sat, 01 Jan 2000 00:00:00 GMT", "Retry-After: Sat, 01 Jan 2000 00:00:40 GMT"}, wait(40 * time.Second)},
		{"408", 408, ``, nil, unknown("HTTP 408" + fault)},
		{"500", 500, "my-cancel-refused-lhdn.json", nil, unknown("HTTP 500" + fault)},
		{"503 page", 503, page, nil, unknown("HTTP 503" + fault)},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &vendor{cancel: always(c.status, fixture(t, c.body), c.headers...)}
			o := malaysia(t, sharing(v), malaysiaConfig()).Cancel(ctx, cancellation(docID))
			if d := cmp.Diff(c.want, verdictOf(o)); d != "" {
				t.Error(d)
			}
			if !o.Written || o.HTTPStatus != c.status || purposes(o.Exchanges) != "cancel" {
				t.Errorf("written %v, status %d, exchanges %s", o.Written, o.HTTPStatus, purposes(o.Exchanges))
			}
			noSecret(t, o)
		})
	}
}

func TestMalaysianTransportDecidesWithoutAReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			cancel func(*http.Request) (*http.Response, error)
			want   bridge.Class
		}{
			"nothing was sent":                          {func(*http.Request) (*http.Response, error) { return nil, refusedConnection }, bridge.NotApplied},
			"the connection broke after the request":    {func(*http.Request) (*http.Response, error) { return nil, errors.New("reset") }, bridge.Unknown},
			"no reply within the time of a call (30 s)": {func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }, bridge.Unknown},
		} {
			o := malaysia(t, sharing(&vendor{cancel: c.cancel}), malaysiaConfig()).Cancel(ctx, cancellation(docID))
			if o.Class != c.want {
				t.Errorf("%s: %s, want %s", name, o.Class, c.want)
			}
		}
	})
}

func TestTheMalaysianRequest(t *testing.T) {
	for _, c := range []struct{ branch, kind, wantType string }{
		{"", "", "SALES"}, {"Kuala Lumpur", "PURCHASE", "PURCHASE"}, {"", "SALES_B2C", "SALES_B2C"},
	} {
		v := &vendor{cancel: always(200, fixture(t, "my-cancel-success-documented.json"))}
		cfg := malaysiaConfig()
		cfg.Branch, cfg.InvoiceType = c.branch, c.kind
		m := malaysia(t, sharing(v), cfg)
		can := cancellation(docID)
		can.Remarks = "Wrong buyer details"
		o := m.Cancel(ctx, can)
		put := v.requests[0]
		if got := put.Method + " " + put.URL.String(); got != "PUT https://api-sandbox.my.cleartax.com/einvoice/v1/documents/"+docID+"/state?einvoice-type="+c.wantType {
			t.Error(got)
		}
		if d := cmp.Diff(fixture(t, "my-cancel-request.json"), put.body); d != "" {
			t.Error(d)
		}
		for name, want := range map[string]string{
			"x-cleartax-auth-token": token, "x-clear-tin": "C25845632020", "x-clear-branch": c.branch, "Content-Type": "application/json",
		} {
			if got := put.sent(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		id := put.sent("x-request-id")
		if _, err := uuid.Parse(id); err != nil || o.UpstreamRef != id {
			t.Errorf("request id %q, kept as %q", id, o.UpstreamRef)
		}
		m.Cancel(ctx, can)
		if again := v.requests[1].sent("x-request-id"); again == id {
			t.Error("two requests have one id")
		}
	}
}

func TestMalaysianTokenHeaderIsConfigurable(t *testing.T) {
	v := &vendor{cancel: always(200, fixture(t, "my-cancel-success-documented.json"))}
	cfg := malaysiaConfig()
	cfg.TokenHeader = "x-clear-auth-token"
	malaysia(t, sharing(v), cfg).Cancel(ctx, cancellation(docID))
	if r := v.requests[0]; r.sent("x-cleartax-auth-token") != "" || r.sent("x-clear-auth-token") != token {
		t.Error(r.Header)
	}
}

func TestMalaysianReasonIsLabelAndRemarksInOneLine(t *testing.T) {
	for _, c := range []struct {
		remarks string
		want    string
	}{
		{"", `{"Reason":"Data entry mistake","Action":"CANCEL"}`},
		{"a\r\n\x00b", `{"Reason":"Data entry mistake: a b","Action":"CANCEL"}`},
		{`<"ü" & \ 😀>`, `{"Reason":"Data entry mistake: <\"ü\" & \\ 😀>","Action":"CANCEL"}`},
		{strings.Repeat("ü", 400), `{"Reason":"Data entry mistake: ` + strings.Repeat("ü", 280) + `","Action":"CANCEL"}`},
	} {
		v := &vendor{cancel: always(200, fixture(t, "my-cancel-success-documented.json"))}
		can := cancellation(docID)
		can.Remarks = c.remarks
		malaysia(t, sharing(v), malaysiaConfig()).Cancel(ctx, can)
		if d := cmp.Diff(c.want, v.requests[0].body); d != "" {
			t.Error(d)
		}
	}
}

func TestMalaysianCancelDate(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       string
		source     bridge.DateSource
	}{
		{"as ClearTax writes it", "my-cancel-success-documented.json", "2024-07-21 19:07:07", bridge.DateUpstream},
		{"in another form of the same length", `{"Success":true,"CancelDate":"21/07/2024 19:07:07"}`, "21/07/2024 19:07:07", bridge.DateUpstream},
		{"none: the time of the reply", `{"Success":true,"CancelDate":null}`, "2021-03-02 00:30:05", bridge.DateReply},
		{"rubbish: the time of the reply", `{"Success":true,"CancelDate":"today"}`, "2021-03-02 00:30:05", bridge.DateReply},
	} {
		v := &vendor{cancel: always(200, fixture(t, c.body), "Date: Mon, 01 Mar 2021 16:30:05 GMT")}
		o := malaysia(t, sharing(v), malaysiaConfig()).Cancel(ctx, cancellation(docID))
		if o.Class != bridge.Cancelled || o.Date != c.want || o.DateSource != c.source {
			t.Errorf("%s: %s %q %s", c.name, o.Class, o.Date, o.DateSource)
		}
	}
}

// shelf answers lookups: by uuid and by document-id, a fixture each; empty: nothing found.
func shelf(t *testing.T, byUUID, byID string) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		name := byID
		if r.URL.Query().Has("uuid") {
			name = byUUID
		}
		switch name {
		case "":
			return upstreamtest.Respond(200, fixture(t, "my-lookup-none.json"))
		case "404":
			return upstreamtest.Respond(404, `{"message":"not found"}`)
		case "503":
			return upstreamtest.Respond(503, page)
		}
		return upstreamtest.Respond(200, fixture(t, name))
	}
}

func queries(v *vendor) string {
	var all []string
	for _, r := range v.requests {
		if r.Method != http.MethodGet {
			all = append(all, "cancel "+strings.Split(r.URL.Path, "/")[4])
			continue
		}
		q, _ := url.ParseQuery(r.URL.RawQuery)
		q.Del("einvoice-type")
		all = append(all, q.Encode())
	}
	return strings.Join(all, ", ")
}

func TestLHDNUUIDsAreLookedUpFirst(t *testing.T) {
	const none = "DOCUMENT_NOT_FOUND: No such document"
	own := `{"Success":true,"DocumentId":"` + docUUID + `","Status":"VALID"}`
	for _, c := range []struct {
		name         string
		document     string
		byUUID, byID string
		reply        string
		want         bridge.Class
		message      string
		calls        string
	}{
		{"a document id is cancelled as it is", docID, "", "", "my-cancel-success-documented.json", bridge.Cancelled, "", "cancel " + docID},
		{"a UUID leads to the document id", docUUID, "my-lookup-valid.json", "", "my-cancel-success-documented.json", bridge.Cancelled, "",
			"uuid=" + docUUID + ", cancel " + docID},
		{"the reply must name that UUID", docUUID, "my-lookup-valid.json", "", `{"Uuid":"ANOTHER0000000000000000000","Success":true}`, bridge.Unknown,
			"the reply names another document", "uuid=" + docUUID + ", cancel " + docID},
		{"a reply that names none is fine", docUUID, "my-lookup-valid.json", "", `{"Uuid":null,"Success":true}`, bridge.Cancelled, "", "uuid=" + docUUID + ", cancel " + docID},
		{"a document id in the form of a UUID", docUUID, "", own, "my-cancel-success-documented.json", bridge.Cancelled, "",
			"uuid=" + docUUID + ", document-id=" + docUUID + ", cancel " + docUUID},
		{"neither: refused before anything was sent", docUUID, "", "", "", bridge.Refused, none, "uuid=" + docUUID + ", document-id=" + docUUID},
		{"neither, as 404", docUUID, "404", "404", "", bridge.Refused, "NotFound: unknown document", "uuid=" + docUUID + ", document-id=" + docUUID},
		{"the lookup fails: nothing was sent", docUUID, "503", "", "", bridge.NotApplied, "HTTP 503" + fault, "uuid=" + docUUID},
		{"a lookup without a document id", docUUID, `{"Success":true,"Status":"VALID"}`, "", "", bridge.NotApplied, "HTTP 200" + fault, "uuid=" + docUUID},
		{"a lookup that answers with a path", docUUID, `{"Success":true,"DocumentId":"../x","Status":"VALID"}`, "", "", bridge.NotApplied, "HTTP 200" + fault, "uuid=" + docUUID},
		{"other letters are no UUID", strings.ToLower(docUUID), "", "", "my-cancel-success-documented.json", bridge.Cancelled, "", "cancel " + strings.ToLower(docUUID)},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &vendor{cancel: always(200, fixture(t, c.reply)), lookup: shelf(t, c.byUUID, c.byID)}
			o := malaysia(t, sharing(v), malaysiaConfig()).Cancel(ctx, cancellation(c.document))
			if o.Class != c.want || o.Message != c.message || o.Written != (strings.Contains(c.calls, "cancel")) {
				t.Errorf("%s %q, written %v; want %s %q", o.Class, o.Message, o.Written, c.want, c.message)
			}
			if got := queries(v); got != c.calls || len(o.Exchanges) != len(v.requests) {
				t.Errorf("calls: %s; want %s", got, c.calls)
			}
		})
	}
}

func TestTheDocumentIDIsRemembered(t *testing.T) {
	v := &vendor{cancel: always(503, page), lookup: shelf(t, "my-lookup-valid.json", "my-lookup-cancelled.json")}
	m := malaysia(t, sharing(v), malaysiaConfig())
	m.Cancel(ctx, cancellation(docUUID))
	m.Cancel(ctx, cancellation(docUUID))
	state, err := m.Lookup(ctx, cancellation(docUUID))
	if err != nil || state.Status != bridge.StatusCancelled {
		t.Errorf("%v %v", state.Status, err)
	}
	want := "uuid=" + docUUID + ", cancel " + docID + ", cancel " + docID + ", document-id=" + docID
	if got := queries(v); got != want {
		t.Errorf("calls: %s; want %s", got, want)
	}
}

func TestDocumentIDsKeepToTheirPathSegment(t *testing.T) {
	for _, id := range []string{"", ".", "..", ".hidden", "a/b", "a?b", "a%2fb", "a b", "ä", strings.Repeat("a", 129)} {
		v := &vendor{cancel: always(200, fixture(t, "my-cancel-success-documented.json"))}
		o := malaysia(t, sharing(v), malaysiaConfig()).Cancel(ctx, cancellation(id))
		want := "NotFound: unknown document (irn must be up to 128 letters, digits, dots, hyphens and underscores)"
		if o.Class != bridge.Refused || o.Message != want || len(v.requests) != 0 {
			t.Errorf("%q: %s %q, %d requests", id, o.Class, o.Message, len(v.requests))
		}
	}
}

func TestMalaysianLookup(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   bridge.DocumentState
		class  bridge.Class // of the failure
	}{
		{"cancelled", 200, "my-lookup-cancelled.json", bridge.DocumentState{Status: bridge.StatusCancelled, Text: "CANCELLED"}, 0},
		{"valid", 200, "my-lookup-valid.json", bridge.DocumentState{Status: bridge.StatusActive, Text: "VALID"}, 0},
		{"invalid", 200, "my-lookup-invalid.json", bridge.DocumentState{Status: bridge.StatusOther, Text: "INVALID"}, 0},
		{"submitted", 200, `{"Success":"Y","Status":"SUBMITTED"}`, bridge.DocumentState{Status: bridge.StatusOther, Text: "SUBMITTED"}, 0},
		{"not submitted", 200, `{"Status":"not_submitted"}`, bridge.DocumentState{Status: bridge.StatusOther, Text: "not_submitted"}, 0},
		{"with a date", 200, `{"Success":true,"Status":"CANCELLED","CancelDate":"2024-07-21 19:07:07"}`, bridge.DocumentState{Status: bridge.StatusCancelled, Text: "CANCELLED", Date: "2024-07-21 19:07:07"}, 0},
		{"a state of tomorrow", 200, `{"Success":true,"Status":"ARCHIVED"}`, bridge.DocumentState{Text: "ARCHIVED"}, 0},
		{"not found", 200, "my-lookup-none.json", bridge.DocumentState{Text: "DOCUMENT_NOT_FOUND: No such document"}, 0},
		{"not found, as 404", 404, `{}`, bridge.DocumentState{}, 0},
		{"another document", 200, `{"Success":true,"DocumentId":"another","Status":"VALID"}`, bridge.DocumentState{}, bridge.NotApplied},
		{"page", 200, page, bridge.DocumentState{}, bridge.NotApplied},
		{"503", 503, page, bridge.DocumentState{}, bridge.NotApplied},
		{"404 page", 404, page, bridge.DocumentState{}, bridge.Misconfigured},
		{"401", 401, ``, bridge.DocumentState{}, bridge.Misconfigured},
		{"403", 403, ``, bridge.DocumentState{}, bridge.Misconfigured},
		{"429", 429, ``, bridge.DocumentState{}, bridge.NotApplied},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &vendor{lookup: func(*http.Request) *http.Response { return upstreamtest.Respond(c.status, fixture(t, c.body)) }}
			got, err := malaysia(t, sharing(v), malaysiaConfig()).Lookup(ctx, cancellation(docID))
			if purposes(got.Exchanges) != "lookup" || queries(v) != "document-id="+docID {
				t.Errorf("exchanges %s: %s", purposes(got.Exchanges), queries(v))
			}
			got.Exchanges = nil
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if failed(err) != c.class || errors.Is(err, bridge.ErrUnavailable) {
				t.Errorf("failure %v, want %s", err, c.class)
			}
		})
	}
}

func TestARefusedTokenRestsAMinuteAndIsNeverRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{cancel: always(401, "")}
		m := malaysia(t, sharing(v), malaysiaConfig())
		m.Cancel(ctx, cancellation(docID))
		if _, err := m.Lookup(ctx, cancellation(docID)); !errors.Is(err, bridge.ErrUnavailable) || len(v.requests) != 1 {
			t.Errorf("%v after %d requests; want none but the first", err, len(v.requests))
		}
		time.Sleep(61 * time.Second)
		m.Cancel(ctx, cancellation(docID))
		if len(v.requests) != 2 {
			t.Errorf("%d requests after a minute", len(v.requests))
		}
		for _, r := range v.requests {
			if strings.Contains(r.URL.Path, "token") {
				t.Errorf("%s asks for a token, which revokes the one in use", r.URL)
			}
		}
	})
}

func TestMalaysianLookupsAreRationed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{lookup: shelf(t, "", "my-lookup-valid.json")}
		cfg := malaysiaConfig()
		cfg.LookupsPerMinute = 3
		s := sharing(v)
		one := malaysia(t, s, cfg)
		cfg.TIN = "C99990000010" // another taxpayer with the same token
		two := malaysia(t, s, cfg)
		var last error
		for _, m := range []interface {
			Lookup(context.Context, bridge.Cancellation) (bridge.DocumentState, error)
		}{one, two, one, two} {
			_, last = m.Lookup(ctx, cancellation(docID))
		}
		if len(v.requests) != 3 || !errors.Is(last, bridge.ErrUnavailable) {
			t.Errorf("%d lookups, then %v", len(v.requests), last)
		}
	})
}

func TestMalaysianProbe(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   string
	}{
		{200, "my-lookup-none.json", ""},
		{401, "", "ClearTax refuses the token (HTTP 401)"},
		{403, "", "needs the Admin role for this TIN"},
		{404, page, "base_url does not answer as ClearTax does (HTTP 404)"},
	} {
		v := &vendor{lookup: func(*http.Request) *http.Response { return upstreamtest.Respond(c.status, fixture(t, c.body)) }}
		err := malaysia(t, sharing(v), malaysiaConfig()).Probe(ctx)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d: %v", c.status, err)
		}
		noSecret(t, err)
	}
}

func TestAStaleLeaseSendsNothing(t *testing.T) {
	stale := bridge.WithSendCheck(ctx, func(context.Context) error { return errors.New("the lease is gone") })
	v := &vendor{cancel: always(200, fixture(t, "my-cancel-success-documented.json"))}
	if o := malaysia(t, sharing(v), malaysiaConfig()).Cancel(stale, cancellation(docID)); o.Class != bridge.NotApplied || len(v.requests) != 0 {
		t.Errorf("%s, %d requests", o.Class, len(v.requests))
	}
	if o := india(t, sharing(v), indiaConfig("govt")).Cancel(stale, cancellation(irn)); o.Class != bridge.NotApplied || len(v.requests) != 0 {
		t.Errorf("%s, %d requests", o.Class, len(v.requests))
	}
}
