package upstream

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"einvoice-bridge/bridge"
)

func newShared() *Shared {
	return NewShared(nil, slog.New(slog.DiscardHandler)) // nobody logs in under these tests' guards
}

func newClient(t testing.TB, set Settings) *Client {
	t.Helper()
	c, err := newShared().Client(set)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rawServer hands each accepted connection to serve, and returns its base URL.
func rawServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return "http://" + l.Addr().String()
}

func readRequest(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	req, err := http.ReadRequest(r)
	if err != nil {
		return ""
	}
	body, _ := io.ReadAll(req.Body)
	return string(body)
}

func TestDoKnowsWhetherAByteWasWritten(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	silent := func(c net.Conn) { io.Copy(io.Discard, c) }
	reset := func(c net.Conn) {
		c.Read(make([]byte, 1))
		c.(*net.TCPConn).SetLinger(0)
	}
	noTLS := strings.Replace(rawServer(t, func(c net.Conn) { io.WriteString(c, "not TLS at all\n") }), "http:", "https:", 1)
	refusingProxy := rawServer(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
	})
	tests := []struct {
		name    string
		set     Settings
		written bool
		class   bridge.Class
	}{
		{"name does not resolve", Settings{BaseURL: "http://name.invalid"}, false, bridge.NotApplied},
		{"nobody listens", Settings{BaseURL: "http://" + closed.Addr().String()}, false, bridge.NotApplied},
		{"TLS fails", Settings{BaseURL: noTLS}, false, bridge.NotApplied},
		{"proxy refuses CONNECT", Settings{BaseURL: "https://irp.invalid", Proxy: refusingProxy}, false, bridge.NotApplied},
		{"TLS never answers", Settings{BaseURL: strings.Replace(rawServer(t, silent), "http:", "https:", 1)}, false, bridge.NotApplied},
		{"silence after the request", Settings{BaseURL: rawServer(t, silent)}, true, bridge.Unknown},
		{"reset after the first byte", Settings{BaseURL: rawServer(t, reset)}, true, bridge.Unknown},
		{"half a reply", Settings{BaseURL: rawServer(t, func(c net.Conn) {
			readRequest(t, bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Status\":1")
		})}, true, bridge.Unknown},
		{"a reply without end", Settings{BaseURL: rawServer(t, func(c net.Conn) {
			readRequest(t, bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			for {
				if _, err := c.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		})}, true, bridge.Unknown},
		{"not HTTP", Settings{BaseURL: rawServer(t, func(c net.Conn) {
			readRequest(t, bufio.NewReader(c))
			io.WriteString(c, "220 mail.example ESMTP\r\n")
		})}, true, bridge.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, tt.set)
			r := c.Do(t.Context(), &Request{Purpose: ForCancel, Fence: free, Method: "POST", Path: "/cancel", Body: []byte(`{}`), Timeout: 1500 * time.Millisecond})
			o := r.Verdict()
			if r.Err == nil || r.Written != tt.written || o.Class != tt.class {
				t.Errorf("Do = written %v, err %v, verdict %v; want written %v, verdict %v", r.Written, r.Err, o.Class, tt.written, tt.class)
			}
		})
	}
}

// What the connection carried before (another request, a TLS handshake) is not this request's.
func TestWrittenCountsThisRequestOnly(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	go io.Copy(io.Discard, far)
	c := &countingConn{Conn: near}
	c.Write([]byte("earlier"))
	var w written
	trace := httptrace.ContextClientTrace(w.trace(t.Context()))
	trace.GotConn(httptrace.GotConnInfo{Conn: tls.Client(c, &tls.Config{})})
	trace.WroteHeaders() // into the buffer of net/http
	if w.any() {
		t.Error("nothing has left yet")
	}
	c.Write([]byte("G"))
	if !w.any() {
		t.Error("a byte has left")
	}
}

