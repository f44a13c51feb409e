package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// lines are the HTTP/1.1 connections to one host. Each carries one call at a time, in the caller's own goroutine; net/http's
// Transport has two more for each and hands a call from one to the next. How a reply is read is net/http's here, too.
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
	cut   func()    // ends what is being read or written

	// Of the call that it carries.
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
func newWay(s Settings) (way, error) {
	t, err := newTransport(s)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s.BaseURL)
	if err != nil || t.Proxy != nil || !glances || strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' }) {
		return netHTTP{t}, nil
	}
	switch p := (&lines{set: t, addr: addressOf(u)}); u.Scheme {
	case "http":
		return p, nil
	case "https":
		p.config = t.TLSClientConfig.Clone()
		p.config.ServerName = u.Hostname()
		return p, nil
	}
	return netHTTP{t}, nil
}

// carry implements way. A question without a body is asked again, on a new connection, when a kept one turns out to be closed
// before a byte of its reply has come. Nothing else is sent twice.
func (p *lines) carry(k *call, r *Reply) error {
	l, err := p.take(k)
	if err != nil {
		return err
	}
	err = l.exchange(k, r)
	if err != nil && l.kept && !l.heard && k.Method == http.MethodGet && k.Body == nil && k.ctx.Err() == nil && !k.over() {
		if l, err = p.open(k); err == nil {
			err = l.exchange(k, r)
		}
	}
	return err
}

// take is a kept connection on which nothing has come since its last reply, its end included, or a new one.
func (p *lines) take(k *call) (*line, error) {
	for l := p.pop(); l != nil; l = p.pop() {
		// By the wall clock: that of a machine that slept stood still.
		if time.Now().Round(0).Sub(l.since.Round(0)) < p.set.IdleConnTimeout && l.wire.SetDeadline(k.until) == nil && l.quiet() {
			l.kept = true
			return l, nil
		}
		_ = l.wire.Close()
	}
	return p.open(k)
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
func (p *lines) open(k *call) (l *line, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx, cancel := k.within()
		defer cancel()
		if l, err = p.connect(ctx); err == nil {
			err = l.wire.SetDeadline(k.until)
		}
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
	l.cut = func() { _ = conn.SetDeadline(time.Unix(1, 0)) }
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

// exchange sends a request and reads its reply. The connection is kept for the next call when the reply has ended and nothing
// stands behind it. An error says that no reply came; half a one is r's.
func (l *line) exchange(k *call, r *Reply) error {
	l.ahead, l.heard, l.room = nil, false, MaxReply
	before, stop := l.wire.sent.Load(), l.endWith(k.ctx)
	l.wire.next.Store(k)
	err := l.send(k)
	if err == nil {
		n := 0
		if n, err = l.Read(l.first[:]); n > 0 || err == nil {
			l.ahead = l.first[:n]
			err = l.receive(k, r)
		}
	}
	r.Written = r.Written || l.wire.sent.Load() > before
	if left := l.end(); stop() && !left && !l.broken && err == nil && r.Err == nil {
		l.pool.keep(l)
		return nil
	}
	_ = l.wire.Close()
	return k.why(err)
}

// endWith ends what the connection does when ctx ends, until it is stopped: false says that it has.
func (l *line) endWith(ctx context.Context) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, l.cut)
}

// why is an error's cause where that is the end of the call.
func (k *call) why(err error) error {
	switch {
	case err != nil && k.ctx.Err() != nil:
		return context.Cause(k.ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return context.DeadlineExceeded
	}
	return err
}

var requests = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// send writes a request at once. What is sent here is small enough for any connection to take it before the reply is read.
func (l *line) send(k *call) error {
	b := requests.Get().(*bytes.Buffer)
	defer requests.Put(b)
	b.Reset()
	if err := k.write(b); err != nil {
		return err
	}
	_, err := l.conn.Write(b.Bytes())
	return err
}

// write writes a request, byte for byte as net/http does. What would be another request on the wire than here is refused,
// where net/http's own Write mends it.
func (k *call) write(b *bytes.Buffer) error {
	b.Write(k.to.head)
	if len(k.Body) > 0 || k.Method == http.MethodPost || k.Method == http.MethodPut || k.Method == http.MethodPatch {
		b.WriteString("Content-Length: ")
		b.Write(strconv.AppendInt(b.AvailableBuffer(), int64(len(k.Body)), 10))
		b.WriteString("\r\n")
	}
	names := make([]string, 0, 8)
	for name := range k.header {
		if name == "" || strings.ContainsFunc(name, notToken) {
			return fmt.Errorf("invalid header name %q", name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch name {
		case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer":
			continue // the connection's own
		}
		for _, v := range k.header[name] {
			if strings.ContainsFunc(v, notInValue) {
				return fmt.Errorf("invalid value of the header %q", name) // which may be secret
			}
			b.WriteString(name)
			b.WriteString(": ")
			b.WriteString(strings.Trim(v, " \t"))
			b.WriteString("\r\n")
		}
	}
	b.WriteString("\r\n")
	b.Write(k.Body)
	return nil
}

func notToken(r rune) bool { return !strings.ContainsRune(tokenChars, r) }

func notInValue(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

var readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// receive reads a reply of which the first bytes have come.
func (l *line) receive(k *call, r *Reply) error {
	l.read = readers.Get().(*bufio.Reader)
	l.read.Reset(l)
	res, err := l.head()
	if err != nil {
		return err
	}
	l.room, l.broken = math.MaxInt, l.broken || res.Close || res.StatusCode < 200 // whoever says 099 may say more
	r.Status, r.Header = res.StatusCode, res.Header
	if r.Body, err = readCapped(res.Body, res.ContentLength); err != nil {
		r.Err = fmt.Errorf("read reply: %w", k.why(err))
	}
	return nil
}

// head reads a reply up to its body, and what comes before it to be overlooked.
func (l *line) head() (*http.Response, error) {
	for {
		res, err := http.ReadResponse(l.read, nil)
		switch {
		case err != nil && l.room <= 0:
			return nil, errHead
		case err != nil:
			return nil, err
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("the reply switches protocols, which nobody asked for")
		case res.StatusCode/100 != 1:
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
