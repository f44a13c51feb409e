package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/server"
)

const generate = `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:urn="urn:server"><soapenv:Body><urn:eInvoiceGenerate><a>é &amp; more</a></urn:eInvoiceGenerate></soapenv:Body></soapenv:Envelope>`

// generating posts a call of an operation that is not ours.
func (r *rig) generating(body string, headers ...string) response {
	return r.raw(strings.Replace(request("/api.einvoice.php", body, headers...), "#eInvoiceCancel", "#eInvoiceGenerate", 1))
}

// items is text that compresses like an invoice does, not like a bomb.
func items(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprint(&b, i*7919, " ")
	}
	return b.String()
}

// provider is the other side of a relay.
type provider struct {
	*httptest.Server
	mu      sync.Mutex
	bodies  []string
	headers []http.Header
	answer  http.HandlerFunc
}

func newProvider(t *testing.T, answer http.HandlerFunc) *provider {
	p := &provider{answer: answer}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.bodies, p.headers = append(p.bodies, string(body)), append(p.headers, r.Header.Clone())
		p.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		p.answer(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func say(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func relaying(p *provider, tokens bool) func(*setup) {
	return func(s *setup) {
		s.Forward = &server.Forward{URL: p.URL + "/api.einvoice.php", Tokens: tokens, Timeout: 2 * time.Second, MaxResponse: 1 << 20}
	}
}

// What the bridge does not do itself goes over and comes back byte for byte, faults included.
func TestUnknownOperationsAreRelayed(t *testing.T) {
	for name, tc := range map[string]struct {
		status       int
		contentType  string
		answer, body string
	}{
		"answer":        {200, "text/xml; charset=ISO-8859-1", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><caf\xe9/>", generate},
		"fault":         {500, "text/xml", "<fault>as it is</fault>", generate},
		"large request": {200, "text/xml", "<ok/>", strings.Replace(generate, "more", strings.Repeat("item ", 100_000), 1)},
		"gzip":          {200, "text/xml", "<ok/>", gzipped(strings.Replace(generate, "more", items(20_000), 1))},
		"large answer":  {200, "text/xml", strings.Repeat("a", 500_000), generate},
		"odd bytes":     {200, "text/xml", "<ok/>", strings.Replace(generate, "more", "<x a='1' a='2'>&undeclared;", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, say(tc.status, tc.contentType, tc.answer))
			r := start(t, relaying(p, false))
			encoding := ""
			if name == "gzip" {
				encoding = "Content-Encoding: gzip\r\n"
			}
			got := r.generating(tc.body, encoding, "Authorization: Basic c2VjcmV0\r\n", "Cookie: a=b\r\n", "User-Agent: Axis/1.4\r\n", "Accept: text/*\r\n")
			if got.status != tc.status || got.body != tc.answer || got.header.Get("Content-Type") != tc.contentType {
				t.Errorf("%d %s %.200q", got.status, got.header.Get("Content-Type"), got.body)
			}
			if len(p.bodies) != 1 || p.bodies[0] != tc.body {
				t.Fatalf("the provider got %.200q", p.bodies)
			}
			h := p.headers[0]
			if h.Get("SOAPAction") != `"urn:server#eInvoiceGenerate"` || h.Get("Content-Type") != "text/xml; charset=utf-8" || h.Get("User-Agent") != "Axis/1.4" || h.Get("Accept") != "text/*" || (name == "gzip") != (h.Get("Content-Encoding") == "gzip") {
				t.Errorf("headers %v", h)
			}
			if h.Get("Authorization") != "" || h.Get("Cookie") != "" || h.Get("Accept-Encoding") != "" {
				t.Errorf("headers that are none of the provider's business: %v", h)
			}
		})
	}
}

func TestOwnOperationsStayHere(t *testing.T) {
	p := newProvider(t, say(200, "text/xml", "<no/>"))
	r := start(t, relaying(p, false))
	r.post(envelope).expect(t, "cancel", 200, "Success 200 ")
	if got := r.post(login("s3cret", "s3cret")); len(got.part("access_token")) != 40 {
		t.Errorf("token: %s", got.body)
	}
	if got := r.generating("no XML"); got.status != 500 || !strings.HasPrefix(got.said(), client) {
		t.Errorf("nonsense: %d %s", got.status, got.said())
	}
	r.post(envelope+strings.Repeat(" ", 70_000)).expect(t, "a cancel that is too large", 413, client+"Limit max_body_bytes (65536) exceeded at byte 65536")
	r.post(generate + strings.Repeat(" ", 3<<20)[:0] + "<!DOCTYPE x>").wellFormed(t)
	if len(p.bodies) > 1 {
		t.Errorf("the provider got %d requests", len(p.bodies))
	}
}

// An address that leads back here is found out at its first return; a second bridge on the way is none of that.
func TestForwardToItself(t *testing.T) {
	p := newProvider(t, say(200, "text/xml", "<ok/>"))
	r := start(t, relaying(p, false))
	if got := r.generating(generate, "Einvoice-Bridge-Hop: ANOTHER\r\n"); got.body != "<ok/>" || !strings.HasPrefix(p.headers[0].Get("Einvoice-Bridge-Hop"), "ANOTHER,") {
		t.Errorf("behind another bridge: %d %s, %v", got.status, got.body, p.headers)
	}
	p.answer = httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.addr}).ServeHTTP
	p.bodies = nil
	got := r.generating(generate)
	if len(p.bodies) != 1 || !strings.HasPrefix(got.said(), "SOAP-ENV:Server: The provider can't be reached; the operation was not carried out.") {
		t.Errorf("went over %d times, then %s", len(p.bodies), got.said())
	}
	if !strings.Contains(r.log.String(), "forward.url leads back to a bridge") {
		t.Errorf("log: %s", r.log.String())
	}
}

func TestProviderInTrouble(t *testing.T) {
	const unknown = "SOAP-ENV:Server: The provider did not answer; whether it carried out the operation is not known."
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	hang := make(chan struct{})
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		url    string
		said   string
	}{
		"not there":        {nil, "http://" + closed.Addr().String(), "SOAP-ENV:Server: The provider can't be reached; the operation was not carried out. Retry later."},
		"hangs up":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", unknown},
		"never answers":    {func(http.ResponseWriter, *http.Request) { <-hang }, "", unknown},
		"answers too much": {say(200, "text/xml", strings.Repeat("a", 1<<20+1)), "", unknown},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		}, "", unknown},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, tc.answer)
			r := start(t, relaying(p, false), func(s *setup) {
				s.Forward.Timeout = 200 * time.Millisecond
				if tc.url != "" {
					s.Forward.URL = tc.url
				}
			})
			got := r.generating(generate)
			got.expect(t, "generate", 500, tc.said)
			if strings.Contains(got.body, "127.0.0.1") {
				t.Errorf("the answer tells the provider's address: %s", got.body)
			}
			if name == "never answers" {
				close(hang)
			}
		})
	}
}

