package server_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
)

const (
	success = `<?xml version="1.0" encoding="utf-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/"><SOAP-ENV:Body><ns1:eInvoiceCancelResponse xmlns:ns1="urn:server"><Irn>` + irn + `</Irn><CancelDate>2021-06-01 20:30:00</CancelDate><error>0</error><errorMessage></errorMessage><status>Success</status><code>200</code></ns1:eInvoiceCancelResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>`
	refusal = `<ns1:eInvoiceCancelResponse xmlns:ns1="urn:server"><Irn></Irn><CancelDate></CancelDate><error>1</error><errorMessage>` + foreign + `</errorMessage><status>Failed</status><code>204</code></ns1:eInvoiceCancelResponse>`
)

// The published call, over both paths, and what the Service hears of it.
func TestPublishedCall(t *testing.T) {
	r := start(t)
	for _, path := range []string{"/api.einvoice.php", "/einvoice", "/api.einvoice.php?wsdl", "/API.eInvoice.PHP", "/einvoice/"} {
		got := r.raw(request(path, envelope))
		got.expect(t, path, 200, "Success 200 ")
		if diff := cmp.Diff(success, got.body); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	call := r.seen()[0]
	want := bridge.Request{Caller: "sap", Taxpayer: gstin, IRN: irn, Reason: "1", Remarks: "Wrong entry"}
	if diff := cmp.Diff(want, call, cmpopts.IgnoreFields(bridge.Request{}, "Ref", "Received", "Until", "SOAPIn", "Render", "Carried")); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if call.Ref == "" || time.Since(call.Received) > time.Minute {
		t.Errorf("ref %q, received %v", call.Ref, call.Received)
	}
	if masked := strings.Replace(envelope, token, "***", 1); string(call.SOAPIn) != masked {
		t.Errorf("journaled envelope %s", call.SOAPIn)
	}
}

func TestTaxpayerIsAKey(t *testing.T) {
	r := start(t)
	r.post(strings.Replace(envelope, gstin, "\n "+strings.ToLower(gstin)+"\t", 1)).expect(t, "lower case, padded", 200, "Success 200 ")
	r.post(strings.NewReplacer(gstin, "c25845632020", token, "all").Replace(envelope)).expect(t, "a TIN", 200, "Success 200 ")
	var keys []string
	for _, c := range r.seen() {
		keys = append(keys, c.Taxpayer)
	}
	if diff := cmp.Diff([]string{gstin, "C25845632020"}, keys); diff != "" {
		t.Errorf("taxpayers (-want +got):\n%s", diff)
	}
}

// Each answer of the Service as the caller gets it.
func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		answer     bridge.Answer
		status     int
		said       string
		asReply    string // for a caller with trouble_as: reply
		retryAfter string
	}{
		"refused":       {bridge.Answer{Class: bridge.Refused, Message: foreign}, 200, "Failed 204 " + foreign, "Failed 204 " + foreign, ""},
		"not applied":   {bridge.Answer{Class: bridge.NotApplied, Fault: bridge.FaultNotApplied, RetryAfter: 1500 * time.Millisecond}, 500, "SOAP-ENV:Server: " + bridge.FaultNotApplied, "Failed 503 " + bridge.FaultNotApplied, "2"},
		"unknown":       {bridge.Answer{Class: bridge.Unknown, Fault: bridge.FaultUnknown}, 500, "SOAP-ENV:Server: " + bridge.FaultUnknown, "Failed 503 " + bridge.FaultUnknown, ""},
		"misconfigured": {bridge.Answer{Class: bridge.Misconfigured, Fault: bridge.FaultMisconfigured}, 500, "SOAP-ENV:Server: " + bridge.FaultMisconfigured, "Failed 503 " + bridge.FaultMisconfigured, ""},
		"waiting":       {bridge.Answer{Fault: bridge.FaultWaiting, RetryAfter: time.Minute}, 500, "SOAP-ENV:Server: " + bridge.FaultWaiting, "Failed 503 " + bridge.FaultWaiting, "60"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			r.answer = func(bridge.Request) bridge.Answer { return tc.answer }
			got := r.post(envelope)
			got.expect(t, "fault", tc.status, tc.said)
			if got.header.Get("Retry-After") != tc.retryAfter {
				t.Errorf("Retry-After %q, want %q", got.header.Get("Retry-After"), tc.retryAfter)
			}
			if ref := "[ref " + got.header.Get("X-Request-Id") + "]"; tc.status == 500 && !strings.Contains(got.body, ref) {
				t.Errorf("no %s in %s", ref, got.body)
			}
			reply := r.post(strings.Replace(envelope, token, "nofaults", 1))
			if plain := stable(reply.said()); reply.status != 200 || plain != tc.asReply {
				t.Errorf("as reply: %d %s, want %s", reply.status, plain, tc.asReply)
			}
			for i, sent := range []response{got, reply} {
				if !bytes.Equal(r.said[i], []byte(sent.body)) {
					t.Errorf("sent %s, journaled %s", sent.body, r.said[i])
				}
			}
		})
	}
}

