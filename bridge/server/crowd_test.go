package server_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/server"
)

// headCost is what a request counts for beside its body.
const headCost = 20 << 10

// dialFrom opens a connection from one of this machine's addresses.
func (r *rig) dialFrom(address string) net.Conn {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	conn, err := d.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// begin begins a request of n bytes over a connection and does not end it.
func begin(conn net.Conn, n int) {
	fmt.Fprintf(conn, "POST /einvoice HTTP/1.1\r\nHost: bridge\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n<", n)
}

// callOver makes a call over a connection that stays open.
func callOver(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	io.WriteString(conn, request("/einvoice", envelope))
	got, err := readResponse(bufio.NewReader(conn), "POST")
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	got.expect(t, what, 200, "Success 200 ")
}

// until waits for the crowd to be as it should.
func (r *rig) until(what string, ok func(bridge.Crowd) bool) {
	r.t.Helper()
	for range 5000 {
		if ok(r.srv.Crowd()) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	r.t.Fatalf("%s: %+v", what, r.srv.Crowd())
}

// Strangers who never end their requests are put out, with an answer, and only they: not callers who are silent for a while,
// nor somebody else who is just beginning.
func TestStrangersArePutOutFirst(t *testing.T) {
	for name, limits := range map[string]server.Crowd{
		"by number": {Strangers: 20},
		"by bytes":  {Unfinished: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(s *setup) { s.Crowd = limits })
			var callers []net.Conn
			for range 5 {
				callers = append(callers, r.dialFrom("127.0.0.1"))
				callOver(t, "a caller", callers[len(callers)-1])
			}
			somebody := r.dialFrom("127.0.0.9")
			io.WriteString(somebody, request("/einvoice", envelope)[:100])
			var strangers []net.Conn
			for range 100 {
				conn := r.dialFrom("127.0.0.1")
				begin(conn, 60_000)
				strangers = append(strangers, conn)
			}
			r.until("all have come", func(c bridge.Crowd) bool {
				return c.PutOut[bridge.PutOutStranger]+c.PutOut[bridge.PutOutUnfinished]+uint64(c.Strangers) == 101 && c.Callers == 5
			})
			if c := r.srv.Crowd(); c.Unfinished > 2<<20 || limits.Strangers > 0 && c.Strangers > limits.Strangers {
				t.Errorf("they hold %+v", c)
			}
			got, err := readResponse(bufio.NewReader(strangers[0]), "POST")
			if err != nil || got.header.Get("Retry-After") != "2" || !got.closes {
				t.Fatalf("the first stranger: %+v, %v", got, err)
			}
			got.expect(t, "the first stranger", 500, busy)
			for _, conn := range callers {
				callOver(t, "a caller, later", conn)
			}
			io.WriteString(somebody, request("/einvoice", envelope)[100:])
			if got, err = readResponse(bufio.NewReader(somebody), "POST"); err != nil {
				t.Fatal(err)
			}
			got.expect(t, "somebody else", 200, "Success 200 ")
			callOver(t, "a newcomer", r.dialFrom("127.0.0.1"))
			for _, conn := range strangers {
				conn.Close()
			}
			r.until("nobody is left", func(c bridge.Crowd) bool { return c.Strangers == 0 && c.Unfinished == 0 })
		})
	}
}

// A trusted proxy's connections are many callers': each stands for itself, and an address that holds more goes first.
func TestTrustedProxiesStandForMany(t *testing.T) {
	r := start(t, func(s *setup) {
		s.Crowd = server.Crowd{Unfinished: 2 << 20}
		s.TrustedProxies = []string{"127.0.0.1"}
	})
	var proxied []net.Conn
	for range 20 {
		proxied = append(proxied, r.dialFrom("127.0.0.1"))
		begin(proxied[len(proxied)-1], len(envelope))
	}
	r.until("the proxy's have begun", func(c bridge.Crowd) bool { return c.Unfinished > 20*headCost })
	for range 50 {
		begin(r.dialFrom("127.0.0.9"), 60_000)
	}
	r.until("some are put out", func(c bridge.Crowd) bool { return c.PutOut[bridge.PutOutUnfinished]+uint64(c.Strangers) == 70 })
	for _, conn := range proxied {
		io.WriteString(conn, envelope[1:])
		got, err := readResponse(bufio.NewReader(conn), "POST")
		if err != nil {
			t.Fatal(err)
		}
		got.expect(t, "through the proxy", 200, "Success 200 ")
	}
}

// A request counts for its whole body as soon as its head is there, however that says how long it is.
func TestHeadsTellWhatBodiesTake(t *testing.T) {
	const most = 64 << 10
	for name, tc := range map[string]struct {
		head string
		want int64
	}{
		"nothing yet":       {"P", headCost},
		"no end":            {"POST /einvoice HTTP/1.1\r\nContent-Length: 50000\r\n", headCost},
		"a length":          {"POST /einvoice HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n", headCost + 50_000},
		"oddly spelt":       {"POST /einvoice HTTP/1.1\r\nHost: x\r\ncontent-LENGTH:" + strings.Repeat(" ", 100) + "050000 \r\n\r\n", headCost + 50_000},
		"chunks":            {"POST /einvoice HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", headCost + most},
		"after another one": {request("/einvoice", envelope) + "POST /einvoice HTTP/1.1\r\nHost: x\r\n|Content-Length: 50000\r\n\r\n", headCost + 50_000},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			conn := r.dialFrom("127.0.0.1")
			in := bufio.NewReader(conn)
			first, rest, _ := strings.Cut(tc.head, "|")
			if rest != "" { // the first request whole, then the second's head in two pieces
				i := strings.LastIndex(first, "POST ")
				io.WriteString(conn, first[:i])
				if _, err := http.ReadResponse(in, nil); err != nil {
					t.Fatal(err)
				}
				first = first[i:]
			}
			io.WriteString(conn, first)
			time.Sleep(20 * time.Millisecond)
			io.WriteString(conn, rest)
			r.until("it counts", func(c bridge.Crowd) bool { return c.Unfinished == tc.want })
		})
	}
}

// In TLS, too, who is put out is told so.
func TestPutOutInTLS(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	pair := server.KeyPair{CertFile: filepath.Join(dir, "tls.pem"), KeyFile: filepath.Join(dir, "tls.key")}
	a.issue(t, pair, "bridge.example", "bridge")
	r := start(t, func(s *setup) {
		s.Crowd.Unfinished = 200_000
		s.Listeners[0].TLS = &server.TLS{Certificates: []server.KeyPair{pair}}
	})
	dial := func() net.Conn {
		return tls.Client(r.dialFrom("127.0.0.1"), &tls.Config{RootCAs: a.pool, ServerName: "bridge.example"})
	}
	first := dial()
	begin(first, 60_000)
	for range 5 {
		begin(dial(), 60_000)
	}
	got, err := readResponse(bufio.NewReader(first), "POST")
	if err != nil {
		t.Fatal(err)
	}
	got.expect(t, "put out", 500, busy)
}
