package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/wsdl"
)

var location = regexp.MustCompile(`address location="([^"]*)"`)

// X19: the address is the configured one and the path that was asked for, whatever the headers say.
func TestWSDL(t *testing.T) {
	r := start(t)
	for target, want := range map[string]string{
		"/api.einvoice.php?wsdl":       "https://bridge.example/api.einvoice.php",
		"/api.einvoice.php?WSDL":       "https://bridge.example/api.einvoice.php",
		"/einvoice?Wsdl":               "https://bridge.example/einvoice",
		"/EINVOICE?wsdl":               "https://bridge.example/einvoice",
		"/einvoice?singleWsdl":         "https://bridge.example/einvoice",
		"/einvoice?wsdl=1":             "https://bridge.example/einvoice",
		"/einvoice?a=b&wsdl":           "https://bridge.example/einvoice",
		"/wsdl/document.wsdl":          "https://bridge.example/api.einvoice.php",
		"/wsdl/Document.WSDL":          "https://bridge.example/api.einvoice.php",
		"/einvoice?wsdl&flavour=":      "",
		"/einvoice?wsdl&flavour=soap9": "",
		"/wsdl/soap9.wsdl":             "",
		"/wsdl/document":               "",
		"/wsdl/":                       "",
	} {
		got := r.get(target, "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\nForwarded: host=evil.example\r\n")
		got.wellFormed(t)
		if want == "" {
			got.expect(t, target, 404, client+"There is no service at this address; SOAP calls go to /api.einvoice.php or /einvoice")
			continue
		}
		if m := location.FindStringSubmatch(got.body); got.status != 200 || m == nil || m[1] != want {
			t.Errorf("%s: %d, address %v, want %s", target, got.status, m, want)
		}
		if strings.Contains(got.body, "evil.example") {
			t.Errorf("%s: holds the Host header", target)
		}
	}
}

// The description is made from the same table as the answers.
func TestWSDLIsTheContracts(t *testing.T) {
	r := start(t, func(s *setup) {
		c := soap.DefaultContract()
		c.Namespace = "urn:mine"
		c.Cancel.Response[0].Name = "IRN"
		c.Cancel.Response = append(c.Cancel.Response, soap.Part{Slot: soap.SlotConst, Name: "InfoDtls"})
		c.Cancel.ResponseWrapper = "return"
		c.Cancel.SOAPAction = "https://bridge.example/api.einvoice.php/eInvoiceCancel"
		c.Faults.TypedDetail = true
		s.Contract, s.Decoder = c, soap.NewDecoder(c)
	})
	for _, flavour := range wsdl.Flavours() {
		doc := r.get("/einvoice?wsdl&flavour=" + flavour).body
		for _, want := range []string{`"urn:mine"`, `name="IRN"`, `name="InfoDtls"`, `name="return"`, `soapAction="https://bridge.example/api.einvoice.php/eInvoiceCancel"`, `name="bridgeFault"`} {
			if !strings.Contains(doc, want) {
				t.Errorf("%s: no %s", flavour, want)
			}
		}
	}
	got := r.post(strings.Replace(envelope, "urn:server", "urn:mine", 1))
	if !strings.Contains(got.body, `<ns1:eInvoiceCancelResponse xmlns:ns1="urn:mine"><return><IRN>`+irn+`</IRN>`) || !strings.Contains(got.body, "<code>200</code><InfoDtls></InfoDtls></return>") {
		t.Errorf("answer %s", got.body)
	}
}

// The fault detail on the wire has the children that the description declares.
func TestTypedFaultIsTheDeclaredOne(t *testing.T) {
	r := start(t, func(s *setup) {
		c := soap.DefaultContract()
		c.Faults.TypedDetail = true
		s.Contract, s.Decoder = c, soap.NewDecoder(c)
	})
	var fault struct {
		Detail struct {
			Fault struct {
				Parts []struct{ XMLName xml.Name } `xml:",any"`
			} `xml:"urn:server bridgeFault"`
		} `xml:"Body>Fault>detail"`
	}
	if err := xml.Unmarshal([]byte(r.post("no XML").body), &fault); err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, p := range fault.Detail.Fault.Parts {
		parts = append(parts, p.XMLName.Local)
	}
	if diff := cmp.Diff(wsdl.FaultParts, parts); diff != "" {
		t.Errorf("detail (-declared +sent):\n%s", diff)
	}
}