func TestRefusalIsThePublishedOne(t *testing.T) {
	r := start(t)
	r.answer = func(bridge.Request) bridge.Answer { return bridge.Answer{Class: bridge.Refused, Message: foreign} }
	if got := r.post(envelope); !strings.Contains(got.body, refusal) {
		t.Errorf("got %s", got.body)
	}
}

// X24 and the other reasons to send a caller away: 204, and nothing reaches the Service.
func TestDenials(t *testing.T) {
	r := start(t)
	v := soap.DefaultContract().Values
	with := func(old, new string) string { return strings.Replace(envelope, old, new, 1) }
	for name, tc := range map[string]struct {
		body, said string
		kind       server.Refusal
	}{
		"unknown token":        {with(token, "guess"), v.TokenInvalid, server.RefusedToken},
		"empty token":          {with(token, ""), "access_token is missing", server.RefusedToken},
		"another's taxpayer":   {with(gstin, "29AAFCD5862R000"), v.NotYours, server.RefusedTaxpayer},
		"no taxpayer":          {with(gstin, " "), "user_gstin is missing", server.RefusedTaxpayer},
		"no taxpayer, may all": {strings.NewReplacer(gstin, "", token, "all").Replace(envelope), "user_gstin is missing", server.RefusedTaxpayer},
	} {
		before := len(r.refusals())
		r.post(tc.body).expect(t, name, 200, "Failed 204 "+tc.said)
		if diff := cmp.Diff([]server.Refusal{tc.kind}, r.refusals()[before:]); diff != "" {
			t.Errorf("%s: counted (-want +got):\n%s", name, diff)
		}
	}
	if calls := r.seen(); len(calls) != 0 {
		t.Errorf("%d calls reached the Service", len(calls))
	}
	if log := r.log.String(); strings.Contains(log, token) || strings.Contains(log, "guess") {
		t.Errorf("a token in the log: %s", log)
	}
}

// A journal that can't be asked is trouble, never a 204.
func TestTroubleIsNoDenial(t *testing.T) {
	r := start(t)
	r.journal.err = errors.New("disk full")
	got := r.post(strings.Replace(envelope, token, strings.Repeat("a", 40), 1))
	got.expect(t, "token", 500, "SOAP-ENV:Server: "+bridge.FaultBusy)
	if got.header.Get("Retry-After") == "" || strings.Contains(got.body, "disk") {
		t.Errorf("Retry-After %q, body %s", got.header.Get("Retry-After"), got.body)
	}
	r.post(login("s3cret", "s3cret")).expect(t, "login", 500, "SOAP-ENV:Server: The bridge is busy; no token was issued. Retry later.")
}

func login(password, secret string) string {
	return `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><access_new_token xmlns="urn:server"><username>sapuser</username><password>` + password +
		`</password><client_id>erp</client_id><client_secret>` + secret + `</client_secret><grant_type>password</grant_type></access_new_token></e:Body></e:Envelope>`
}

