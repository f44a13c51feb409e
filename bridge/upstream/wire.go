package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"

	"einvoice-bridge/bridge"
)

const (
	connectTime   = 10 * time.Second
	handshakeTime = 10 * time.Second // TLS, and what a proxy takes to connect
	maxIdle       = 128
	// idleTime is shorter than that of usual load balancers (60 s): a connection that the other side has closed makes
	// a cancel doubtful.
	idleTime = 30 * time.Second
	// maxReplyBytes bounds a whole reply on the wire, header, chunk lines and TLS records included.
	maxReplyBytes = 2 * MaxReply
)

// wire is the way to one host: HTTP/1.1 over connections that are kept. It implements http.RoundTripper for requests
// that no other goroutine uses.
//
// net/http's own transport would do, but hands each call to two more goroutines and sends some requests twice. Here a
// call stays on its caller's goroutine, so that its bytes can be counted, and is sent once or not at all. HTTP/2 is
// left out on purpose: there one broken connection would make many cancels doubtful at once.
type wire struct {
	base  *url.URL
	proxy *url.URL // nil: none
	// login is the Proxy-Authorization header's value, if any.
	login string
	tls   *tls.Config

	mu       sync.Mutex
	idle     []*conn // the one used last at the end
	sweeping bool    // a timer is set to close what has been idle for too long
}

// conn is one connection. A single call uses it at a time.
type conn struct {
	net.Conn // TLS, where it is spoken
	wire     *wire
	tcp      *countingConn
	raw      syscall.RawConn
	in       *bufio.Reader
	out      bytes.Buffer
	since    time.Time   // idle since
	unwatch  func() bool // ends the watch on the call's context
}

// RoundTrip makes one call. It reports through httptrace's WroteHeaders that a byte of the request has left.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkHeader(req.Header); err != nil {
		return nil, err
	}
	c, err := w.get(req.Context())
	if err != nil {
		return nil, err
	}
	c.watch(req.Context())
	res, err := c.exchange(req)
	if err != nil {
		c.unwatch()
		c.Close()
		return nil, err
	}
	res.Body = &replyBody{Reader: res.Body, conn: c, keep: !res.Close}
	return res, nil
}

// checkHeader keeps what an authority gave us, a token for one, from adding lines to a request. Names are our own, or
// checked at start.
func checkHeader(h http.Header) error {
	for name, values := range h {
		for _, value := range values {
			if !validValue(value) {
				return fmt.Errorf("header %q is not one that can be sent", name)
			}
		}
	}
	return nil
}

// get returns a connection that is good for a request: a kept one or a new one.
func (w *wire) get(ctx context.Context) (*conn, error) {
	for {
		w.mu.Lock()
		n := len(w.idle) - 1
		if n < 0 {
			w.mu.Unlock()
			return w.connect(ctx)
		}
		c := w.idle[n]
		w.idle[n], w.idle = nil, w.idle[:n]
		w.mu.Unlock()
		if time.Since(c.since) < idleTime && c.quiet() {
			return c, nil
		}
		c.Close()
	}
}

// put keeps a connection whose reply has been read to its end.
func (w *wire) put(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.idle) == maxIdle {
		go c.Close()
		return
	}
	c.since = time.Now()
	w.idle = append(w.idle, c)
	if !w.sweeping {
		w.sweeping = true
		time.AfterFunc(idleTime, w.sweep)
	}
}

// sweep closes what has been idle for too long.
func (w *wire) sweep() {
	w.mu.Lock()
	n := 0
	for n < len(w.idle) && time.Since(w.idle[n].since) >= idleTime {
		n++
	}
	old := w.idle[:n]
	w.idle = append([]*conn(nil), w.idle[n:]...)
	if w.sweeping = len(w.idle) > 0; w.sweeping {
		time.AfterFunc(idleTime, w.sweep)
	}
	w.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}

// dial opens a TCP connection to the host or to the proxy.
func (w *wire) dial(ctx context.Context) (net.Conn, error) {
	to := w.base
	if w.proxy != nil {
		to = w.proxy
	}
	return (&net.Dialer{Timeout: connectTime}).DialContext(ctx, "tcp", hostPort(to))
}

// connect makes a new connection on which a request can be written next.
func (w *wire) connect(ctx context.Context) (*conn, error) {
	tcp, err := w.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{wire: w, tcp: &countingConn{Conn: tcp, left: maxReplyBytes}}
	if s, ok := tcp.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn() // fails on a closed connection only
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	if c.Conn, err = w.secure(ctx, c.tcp); err != nil {
		tcp.Close()
		return nil, err
	}
	c.in = bufio.NewReader(c.Conn)
	return c, nil
}

