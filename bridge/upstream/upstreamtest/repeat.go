package upstreamtest

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Repeat serves h on a loopback address. Whenever the same method and path are asked for again it says what h said the first
// time, at next to no cost: what a benchmark measures then is the side that asks.
func Repeat(tb testing.TB, h http.Handler) (base string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	r := repeater{authority: h, said: map[string][]byte{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return "http://" + l.Addr().String()
}

type repeater struct {
	authority http.Handler
	mu        sync.Mutex
	said      map[string][]byte // by what was asked for
}

// serve takes what one read brings for one request: the clients here write them so.
func (r *repeater) serve(c net.Conn) {
	defer c.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err = c.Write(r.reply(b[:n])); err != nil {
			return
		}
	}
}

func (r *repeater) reply(request []byte) []byte {
	asked, _, _ := bytes.Cut(request, []byte(" HTTP/1.1\r\n"))
	r.mu.Lock()
	defer r.mu.Unlock()
	if reply, ok := r.said[string(asked)]; ok {
		return reply
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		return []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
	}
	w := httptest.NewRecorder()
	r.authority.ServeHTTP(w, req)
	var reply bytes.Buffer
	fmt.Fprintf(&reply, "HTTP/1.1 %d\r\nDate: Thu, 26 Nov 2026 10:00:00 GMT\r\nContent-Length: %d\r\n", w.Code, w.Body.Len())
	w.Header().Del("Date")
	_ = w.Header().Write(&reply)
	reply.WriteString("\r\n")
	reply.Write(w.Body.Bytes())
	r.said[string(asked)] = reply.Bytes()
	return reply.Bytes()
}