func TestTokenOperation(t *testing.T) {
	r := start(t)
	got := r.post(login("s3cret", "s3cret"))
	got.wellFormed(t)
	issued := got.part("access_token")
	const open, end = `<ns1:access_new_tokenResponse xmlns:ns1="urn:server"><access_token>`, `</error_description></ns1:access_new_tokenResponse>`
	if want := open + issued + `</access_token><expires_in>14400</expires_in><token_type>bearer</token_type><error_description>` + end; len(issued) != 40 || !strings.Contains(got.body, want) {
		t.Errorf("got %s", got.body)
	}
	r.post(strings.Replace(envelope, token, issued, 1)).expect(t, "call with it", 200, "Success 200 ")

	bad := r.post(login("s3cret", "no"))
	if want := open + `</access_token><expires_in>0</expires_in><token_type></token_type><error_description>The client credentials are invalid` + end; bad.status != 200 || !strings.Contains(bad.body, want) {
		t.Errorf("got %d %s", bad.status, bad.body)
	}
	log := r.log.String()
	for _, secret := range []string{issued, "s3cret", "sapuser"} {
		if strings.Contains(log, secret) {
			t.Errorf("%q in the log: %s", secret, log)
		}
	}
	if !strings.Contains(log, `"caller":"sap"`) {
		t.Errorf("the log does not name the caller: %s", log)
	}
}

// X23: guessing is slowed down, in words that tell neither why nor who exists.
func TestTokenGuessing(t *testing.T) {
	r := start(t)
	for i := range 9 {
		got := r.post(login("guess", "guess"))
		want := "The client credentials are invalid"
		if i > 5 {
			want = "Too many failed attempts; try again later"
		}
		if got.status != 200 || got.part("error_description") != want || (i > 5) != (got.header.Get("Retry-After") != "") {
			t.Fatalf("guess %d: %d, Retry-After %q, %s", i, got.status, got.header.Get("Retry-After"), got.body)
		}
	}
}

func TestBasicStandsForAToken(t *testing.T) {
	r := start(t)
	basic := func(s string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(s)) + "\r\n"
	}
	noToken := strings.Replace(envelope, "<access_token>"+token+"</access_token>", "", 1)
	r.post(noToken, basic("sapuser:s3cret")).expect(t, "good", 200, "Success 200 ")
	r.post(noToken, basic("sapuser:guess")).expect(t, "wrong", 200, "Failed 204 access_token is missing; the user name and password that came instead of it were not accepted")
	r.post(noToken).expect(t, "none", 200, "Failed 204 access_token is missing")
	r.post(strings.Replace(envelope, token, "guess", 1), basic("sapuser:s3cret")).
		expect(t, "a wrong token is not mended by it", 200, "Failed 204 The access token provided is invalid")
}

func TestUsernameToken(t *testing.T) {
	check := func(s *setup) { s.Config.Callers[0].WSSE = "check" }
	wsse := func(password, kind string) string {
		return `<soapenv:Header><w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" soapenv:mustUnderstand="1"><w:UsernameToken><w:Username>sapuser</w:Username><w:Password Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#Password` + kind + `">` + password + `</w:Password></w:UsernameToken></w:Security></soapenv:Header>`
	}
	with := func(header, access string) string {
		return strings.NewReplacer("<soapenv:Header/>", header, token, access).Replace(envelope)
	}
	const invalid = "Failed 204 The access token provided is invalid"
	const instead = "Failed 204 access_token is missing; the user name and password that came instead of it were not accepted"
	r := start(t, check)
	r.post(with(wsse("s3cret", "Text"), "")).expect(t, "instead of a token", 200, "Success 200 ")
	r.post(with(wsse("s3cret", "Text"), token)).expect(t, "beside the same caller's token", 200, "Success 200 ")
	r.post(with(wsse("guess", "Text"), token)).expect(t, "wrong beside a token", 200, invalid)
	r.post(with(wsse("c29tZXRoaW5n", "Digest"), "")).expect(t, "a digest", 200, instead)
	if !strings.Contains(r.log.String(), "PasswordDigest can't be checked") {
		t.Error("the log does not say why a digest is refused")
	}
	r = start(t)
	r.post(with(wsse("guess", "Text"), token)).expect(t, "ignored", 200, "Success 200 ")
	r.post(with(wsse("s3cret", "Text"), "")).expect(t, "ignored instead of a token", 200, instead)
}

