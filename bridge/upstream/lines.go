package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// lines are the HTTP/1.1 connections to one host. Each carries one call at a time, in the caller's own goroutine; net/http's
// Transport has two more for each and hands a call from one to the next. How a request is written and how a reply is read is
// net/http's here, too.
type lines struct {
	set    *http.Transport // the settings; it carries no call
	addr   string
	config *tls.Config // nil: in clear

	mu       sync.Mutex
	idle     []*line // the one that has been so for longest comes first
	sweeping bool    // a timer runs that closes what has been idle for too long
}

// line is one connection.
type line struct {
	pool  *lines
	wire  *countingConn
	conn  net.Conn  // TLS above wire, or wire itself
	kept  bool      // it has carried a call before
	since time.Time // idle since

	// Of the call that it carries.
	stop   func() bool   // no longer ends with the call's context
	first  [512]byte     // of its reply: one that waits for it holds no more
	ahead  []byte        // what l.read has not taken of first
	read   *bufio.Reader // nil until the reply comes
	heard  bool          // a byte of the reply has come
	broken bool          // the other side has closed, or reading failed
	room   int           // how much more may come
}

var errHead = errors.New("head of the reply is longer than 1 MiB")

// newWay makes the way to the base URL. Behind a proxy, and where there is no glance, it is net/http's Transport: rare, and
// not worth a second one.
func newWay(s Settings) (http.RoundTripper, error) {
	t, err := newTransport(s)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s.BaseURL)
	if err != nil || t.Proxy != nil || !glances || strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' }) {
		return t, nil
	}
	switch p := (&lines{set: t, addr: addressOf(u)}); u.Scheme {
	case "http":
		return p, nil
	case "https":
		p.config = t.TLSClientConfig.Clone()
		p.config.ServerName = u.Hostname()
		return p, nil
	}
	return t, nil
}

// RoundTrip implements http.RoundTripper. A question without a body is asked again, on a new connection, when a kept one turns
// out to be closed before a byte of its reply has come. Nothing else is sent twice.
func (p *lines) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := canLeave(req); err != nil {
		return nil, err
	}
	ctx := req.Context()
	l, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	res, err := l.exchange(req)
	if err != nil && l.kept && !l.heard && req.Method == http.MethodGet && req.Body == nil && ctx.Err() == nil {
		if l, err = p.open(ctx); err == nil {
			res, err = l.exchange(req)
		}
	}
	return res, err
}

// canLeave refuses what would be another request on the wire than here. (*http.Request).Write only mends it.
func canLeave(req *http.Request) error {
	if strings.Trim(req.Method, tokenChars) != "" {
		return errors.New("invalid method")
	}
	for name, values := range req.Header {
		if name == "" || strings.Trim(name, tokenChars) != "" {
			return fmt.Errorf("invalid header name %q", name)
		}
		for _, v := range values {
			if HasControl(strings.ReplaceAll(v, "\t", "")) {
				return fmt.Errorf("invalid value of the header %q", name) // which may be secret
			}
		}
	}
	return nil
}

// take is a kept connection on which nothing has come since its last reply, its end included, or a new one.
func (p *lines) take(ctx context.Context) (*line, error) {
	for l := p.pop(); l != nil; l = p.pop() {
		// By the wall clock: that of a machine that slept stood still.
		if time.Now().Round(0).Sub(l.since.Round(0)) < p.set.IdleConnTimeout && l.quiet() {
			l.kept = true
			return l, nil
		}
		_ = l.wire.Close()
	}
	return p.open(ctx)
}

func (p *lines) pop() *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	l := p.idle[last]
	p.idle = slices.Delete(p.idle, last, last+1)
	return l
}

// open makes a new connection, in a goroutine of its own: a handshake needs 16 KB of stack, which a caller that waits for his
// reply would keep.
func (p *lines) open(ctx context.Context) (l *line, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		l, err = p.connect(ctx)
	}()
	<-done
	return l, err
}

func (p *lines) connect(ctx context.Context) (*line, error) {
	conn, err := p.set.DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return nil, err
	}
	l := &line{pool: p, wire: conn.(*countingConn), conn: conn}
	if p.config != nil {
		within, cancel := context.WithTimeoutCause(ctx, p.set.TLSHandshakeTimeout, errors.New("TLS handshake timeout"))
		defer cancel()
		secure := tls.Client(conn, p.config)
		if err := secure.HandshakeContext(within); err != nil {
			_ = conn.Close()
			if within.Err() != nil {
				err = context.Cause(within)
			}
			return nil, err
		}
		l.conn = secure
	}
	return l, nil
}

