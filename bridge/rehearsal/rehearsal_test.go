package rehearsal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/rehearsal"
	"einvoice-bridge/bridge/soap"
)

const irn = "1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae"

// provider words the answer of a success and of a refusal.
type provider struct {
	head, open, parts, refusal, close string
	contentType                       string
}

func (p provider) says(refused bool) string {
	parts := p.parts
	if refused {
		parts = p.refusal
	}
	return p.head + p.open + parts + p.close
}

const (
	xmlHead  = `<?xml version="1.0" encoding="utf-8"?>`
	envelope = `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><S:Body>`
	closing  = `</S:Body></S:Envelope>`
	ours     = `<n:eInvoiceCancelResponse xmlns:n="urn:server">`
	oursEnd  = `</n:eInvoiceCancelResponse>` + closing
	plain    = `<Irn>` + irn + `</Irn><CancelDate>2021-06-01 20:30:00</CancelDate><error>0</error><errorMessage/><status>Success</status><code>200</code>`
	refusal  = `<Irn/><CancelDate/><error>1</error><errorMessage>2143: not yours</errorMessage><status>Failed</status><code>204</code>`
)

// call is a recorded cancellation, in a namespace.
func call(n int, space, contentType, answer string) bridge.Rehearsed {
	request := `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><u:eInvoiceCancel xmlns:u="` + space + `"><access_token>***</access_token><user_gstin>09AAAPG7885R002</user_gstin><irn>` +
		irn + `</irn><cancel_reason>1</cancel_reason><cancel_remarks>é</cancel_remarks></u:eInvoiceCancel></S:Body></S:Envelope>`
	return bridge.Rehearsed{
		Ref: fmt.Sprint("ref-", n), At: time.Unix(int64(1_800_000_000+n), 0), Caller: "erp", Operation: "eInvoiceCancel", Ours: true,
		Request: bridge.Message{Headers: [][2]string{{"Content-Type", "text/xml; charset=ISO-8859-1"}}, Body: request},
		Answer:  bridge.Message{Status: 200, Headers: [][2]string{{"Content-Type", contentType}}, Body: answer},
	}
}

func source(calls []bridge.Rehearsed) rehearsal.Source {
	return func(do func(bridge.Rehearsed) error) error {
		for _, c := range calls {
			if err := do(c); err != nil {
				return err
			}
		}
		return nil
	}
}