func providerToken(token string, life int) http.HandlerFunc {
	return say(200, "text/xml; charset=ISO-8859-1", fmt.Sprintf(`<?xml version="1.0" encoding="ISO-8859-1"?><SOAP-ENV:Envelope SOAP-ENV:encodingStyle="Get Access token" xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><ns1:access_new_tokenResponse xmlns:ns1="urn:server"><access_token>%s</access_token><expires_in>%d</expires_in><token_type>bearer</token_type><error_description></error_description></ns1:access_new_tokenResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>`, token, life))
}

// A token that the provider issues is good here too, as its caller's, and for as long as the provider said.
func TestProviderTokensAreAdopted(t *testing.T) {
	const theirs = "cafe0123cafe0123cafe0123cafe0123cafe0123"
	p := newProvider(t, providerToken(theirs, 3600))
	now := time.Now()
	r := start(t, relaying(p, true), func(s *setup) {
		s.Config.Now = func() time.Time { return now }
		s.Config.Callers[0].Login.Password, s.Config.Callers[0].Login.ClientSecret = "", ""
	})
	r.journal.now = now
	call := strings.Replace(envelope, token, theirs, 1)
	r.post(call).expect(t, "before", 200, invalid)
	sent := login("their-password", "their-secret")
	if got := r.post(sent); got.part("access_token") != theirs || got.header.Get("Content-Type") != "text/xml; charset=ISO-8859-1" {
		t.Errorf("relayed answer %s", got.body)
	}
	if len(p.bodies) != 1 || p.bodies[0] != sent {
		t.Errorf("the provider got %q", p.bodies)
	}
	r.post(call).expect(t, "after", 200, "Success 200 ")
	if c := r.seen()[0].Caller; c != "sap" {
		t.Errorf("caller %q", c)
	}
	for _, k := range r.journal.by {
		if k.Hash != access.HashToken(theirs) || !k.Expires.Equal(now.Add(time.Hour)) {
			t.Errorf("kept %+v", k)
		}
	}
	now = now.Add(time.Hour)
	r.journal.now = now
	r.post(call).expect(t, "at its end", 200, "Failed 204 The access token provided has expired")
	if log := r.log.String(); strings.Contains(log, theirs) || strings.Contains(log, "their-") {
		t.Errorf("a secret in the log: %s", log)
	}
}

