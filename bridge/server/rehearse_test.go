package server_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/server"
)

// notes reads at once what a recorder would read beside the calls.
type notes struct {
	mu  sync.Mutex
	all []bridge.Rehearsed
}

func (n *notes) Note(_ int, read func() bridge.Rehearsed) {
	w := read()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, w)
}

func (n *notes) last(t *testing.T) bridge.Rehearsed {
	t.Helper()
	for range 200 {
		n.mu.Lock()
		all := slices.Clone(n.all)
		n.mu.Unlock()
		if len(all) > 0 {
			return all[len(all)-1]
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("nothing was noted")
	return bridge.Rehearsed{}
}

func rehearsing(p *provider, n *notes) func(*setup) {
	return func(s *setup) {
		s.Forward, s.Rehearsal = &server.Forward{URL: p.URL + "/their.php", Rehearse: true, MaxResponse: 1 << 20}, n
	}
}

// Whatever comes goes to the provider as it is and its answer comes back as it is; nothing is carried out here.
func TestRehearsalChangesNothing(t *testing.T) {
	large := strings.Replace(generate, "more", strings.Repeat("item ", 500_000), 1)
	for name, tc := range map[string]struct {
		status       int
		answer, sent string
	}{
		"cancel":       {200, "<any>thing</any>", envelope},
		"login":        {200, "<any>thing</any>", login("s3cret", "s3cret")},
		"another":      {500, "<fault>as it is</fault>", generate},
		"no SOAP":      {400, "\xff\x00", "a=b"},
		"large":        {200, "ok", large},
		"unavailable":  {503, "<html>Down for maintenance</html>", envelope},
		"elsewhere":    {302, "", envelope},
		"unauthorised": {401, "who?", envelope},
		"empty":        {200, "", envelope},
	} {
		t.Run(name, func(t *testing.T) {
			n := &notes{}
			p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/xml;charset=ISO-8859-1")
				w.Header().Add("Set-Cookie", "a=1; path=/")
				w.Header().Add("Set-Cookie", "b=2; path=/")
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.Header().Set("Location", "https://elsewhere.example/")
				w.Header().Set("Retry-After", "7")
				w.Header().Set("Server", "Apache")
				w.WriteHeader(tc.status)
				io.WriteString(w, tc.answer)
			})
			r := start(t, rehearsing(p, n))
			got := r.raw(request("/api.einvoice.php?a=b&c=%20", tc.sent, "Authorization: Basic c2VjcmV0\r\n", "Cookie: x=y\r\n", "x-odd: 1\r\n", "X-Odd: 2\r\n",
				"Connection: close, X-Hop\r\n", "X-Hop: no\r\n"))
			if got.status != tc.status || got.body != tc.answer {
				t.Errorf("%d %.200q", got.status, got.body)
			}
			for header, want := range map[string]string{
				"Content-Type": "text/xml;charset=ISO-8859-1", "Set-Cookie": "a=1; path=/|b=2; path=/", "Www-Authenticate": `Basic realm="x"`,
				"Location": "https://elsewhere.example/", "Retry-After": "7", "Server": "Apache", "X-Request-Id": "",
			} {
				if said := strings.Join(got.header.Values(header), "|"); said != want {
					t.Errorf("%s: %q, want %q", header, said, want)
				}
			}
			if len(p.bodies) != 1 || p.bodies[0] != tc.sent {
				t.Fatalf("the provider got %.200q", p.bodies)
			}
			h := p.headers[0]
			for header, want := range map[string]string{
				"Authorization": "Basic c2VjcmV0", "Cookie": "x=y", "X-Odd": "1|2", "X-Hop": "", "Soapaction": `"urn:server#eInvoiceCancel"`,
				"Content-Type": "text/xml; charset=utf-8", "User-Agent": "", "Accept-Encoding": "", "Traceparent": "",
			} {
				if said := strings.Join(h.Values(header), "|"); said != want {
					t.Errorf("the provider got %s: %q, want %q", header, said, want)
				}
			}
			if len(r.seen()) > 0 {
				t.Error("something was carried out")
			}
		})
	}
}

// A GET goes over, too, and the provider's description comes back with our address in it, or a program that loads it when it
// starts would call the provider directly from then on.
func TestRehearsalReaddressesTheDescription(t *testing.T) {
	const description = `<definitions xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"><service><port><soap:address location="https://provider.example/api.einvoice.php"/></port></service></definitions>`
	n := &notes{}
	p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.RawQuery != "WSDL" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		io.WriteString(w, description)
	})
	r := start(t, rehearsing(p, n))
	want := strings.Replace(description, "https://provider.example/", "https://bridge.example/", 1)
	if got := r.get("/api.einvoice.php?WSDL"); got.status != 200 || got.body != want {
		t.Errorf("%d %s", got.status, got.body)
	}
	if w := n.last(t); w.Answer.Body != want || w.Request.Method != "GET" {
		t.Errorf("noted: %+v", w)
	}
}