func TestWSDLIsCached(t *testing.T) {
	r := start(t)
	first := r.get("/einvoice?wsdl")
	tag := first.header.Get("ETag")
	if len(tag) < 10 || tag == r.get("/api.einvoice.php?wsdl").header.Get("ETag") {
		t.Fatalf("ETag %q", tag)
	}
	for _, match := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		if got := r.get("/einvoice?wsdl", "If-None-Match: "+match+"\r\n"); got.status != 304 || got.body != "" {
			t.Errorf("If-None-Match %s: %d with %d bytes", match, got.status, len(got.body))
		}
	}
	if got := r.get("/einvoice?wsdl", "If-None-Match: \"other\"\r\n"); got.status != 200 {
		t.Errorf("another tag: %d", got.status)
	}
	head := r.raw("HEAD /einvoice?wsdl HTTP/1.1\r\nHost: bridge\r\n\r\n")
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != first.header.Get("Content-Length") || head.header.Get("ETag") != tag {
		t.Errorf("HEAD: %d, %d bytes, %v", head.status, len(head.body), head.header)
	}
}

// Tools that look for more than a WSDL wait for a quick no.
func TestProbesOfTools(t *testing.T) {
	r := start(t)
	for _, target := range []string{"/einvoice?xsd=1", "/einvoice?xsd=xsd0&wsdl", "/einvoice?disco", "/einvoice?DISCO", "/einvoice/mex", "/mex", "/einvoice?mex", "/favicon.ico"} {
		start := time.Now()
		r.get(target).expect(t, target, 404, client+"There is no service at this address; SOAP calls go to /api.einvoice.php or /einvoice")
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", target, took)
		}
	}
}

func TestSavedWSDL(t *testing.T) {
	const doc = "<?xml version='1.0' encoding='ISO-8859-1'?>\n<definitions xmlns=\"http://schemas.xmlsoap.org/wsdl/\"><!-- caf\xe9 --><soap:address xmlns:soap=\"http://schemas.xmlsoap.org/wsdl/soap/\" location='http://staging-soapapi.example/api.einvoice.php'/></definitions>"
	r := start(t, func(s *setup) { s.SavedWSDL = []byte(doc) })
	for _, target := range []string{"/einvoice?wsdl", "/einvoice?wsdl&flavour=saved"} {
		got := r.get(target)
		want := strings.Replace(doc, "http://staging-soapapi.example/api.einvoice.php", "https://bridge.example/einvoice", 1)
		if got.body != want || got.header.Get("Content-Type") != "text/xml; charset=iso-8859-1" {
			t.Errorf("%s: %s as %s", target, got.body, got.header.Get("Content-Type"))
		}
	}
	if got := r.get("/einvoice?wsdl&flavour=document"); !strings.Contains(got.body, "serverPortType") {
		t.Errorf("document flavour: %s", got.body)
	}
	if !strings.Contains(r.log.String(), "saved WSDL is not in UTF-8") {
		t.Error("no warning about the character set")
	}
}