// An answer without token, a fault, and a login that is no caller's: relayed, and nothing is adopted.
func TestProviderTokensThatAreNot(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		body   string
		status int
	}{
		"refused":          {providerToken("", 0), login("a", "b"), 200},
		"fault":            {say(500, "text/xml", strings.NewReplacer("urn:eInvoiceGenerate", "soapenv:Fault", "<a>é &amp; more</a>", "<faultcode>soapenv:Server</faultcode><faultstring>no</faultstring>").Replace(generate)), login("a", "b"), 500},
		"nonsense":         {say(200, "text/html", "<html>"), login("a", "b"), 200},
		"nobody's login":   {providerToken("cafe", 3600), strings.Replace(login("a", "b"), "sapuser", "stranger", 1), 200},
		"in another order": {providerToken("cafe", 3600), strings.Replace(strings.Replace(login("a", "b"), "<username>sapuser</username>", "", 1), "</client_secret>", "</client_secret><username>sapuser</username>", 1), 200},
		"among others":     {providerToken("cafe", 3600), strings.Replace(login("a", "b"), "<username>", "<user>x</user><username>", 1), 200},
		"other client":     {providerToken("cafe", 3600), strings.Replace(login("a", "b"), ">erp<", ">crm<", 1), 200},
		"dead already":     {providerToken("cafe", 0), login("a", "b"), 500},
	} {
		p := newProvider(t, tc.answer)
		r := start(t, relaying(p, true))
		if got := r.post(tc.body); got.status != tc.status {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if len(r.journal.by) != 0 {
			t.Errorf("%s: adopted %v", name, r.journal.by)
		}
	}
}

// Behind a trusted proxy the caller's address is the last that the proxy did not make up.
func TestCallerAddressBehindProxies(t *testing.T) {
	allow := func(s *setup) { s.Config.Callers[0].Addresses = []string{"192.0.2.0/24"} }
	trust := func(s *setup) { s.TrustedProxies = []string{"127.0.0.1", "10.0.0.0/8"} }
	for name, tc := range map[string]struct {
		change    []func(*setup)
		forwarded string
		ok        bool
	}{
		"trusted proxy":                   {[]func(*setup){allow, trust}, "192.0.2.7", true},
		"two trusted proxies":             {[]func(*setup){allow, trust}, "192.0.2.7, 10.1.2.3", true},
		"made up before the real one":     {[]func(*setup){allow, trust}, "192.0.2.7, 203.0.113.5", false},
		"real one is last":                {[]func(*setup){allow, trust}, "203.0.113.5, 192.0.2.7", true},
		"nobody trusts the socket's end":  {[]func(*setup){allow}, "192.0.2.7", false},
		"a proxy that adds a line":        {[]func(*setup){allow, trust}, "192.0.2.7\r\nX-Forwarded-For: 203.0.113.5", false},
		"the real one in a line added":    {[]func(*setup){allow, trust}, "203.0.113.5\r\nx-forwarded-for: 192.0.2.7", true},
		"no header":                       {[]func(*setup){allow, trust}, "", false},
		"nonsense in it":                  {[]func(*setup){allow, trust}, "192.0.2.7, x", false},
		"no allow-list, nothing to prove": {nil, "203.0.113.5", true},
	} {
		r := start(t, tc.change...)
		got := r.post(envelope, "X-Forwarded-For: "+tc.forwarded+"\r\n")
		want := invalid
		if tc.ok {
			want = "Success 200 "
		}
		got.expect(t, name, 200, want)
	}
}

// X28 in small: many clients at once, each with a value of its own, none hears another's.
func TestAnswersDoNotCross(t *testing.T) {
	r := start(t)
	r.answer = func(q bridge.Request) bridge.Answer {
		return bridge.Answer{Class: bridge.Refused, Message: q.Remarks + "|" + q.IRN}
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 40 {
				canary := fmt.Sprintf("canary-%d-%d", i, j)
				got, err := r.try(request("/einvoice", strings.NewReplacer("Wrong entry", canary, irn, canary).Replace(envelope)))
				if err != nil || got.part("errorMessage") != canary+"|"+canary {
					t.Errorf("%v: %s, want %s", err, got.said(), canary)
				}
			}
		})
	}
	wg.Wait()
	for i, c := range r.seen() {
		if c.Remarks != c.IRN || !strings.Contains(string(c.SOAPIn), c.Remarks+"<") {
			t.Fatalf("call %d holds %q, %q and %s", i, c.Remarks, c.IRN, c.SOAPIn)
		}
	}
}