// Whatever a contract can say about answers is found, and nothing is found where nothing differs. What can't be said is told.
func TestLinesFollowTheProvider(t *testing.T) {
	const utf8 = "text/xml; charset=utf-8"
	for name, tc := range map[string]struct {
		provider
		space string
		lines []string // each must be there; none: there are no lines
		left  string   // difference that stays
	}{
		"as documented": {provider: provider{xmlHead, envelope, ours + plain, ours + refusal, oursEnd, utf8}},
		"no declaration": {provider: provider{"", envelope, ours + plain, ours + refusal, oursEnd, utf8},
			lines: []string{"mimic:\n  no_declaration: true\n"}},
		"latin-1": {provider: provider{`<?xml version="1.0" encoding="ISO-8859-1"?>`, envelope, ours + plain, ours + refusal, oursEnd, "text/xml; charset=ISO-8859-1"},
			lines: []string{`response_charset: "iso-8859-1"`}},
		"wrapped": {provider: provider{xmlHead, envelope, ours + "<return>" + plain + "</return>", ours + "<return>" + refusal + "</return>", oursEnd, utf8},
			lines: []string{`response_wrapper: "return"`}},
		"qualified": {provider: provider{xmlHead, envelope, `<n:eInvoiceCancelResponse xmlns:n="urn:server" xmlns="urn:server">` + plain, `<n:eInvoiceCancelResponse xmlns:n="urn:server" xmlns="urn:server">` + refusal, oursEnd, utf8},
			lines: []string{"qualified: true"}},
		"typed": {provider: provider{xmlHead, envelope, ours + typed(plain), ours + typed(refusal), oursEnd, utf8},
			lines: []string{`{slot: irn, name: "Irn", type: "string"}`}},
		"another element": {provider: provider{xmlHead, envelope, `<n:CancelResult xmlns:n="urn:server">` + plain, `<n:CancelResult xmlns:n="urn:server">` + refusal, `</n:CancelResult>` + closing, utf8},
			lines: []string{`response_element: "CancelResult"`}},
		"encodingStyle": {provider: provider{xmlHead, strings.Replace(envelope, "<S:Envelope", `<S:Envelope S:encodingStyle="Cancel $E"`, 1), ours + plain, ours + refusal, oursEnd, utf8},
			lines: []string{`encoding_style: "Cancel $$E"`}},
		"one namespace for all": {provider: provider{xmlHead, envelope, ours + plain, ours + refusal, oursEnd, utf8}, space: "http://tempuri.org/",
			lines: []string{`request_namespace: "http://tempuri.org/"`}},
		"another namespace": {provider: provider{xmlHead, envelope, strings.Replace(ours, "urn:server", "urn:x", 1) + plain, strings.Replace(ours, "urn:server", "urn:x", 1) + refusal, oursEnd, utf8}, space: "urn:x",
			lines: []string{`namespace: "urn:x"`}},
		"a part that means nothing": {provider: provider{xmlHead, envelope, ours + plain + "<version>3</version>", ours + refusal + "<version>3</version>", oursEnd, utf8},
			lines: []string{`{slot: const, name: "version", const: "3"} # "3"`}},
		"fewer parts": {provider: provider{xmlHead, envelope, ours + `<code>200</code><Irn>` + irn + `</Irn>`, ours + `<code>204</code><Irn/>`, oursEnd, utf8},
			lines: []string{"      response:\n        - {slot: code, name: \"code\"} # \"200\", \"204\"\n        - {slot: irn, name: \"Irn\"}\n"}},
		"names that say nothing": {provider: provider{xmlHead, envelope,
			ours + `<a>Y</a><b>done</b><c>2021-06-01</c><d/><e>000</e><f>` + strings.ToUpper(irn) + `</f>`,
			ours + `<a>N</a><b>denied</b><c/><d>2143: not yours</d><e>007</e><f/>`, oursEnd, utf8},
			lines: []string{
				`{slot: error_flag, name: "a"} # "N", "Y"`, `{slot: status, name: "b"}`, `{slot: cancel_date, name: "c"}`, `{slot: error_message, name: "d"}`,
				`{slot: code, name: "e"}`, `{slot: irn, name: "f"}`, `success: "done"`, `failed: "denied"`, `success_code: "000"`, `failed_code: "007"`, `success_flag: "Y"`, `failed_flag: "N"`,
			}},
		"nil":        {provider: provider{xmlHead, envelope, ours + plain, ours + strings.Replace(refusal, "<Irn/>", `<Irn xsi:nil="true"/>`, 1), oursEnd, utf8}, left: "part 1, nil"},
		"no charset": {provider: provider{xmlHead, envelope, ours + plain, ours + refusal, oursEnd, "text/xml"}, left: "charset in Content-Type"},
	} {
		t.Run(name, func(t *testing.T) {
			space := "urn:server"
			if tc.space != "" {
				space = tc.space
			}
			calls := []bridge.Rehearsed{
				call(1, space, tc.contentType, tc.says(false)), call(2, space, tc.contentType, tc.says(true)), call(3, space, tc.contentType, tc.says(false)),
			}
			r, err := rehearsal.Look(source(calls), soap.DefaultContract())
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.lines {
				if !strings.Contains(r.Lines, want) {
					t.Errorf("no line %s in\n%s", want, r.Lines)
				}
			}
			if tc.lines == nil && r.Lines != "" {
				t.Errorf("lines where nothing can be put right:\n%s", r.Lines)
			}
			after, err := r.Derived(source(calls))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tc.left == "" && after.Equal != 3:
				t.Errorf("%d of %d equal: %+v\n%s", after.Equal, after.Answers, after.Differences, r.Lines)
			case tc.left != "" && (len(after.Differences) != 1 || after.Differences[0].What != tc.left):
				t.Errorf("differences %+v, want %s", after.Differences, tc.left)
			}
			if tc.lines != nil && r.Before.Equal == 3 && tc.space != "urn:x" { // there the line is for the description alone
				t.Error("they were equal before")
			}
		})
	}
}

