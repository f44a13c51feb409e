package server_test

import (
	"net"
	"strings"
	"testing"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
)

// What a caller is forgiven is logged once for each caller, by its name, so that an operator sees who depends on it.
func TestLenienciesAreLoggedOnce(t *testing.T) {
	r := start(t)
	tempuri := strings.Replace(envelope, "urn:server", "http://tempuri.org/", 1)
	for range 3 {
		got := r.post(tempuri)
		got.expect(t, "in .NET's namespace", 200, "Success 200 ")
		if !strings.Contains(got.body, `<ns1:eInvoiceCancelResponse xmlns:ns1="http://tempuri.org/">`) {
			t.Errorf("answered in another namespace: %s", got.body)
		}
	}
	r.post(strings.Replace(tempuri, token, "all", 1)).expect(t, "another caller", 200, "Success 200 ")
	r.post(strings.Replace(tempuri, token, "guess", 1)).expect(t, "nobody", 200, "Failed 204 The access token provided is invalid")
	const name = `"leniency":"the operation is in a namespace of the caller's own; so is the answer"`
	log := r.log.String()
	if n := strings.Count(log, name); n != 2 || !strings.Contains(log, `"caller":"sap",`+name) || !strings.Contains(log, `"caller":"everyone",`+name) {
		t.Errorf("%d lines:\n%s", n, log)
	}
}

// Every answer follows the request's namespace, or WCF reads nulls.
func TestRefusalsFollowTheNamespace(t *testing.T) {
	r := start(t)
	tempuri := strings.Replace(envelope, "urn:server", "http://tempuri.org/", 1)
	for name, body := range map[string]string{
		"a bad token": strings.Replace(tempuri, token, "guess", 1), "no taxpayer": strings.Replace(tempuri, gstin, "", 1),
		"parameters that can't be placed": strings.ReplaceAll(tempuri, "access_token>", "token>"),
	} {
		if got := r.post(body); got.part("code") != "200" && !strings.Contains(got.body, `xmlns:ns1="http://tempuri.org/"`) {
			t.Errorf("%s: %s", name, got.body)
		}
	}
}

// What can't be placed is told by name, to the caller and in the log, and blamed on nothing else.
func TestMissingParametersAreNamed(t *testing.T) {
	r := start(t)
	moved := strings.NewReplacer("<access_token>"+token+"</access_token>", "", "<cancel_reason>", "<tokn>"+token+"</tokn><cancel_reason>", "</cancel_reason>", "</cancel_reason>").Replace(envelope)
	for name, tc := range map[string]struct{ body, said string }{
		"a token of another name, elsewhere": {moved, "access_token not found in the request; elements that are no parameters: tokn"},
		"six of other names": {
			strings.NewReplacer("access_token>", "p0>", "user_gstin>", "p1>", "irn>", "p2>", "cancel_reason>", "p3>", "<cancel_remarks>", "<p4/><p5>", "/cancel_remarks>", "/p5>").Replace(envelope),
			"access_token, user_gstin, irn, cancel_reason, cancel_remarks not found in the request; elements that are no parameters: p0, p1, p2, p3, p4, p5"},
		"a log-in": {
			`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><access_new_token xmlns="urn:server"><user1>sapuser</user1><password>s3cret</password></access_new_token></e:Body></e:Envelope>`,
			"username, client_id, client_secret, grant_type not found in the request; elements that are no parameters: user1"},
	} {
		got := r.post(tc.body)
		said := stable(got.part("errorMessage"))
		if name == "a log-in" {
			said = got.part("error_description")
		}
		if got.status != 200 || said != tc.said {
			t.Errorf("%s: %d %s, want %s", name, got.status, said, tc.said)
		}
		if !strings.Contains(got.body, "204") && name != "a log-in" {
			t.Errorf("%s: no 204: %s", name, got.body)
		}
	}
	placed := strings.NewReplacer("<access_token>"+token+"</access_token>", "<param0>guess</param0>").Replace(envelope)
	r.post(placed).expect(t, "a wrong token, read by its place", 200, "Failed 204 The access token provided is invalid; it was read by its place, from element param0")
	if n := len(r.seen()); n != 0 {
		t.Errorf("%d calls reached the Service", n)
	}
	log := r.log.String()
	if !strings.Contains(log, `"missing":"access_token","found":"tokn"`) || strings.Contains(log, token) || strings.Contains(log, "s3cret") {
		t.Errorf("log: %s", log)
	}
}

// Faults name what came where something else was wanted; so does the log.
func TestFaultsNameWhatCame(t *testing.T) {
	r := start(t)
	block := `<soapenv:Header><t:Trace xmlns:t="urn:tracing" soapenv:mustUnderstand="1">x</t:Trace></soapenv:Header>`
	for name, tc := range map[string]struct{ body, contentType, said, logged string }{
		"an envelope": {strings.Replace(envelope, "/soap/envelope/", "/soap/v9/", 1), "text/xml",
			"SOAP-ENV:VersionMismatch: The root element is not a SOAP 1.1 or SOAP 1.2 Envelope; it is 'Envelope' in namespace 'http://schemas.xmlsoap.org/soap/v9/'", "soap/v9/"},
		"a header": {strings.Replace(envelope, "<soapenv:Header/>", block, 1), "text/xml",
			"SOAP-ENV:MustUnderstand: A mandatory header block is not understood; it is 'Trace' in namespace 'urn:tracing'", `"header":"{urn:tracing}Trace"`},
		"a media type": {envelope, "application/json", "SOAP-ENV:Client: Content-Type must be text/xml or application/soap+xml; it is 'application/json'", "application/json"},
		"an operation": {strings.ReplaceAll(envelope, "eInvoiceCancel", "nosuch"), "text/xml",
			"SOAP-ENV:Client: Operation 'nosuch' is not defined in the WSDL for this service", `'nosuch' in namespace 'urn:server'`},
	} {
		got := r.post(tc.body, "Content-Type: "+tc.contentType+"\r\n")
		if got.said() != tc.said || !strings.Contains(r.log.String(), tc.logged) {
			t.Errorf("%s: %s, want %s; log %s", name, got.said(), tc.said, r.log.String())
		}
		got.wellFormed(t)
	}
}

// What one listener accepts another does not, and a desk that opens brings its own.
func TestListenersAccept(t *testing.T) {
	two := []server.Listener{{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0", Accept: soap.Accept{UnderstoodAny: true, ActionDispatch: true}}}
	var options server.Options
	r := start(t, func(s *setup) {
		s.Listeners = two
		options = s.Options
	})
	strict := r.srv.Addrs()[0].String()
	lenient := r.srv.Addrs()[1].(*net.TCPAddr).String()
	block := `<soapenv:Header><t:Trace xmlns:t="urn:tracing" soapenv:mustUnderstand="1">x</t:Trace></soapenv:Header>`
	body := strings.Replace(strings.ReplaceAll(envelope, "urn:eInvoiceCancel>", "urn:Cancel>"), "<soapenv:Header/>", block, 1)
	if r.addr = strict; r.post(body).status != 500 {
		t.Error("the one listener accepts what the other does")
	}
	r.addr = lenient
	r.post(body).expect(t, "the lenient listener", 200, "Success 200 ")

	options.Listeners = []server.Listener{two[0], two[0]}
	var err error
	if options.Access, err = access.New(access.Config{}, r.journal); err != nil {
		t.Fatal(err)
	}
	d, err := r.srv.Prepare(options)
	if err != nil {
		t.Fatal(err)
	}
	if r.srv.Open(d); r.post(body).status != 500 {
		t.Error("the lenient listener is as it was after another desk has opened")
	}
}