// Start fails, with the reason, rather than serve a description that is wrong.
func TestStartFails(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*server.Options)
		want   string
	}{
		"saved WSDL without address": {func(o *server.Options) { o.SavedWSDL = []byte("<a/>") }, "no soap:address"},
		"unknown flavour":            {func(o *server.Options) { o.Flavour = "soap13" }, `unknown WSDL flavour "soap13"`},
		"flavour that can't be":      {func(o *server.Options) { o.Flavour = "rpc-literal"; o.Contract.Qualified = true }, "R2735"},
		"port in use":                {func(o *server.Options) { o.Listeners[0].Address = "127.0.0.1:99999" }, "listen on 127.0.0.1:99999"},
		"no certificate":             {func(o *server.Options) { o.Listeners[0].TLS = &server.TLS{} }, "at least one certificate"},
		"certificate missing":        {func(o *server.Options) { o.Listeners[0].TLS = &server.TLS{Certificates: []server.KeyPair{{"a", "b"}}} }, "certificate"},
		"unknown TLS profile":        {func(o *server.Options) { o.Listeners[0].TLS = &server.TLS{Profile: "old"} }, "modern, compat or legacy"},
		"3DES for modern clients":    {func(o *server.Options) { o.Listeners[0].TLS = &server.TLS{TripleDES: true} }, "legacy TLS profile only"},
		"trusted proxy":              {func(o *server.Options) { o.TrustedProxies = []string{"proxy.example"} }, `"proxy.example" is neither`},
		"forward to nowhere":         {func(o *server.Options) { o.Forward = &server.Forward{URL: "soapapi.example"} }, "absolute http or https URL"},
		"no listener":                {func(o *server.Options) { o.Listeners = nil }, "at least one address"},
		"no canceller":               {func(o *server.Options) { o.Canceller = nil }, "needs a contract"},
	} {
		r := start(t)
		o := r.srv.Options
		o.Listeners = []server.Listener{{Address: "127.0.0.1:0"}}
		o.Flavour, o.Contract = "", soap.DefaultContract()
		tc.change(&o)
		s, err := server.New(o)
		if err == nil {
			err = s.Listen()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, tc.want)
		}
	}
}

func TestWithoutPublicURL(t *testing.T) {
	r := start(t, func(s *setup) { s.PublicURL = "" })
	if m := location.FindStringSubmatch(r.get("/einvoice?wsdl").body); m == nil || m[1] != "http://"+r.addr+"/einvoice" {
		t.Errorf("address %v", m)
	}
	if !strings.Contains(r.log.String(), "public_url is not set") {
		t.Error("no warning")
	}
}

// Errors of HTTP are faults in the version that the client seems to speak.
func TestHTTPErrors(t *testing.T) {
	r := start(t)
	for _, tc := range []struct {
		name, request string
		status        int
		said          string
	}{
		{"PUT", strings.Replace(request("/einvoice", envelope), "POST", "PUT", 1), 405, client + "Method not allowed; SOAP calls are POST requests, the WSDL is a GET of ?wsdl"},
		{"a method of its own", strings.Replace(request("/einvoice", envelope), "POST", "BREW", 1), 405, client + "Method not allowed; SOAP calls are POST requests, the WSDL is a GET of ?wsdl"},
		{"OPTIONS", "OPTIONS /einvoice HTTP/1.1\r\nHost: b\r\n\r\n", 405, client + "Method not allowed; SOAP calls are POST requests, the WSDL is a GET of ?wsdl"},
		{"nowhere", request("/nowhere", envelope), 404, client + "There is no service at this address; SOAP calls go to /api.einvoice.php or /einvoice"},
		{"nowhere, 1.2", request("/nowhere", envelope, "Content-Type: application/soap+xml; charset=utf-8\r\n"), 404, "env:Sender: There is no service at this address; SOAP calls go to /api.einvoice.php or /einvoice"},
		{"media type, 1.2 guessed", request("/einvoice", `{}`, "Content-Type: application/json\r\n"), 415, client},
	} {
		got := r.raw(tc.request)
		if got.status != tc.status || !strings.HasPrefix(got.said(), tc.said) {
			t.Errorf("%s: %d %s, want %d %s", tc.name, got.status, got.said(), tc.status, tc.said)
		}
		if tc.status == 405 && !strings.Contains(got.header.Get("Allow"), "POST") {
			t.Errorf("%s: Allow %q", tc.name, got.header.Get("Allow"))
		}
		got.wellFormed(t)
	}
}

