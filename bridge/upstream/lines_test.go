//go:build unix

package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// replies are what a server says to every request on a connection, and does then.
var replies = []struct {
	name, reply string
	then        string // "", "close", "reset", or what else it says, unasked, 10 ms later
}{
	{"with its length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ""},
	{"empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
	{"without a body", "HTTP/1.1 204 No Content\r\n\r\n", ""},
	{"not modified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", ""},
	{"in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n", ""},
	{"in chunks with a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2\r\n{}\r\n0\r\nA: b\r\n\r\n", ""},
	{"packed", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08", ""},
	{"until it closes", "HTTP/1.1 200 OK\r\n\r\n{}", "close"},
	{"until it resets", "HTTP/1.1 200 OK\r\n\r\n{}", "reset"},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", "close"},
	{"HTTP/1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", ""},
	{"Connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", "close"},
	{"Connection: close that stays", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", ""},
	{"closed without a word", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "close"},
	{"reset without a word", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "reset"},
	{"after 100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ""},
	{"after 103 and 102", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ""},
	{"only 100", "HTTP/1.1 100 Continue\r\n\r\n", "close"},
	{"100 without end", strings.Repeat("HTTP/1.1 100 Continue\r\nA: "+strings.Repeat("b", 1000)+"\r\n\r\n", 11<<10), "close"},
	{"an answer behind it", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse", ""},
	{"rubbish behind it", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\r\n", ""},
	{"rubbish behind chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nfalse", ""},
	{"an answer unasked", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse"},
	{"408 unasked", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"},
	{"rubbish behind nothing", "HTTP/1.1 204 No Content\r\n\r\nfalse", ""},

	{"length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", ""},
	{"chunks twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", ""},
	{"unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}", "close"},
	{"two equal lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", ""},
	{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "close"},
	{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}", "close"},
	{"signed length", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}", "close"},
	{"no number", "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n{}", "close"},
	{"length over all bounds", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}", "close"},
	{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "close"},
	{"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}", "close"},
	{"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "close"},
	{"no end of the trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", "close"},
	{"size of a chunk no number", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", "close"},
	{"long trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA: " + strings.Repeat("b", 8<<10) + "\r\n\r\n", "close"},
	{"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", ""},
	{"folded header", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\n{}", ""},
	{"blank before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}", "close"},
	{"header without a colon", "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n{}", "close"},
	{"long head", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 11<<20) + "\r\nContent-Length: 2\r\n\r\n{}", "close"},
	{"head without end", "HTTP/1.1 200 OK\r\nA: b\r\n", "close"},
	{"long body", "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + strings.Repeat("x", 2_000_000), ""},
	{"a body to the limit", "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + strings.Repeat("x", 1<<20), ""},
	{"no word", "", "close"},
	{"no word, reset", "", "reset"},
	{"half a line", "HTTP/1.", "close"},
	{"status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}", "close"},
	{"status below zero", "HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\n{}", "close"},
	{"status 099", "HTTP/1.1 099 What\r\nContent-Length: 2\r\n\r\n{}", ""},
	{"status 999", "HTTP/1.1 999 What\r\nContent-Length: 2\r\n\r\n{}", ""},
	{"503", "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}", "close"},
	{"429", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", ""},
	{"another version", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", ""},
	{"not HTTP", "220 mail.example ESMTP\r\n", "close"},
}

// What comes of a reply is the same whether our own connections carry the call or net/http's: status, body, verdict, and
// whether the next call goes over the same connection.
func TestRepliesAreReadAsByNetHTTP(t *testing.T) {
	quieten(t)
	for _, tt := range replies {
		for _, method := range []string{"POST", "GET"} {
			if method == "GET" && tt.then == "" {
				continue // what may be asked again only matters where a connection breaks
			}
			t.Run(tt.name+"/"+method, func(t *testing.T) {
				t.Parallel()
				var own, theirs string
				for range 3 { // net/http sees what comes unasked when its goroutine has its turn, and may be late
					var both sync.WaitGroup
					both.Go(func() { own = heard(t, "own", method, tt.reply, tt.then) })
					both.Go(func() { theirs = heard(t, "net/http", method, tt.reply, tt.then) })
					both.Wait()
					if own == theirs {
						return
					}
				}
				t.Errorf("own:\n%s\nnet/http:\n%s", own, theirs)
			})
		}
	}
}

// quieten keeps net/http from telling what came unasked.
func quieten(t testing.TB) {
	log.SetOutput(io.Discard)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
}

// heard is what comes of two calls to a server that says reply to each, and then does what then says.
func heard(t *testing.T, way, method, reply, then string) (all string) {
	var connections, asked atomic.Int32
	done := make(chan struct{}, 10)
	base := rawServer(t, func(c net.Conn) {
		connections.Add(1)
		for r := bufio.NewReader(c); ; asked.Add(1) {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			io.WriteString(c, reply)
			switch then {
			case "":
			case "reset":
				time.Sleep(10 * time.Millisecond) // what was said before arrives
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			case "close":
				c.Close()
			default:
				time.Sleep(10 * time.Millisecond)
				io.WriteString(c, then)
			}
			done <- struct{}{}
		}
	})
	c := ways(t, Settings{BaseURL: base})[way]
	for range 2 {
		q := Request{Purpose: ForCancel, Fence: free, Method: method, Path: "/", Timeout: 5 * time.Second}
		if method == "POST" {
			q.Body = []byte("{}")
		}
		r := c.Do(t.Context(), &q)
		o := r.Verdict()
		all += fmt.Sprintf("status %d, body %.20q of %d, failed %v, written %v, verdict %v, wait %v\n", r.Status, r.Body, len(r.Body), r.Err != nil, r.Written, o.Class, o.RetryAfter)
		select {
		case <-done:
		case <-time.After(time.Second): // nobody was asked
		}
		time.Sleep(20 * time.Millisecond) // it has arrived, and net/http has seen it
	}
	return all + fmt.Sprintf("%d connections, %d requests", connections.Load(), asked.Load())
}

// A kept connection that breaks when it is used again costs a question nothing; a cancel, or a question that was answered in part,
// is never sent again.
func TestOnlyAQuestionIsAskedAgain(t *testing.T) {
	for method, again := range map[string]int32{"GET": 1, "POST": 0} {
		for part, again := range map[string]int32{"": again, "HTTP/1.1": 0} {
			var asked atomic.Int32
			base := rawServer(t, func(c net.Conn) {
				r := bufio.NewReader(c)
				for range 2 {
					readRequest(t, r)
					if asked.Add(1) == 2 {
						io.WriteString(c, part)
						return
					}
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				}
			})
			for way, c := range ways(t, Settings{BaseURL: base}) {
				asked.Store(0)
				q := Request{Purpose: ForLookup, Method: method, Path: "/", Timeout: 5 * time.Second}
				if method == "POST" {
					q.Body = []byte("{}")
				}
				if r := c.Do(t.Context(), &q); r.Err != nil {
					t.Fatal(r.Err)
				}
				if r := c.Do(t.Context(), &q); (r.Err == nil) != (again == 1) || !r.Written || asked.Load() != 2+again {
					t.Errorf("%s after %q, %s: asked %d times, err %v", method, part, way, asked.Load(), r.Err)
				}
			}
		}
	}
}

// FuzzReplies is the same for anything that a server may say before it closes.
func FuzzReplies(f *testing.F) {
	quieten(f)
	for _, r := range replies {
		if len(r.reply) < 1000 {
			f.Add([]byte(r.reply))
		}
	}
	said := make(chan []byte, 1)
	clients := ways(f, Settings{BaseURL: "http://authority.invalid"})
	dial := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			if req, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
				io.Copy(io.Discard, req.Body)
			}
			go io.Copy(io.Discard, far)
			far.Write(<-said)
		}()
		return &countingConn{Conn: near}, nil
	}
	own, theirs := clients["own"].pool.(*lines).set, clients["net/http"].pool.(netHTTP).RoundTripper.(*http.Transport)
	own.DialContext, theirs.DialContext = dial, dial
	theirs.DisableKeepAlives = true // ours keeps no pipe
	f.Fuzz(func(t *testing.T, reply []byte) {
		if bytes.Contains(reply, []byte(" 101")) {
			return // net/http hands the connection over
		}
		got := map[string]string{}
		for way, c := range clients {
			said <- reply
			r := c.Do(t.Context(), &Request{Purpose: ForCancel, Fence: free, Method: "POST", Path: "/", Body: []byte("{}"), Timeout: 5 * time.Second})
			got[way] = fmt.Sprintf("status %d, header %v, body %q, failed %v, written %v", r.Status, r.Header, r.Body, r.Err != nil, r.Written)
		}
		if got["own"] != got["net/http"] {
			t.Errorf("own:\n%s\nnet/http:\n%s", got["own"], got["net/http"])
		}
	})
}

// A reply that hands the connection over to another protocol is no answer.
func TestNobodySwitchesProtocols(t *testing.T) {
	base := rawServer(t, func(c net.Conn) {
		readRequest(t, bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n{}")
	})
	r := newClient(t, Settings{BaseURL: base}).Do(t.Context(), &Request{Purpose: ForCancel, Fence: free, Method: "POST", Path: "/", Body: []byte("{}")})
	if o := r.Verdict(); o.Class != bridge.Unknown || !r.Written {
		t.Errorf("written %v, %+v", r.Written, o)
	}
}

// held keeps what is written until it is let go of: one packet for all.
type held struct {
	net.Conn
	kept *bytes.Buffer
}

func (h held) Write(b []byte) (int, error) {
	if h.kept != nil {
		return h.kept.Write(b)
	}
	return h.Conn.Write(b)
}

func (held) SetWriteDeadline(time.Time) error { return nil } // TLS sets a past one after its goodbye

// In TLS, what stands behind a reply may have been read along with it, so that the socket is silent: the server's goodbye, or an
// answer that nobody asked for. The next call goes over another connection.
func TestWhatTLSHasReadAheadIsSeen(t *testing.T) {
	for name, behind := range map[string]func(*tls.Conn){
		"goodbye": func(c *tls.Conn) { c.CloseWrite() },
		"answer":  func(c *tls.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse") },
		"nothing": func(*tls.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(nil)
			srv.StartTLS() // for its certificate
			defer srv.Close()
			var connections atomic.Int32
			base := rawServer(t, func(c net.Conn) {
				connections.Add(1)
				h := &held{Conn: c}
				secure := tls.Server(h, srv.TLS)
				for r := bufio.NewReader(secure); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					h.kept = new(bytes.Buffer)
					io.WriteString(secure, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
					behind(secure)
					c.Write(h.kept.Bytes())
					h.kept = nil
				}
			})
			set := certified(srv)
			set.BaseURL = strings.Replace(base, "http:", "https:", 1)
			c := newClient(t, set)
			for range 3 {
				r := c.Do(t.Context(), &Request{Purpose: ForCancel, Fence: free, Method: "POST", Path: "/", Body: []byte("{}"), Timeout: 5 * time.Second})
				if r.Err != nil || string(r.Body) != "{}" {
					t.Errorf("body %q, err %v", r.Body, r.Err)
				}
			}
			want := int32(3)
			if name == "nothing" {
				want = 1
			}
			if connections.Load() != want {
				t.Errorf("%d connections, want %d", connections.Load(), want)
			}
		})
	}
}

// A call whose time is over ends at once, wherever it is, and nobody else gets its connection.
func TestTheEndOfACallInterruptsIt(t *testing.T) {
	for name, said := range map[string]string{"before the reply": "", "in its head": "HTTP/1.1 200 OK\r\n", "in its body": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"} {
		for _, cancelled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, cancelled %v", name, cancelled), func(t *testing.T) {
				var connections atomic.Int32
				base := rawServer(t, func(c net.Conn) {
					connections.Add(1)
					readRequest(t, bufio.NewReader(c))
					io.WriteString(c, said)
					io.Copy(io.Discard, c)
				})
				c := newClient(t, Settings{BaseURL: base})
				for range 2 {
					ctx, cancel := context.WithCancel(t.Context())
					q := Request{Purpose: ForCancel, Fence: free, Method: "POST", Path: "/", Body: []byte("{}"), Timeout: time.Minute}
					want := context.Canceled
					if cancelled {
						time.AfterFunc(100*time.Millisecond, cancel)
					} else {
						q.Timeout, want = 100*time.Millisecond, context.DeadlineExceeded
					}
					r := c.Do(ctx, &q)
					cancel()
					if !errors.Is(r.Err, want) || !r.Written || r.Took > 5*time.Second {
						t.Errorf("written %v, err %v after %v", r.Written, r.Err, r.Took)
					}
				}
				if connections.Load() != 2 {
					t.Errorf("%d connections", connections.Load())
				}
			})
		}
	}
}

// No more connections are kept than net/http would, and none for longer.
func TestKeptConnectionsAreBounded(t *testing.T) {
	var open atomic.Int32
	here := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-here }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	srv.StartTLS()
	defer srv.Close()
	c := newClient(t, certified(srv))
	p := c.pool.(*lines)
	p.set.IdleConnTimeout, p.set.MaxIdleConnsPerHost = 300*time.Millisecond, 3
	settled := func(n int32) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); open.Load() != n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d connections are open, want %d", open.Load(), n)
			}
		}
	}
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if r := c.Do(t.Context(), &Request{Purpose: ForLookup, Method: "GET", Path: "/"}); r.Err != nil {
				t.Error(r.Err)
			}
		})
	}
	settled(5)
	close(here)
	all.Wait()
	settled(3)
	settled(0)
	if r := c.Do(t.Context(), &Request{Purpose: ForLookup, Method: "GET", Path: "/"}); r.Err != nil || open.Load() != 1 {
		t.Errorf("%d open, err %v", open.Load(), r.Err)
	}
	settled(0) // the timer has started again
}

// Where there is more between than a socket and TLS, net/http carries the call.
func TestProxiesAreLeftToNetHTTP(t *testing.T) {
	for want, set := range map[string]Settings{
		"*upstream.lines 127.0.0.1:80":        {BaseURL: "http://127.0.0.1/path"},
		"*upstream.lines irp.example:8443":    {BaseURL: "https://irp.example:8443"},
		"*upstream.lines [2001:db8::1]:443":   {BaseURL: "https://[2001:db8::1]"},
		"upstream.netHTTP behind a proxy":     {BaseURL: "https://irp.example", Proxy: "http://proxy.example:3128"},
		"upstream.netHTTP and another script": {BaseURL: "https://भारत.example"},
	} {
		got := newClient(t, set).pool
		kind := fmt.Sprintf("%T", got)
		if p, ok := got.(*lines); ok {
			kind += " " + p.addr
		}
		if !strings.HasPrefix(want, kind) {
			t.Errorf("%s: %s", want, kind)
		}
	}
}

// A request is on the wire what net/http makes of it, byte for byte.
func TestRequestsAreWrittenAsByNetHTTP(t *testing.T) {
	got := make(chan string, 1)
	base := rawServer(t, func(c net.Conn) {
		b := make([]byte, 64<<10)
		n, _ := io.ReadAtLeast(c, b, 1)
		got <- string(b[:n])
		io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})
	static := map[string]bridge.Secret{"aspid": "42", "Gstin": "loses", "user-agent": "twice", "Host": "never", "Accept": " both "}
	for name, q := range map[string]Request{
		"body":              {Method: "POST", Path: "/a", Body: []byte("{}")},
		"no body":           {Method: "POST", Path: "/a"},
		"empty body":        {Method: "PUT", Path: "/a", Body: []byte{}},
		"question":          {Method: "GET", Path: "/a?b=c&d=%20e"},
		"delete":            {Method: "DELETE", Path: ""},
		"body of a get":     {Method: "GET", Path: "/", Body: []byte("x")},
		"path to be mended": {Method: "PATCH", Path: "/a b/\"é\"?c d=<e>#f"},
		"escaped path":      {Method: "GET", Path: "/a%2Fb%20c//d?"},
		"headers": {Method: "POST", Path: "/", Header: http.Header{
			"client_id": {"x"}, "gstin": {"\t y "}, "Z": {"1", "2"}, "a": {}, "Content-Length": {"9"}, "User-Agent": {"other"},
		}},
	} {
		for _, headers := range []map[string]bridge.Secret{nil, static} {
			said := map[string]string{}
			for way, c := range ways(t, Settings{BaseURL: base + "/prefix", Headers: headers}) {
				q.Purpose, q.Timeout = ForLookup, 5*time.Second
				if r := c.Do(t.Context(), &q); r.Err != nil {
					t.Fatal(name, r.Err)
				}
				said[way] = <-got
			}
			if said["own"] != said["net/http"] {
				t.Errorf("%s, own:\n%s\nnet/http:\n%s", name, said["own"], said["net/http"])
			}
		}
	}
}

// What would be another request on the wire than here doesn't leave.
func TestNoRequestHidesInAnother(t *testing.T) {
	base := rawServer(t, func(c net.Conn) {
		if n, _ := c.Read(make([]byte, 1)); n > 0 {
			t.Error("something was sent")
		}
	})
	for name, q := range map[string]Request{
		"method":           {Method: "GET / HTTP/1.1\r\nA:", Path: "/"},
		"line in a value":  {Method: "GET", Path: "/", Header: http.Header{"a": {"b\r\nc: d"}}},
		"zero in a value":  {Method: "GET", Path: "/", Header: http.Header{"a": {"b\x00"}}},
		"line in a name":   {Method: "GET", Path: "/", Header: http.Header{"a\r\nb": {"c"}}},
		"colon in a name":  {Method: "GET", Path: "/", Header: http.Header{"a:b": {"c"}}},
		"no name":          {Method: "GET", Path: "/", Header: http.Header{"": {"c"}}},
		"line in the path": {Method: "GET", Path: "/ HTTP/1.1\r\nA: b"},
	} {
		for way, c := range ways(t, Settings{BaseURL: base}) {
			q.Purpose, q.Fence, q.Timeout = ForCancel, free, 5*time.Second
			if r := c.Do(t.Context(), &q); r.Err == nil || r.Written || strings.Contains(r.Err.Error(), "c: d") {
				t.Errorf("%s, %s: written %v, err %v", name, way, r.Written, r.Err)
			}
		}
	}
}