func TestLimitOfCallsInFlight(t *testing.T) {
	for name, change := range map[string]func(*setup){
		"total":  func(s *setup) { s.InFlight = 1 },
		"caller": func(s *setup) { s.Config.Callers[0].InFlight = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, change)
			in, out := make(chan struct{}), make(chan struct{})
			r.answer = func(q bridge.Request) bridge.Answer {
				in <- struct{}{}
				<-out
				return bridge.Answer{Class: bridge.Cancelled, IRN: q.IRN}
			}
			first := make(chan response)
			go func() { first <- r.post(envelope) }()
			<-in
			got := r.post(envelope)
			got.expect(t, "second", 500, "SOAP-ENV:Server: "+bridge.FaultBusy)
			if got.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if r.srv.Calls() != 1 {
				t.Errorf("%d calls in flight", r.srv.Calls())
			}
			close(out)
			(<-first).expect(t, "first", 200, "Success 200 ")
			go func() { <-in }()
			r.post(envelope).expect(t, "third", 200, "Success 200 ")
		})
	}
}

// A busy caller that can't read faults is told so in a reply.
func TestBusyAsReply(t *testing.T) {
	r := start(t, func(s *setup) { s.Config.Callers[2].PerMinute = 1 })
	body := strings.Replace(envelope, token, "nofaults", 1)
	r.post(body).expect(t, "first", 200, "Success 200 ")
	if got := r.post(body); got.status != 200 || stable(got.said()) != "Failed 503 "+bridge.FaultBusy || got.header.Get("Retry-After") != "60" {
		t.Errorf("second: %d %s, Retry-After %q", got.status, got.said(), got.header.Get("Retry-After"))
	}
}

func TestReplyWithinIsTheCallers(t *testing.T) {
	r := start(t, func(s *setup) { s.Config.Callers[0].Within = 25 * time.Second })
	r.post(envelope)
	if got := r.seen()[0]; got.Until.Sub(got.Received) != 25*time.Second {
		t.Errorf("received %v, until %v", got.Received, got.Until)
	}
}

// The answer's WS-Addressing headers are the same bytes in the journal and on the wire.
func TestAddressing(t *testing.T) {
	r := start(t)
	got := r.post(strings.Replace(envelope, "<soapenv:Header/>", `<soapenv:Header xmlns:a="http://www.w3.org/2005/08/addressing"><a:Action soapenv:mustUnderstand="1">urn:server#eInvoiceCancel</a:Action><a:MessageID>urn:uuid:1</a:MessageID></soapenv:Header>`, 1))
	got.expect(t, "call", 200, "Success 200 ")
	if got.part("RelatesTo") != "urn:uuid:1" || !strings.HasPrefix(got.part("MessageID"), "urn:uuid:") {
		t.Errorf("got %s", got.body)
	}
	if string(r.said[0]) != got.body {
		t.Errorf("sent %s\njournaled %s", got.body, r.said[0])
	}
}

// A fault of our own tells nothing of itself, and the next call is served.
func TestPanic(t *testing.T) {
	r := start(t)
	r.answer = func(bridge.Request) bridge.Answer { panic("secret detail") }
	got := r.post(envelope)
	got.expect(t, "call", 500, "SOAP-ENV:Server: Internal error; if this was a cancellation, its outcome is unknown. Sending the same request again is safe.")
	if strings.Contains(got.body, "secret") || strings.Contains(got.body, "goroutine") {
		t.Errorf("the answer tells: %s", got.body)
	}
	if log := r.log.String(); !strings.Contains(log, "secret detail") || !strings.Contains(log, got.header.Get("X-Request-Id")) {
		t.Errorf("the log does not tell: %s", log)
	}
	if got := r.refusals(); len(got) != 1 || got[0] != server.RefusedInternal {
		t.Errorf("counted %v", got)
	}
	r.answer = nil
	r.post(envelope).expect(t, "next", 200, "Success 200 ")
}
