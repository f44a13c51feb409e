package server_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
)

const (
	token    = "b29cee2156282be62f51b24fe8b3f07f01c9bff1"
	gstin    = "09AAAPG7885R002"
	irn      = "1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae"
	foreign  = "2143: Invoice does not belongs to the user GSTIN"
	envelope = `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:urn="urn:server"><soapenv:Header/><soapenv:Body>` +
		`<urn:eInvoiceCancel><access_token>` + token + `</access_token><user_gstin>` + gstin + `</user_gstin><irn>` + irn +
		`</irn><cancel_reason>1</cancel_reason><cancel_remarks>Wrong entry</cancel_remarks></urn:eInvoiceCancel></soapenv:Body></soapenv:Envelope>`
	soap12 = "http://www.w3.org/2003/05/soap-envelope"
)

var (
	_ server.Canceller = (*fake)(nil)
)

// fake cancels everything, unless it is told what to answer. Nothing is on record, unless it is told what.
type fake struct {
	mu     sync.Mutex
	calls  []bridge.Request
	said   [][]byte // what Render made of each answer
	answer func(bridge.Request) bridge.Answer
	recall func(bridge.Request) (bridge.Answer, bool)
}

func (f *fake) Cancel(asked *bridge.Request) bridge.Answer {
	r := *asked
	a := bridge.Answer{Class: bridge.Cancelled, IRN: r.IRN, CancelDate: "2021-06-01 20:30:00", Ref: r.Ref}
	if f.answer != nil {
		a = f.answer(r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, r)
	f.said = append(f.said, r.Render(a))
	return a
}

func (f *fake) Recall(r *bridge.Request) (bridge.Answer, bool) {
	if f.recall == nil {
		return bridge.Answer{}, false
	}
	return f.recall(*r)
}

func (f *fake) seen() []bridge.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// tokens keeps issued tokens in memory.
type tokens struct {
	mu  sync.Mutex
	by  map[string]bridge.Token
	err error
	now time.Time // zero: whatever it is
}

func (k *tokens) Now() time.Time { return cmp.Or(k.now, time.Now()) }

func (k *tokens) Issue(_ context.Context, t bridge.Token) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		k.by[t.Hash] = t
	}
	return k.err
}

func (k *tokens) Token(_ context.Context, hash string) (bridge.Token, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t, ok := k.by[hash]; ok || k.err != nil {
		return t, k.err
	}
	return bridge.Token{}, bridge.ErrNoEntry
}