// Shutdown waits for what is in flight, and takes nothing new.
func TestShutdown(t *testing.T) {
	r := start(t)
	idle := r.dial()
	defer idle.Close()
	io.WriteString(idle, "GET /einvoice?wsdl HTTP/1.1\r\nHost: bridge\r\n\r\n")
	if _, err := readResponse(bufio.NewReader(idle), "GET"); err != nil {
		t.Fatal(err)
	}
	in, out := make(chan struct{}), make(chan struct{})
	r.answer = func(q bridge.Request) bridge.Answer {
		close(in)
		<-out
		return bridge.Answer{Class: bridge.Cancelled, IRN: q.IRN}
	}
	first := make(chan response)
	go func() { first <- r.post(envelope) }()
	<-in
	ended := make(chan error)
	go func() { ended <- r.srv.Shutdown(context.Background()) }()
	deadline := time.Now().Add(5 * time.Second)
	for { // the socket closes before the calls end
		conn := dialQuietly(r.addr)
		if conn == nil {
			break
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("connections are still accepted")
		}
		time.Sleep(5 * time.Millisecond)
	}
	select {
	case err := <-ended:
		t.Fatalf("ended with a call in flight: %v", err)
	case <-time.After(150 * time.Millisecond):
	}
	close(out)
	got := <-first
	got.expect(t, "call in flight", 200, "Success 200 ")
	if !got.closes {
		t.Error("the connection is kept alive")
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestShutdownGivesUp(t *testing.T) {
	r := start(t)
	in, out := make(chan struct{}), make(chan struct{})
	r.answer = func(bridge.Request) bridge.Answer { close(in); <-out; return bridge.Answer{} }
	go func() {
		conn := dialQuietly(r.addr)
		conn.Write([]byte(request("/einvoice", envelope)))
	}()
	<-in
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.srv.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "1 calls in flight") {
		t.Errorf("%v", err)
	}
	close(out)
}

// The form sends a real call through the same door, and the page shows no token and runs no script.
func TestPage(t *testing.T) {
	r := start(t)
	plain := r.get("/einvoice")
	if plain.status != 200 || plain.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %s", plain.status, plain.header.Get("Content-Type"))
	}
	for _, want := range []string{"https://bridge.example/api.einvoice.php", "access_new_token", "errorMessage", `href="wsdl/document.wsdl"`, "soap&#43;xml", bridge.FaultUnknown, `action="einvoice/try"`} {
		if !strings.Contains(plain.body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	csp := plain.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp)
	}
	const fields = "access_token=" + token + "&user_gstin=" + gstin + "&cancel_reason=1&cancel_remarks=%3Cscript%3Ealert(1)%3C/script%3E&irn="
	form := "Content-Type: application/x-www-form-urlencoded\r\n"
	for version, want := range map[string]string{"1.1": "schemas.xmlsoap.org/soap/envelope", "1.2": soap12} {
		got := r.raw(request("/einvoice/try", fields+irn+"&version="+version, form))
		if got.status != 200 || !strings.Contains(got.body, "&lt;status&gt;Success&lt;/status&gt;") || strings.Count(got.body, want) < 2 {
			t.Errorf("version %s: %d %s", version, got.status, got.body)
		}
		if strings.Contains(got.body, token) || strings.Contains(got.body, "<script") {
			t.Errorf("version %s: token or script in %s", version, got.body)
		}
	}
	if calls := r.seen(); len(calls) != 2 || calls[0].IRN != irn || calls[0].Remarks != "<script>alert(1)</script>" {
		t.Errorf("the Service heard %+v", calls)
	}
	denied := r.raw(request("/einvoice/try", "irn="+irn, form, "Authorization: Basic c2FwdXNlcjpzM2NyZXQ=\r\n"))
	if !strings.Contains(denied.body, "The access token provided is invalid") {
		t.Errorf("without a token: %s", denied.body)
	}
	r.raw(request("/einvoice/try", envelope)).expect(t, "an envelope to the form's address", 415, client+"This address takes the service page's form only")
	r.get("/einvoice/try").expect(t, "GET of the form's address", 405, client+"Method not allowed; SOAP calls are POST requests, the WSDL is a GET of ?wsdl")
}