// When the provider gives no answer the ERP gets none: the connection ends, as it did without us.
func TestRehearsalOfAProviderInTrouble(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		url    string
		why    string
	}{
		"not there": {nil, "http://" + closed.Addr().String(), "not sent: dial tcp"},
		"hangs up":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", "EOF"},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "four")
		}, "", "unexpected EOF"},
		"says too much": {say(200, "text/xml", strings.Repeat("a", 1<<20+1)), "", "over the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			n := &notes{}
			p := newProvider(t, tc.answer)
			r := start(t, rehearsing(p, n), func(s *setup) {
				if tc.url != "" {
					s.Forward.URL = tc.url
				}
			})
			if got, err := r.try(request("/einvoice", envelope)); err == nil {
				t.Errorf("an answer of our own: %d %s", got.status, got.body)
			}
			if w := n.last(t); !strings.Contains(w.Failed, tc.why) || w.Answer.Status != 0 {
				t.Errorf("noted: %q, %+v", w.Failed, w.Answer)
			}
			if len(r.seen()) > 0 {
				t.Error("something was carried out")
			}
		})
	}
}

// A provider that hangs holds so many places and no more, and whoever finds none is told that nothing was sent.
func TestRehearsalIsBounded(t *testing.T) {
	release := make(chan struct{})
	p := newProvider(t, func(w http.ResponseWriter, _ *http.Request) { <-release; io.WriteString(w, "late") })
	r := start(t, rehearsing(p, &notes{}), func(s *setup) { s.InFlight = 20 })
	var wait sync.WaitGroup
	late, busy := make(chan bool, 40), make(chan bool, 40)
	for range 20 {
		wait.Go(func() {
			switch got := r.post(envelope); {
			case got.body == "late":
				late <- true
			case strings.HasPrefix(got.said(), "SOAP-ENV:Server: The bridge is busy; nothing was sent for this call."):
				busy <- true
			default:
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	for range 16 { // a fifth of the places may hang
		<-busy
	}
	close(release)
	wait.Wait()
	if len(late) != 4 || len(busy) != 0 {
		t.Errorf("%d were let through, %d more turned away", len(late), len(busy))
	}
}

const successAnswer = `<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><r><Irn>1</Irn></r></e:Body></e:Envelope>`

// Each call is read as if it were ours: who calls, what would have been refused, which leniencies it needs. No secret is kept.
func TestRehearsedCallsAreJudged(t *testing.T) {
	for name, tc := range map[string]struct {
		sent, answer string
		want         bridge.Rehearsed
	}{
		"good":            {envelope, strings.Replace(successAnswer, "<Irn>1", "<Irn>1</Irn><Echo>"+token+"</Echo><Irn>", 1), bridge.Rehearsed{Ours: true, Operation: "eInvoiceCancel", Caller: "sap", Taxpayer: gstin}},
		"nobody's token":  {strings.Replace(envelope, token, "feedfeedfeedfeed", 1), successAnswer, bridge.Rehearsed{Ours: true, Operation: "eInvoiceCancel", Refused: "The access token provided is invalid"}},
		"not his":         {strings.Replace(envelope, gstin, "29AAFCD5862R000", 1), successAnswer, bridge.Rehearsed{Ours: true, Operation: "eInvoiceCancel", Caller: "sap", Taxpayer: "29AAFCD5862R000", Refused: "The access token provided is not valid for this user_gstin (29AAFCD5862R000)"}},
		"refused field":   {strings.Replace(envelope, "<cancel_reason>1", "<cancel_reason>7", 1), successAnswer, bridge.Rehearsed{Ours: true, Operation: "eInvoiceCancel", Caller: "sap", Taxpayer: gstin, Refused: "reason 7"}},
		"not understood":  {strings.Replace(envelope, "<irn>", "<irn", 1), "<html>no</html>", bridge.Rehearsed{Operation: "eInvoiceCancel", Fault: "The request is not well-formed XML: syntax error at byte 259"}},
		"missing":         {strings.NewReplacer("access_token", "tokn", "<cancel_remarks>Wrong entry</cancel_remarks>", "").Replace(envelope), successAnswer, bridge.Rehearsed{Ours: true, Operation: "eInvoiceCancel", Refused: "access_token, cancel_remarks not found in the request; elements that are no parameters: tokn"}},
		"by place":        {strings.NewReplacer("access_token>", "p0>", "user_gstin>", "p1>", "irn>", "p2>", "cancel_reason>", "p3>", "cancel_remarks>", "p4>").Replace(envelope), successAnswer, bridge.Rehearsed{Ours: true, Operation: "eInvoiceCancel", Caller: "sap", Taxpayer: gstin, Notes: []string{"parameters with names of the caller's own were read by their place"}}},
		"another":         {strings.ReplaceAll(generate, "more", token), successAnswer, bridge.Rehearsed{Operation: "eInvoiceGenerate"}},
		"login":           {login("s3cret", "s3cret"), odd(token, "14400"), bridge.Rehearsed{Ours: true, Operation: "access_new_token", Caller: "sap"}},
		"wrong password":  {login("s3cret", "something else"), odd("cafecafecafecafecafe", "14400"), bridge.Rehearsed{Ours: true, Operation: "access_new_token", Caller: "sap", Refused: "login refused: "}},
		"refused there":   {login("s3cret", "something else"), odd("", ""), bridge.Rehearsed{Ours: true, Operation: "access_new_token", Caller: "sap"}},
		"nobody's log-in": {strings.Replace(login("s3cret", "s3cret"), "sapuser", "stranger", 1), odd(token, "14400"), bridge.Rehearsed{Ours: true, Operation: "access_new_token", Refused: "the log-in's username and client_id are no caller's"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := &notes{}
			p := newProvider(t, say(200, "text/xml", tc.answer))
			r := start(t, rehearsing(p, n), func(s *setup) {
				s.Check = func(q bridge.Request) string {
					if q.Reason == "7" {
						return "reason 7"
					}
					return ""
				}
			})
			action := cmp.Or(tc.want.Operation, "eInvoiceCancel")
			r.raw(strings.Replace(request("/einvoice", tc.sent, "Cookie: "+token+"\r\n", "X-Key: "+token+"\r\n", "Accept: "+token+"\r\n"), "#eInvoiceCancel", "#"+action, 1))
			w := n.last(t)
			if w.Ours != tc.want.Ours || w.Operation != tc.want.Operation || w.Caller != tc.want.Caller || w.Taxpayer != tc.want.Taxpayer ||
				w.Fault != tc.want.Fault || !slices.Equal(w.Notes, tc.want.Notes) ||
				w.Refused != tc.want.Refused && !(strings.HasSuffix(tc.want.Refused, ": ") && strings.HasPrefix(w.Refused, tc.want.Refused)) {
				t.Errorf("%+v\nwant\n%+v", w, tc.want)
			}
			text, err := json.Marshal(w)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"feedfeedfeedfeed", "s3cret", "something else", "cafecafe"} {
				if strings.Contains(string(text), secret) {
					t.Errorf("%s is kept: %s", secret, text)
				}
			}
			if tc.want.Ours && tc.want.Operation == "eInvoiceCancel" && name != "missing" && strings.Contains(string(text), token) {
				t.Errorf("the token is kept: %s", text)
			}
			if len(r.seen()) > 0 {
				t.Error("something was carried out")
			}
		})
	}
}

// odd is an answer of a provider that calls a token otherwise.
func odd(token, life string) string {
	return `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><n:r xmlns:n="urn:server"><Kind>bearer</Kind><Lasts>` + life +
		`</Lasts><Session>` + token + `</Session><Error/></n:r></e:Body></e:Envelope>`
}

// A token that the provider has issued is good here before the ERP can use it, whatever its part is called: the switch may
// come at any moment.
func TestRehearsedTokensAreGoodAfterTheSwitch(t *testing.T) {
	const theirs = "cafe0123cafe0123cafe0123cafe0123cafe0123"
	n := &notes{}
	p := newProvider(t, say(200, "text/xml", odd(theirs, "14400")))
	var options server.Options
	r := start(t, rehearsing(p, n), func(s *setup) { options = s.Options })
	r.post(login("s3cret", "s3cret"))
	options.Forward = nil
	var err error
	if options.Access, err = access.New(access.Config{Callers: withTime(callers())}, r.journal); err != nil {
		t.Fatal(err)
	}
	d, err := r.srv.Prepare(options)
	if err != nil {
		t.Fatal(err)
	}
	r.srv.Open(d)
	r.post(strings.Replace(envelope, token, theirs, 1)).expect(t, "with the provider's token", 200, "Success 200 ")
}

func withTime(all []access.CallerConfig) []access.CallerConfig {
	for i := range all {
		all[i].Within = time.Minute
	}
	return all
}