// rig is a server on a real port, with what it leaves behind.
type rig struct {
	*fake
	t        testing.TB
	srv      *server.Server
	addr     string
	journal  *tokens
	log      *lockedBuffer
	refusals func() []server.Refusal
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// setup is what a test may change before the server starts.
type setup struct {
	server.Options
	access.Config
}

var hashed = sync.OnceValue(func() string { return access.HashPassword("s3cret") })

func callers() []access.CallerConfig {
	return []access.CallerConfig{
		{
			Name: "sap", Tokens: []string{"sha256:" + access.HashToken(token)}, Taxpayers: []string{gstin},
			Login: &access.LoginConfig{Username: "sapuser", Password: hashed(), ClientID: "erp", ClientSecret: hashed()},
		},
		{Name: "everyone", Tokens: []string{"sha256:" + access.HashToken("all")}, AllTaxpayers: true},
		{Name: "nofaults", Tokens: []string{"sha256:" + access.HashToken("nofaults")}, AllTaxpayers: true, TroubleAs: access.TroubleAsReply},
	}
}

func start(t testing.TB, change ...func(*setup)) *rig {
	t.Helper()
	r := &rig{fake: &fake{}, t: t, journal: &tokens{by: map[string]bridge.Token{}}, log: &lockedBuffer{}}
	var mu sync.Mutex
	var refusals []server.Refusal
	r.refusals = func() []server.Refusal { mu.Lock(); defer mu.Unlock(); return slices.Clone(refusals) }
	c := soap.DefaultContract()
	o := &setup{
		server.Options{
			Listeners: []server.Listener{{Address: "127.0.0.1:0"}}, PublicURL: "https://bridge.example",
			Contract: c, Decoder: soap.NewDecoder(c), Canceller: r.fake, InFlight: 3072,
			Log:     slog.New(slog.NewJSONHandler(r.log, nil)),
			Refused: func(k server.Refusal) { mu.Lock(); refusals = append(refusals, k); mu.Unlock() },
		},
		access.Config{TokenLife: 4 * time.Hour, Callers: callers()},
	}
	for _, f := range change {
		f(o)
	}
	for i := range o.Config.Callers {
		c := &o.Config.Callers[i]
		c.Within = cmp.Or(c.Within, time.Minute)
	}
	var err error
	if o.Access, err = access.New(o.Config, r.journal); err != nil {
		t.Fatal(err)
	}
	if r.srv, err = server.New(o.Options); err != nil {
		t.Fatal(err)
	}
	if err := r.srv.Listen(); err != nil {
		t.Fatal(err)
	}
	r.addr = r.srv.Addrs()[0].String()
	served := make(chan error, 1)
	go func() { served <- r.srv.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := r.srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return r
}

// response is an answer as read from the socket.
type response struct {
	status int
	header http.Header
	body   string
	closes bool // the connection
}

// raw sends bytes as they are over a connection of their own and reads one answer.
func (r *rig) raw(request string) response {
	r.t.Helper()
	res, err := r.try(request)
	if err != nil {
		r.t.Fatalf("%v, after sending %.200q", err, request)
	}
	return res
}

// try is raw for requests that may be answered by a reset.
func (r *rig) try(request string) (response, error) {
	conn := r.dial()
	defer conn.Close()
	_, sent := io.WriteString(conn, request)
	res, err := readResponse(bufio.NewReader(conn), request)
	if err != nil && sent != nil {
		err = sent
	}
	return res, err
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// dialQuietly returns nil when nobody accepts.
func dialQuietly(addr string) net.Conn {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil
	}
	return conn
}

// readResponse reads the answer to a request, interim ones left out.
func readResponse(in *bufio.Reader, request string) (response, error) {
	method, _, _ := strings.Cut(request, " ")
	for {
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return response{}, err
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusContinue {
			return response{res.StatusCode, res.Header, string(body), res.Close}, err
		}
	}
}

// post sends an envelope the way most clients do; headers are extra lines, each ended by CRLF.
func (r *rig) post(body string, headers ...string) response {
	r.t.Helper()
	return r.raw(request("/api.einvoice.php", body, headers...))
}

func request(path, body string, headers ...string) string {
	all := strings.Join(headers, "")
	if !strings.Contains(strings.ToLower(all), "content-type:") {
		all += "Content-Type: text/xml; charset=utf-8\r\n"
	}
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: bridge\r\nSOAPAction: \"urn:server#eInvoiceCancel\"\r\n%sContent-Length: %d\r\n\r\n%s", path, all, len(body), body)
}

func (r *rig) get(target string, headers ...string) response {
	r.t.Helper()
	return r.raw("GET " + target + " HTTP/1.1\r\nHost: evil.example\r\n" + strings.Join(headers, "") + "\r\n")
}

// part is the text of an element in an answer; the server writes them all without attributes.
func (r response) part(name string) string {
	m := regexp.MustCompile(`<(?:[a-zA-Z-]+:)?` + name + `(?: [^>]*)?>([^<]*)</`).FindStringSubmatch(r.body)
	if m == nil {
		return "(none)"
	}
	var text string
	if err := xml.Unmarshal([]byte("<t>"+m[1]+"</t>"), &text); err != nil {
		return err.Error()
	}
	return text
}

// said sums an answer up: the business reply, or the fault's code and stable text.
func (r response) said() string {
	switch {
	case strings.Contains(r.body, ":Fault>") && strings.Contains(r.body, soap12):
		return r.part("Value") + ": " + stable(r.part("Text"))
	case strings.Contains(r.body, ":Fault>"):
		return r.part("faultcode") + ": " + stable(r.part("faultstring"))
	}
	return r.part("status") + " " + r.part("code") + " " + stable(r.part("errorMessage"))
}

func stable(text string) string {
	text, _, _ = strings.Cut(text, " [ref ")
	return text
}

// wellFormed holds every answer to what all of them promise.
func (r response) wellFormed(t testing.TB) {
	t.Helper()
	if err := xml.Unmarshal([]byte(r.body), new(struct{})); err != nil {
		t.Errorf("answer is no XML: %v: %.300s", err, r.body)
	}
	want := "text/xml; charset=utf-8"
	if strings.Contains(r.body, soap12) {
		want = "application/soap+xml; charset=utf-8"
	}
	if got := r.header.Values("Content-Type"); len(got) != 1 || got[0] != want {
		t.Errorf("Content-Type %q, want %q", got, want)
	}
	if got := r.header.Get("Content-Length"); got != strconv.Itoa(len(r.body)) {
		t.Errorf("Content-Length %q of %d bytes", got, len(r.body))
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$`).MatchString(r.header.Get("X-Request-Id")) {
		t.Errorf("X-Request-Id %q is no UUID version 7", r.header.Get("X-Request-Id"))
	}
	for i := range len(r.body) {
		if r.body[i] > 0x7e || r.body[i] < ' ' && r.body[i] != '\n' {
			t.Errorf("byte %#x in the answer", r.body[i])
			break
		}
	}
	if r.header.Get("Server") != "" {
		t.Errorf("the server names itself %q", r.header.Get("Server"))
	}
}

func (r response) expect(t testing.TB, what string, status int, said string) {
	t.Helper()
	if r.status != status || r.said() != said {
		t.Errorf("%s: %d %s, want %d %s", what, r.status, r.said(), status, said)
	}
	r.wellFormed(t)
}
