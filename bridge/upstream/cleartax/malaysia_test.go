package cleartax_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream/cleartax"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

// TestEveryMalaysianReplyHasItsMeaning walks the classification table. Where the vendor's page Cancel E-Invoice isn't the
// source, the row names it.
func TestEveryMalaysianReplyHasItsMeaning(t *testing.T) {
	cancelled := verdict{Class: bridge.Cancelled}
	already := verdict{Class: bridge.AlreadyCancelled, Code: "2272", Message: "2272: EInvoice is already Cancelled"}
	another := func(names string) verdict {
		return verdict{Class: bridge.Unknown, Message: "the reply names another document: " + names, Alarm: true}
	}
	no := func(errors string) string { return `{"Uuid":null,"Success":"false","ErrorDetails":[` + errors + `]}` }
	for _, c := range []struct {
		name    string
		status  int
		body    string
		headers []string
		want    verdict
	}{
		{"cancelled", 200, "my-cancel-success-documented.json", nil, cancelled},
		{"Success as a Boolean (its schema)", 200, "my-cancel-success-bool.json", nil, cancelled},
		{"Success as Y", 200, `{"Uuid":"` + docUUID + `","Success":"Y"}`, nil, cancelled},
		{"Success in capitals, UUID in small letters", 200, `{"uuid":"` + strings.ToLower(docUUID) + `","success":"TRUE"}`, nil, cancelled},
		{"success by its document id", 200, `{"Uuid":null,"DocumentId":"` + docID + `","Success":true}`, nil, cancelled},
		{"success for another UUID (project rule: one document)", 200, `{"Uuid":"ANOTHER0000000000000000000","Success":true}`, nil, another("ANOTHER0000000000000000000")},
		{"success for another document id", 200, `{"Uuid":null,"DocumentId":"another","Success":true}`, nil, another("another")},
		{"success for this UUID and another document id", 200, `{"Uuid":"` + docUUID + `","DocumentId":"another","Success":true}`, nil, another("another " + docUUID)},
		{"success for no document", 200, `{"Uuid":null,"Success":"Y"}`, nil, unknown("the reply says success and names no document")},
		{"success and an error: contradicts itself", 200, `{"Uuid":"` + docUUID + `","Success":"true","ErrorDetails":[{"ErrorCode":"1","ErrorMessage":"m"}]}`, nil,
			verdict{Class: bridge.Unknown, Code: "1", Message: "the reply says success and reports an error: 1: m"}},
		{"success and already cancelled", 200, `{"Uuid":"` + docUUID + `","Success":"true","ErrorDetails":[{"ErrorCode":"2272"}]}`, nil,
			verdict{Class: bridge.Unknown, Code: "2272", Message: "the reply says success and reports an error: 2272"}},

		{"already cancelled", 200, "my-cancel-already-documented.json", nil, already},
		{"already cancelled, by its text", 200, no(`{"ErrorCode":"9","ErrorMessage":"Document is ALREADY CANCELLED"}`), nil,
			verdict{Class: bridge.AlreadyCancelled, Code: "9", Message: "9: Document is ALREADY CANCELLED"}},
		{"already cancelled, with a 400", 400, "my-cancel-already-documented.json", nil, already},
		{"already cancelled and something else", 200, no(`{"ErrorCode":"2272","ErrorMessage":"m"},{"ErrorCode":"OperationPeriodOver","ErrorMessage":"late"}`), nil,
			verdict{Class: bridge.Unclear, Code: "2272,OperationPeriodOver", Message: "2272: m; OperationPeriodOver: late"}}, // each is listed
		{"LHDN's window is over (MyInvois SDK)", 200, "my-cancel-refused-lhdn.json", nil, refused("OperationPeriodOver", "OperationPeriodOver: The time limit of cancellation has already run out")},
		{"LHDN's references (MyInvois SDK)", 200, no(`{"ErrorCode":"ActiveReferencingDocuments","ErrorMessage":"m"}`), nil, refused("ActiveReferencingDocuments", "ActiveReferencingDocuments: m")},
		{"LHDN's incorrect state (MyInvois SDK)", 200, no(`{"ErrorCode":"IncorrectState","ErrorMessage":"m"}`), nil,
			verdict{Class: bridge.Refused, Code: "IncorrectState", Message: "IncorrectState: m", ByState: true}},
		{"LHDN's status not valid (seen by clients)", 200, no(`{"ErrorCode":"DocumentStatusNotValid","ErrorMessage":"m"}`), nil,
			verdict{Class: bridge.Refused, Code: "DocumentStatusNotValid", Message: "DocumentStatusNotValid: m", ByState: true}},
		{"LHDN's outer text (seen by clients)", 200, no(`{"ErrorCode":"8","ErrorMessage":"The document cannot be cancelled or requested for rejection"}`), nil,
			verdict{Class: bridge.Refused, Code: "8", Message: "8: The document cannot be cancelled or requested for rejection", ByState: true}},
		{"no such document (API Validations 1)", 200, no(`{"ErrorCode":"7","ErrorMessage":"Document not found"}`), nil, refused("7", "7: Document not found")},
		{"too old (API Validations 2)", 200, no(`{"ErrorCode":"7","ErrorMessage":"Generated more than 72 hours ago"}`), nil, refused("7", "7: Generated more than 72 hours ago")},
		{"not the generator (API Validations 3)", 200, no(`{"ErrorCode":"7","ErrorMessage":"The TIN is not the generator"}`), nil, refused("7", "7: The TIN is not the generator")},
		{"two errors that no page lists", 200, "my-cancel-two-errors.json", nil, unclear("A1,A2", "A1: First; A2: Second")},
		{"a listed error and one that isn't", 200, no(`{"ErrorCode":"OperationPeriodOver","ErrorMessage":"late"},{"ErrorCode":"N","ErrorMessage":"m"}`), nil,
			unclear("OperationPeriodOver,N", "OperationPeriodOver: late; N: m")},
		{"one error without a list", 200, `{"Success":"N","ErrorDetails":{"ErrorCode":7,"ErrorMessage":"m"}}`, nil, unclear("7", "7: m")},
		{"an error without a code", 200, `{"Success":"N","ErrorDetails":[{"ErrorMessage":"m"}]}`, nil, unclear("", "m")},
		{"trouble of a gateway in a business envelope (project rule)", 200, no(`{"ErrorCode":"500","ErrorMessage":"Connection reset by peer"}`), nil,
			verdict{Class: bridge.Unknown, Code: "500", Message: "the reply reports trouble: 500: Connection reset by peer", Unclassified: true}},
		{"failure without a reason", 200, `{"Success":"false","ErrorDetails":null}`, nil, unknown("ClearTax reported failure without a reason")},
		{"neither true nor false", 200, `{"Success":"maybe"}`, nil, unknown("the reply says neither success nor failure")},
		{"empty", 200, ``, nil, unknown("HTTP 200" + fault)},
		{"page", 200, page, nil, unknown("HTTP 200" + fault)},
		{"cut off", 200, `{"Success":"true"`, nil, unknown("HTTP 200" + fault)},

		{"400 with a text: an invalid request", 400, no(`{"ErrorCode":"X","ErrorMessage":"m"}`), nil,
			verdict{Class: bridge.Refused, Code: "X", Message: "X: m", Unclassified: true}},
		{"400 with trouble in it", 400, no(`{"ErrorCode":"X","ErrorMessage":"Gateway Time-out"}`), nil,
			verdict{Class: bridge.Unknown, Code: "X", Message: "the reply reports trouble: X: Gateway Time-out", Unclassified: true}},
		{"400 without", 400, ``, nil, refused("", "invalid request")},
		{"400 of a gateway in front of it", 400, `{"message":"upstream connect error. reset reason: connection reset"}`, nil,
			verdict{Class: bridge.Unknown, Message: "the reply reports trouble: upstream connect error. reset reason: connection reset", Unclassified: true}},
		{"400 page", 400, page, nil, unknown("HTTP 400" + fault)},
		{"400 that says success", 400, `{"Success":"true"}`, nil, unknown("HTTP 400" + fault)},
		{"401", 401, `{"message":"User is not authenticated"}`, nil, misconfigured("HTTP 401: the token was refused")},
		{"403", 403, `{"message":"User is not authorized"}`, nil, misconfigured("HTTP 403: the right to act for this TIN is refused")},
		{"403 with a code is no refusal of LHDN", 403, "my-cancel-refused-lhdn.json", nil,
			verdict{Class: bridge.Misconfigured, Code: "OperationPeriodOver", Alarm: true,
				Message: "HTTP 403: the right to act for this TIN is refused OperationPeriodOver: The time limit of cancellation has already run out"}},
		{"404 of ClearTax", 404, `{"message":"no such document"}`, nil, refused("", "unknown document")},
		{"404 with an error that no page lists", 404, no(`{"ErrorCode":"X","ErrorMessage":"m"}`), nil, unclear("X", "X: m")},
		{"404 of a gateway in front of it", 404, `{"message":"no Route matched with those values"}`, nil, unclear("", "HTTP 404 no Route matched with those values")},
		{"404 of any server", 404, `{"message":"Not Found"}`, nil, unclear("", "HTTP 404 Not Found")},
		{"404 without a text", 404, `{}`, nil, unclear("", "HTTP 404")},
		{"404 page", 404, page, nil, misplaced("404")},
		{"405", 405, ``, nil, misplaced("405")},
		{"redirect, never followed", 302, ``, []string{"Location: https://elsewhere.example"}, misplaced("302")},
		{"501", 501, ``, nil, misplaced("501")},
		{"409 page", 409, page, nil, unknown("HTTP 409" + fault)},
		{"409 with a text", 409, no(`{"ErrorCode":"X","ErrorMessage":"m"}`), nil, unclear("X", "X: m")},
		{"429", 429, `{"message":"Too many requests"}`, nil, wait(0)},
		{"429 with seconds", 429, ``, []string{"Retry-After: 3"}, wait(3 * time.Second)},
		{"429 with a date", 429, ``, []string{"Date: Sat, 01 Jan 2000 00:00:00 GMT", "Retry-After: Sat, 01 Jan 2000 00:00:40 GMT"}, wait(40 * time.Second)},
		{"408", 408, ``, nil, unknown("HTTP 408" + fault)},
		{"500", 500, "my-cancel-refused-lhdn.json", nil, unknown("HTTP 500" + fault)},
		{"503 page", 503, page, nil, unknown("HTTP 503" + fault)},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &vendor{cancel: always(c.status, fixture(t, c.body), c.headers...), lookup: shelf(t, "my-lookup-valid.json", "")}
			o := cancelMY(malaysia(t, sharing(v), malaysiaConfig()))
			if d := cmp.Diff(c.want, verdictOf(o)); d != "" {
				t.Error(d)
			}
			if !o.Sent || o.HTTPStatus != c.status || purposes(o.Exchanges) != "lookup cancel" {
				t.Errorf("sent %v, status %d, exchanges %s", o.Sent, o.HTTPStatus, purposes(o.Exchanges))
			}
			noSecret(t, o)
		})
	}
}

