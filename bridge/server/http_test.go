package server_test

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
)

// Start fails, with the reason, rather than serve a description that is wrong.
func TestStartFails(t *testing.T) {
	noAccess, err := access.New(access.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
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
		var o server.Options
		start(t, func(s *setup) { o = s.Options })
		o.Access, o.Listeners, o.Contract = noAccess, []server.Listener{{Address: "127.0.0.1:0"}}, soap.DefaultContract()
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
	r := start(t, func(s *setup) { s.Form = true })
	plain := r.get("/einvoice")
	if plain.status != 200 || plain.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %s", plain.status, plain.header.Get("Content-Type"))
	}
	for _, want := range []string{`<link rel="icon" href="data:,">`, "https://bridge.example/api.einvoice.php", "access_new_token", "errorMessage", `href="wsdl/document.wsdl"`, "soap&#43;xml", bridge.FaultUnknown, `action="einvoice/try"`,
		`<option value="2">2 Data entry mistake</option>`, "\n      &lt;irn&gt;1e6a"} {
		if !strings.Contains(plain.body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	csp := plain.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'; img-src data:; style-src 'sha256-") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp)
	}
	const fields = "access_token=" + token + "&user_gstin=" + gstin + "&cancel_reason=1&cancel_remarks=%3Cscript%3Ealert(1)%3C/script%3E&irn="
	form := "Content-Type: application/x-www-form-urlencoded\r\n"
	for version, want := range map[string]string{"1.1": "schemas.xmlsoap.org/soap/envelope", "1.2": soap12} {
		got := r.raw(request("/einvoice/try", fields+irn+"&version="+version, form))
		if got.status != 200 || !strings.Contains(got.body, "&lt;errorMessage&gt;&lt;/errorMessage&gt;\n      &lt;status&gt;Success&lt;/status&gt;\n") || !strings.Contains(got.body, `<option value="1" selected>`) || strings.Count(got.body, want) < 2 {
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
	if !strings.Contains(denied.body, "access_token is missing") {
		t.Errorf("without a token: %s", denied.body)
	}
	r.raw(request("/einvoice/try", envelope)).expect(t, "an envelope to the form's address", 415, client+"This address takes the service page's form only")
	r.get("/einvoice/try").expect(t, "GET of the form's address", 405, client+"Method not allowed; SOAP calls are POST requests, the WSDL is a GET of ?wsdl")
}

// Without being told to, the page only tells: there is no form, and nobody at its address.
func TestPageWithoutForm(t *testing.T) {
	r := start(t)
	if plain := r.get("/einvoice"); strings.Contains(plain.body, "<form") || !strings.Contains(plain.body, "Sample calls") {
		t.Errorf("%d %s", plain.status, plain.body)
	}
	const typed = "access_token=" + token + "&user_gstin=" + gstin + "&cancel_reason=1&cancel_remarks=&irn=" + irn
	got := r.raw(request("/einvoice/try", typed, "Content-Type: application/x-www-form-urlencoded\r\n"))
	got.expect(t, "the form's address", 404, client+"There is no service at this address; SOAP calls go to /api.einvoice.php or /einvoice")
	if calls := r.seen(); len(calls) != 0 {
		t.Errorf("the Service heard %+v", calls)
	}
}

// A browser that is given the host alone finds the page; a program is told that there is no service.
func TestHome(t *testing.T) {
	r := start(t)
	got := r.get("/", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n")
	if got.status != 303 || got.header.Get("Location") != "einvoice" {
		t.Errorf("%d %v", got.status, got.header)
	}
	r.get("/").expect(t, "a program", 404, client+"There is no service at this address; SOAP calls go to /api.einvoice.php or /einvoice")
}