// quiet tells whether nothing has come on an idle connection: neither its end nor a word that nobody asked for. Tickets of
// TLS are taken on the way.
func (l *line) quiet() bool {
	l.wire.glancing = true
	n, err := l.conn.Read(l.first[:1])
	l.wire.glancing = false
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// exchange sends a request and reads the head of its reply. The body is the caller's to read and close.
func (l *line) exchange(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	l.ahead, l.heard, l.room = nil, false, MaxReply
	l.stop = context.AfterFunc(ctx, func() { _ = l.wire.SetDeadline(time.Unix(1, 0)) })
	if t := httptrace.ContextClientTrace(ctx); t != nil && t.GotConn != nil {
		t.GotConn(httptrace.GotConnInfo{Conn: l.conn, Reused: l.kept})
	}
	err := l.send(req)
	var res *http.Response
	if err == nil {
		res, err = l.receive(req)
	}
	if err != nil {
		l.stop()
		l.end()
		_ = l.wire.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	res.Body = &rest{ReadCloser: res.Body, line: l, res: res, ended: res.Body == http.NoBody}
	return res, nil
}

var requests = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// send writes a request at once. What is sent here is small enough for any connection to take it before the reply is read.
func (l *line) send(req *http.Request) error {
	b := requests.Get().(*bytes.Buffer)
	defer requests.Put(b)
	b.Reset()
	if err := req.Write(b); err != nil {
		return err
	}
	_, err := l.conn.Write(b.Bytes())
	return err
}

var readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

func (l *line) receive(req *http.Request) (*http.Response, error) {
	n, err := l.Read(l.first[:])
	if n == 0 && err != nil {
		return nil, err
	}
	l.ahead, l.read = l.first[:n], readers.Get().(*bufio.Reader)
	l.read.Reset(l)
	for {
		res, err := http.ReadResponse(l.read, req)
		switch {
		case err != nil && l.room <= 0:
			return nil, errHead
		case err != nil:
			return nil, err
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("the reply switches protocols, which nobody asked for")
		case res.StatusCode/100 != 1:
			l.room = math.MaxInt
			return res, nil
		}
	}
}

// end gives back what reading the reply took, and tells whether something is left of it.
func (l *line) end() (left bool) {
	if l.read != nil {
		left = len(l.ahead)+l.read.Buffered() > 0
		l.read.Reset(nil)
		readers.Put(l.read)
		l.read = nil
	}
	return left
}

// Read is what l.read has its bytes from.
func (l *line) Read(b []byte) (int, error) {
	if len(l.ahead) > 0 {
		n := copy(b, l.ahead)
		l.ahead = l.ahead[n:]
		return n, nil
	}
	if l.room <= 0 {
		return 0, errHead
	}
	n, err := l.conn.Read(b[:min(len(b), l.room)])
	l.room -= n
	l.heard, l.broken = l.heard || n > 0, l.broken || err != nil
	return n, err
}

// rest is the body of a reply.
type rest struct {
	io.ReadCloser
	line  *line
	res   *http.Response
	ended bool
}

func (r *rest) Read(b []byte) (int, error) {
	if r.line == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := r.ReadCloser.Read(b)
	r.ended = r.ended || err == io.EOF
	if ctx := r.res.Request.Context(); err != nil && err != io.EOF && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return n, err
}

// Close keeps the connection for the next call when the reply has ended and nothing stands behind it.
func (r *rest) Close() error {
	l := r.line
	if l == nil {
		return nil
	}
	r.line = nil
	if left := l.end(); l.stop() && !left && r.ended && !r.res.Close && r.res.StatusCode >= 200 && !l.broken {
		l.pool.keep(l)
		return nil
	}
	return l.wire.Close()
}

// keep puts a connection by.
func (p *lines) keep(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= p.set.MaxIdleConnsPerHost {
		_ = l.wire.Close()
		return
	}
	l.since = time.Now()
	p.idle = append(p.idle, l)
	if !p.sweeping {
		p.sweeping = true
		time.AfterFunc(p.set.IdleConnTimeout, p.sweep)
	}
}

// sweep closes what has been idle for too long, and comes back for the next.
func (p *lines) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.idle) && time.Since(p.idle[n].since) >= p.set.IdleConnTimeout {
		go p.idle[n].conn.Close() // TLS says goodbye, which may take its time
		n++
	}
	p.idle = slices.Delete(p.idle, 0, n)
	if p.sweeping = len(p.idle) > 0; p.sweeping {
		time.AfterFunc(p.set.IdleConnTimeout-time.Since(p.idle[0].since), p.sweep)
	}
}