// cancelMY cancels the document of the vendor's sample.
func cancelMY(m *cleartax.Malaysia) bridge.Outcome {
	return m.Cancel(ctx, cancellation(docUUID), upstreamtest.Free)
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
			o := cancelMY(malaysia(t, sharing(&vendor{cancel: c.cancel, lookup: shelf(t, "my-lookup-valid.json", "")}), malaysiaConfig()))
			if o.Class != c.want || o.Sent != (c.want == bridge.Unknown) || o.Message == "" {
				t.Errorf("%s: %s %q, sent %v; want %s", name, o.Class, o.Message, o.Sent, c.want)
			}
		}
	})
}

func TestTheMalaysianRequest(t *testing.T) {
	for _, c := range []struct{ branch, kind, wantType string }{
		{"", "", "SALES"}, {"Kuala Lumpur", "PURCHASE", "PURCHASE"}, {"", "SALES_B2C", "SALES_B2C"},
	} {
		v := &vendor{cancel: always(200, fixture(t, "my-cancel-success-documented.json")), lookup: shelf(t, "my-lookup-valid.json", "")}
		cfg := malaysiaConfig()
		cfg.Branch, cfg.InvoiceType = c.branch, c.kind
		m := malaysia(t, sharing(v), cfg)
		can := cancellation(docUUID)
		can.Remarks = "Wrong buyer details"
		o := m.Cancel(ctx, can, upstreamtest.Free)
		put := v.requests[1]
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
		m.Cancel(ctx, can, upstreamtest.Free)
		if again := v.requests[2].sent("x-request-id"); again == id {
			t.Error("two requests have one id")
		}
	}
}