// Rules of WS-I Basic Profile 1.1 about answers and HTTP, over every kind of answer.
func TestBasicProfileOfAnswers(t *testing.T) {
	r := start(t)
	kinds := map[string]response{
		"success": r.post(envelope), "denial": r.post(strings.Replace(envelope, token, "x", 1)),
		"token": r.post(login("s3cret", "s3cret")), "no token": r.post(login("s3cret", "no")),
		"Client fault": r.post("no XML"), "VersionMismatch": r.post(strings.Replace(envelope, "schemas.xmlsoap.org", "example.org", 1)),
		"MustUnderstand": r.post(strings.Replace(envelope, "<soapenv:Header/>", `<soapenv:Header><x:y xmlns:x="urn:x" soapenv:mustUnderstand="1"/></soapenv:Header>`, 1)),
		"404":            r.post(envelope + "x"),
	}
	r.answer = func(bridge.Request) bridge.Answer { return bridge.Answer{Fault: bridge.FaultUnknown} }
	kinds["Server fault"] = r.post(envelope)
	for name, got := range kinds {
		t.Run(name, func(t *testing.T) {
			got.wellFormed(t)
			fault := strings.Contains(got.body, "Fault>")
			if want := map[bool]int{false: 200, true: 500}[fault]; got.status != want {
				t.Errorf("R1124, R1126: status %d, want %d", got.status, want)
			}
			checkEnvelope(t, got.body, fault)
		})
	}
}

func checkEnvelope(t *testing.T, body string, fault bool) {
	type element struct {
		XMLName xml.Name
		Attrs   []xml.Attr `xml:",any,attr"`
		Nodes   []struct {
			XMLName xml.Name
			Nodes   []struct{ XMLName xml.Name } `xml:",any"`
		} `xml:",any"`
	}
	const ns = "http://schemas.xmlsoap.org/soap/envelope/"
	var env struct {
		XMLName xml.Name
		Parts   []element `xml:",any"`
	}
	if err := xml.Unmarshal([]byte(body), &env); err != nil {
		t.Fatal(err)
	}
	if env.XMLName != (xml.Name{Space: ns, Local: "Envelope"}) || len(env.Parts) != 1 || env.Parts[0].XMLName != (xml.Name{Space: ns, Local: "Body"}) {
		t.Fatalf("R9980, R1011: %s", body)
	}
	if len(env.Parts[0].Nodes) != 1 {
		t.Fatalf("R9981: %d elements in the Body", len(env.Parts[0].Nodes))
	}
	if strings.Contains(body, "encodingStyle") || strings.Contains(body, "<!DOCTYPE") || strings.Contains(body, "xmlns:xml=") || strings.Count(body, "<?") != 1 {
		t.Errorf("R1005 to R1009, R1033: %s", body)
	}
	child := env.Parts[0].Nodes[0]
	var parts []string
	for _, p := range child.Nodes {
		if p.XMLName.Space != "" {
			t.Errorf("R1001, R2735: %s is qualified", p.XMLName.Local)
		}
		parts = append(parts, p.XMLName.Local)
	}
	switch {
	case fault:
		if diff := cmp.Diff([]string{"faultcode", "faultstring", "faultactor", "detail"}, parts); diff != "" {
			t.Errorf("R1000:\n%s", diff)
		}
		if code := (response{body: body}).part("faultcode"); !regexp.MustCompile(`^SOAP-ENV:(Client|Server|VersionMismatch|MustUnderstand)$`).MatchString(code) {
			t.Errorf("R1004: faultcode %s", code)
		}
	case child.XMLName.Space != "urn:server":
		t.Errorf("R1014, R2729: the Body's child is in %q", child.XMLName.Space)
	case child.XMLName.Local == "eInvoiceCancelResponse":
		if diff := cmp.Diff([]string{"Irn", "CancelDate", "error", "errorMessage", "status", "code"}, parts); diff != "" {
			t.Errorf("R2301, R2211:\n%s", diff)
		}
	default:
		if diff := cmp.Diff([]string{"access_token", "expires_in", "token_type", "error_description"}, parts); diff != "" {
			t.Errorf("R2301, R2211:\n%s", diff)
		}
	}
}

// The published description is what is served, to the last byte but white space; see package wsdl for the rest.
func TestServedIsRendered(t *testing.T) {
	r := start(t)
	golden, err := os.ReadFile("../../fixtures/wsdl/document.wsdl")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.get("/api.einvoice.php?wsdl").body; !bytes.Equal([]byte(got), golden) {
		t.Error(cmp.Diff(string(golden), got))
	}
}