func TestDoStopsBeforeWritingWhenItsTimeIsOver(t *testing.T) {
	base := rawServer(t, func(c net.Conn) { t.Error("something was sent"); io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newClient(t, Settings{BaseURL: base}).Do(ctx, &Request{Purpose: ForCancel, Fence: free, Method: "POST", Path: "/", Body: []byte("x")})
	if r.Err == nil || r.Written || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("Do = written %v, err %v", r.Written, r.Err)
	}
}

// A connection that the server closed while it was idle is where HTTP libraries repeat requests on their own.
func TestDoNeverSendsACancelTwice(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "PATCH"} {
		t.Run(method, func(t *testing.T) {
			var received atomic.Int32
			base := rawServer(t, func(c net.Conn) {
				r := bufio.NewReader(c)
				readRequest(t, r)
				received.Add(1)
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				if readRequest(t, r) == "again" { // the kept connection breaks when it is used again
					received.Add(1)
				}
			})
			c := newClient(t, Settings{BaseURL: base})
			if r := c.Do(t.Context(), &Request{Purpose: ForCancel, Fence: free, Method: method, Path: "/", Body: []byte("first")}); r.Err != nil {
				t.Fatal(r.Err)
			}
			r := c.Do(t.Context(), &Request{Purpose: ForCancel, Fence: free, Method: method, Path: "/", Body: []byte("again")})
			if r.Err == nil || !r.Written || received.Load() != 2 {
				t.Errorf("second Do = written %v, err %v; the server saw %d requests, want 2", r.Written, r.Err, received.Load())
			}
		})
	}
}

func TestDoFollowsNoRedirect(t *testing.T) {
	var hits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	r := newClient(t, Settings{BaseURL: srv.URL}).Do(t.Context(), &Request{Purpose: ForCancel, Fence: free, Method: "POST", Path: "/", Body: []byte("x")})
	if r.Status != 307 || hits.Load() != 1 {
		t.Errorf("status %d after %d requests, want 307 after 1", r.Status, hits.Load())
	}
	if r.Took <= 0 || r.Start.IsZero() {
		t.Errorf("started %v, took %v", r.Start, r.Took)
	}
}

func TestDoKeepsTheSpellingOfHeaders(t *testing.T) {
	got := make(chan string, 1)
	base := rawServer(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		var head strings.Builder
		for {
			line, err := r.ReadString('\n')
			if err != nil || line == "\r\n" {
				break
			}
			head.WriteString(line)
		}
		got <- head.String()
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	c := newClient(t, Settings{BaseURL: base + "/prefix/", Headers: map[string]bridge.Secret{"aspid": "42", "gstin": "static loses"}})
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0x0a, 15: 0x9c}, SpanID: trace.SpanID{0xb7, 7: 0x31}, TraceFlags: trace.FlagsSampled,
	}))
	r := c.Do(ctx, &Request{Purpose: ForLookup, Method: "GET", Path: "/irn?a=b", Header: http.Header{"client_id": {"x"}, "Gstin": {"29AAFCD5862R000"}}})
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	head := <-got
	for _, want := range []string{
		"GET /prefix/irn?a=b HTTP/1.1\r\n", "client_id: x\r\n", "Gstin: 29AAFCD5862R000\r\n", "aspid: 42\r\n",
		"Traceparent: 00-0a00000000000000000000000000009c-b700000000000031-01\r\n", "User-Agent: einvoice-bridge\r\n",
	} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in\n%s", want, head)
		}
	}
	if strings.Contains(head, "static loses") || strings.Contains(head, "Accept-Encoding") {
		t.Errorf("unexpected header in\n%s", head)
	}
}