func typed(parts string) string {
	for _, name := range []string{"Irn", "CancelDate", "error", "errorMessage", "status", "code"} {
		parts = strings.ReplaceAll(strings.ReplaceAll(parts, "<"+name+">", "<"+name+` xsi:type="xsd:string">`), "<"+name+"/>", "<"+name+` xsi:type="xsd:string"/>`)
	}
	return parts
}

// What is no SOAP answer, what a Fault looks like, what was lost and what was refused stand in the report, and spoil
// nothing of the rest.
func TestReportTellsTheRest(t *testing.T) {
	fault := `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><S:Fault><faultcode>S:Client</faultcode><faultactor/><faultstring>no</faultstring></S:Fault></S:Body></S:Envelope>`
	calls := []bridge.Rehearsed{call(1, "urn:server", "text/xml; charset=utf-8", xmlHead+envelope+ours+plain+oursEnd)}
	html, broken, silent, none := call(2, "urn:server", "text/html", ""), call(3, "urn:server", "text/xml", fault), call(4, "urn:server", "", ""), call(5, "urn:server", "", "")
	html.Answer.Status, html.Answer.Size, broken.Answer.Status = 503, 99, 500
	silent.Failed, silent.Answer.Status, silent.Lost = "not sent: dial tcp: connection refused", 0, 3
	none.Ours, none.Fault, none.Operation, none.Caller = false, "The request is empty", "", ""
	calls[0].Notes, calls[0].Refused = []string{"a leniency"}, "reason 7"
	other := bridge.Rehearsed{Operation: "eInvoiceGenerate", At: time.Unix(1_800_000_009, 0)}
	r, err := rehearsal.Look(source(append(calls, html, broken, silent, none, other)), soap.DefaultContract())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"6 calls of 3 kinds from ", "1  nobody known         eInvoiceGenerate  (relayed, also later)", "1  nobody known         unreadable",
		"3  more were relayed but not recorded", "understood: 5 of 6", "1  The request is empty (nobody known; such as ref-5)", "1  reason 7 (erp; such as ref-1)", "1  a leniency (erp;",
		"1  HTTP 503, text/html, which is no SOAP answer: 99 bytes", "1  no answer: not sent: dial tcp: connection refused",
		"1 of 1 answers equal in names, order, types and status", "0 of 1 SOAP Faults look the same", "part 2: faultactor by the provider, faultstring by us",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(b.String())
	}
	empty, err := rehearsal.Look(source(nil), soap.DefaultContract())
	if err != nil || !strings.HasPrefix(empty.Verdict(), "nothing is recorded") {
		t.Errorf("of nothing: %v, %q", err, empty.Verdict())
	}
}

// A rehearsal in which nobody was refused says nothing of how the provider words a refusal, and says so; the same of successes.
func TestReportTellsWhatWasNotSeen(t *testing.T) {
	const utf8 = "text/xml; charset=utf-8"
	good, bad := call(1, "urn:server", utf8, xmlHead+envelope+ours+plain+oursEnd), call(2, "urn:server", utf8, xmlHead+envelope+ours+refusal+oursEnd)
	named := call(3, "urn:server", utf8, xmlHead+envelope+ours+strings.Replace(refusal, "<Irn/>", "<Irn>"+irn+"</Irn>", 1)+oursEnd) // told by its words alone
	login := call(4, "urn:server", utf8, "")
	login.Operation, login.Failed = "access_new_token", "timeout"
	for name, tc := range map[string]struct {
		calls []bridge.Rehearsed
		says  string // "": nothing of that
	}{
		"both":            {calls: []bridge.Rehearsed{good, bad}},
		"both, one named": {calls: []bridge.Rehearsed{good, good, named}},
		"no refusal":      {[]bridge.Rehearsed{good, good}, "the provider gave no refusal to a cancellation"},
		"no success":      {[]bridge.Rehearsed{bad}, "the provider gave no success to a cancellation"},
		"neither":         {[]bridge.Rehearsed{login}, "the provider gave no success and no refusal to a cancellation"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := rehearsal.Look(source(tc.calls), soap.DefaultContract())
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := r.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			if says := strings.Contains(b.String(), "the provider gave no "); says != (tc.says != "") || !strings.Contains(b.String(), tc.says) {
				t.Errorf("%d successes, %d refusals:\n%s", r.Before.Successes, r.Before.Refusals, b.String())
			}
		})
	}
}