func TestMalaysianTokenHeaderIsConfigurable(t *testing.T) {
	v := &vendor{cancel: always(200, fixture(t, "my-cancel-success-documented.json")), lookup: shelf(t, "my-lookup-valid.json", "")}
	cfg := malaysiaConfig()
	cfg.TokenHeader = "x-clear-auth-token"
	cancelMY(malaysia(t, sharing(v), cfg))
	for _, r := range v.requests {
		if r.sent("x-cleartax-auth-token") != "" || r.sent("x-clear-auth-token") != token {
			t.Error(r.Header)
		}
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
		v := &vendor{cancel: always(200, fixture(t, "my-cancel-success-documented.json")), lookup: shelf(t, "my-lookup-valid.json", "")}
		can := cancellation(docUUID)
		can.Remarks = c.remarks
		malaysia(t, sharing(v), malaysiaConfig()).Cancel(ctx, can, upstreamtest.Free)
		if d := cmp.Diff(c.want, v.requests[1].body); d != "" {
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
		{"in another form of the same length", `{"Success":true,"Uuid":"` + docUUID + `","CancelDate":"21/07/2024 19:07:07"}`, "21/07/2024 19:07:07", bridge.DateUpstream},
		{"none: the time of the reply", `{"Success":true,"Uuid":"` + docUUID + `","CancelDate":null}`, "2021-03-02 00:30:05", bridge.DateReply},
		{"rubbish: the time of the reply", `{"Success":true,"Uuid":"` + docUUID + `","CancelDate":"today"}`, "2021-03-02 00:30:05", bridge.DateReply},
	} {
		v := &vendor{cancel: always(200, fixture(t, c.body), "Date: Mon, 01 Mar 2021 16:30:05 GMT"), lookup: shelf(t, "my-lookup-valid.json", "")}
		o := cancelMY(malaysia(t, sharing(v), malaysiaConfig()))
		if o.Class != bridge.Cancelled || o.Date != c.want || o.DateSource != c.source {
			t.Errorf("%s: %s %q %s", c.name, o.Class, o.Date, o.DateSource)
		}
	}
}

func TestARefusedTokenRestsAMinuteAndIsNeverRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{cancel: always(401, ""), lookup: shelf(t, "my-lookup-valid.json", "")}
		m := malaysia(t, sharing(v), malaysiaConfig())
		cancelMY(m)
		if _, err := m.Lookup(ctx, cancellation(docUUID)); !errors.Is(err, bridge.ErrUnavailable) || len(v.requests) != 2 {
			t.Errorf("%v after %d requests; want none but the first two", err, len(v.requests))
		}
		if _, o := m.Resolve(ctx, docID); o.Class != bridge.Misconfigured || len(v.requests) != 2 {
			t.Errorf("%s after %d requests; want none but the first two", o.Class, len(v.requests))
		}
		time.Sleep(61 * time.Second)
		cancelMY(m)
		if len(v.requests) != 4 {
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
		v := &vendor{lookup: shelf(t, "my-lookup-valid.json", "")}
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
			_, last = m.Lookup(ctx, cancellation(docUUID))
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

func TestAMalaysianCancelNeedsItsFence(t *testing.T) {
	for name, fence := range map[string]bridge.Fence{"lost": upstreamtest.Lost, "none": nil} {
		v := &vendor{cancel: always(200, fixture(t, "my-cancel-success-documented.json")), lookup: shelf(t, "my-lookup-valid.json", "")}
		o := malaysia(t, sharing(v), malaysiaConfig()).Cancel(ctx, cancellation(docUUID), fence)
		if o.Class != bridge.NotApplied || o.Sent || o.Message == "" || queries(v) != "uuid="+docUUID {
			t.Errorf("%s: %s %q, sent %v, calls %s", name, o.Class, o.Message, o.Sent, queries(v))
		}
	}
}
