package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
)

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

// A connection that can't be trusted with a cancel is not used again: what was sent on it would be in doubt.
func TestConnectionsAreKeptOnlyWhenTheyAreGood(t *testing.T) {
	tests := []struct {
		name  string
		reply string
		close bool // by the server, after the reply
		dials int32
	}{
		{"kept", okReply, false, 1},
		{"kept after an interim reply", "HTTP/1.1 100 Continue\r\n\r\n" + okReply, false, 1},
		{"kept after a chunked reply", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", false, 1},
		{"closed while idle", okReply, true, 2},
		{"said to be closed", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", false, 2},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", false, 2},
		{"more than the reply", okReply + "HTTP/1.1 200 OK\r\n", false, 2},
		{"without a length", "HTTP/1.1 200 OK\r\n\r\n{}", true, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var dials atomic.Int32
			answered := make(chan bool, 2)
			base := rawServer(t, func(c net.Conn) {
				dials.Add(1)
				for r := bufio.NewReader(c); readRequest(t, r) != ""; {
					io.WriteString(c, tt.reply)
					if tt.close {
						c.Close()
					}
					answered <- true
				}
			})
			c := newClient(t, Settings{BaseURL: base})
			for range 2 {
				r := c.Do(t.Context(), Request{Method: "POST", Path: "/", Body: []byte("x"), Timeout: 5 * time.Second})
				if r.Err != nil || string(r.Body) != "{}" {
					t.Fatalf("body %q, err %v", r.Body, r.Err)
				}
				<-answered
				time.Sleep(5 * time.Millisecond) // for the close to arrive
			}
			if dials.Load() != tt.dials {
				t.Errorf("%d connections for two calls, want %d", dials.Load(), tt.dials)
			}
		})
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		near, far := net.Pipe()
		w.put(&conn{Conn: near, wire: w})
		time.Sleep(idleTime + time.Second)
		if _, err := far.Read(make([]byte, 1)); err != io.EOF || len(w.idle) != 0 || w.sweeping {
			t.Errorf("%d idle, the other end reads %v", len(w.idle), err)
		}
	})
}

func TestSendCheckIsAskedAfterConnecting(t *testing.T) {
	connected := make(chan bool, 1)
	base := rawServer(t, func(c net.Conn) {
		connected <- true
		if n, _ := c.Read(make([]byte, 1)); n > 0 {
			t.Error("something was sent")
		}
	})
	ctx := bridge.WithSendCheck(t.Context(), func(context.Context) error { <-connected; return bridge.ErrLostLease })
	r := newClient(t, Settings{BaseURL: base}).Do(ctx, Request{Purpose: "cancel", Method: "POST", Path: "/", Body: []byte("x")})
	if !errors.Is(r.Err, bridge.ErrLostLease) || r.Written {
		t.Errorf("Do = written %v, err %v", r.Written, r.Err)
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	base := rawServer(t, func(c net.Conn) { c.Read(make([]byte, 1)); cancel(); io.Copy(io.Discard, c) })
	r := newClient(t, Settings{BaseURL: base}).Do(ctx, Request{Method: "POST", Path: "/", Body: []byte("x")})
	if r.Err == nil || !r.Written || r.Took > 5*time.Second {
		t.Errorf("Do = written %v, err %v after %s", r.Written, r.Err, r.Took)
	}
}

// A token that an authority hands out must not become a header line of its own.
func TestDoSendsNoHeaderThatIsTwo(t *testing.T) {
	base := rawServer(t, func(c net.Conn) { t.Error("a connection was opened") })
	r := newClient(t, Settings{BaseURL: base}).Do(t.Context(),
		Request{Method: "GET", Path: "/", Header: http.Header{"Authorization": {"Bearer geheim\r\nX-Admin: 1"}}})
	if r.Err == nil || r.Written || strings.Contains(r.Err.Error(), "geheim") {
		t.Errorf("Do = written %v, err %v", r.Written, r.Err)
	}
}

func TestRepliesAreBounded(t *testing.T) {
	base := rawServer(t, func(c net.Conn) {
		readRequest(t, bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(c, "X-More: "+strings.Repeat("x", 1<<12)+"\r\n"); err != nil {
				return
			}
		}
	})
	r := newClient(t, Settings{BaseURL: base}).Do(t.Context(), Request{Method: "POST", Path: "/", Body: []byte("x"), Timeout: 10 * time.Second})
	if !errors.Is(r.Err, ErrTooLong) || !r.Written {
		t.Errorf("Do = written %v, err %v", r.Written, r.Err)
	}
}

func TestPlainCallsGoThroughAProxyWithALogin(t *testing.T) {
	got := make(chan *http.Request, 1)
	proxy := rawServer(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		got <- r
		io.WriteString(c, okReply)
	})
	set := Settings{BaseURL: "http://irp.invalid/base", Proxy: strings.Replace(proxy, "//", "//u:geheim@", 1)}
	if r := newClient(t, set).Do(t.Context(), Request{Method: "GET", Path: "/x"}); r.Err != nil {
		t.Fatal(r.Err)
	}
	r := <-got
	user, password, _ := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth()
	if r.RequestURI != "http://irp.invalid/base/x" || r.Host != "irp.invalid" || user != "u" || password != "geheim" {
		t.Errorf("%s, Host %s, %s:%s", r.RequestURI, r.Host, user, password)
	}
}