// store keeps what it is given, when it lets itself be written to.
type store struct {
	mu   sync.Mutex
	all  []bridge.Rehearsed
	fail int // writes that are refused, from the first
	hold chan struct{}
}

func (s *store) Rehearse(_ context.Context, calls []bridge.Rehearsed) error {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return errors.New("disk full")
	}
	s.all = append(s.all, calls...)
	return nil
}

func (s *store) Rehearsed(context.Context, time.Time, func(bridge.Rehearsed) error) error { return nil }

// A disk that hangs delays no call and holds no more than so much; what is left out is counted, and a panic over a
// stranger's bytes ends nothing.
func TestRecorderIsBounded(t *testing.T) {
	s := &store{hold: make(chan struct{})}
	var log bytes.Buffer
	r := rehearsal.NewRecorder(s, slog.New(slog.NewTextHandler(&log, nil)))
	begun := time.Now()
	panicked := make(chan struct{})
	r.Note(1000, func() bridge.Rehearsed { panic("odd bytes") })
	r.Note(1000, func() bridge.Rehearsed { close(panicked); return bridge.Rehearsed{Ref: "1"} })
	<-panicked // what is lost to it must not keep the log from saying that others are lost
	const many = 5000
	for i := 2; i < many; i++ {
		r.Note(1000, func() bridge.Rehearsed { return bridge.Rehearsed{Ref: fmt.Sprint(i)} })
	}
	for range 3 {
		r.Note(100<<20, func() bridge.Rehearsed { t.Error("what is too large is held"); return bridge.Rehearsed{} })
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("noting took %v", took)
	}
	close(s.hold)
	r.Close()
	kept, lost := len(s.all), 0
	for _, c := range s.all {
		lost += c.Lost
	}
	if kept < 1000 || kept > 2000 || kept+lost > many+3 || kept+lost < many-1000 {
		t.Errorf("%d kept, %d told as lost, of %d", kept, lost, many+3)
	}
	if !strings.Contains(log.String(), "faster than they can be written down") || !strings.Contains(log.String(), "panic") {
		t.Errorf("log: %s", log.String())
	}
}

// A description that every start of a program asks for is kept once an hour, or when it has changed.
func TestRecorderKeepsADescriptionOnce(t *testing.T) {
	s := &store{}
	r := rehearsal.NewRecorder(s, slog.New(slog.NewTextHandler(io.Discard, nil)))
	for i, body := range []string{"a", "a", "b", "a", "a"} {
		at := time.Unix(1_800_000_000, 0).Add(time.Duration(i/4) * 2 * time.Hour)
		r.Note(1, func() bridge.Rehearsed {
			return bridge.Rehearsed{Operation: bridge.RehearsedWSDL, At: at, Answer: bridge.Message{Body: body}}
		})
	}
	r.Close()
	kept := ""
	for _, c := range s.all {
		kept += c.Answer.Body + ","
	}
	if kept != "a,,b,a,a," {
		t.Errorf("kept: %s", kept)
	}
}

// What can't be written is counted with the next that can.
func TestRecorderCountsWhatTheDiskRefused(t *testing.T) {
	s := &store{fail: 1}
	r := rehearsal.NewRecorder(s, slog.New(slog.NewTextHandler(io.Discard, nil)))
	for i := range 100 + 1 { // more than go into one write
		r.Note(1, func() bridge.Rehearsed { return bridge.Rehearsed{Ref: fmt.Sprint(i)} })
	}
	r.Close()
	total := 0
	for _, c := range s.all {
		total += 1 + c.Lost
	}
	if total != 101 || len(s.all) == 101 {
		t.Errorf("%d kept, %d accounted for", len(s.all), total)
	}
}