func TestClientErrorsNameTheSettingNotItsValue(t *testing.T) {
	tests := []struct {
		name string
		set  Settings
		want string
	}{
		{"proxy", Settings{BaseURL: "https://x", Proxy: "http://u:geheim@%zz"}, "proxy is not a URL of the form http://host:port"},
		{"ca", Settings{BaseURL: "https://x", CA: "geheim"}, "ca holds no certificate in PEM form"},
		{"certificate", Settings{BaseURL: "https://x", ClientCertificate: "geheim"}, "client certificate: tls: failed to find any PEM data in certificate input"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newShared().Client(tt.set)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestClientsOfOneWayShareTheirConnections(t *testing.T) {
	s := newShared()
	a, _ := s.Client(Settings{BaseURL: "https://irp.example", Headers: map[string]bridge.Secret{"aspid": "1"}})
	b, _ := s.Client(Settings{BaseURL: "https://irp.example/", Headers: map[string]bridge.Secret{"aspid": "2"}})
	c, _ := s.Client(Settings{BaseURL: "https://irp.example", Proxy: "http://proxy.example:3128"})
	if a.pool != b.pool || a.pool == c.pool {
		t.Error("want one pool for equal settings and another behind the proxy")
	}
}

// What keeps a call from leaving is told in words: operators read it as the reason of an outcome.
func TestDoNamesWhyNothingLeft(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	for want, base := range map[string]string{
		"lookup name.invalid":                     "https://name.invalid",
		"certificate signed by unknown authority": srv.URL,
	} {
		o := newClient(t, Settings{BaseURL: base}).Do(t.Context(), &Request{Purpose: ForCancel, Fence: free, Method: "POST", Path: "/"}).Verdict()
		if o.Class != bridge.NotApplied || !strings.Contains(o.Message, "before anything was sent") || !strings.Contains(o.Message, want) {
			t.Errorf("%s: %s, %q", base, o.Class, o.Message)
		}
	}
}

// Some servers put a byte order mark before their JSON.
func TestDoSkipsAByteOrderMark(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "\ufeff{}") }))
	defer srv.Close()
	r := newClient(t, Settings{BaseURL: srv.URL}).Do(t.Context(), &Request{Purpose: ForLookup, Method: "GET", Path: "/"})
	if string(r.Body) != "{}" {
		t.Errorf("body %q", r.Body)
	}
}

func TestDoUsesProxyCAAndClientCertificate(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") }))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	srv.StartTLS()
	defer srv.Close()
	var connects atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connects.Add(1)
		down, _, _ := w.(http.Hijacker).Hijack()
		up, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		go io.Copy(up, down)
		io.Copy(down, up)
	}))
	defer proxy.Close()
	set := Settings{BaseURL: srv.URL, Proxy: proxy.URL, CA: string(pemOf("CERTIFICATE", srv.Certificate().Raw))}
	certificate, key := clientCertificate(t)
	set.ClientCertificate, set.ClientKey = string(certificate), bridge.Secret(key)
	do := func(set Settings) *Reply {
		return newClient(t, set).Do(t.Context(), &Request{Purpose: ForCancel, Fence: free, Method: "POST", Path: "/", Body: []byte("x")})
	}
	if r := do(set); r.Err != nil || r.Status != 200 || !r.Written || connects.Load() != 1 {
		t.Errorf("status %d, err %v, written %v, %d CONNECTs", r.Status, r.Err, r.Written, connects.Load())
	}
	stranger, anonymous := set, set
	stranger.CA = ""
	if r := do(stranger); r.Err == nil || r.Written {
		t.Errorf("without the CA: written %v, err %v", r.Written, r.Err)
	}
	anonymous.ClientCertificate, anonymous.ClientKey = "", ""
	if r := do(anonymous); r.Err == nil {
		t.Errorf("without the client certificate: status %d", r.Status)
	}
}

// clientCertificate is a self-signed one in PEM.
func clientCertificate(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("CERTIFICATE", der), pemOf("PRIVATE KEY", pkcs8)
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// BenchmarkDo is one exchange over a kept connection, with the server that answers it.
func BenchmarkDo(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"Status":1}`) }))
	defer srv.Close()
	c := newClient(b, Settings{BaseURL: srv.URL})
	b.ReportAllocs()
	for b.Loop() {
		if r := c.Do(b.Context(), &Request{Purpose: ForCancel, Fence: free, Method: "POST", Path: "/", Body: []byte("{}"), Timeout: time.Second}); r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	b.ReportMetric(60, "budget-µs/op")
	b.ReportMetric(55, "budget-allocs/op")
}

func TestReach(t *testing.T) {
	base := rawServer(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	gone := "http://" + closed.Addr().String()
	for _, tt := range []struct {
		name string
		set  Settings
		ok   bool
	}{
		{"host", Settings{BaseURL: base + "/path"}, true},
		{"nobody listens", Settings{BaseURL: gone}, false},
		{"no such name", Settings{BaseURL: "https://name.invalid"}, false},
		{"proxy instead of the host", Settings{BaseURL: "https://name.invalid", Proxy: base}, true},
		{"proxy that is gone", Settings{BaseURL: base, Proxy: gone}, false},
	} {
		if err := newClient(t, tt.set).Reach(t.Context()); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