// secure goes through the proxy and into TLS, where these stand between us and the host.
func (w *wire) secure(ctx context.Context, c net.Conn) (_ net.Conn, err error) {
	if w.proxy != nil && w.proxy.Scheme == "https" {
		if c, err = w.handshake(ctx, c, w.proxy); err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
	}
	if w.base.Scheme != "https" {
		return c, nil
	}
	if w.proxy != nil {
		if err := w.tunnel(ctx, c); err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
	}
	return w.handshake(ctx, c, w.base)
}

func (w *wire) handshake(ctx context.Context, c net.Conn, with *url.URL) (net.Conn, error) {
	config := w.tls.Clone()
	config.ServerName = with.Hostname()
	t := tls.Client(c, config)
	return t, t.HandshakeContext(ctx)
}

// tunnel has the proxy connect us to the host (RFC 9110 §9.3.6).
func (w *wire) tunnel(ctx context.Context, c net.Conn) error {
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(past) })()
	host := hostPort(w.base)
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: host}, Host: host, Header: http.Header{}}
	if w.login != "" {
		req.Header.Set("Proxy-Authorization", w.login)
	}
	if err := req.Write(c); err != nil {
		return err
	}
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, req)
	switch {
	case err != nil:
		return err
	case res.StatusCode != http.StatusOK:
		return errors.New(res.Status)
	case in.Buffered() > 0:
		return errors.New("it speaks before TLS does")
	}
	return nil
}

// past is a deadline that ends whatever reads or writes.
var past = time.Unix(1, 0)

// watch ends the call when its context ends.
func (c *conn) watch(ctx context.Context) {
	c.unwatch = context.AfterFunc(ctx, func() { _ = c.SetDeadline(past) })
}

// exchange writes the request, in one piece, and reads the reply up to its body. Whether a cancel may still be sent is
// asked right before its first byte.
func (c *conn) exchange(req *http.Request) (*http.Response, error) {
	if err := c.wire.format(&c.out, req); err != nil {
		return nil, err
	}
	ctx := req.Context()
	if err := bridge.SendCheck(ctx); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sent := c.tcp.sent
	_, err := c.Write(c.out.Bytes())
	if trace := httptrace.ContextClientTrace(ctx); c.tcp.sent > sent && trace != nil {
		trace.WroteHeaders()
	}
	if err != nil {
		return nil, err
	}
	c.tcp.left = maxReplyBytes
	for {
		res, err := http.ReadResponse(c.in, req)
		if err != nil || res.StatusCode >= 200 {
			return res, err
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			return nil, errors.New("the host answers in another protocol")
		}
	}
}

// format is the request as it goes over the wire.
func (w *wire) format(out *bytes.Buffer, req *http.Request) error {
	out.Reset()
	line := func(parts ...string) {
		for _, p := range parts {
			out.WriteString(p)
		}
		out.WriteString("\r\n")
	}
	target := req.URL.RequestURI()
	if w.proxy != nil && w.base.Scheme == "http" {
		target = "http://" + req.Host + target
		if w.login != "" {
			req.Header["Proxy-Authorization"] = []string{w.login}
		}
	}
	line(req.Method, " ", target, " HTTP/1.1")
	line("Host: ", req.Host)
	for name, values := range req.Header {
		for _, value := range values {
			line(name, ": ", value)
		}
	}
	if req.Body != nil || req.Method != http.MethodGet {
		line("Content-Length: ", strconv.FormatInt(req.ContentLength, 10))
	}
	line()
	if req.Body == nil {
		return nil
	}
	_, err := out.ReadFrom(req.Body)
	return err
}

// replyBody is a reply's body. Close keeps the connection when the whole reply and nothing else has come, and the call
// was not given up.
type replyBody struct {
	io.Reader
	conn *conn
	keep bool
	read bool // to its end
}

func (b *replyBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read = b.read || err == io.EOF
	return n, err
}

func (b *replyBody) Close() error {
	if b.conn.unwatch() && b.keep && b.read && b.conn.in.Buffered() == 0 {
		b.conn.wire.put(b.conn)
		return nil
	}
	return b.conn.Close()
}

// countingConn counts the bytes that the operating system took, and reads no more than left.
type countingConn struct {
	net.Conn
	sent, left int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent += int64(n)
	return n, err
}

func (c *countingConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, ErrTooLong
	}
	n, err := c.Conn.Read(b)
	c.left -= int64(n)
	return n, err
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
