package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
)

// MaxReply is how much of a reply's body is read; a longer one counts as unreadable.
const MaxReply = 1 << 20

// ErrTooLong marks a reply of more than MaxReply bytes.
var ErrTooLong = errors.New("reply is longer than 1 MiB")

// Client makes HTTP calls below one base URL. It is safe for concurrent use.
type Client struct {
	base   string
	static http.Header
	pool   http.RoundTripper
	host   *breaker
}

// BaseURL is where the client calls, without a trailing slash.
func (c *Client) BaseURL() string { return c.base }

// Purpose is what a call is for.
type Purpose string

// The purposes. Only these two are known to change nothing at the authority: whatever else is sent needs a fence.
const (
	ForLogin  Purpose = "login"
	ForLookup Purpose = "lookup"
	ForCancel Purpose = "cancel"
)

// Request is one HTTP call.
type Request struct {
	Purpose Purpose
	// Fence is asked before a cancel connects and again right before its first byte. A cancel without one is not sent.
	Fence  bridge.Fence
	Method string
	Path   string // appended to the base URL: starts with "/", escaped, with the query
	Route  string // the path for traces, with {names} instead of ids; empty: Path holds none outside its query
	// Header is written with the names as they are spelt in the map, so that "client_id" stays what it is.
	Header  http.Header
	Body    []byte
	Plain   []byte        // the body for the record, where Body is encrypted
	Timeout time.Duration // of the whole call, the reply's body included; 0: only ctx bounds it
}

// Reply is what became of a Request.
type Reply struct {
	Status int // 0: no reply came
	Header http.Header
	Body   []byte // without a byte order mark
	// Written tells whether a byte of the request may have left this machine. False is proof that none did.
	Written bool
	// Err is set when there is no complete reply: Status is 0, or the body broke off or was too long.
	Err   error
	Start time.Time
	Took  time.Duration

	purpose, method, url string
}

// errNoFence answers a cancel that nobody has allowed: a fault of our own.
var errNoFence = errors.New("not sent: nobody has said that this cancel may leave")

// Do makes the call once. A cancel leaves only if its fence allows it. It follows no redirect and repeats nothing that may have
// changed state: only a GET without a body is sent again, where a kept connection turns out to be closed (net/http would also
// for GetBody or an Idempotency-Key, which ours don't carry).
func (c *Client) Do(ctx context.Context, q Request) (r Reply) {
	r = Reply{Start: time.Now(), purpose: string(q.Purpose), method: q.Method, url: c.base + q.Path}
	ctx, span := beginSpan(ctx, string(q.Purpose), outbound...)
	defer func() {
		r.Took = time.Since(r.Start)
		c.endSpan(span, &q, &r)
	}()
	if q.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.Timeout)
		defer cancel()
	}
	var sent written
	if q.Purpose != ForLogin && q.Purpose != ForLookup {
		sent.check = func() error {
			if q.Fence == nil {
				return errNoFence
			}
			err := q.Fence(ctx)
			if err != nil {
				fenced(ctx)
			}
			return err
		}
	}
	req, err := c.request(sent.trace(ctx), q)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && sent.check != nil {
		err = sent.check()
	}
	if err != nil {
		r.Err = err
		return r
	}
	res, err := c.pool.RoundTrip(req)
	r.Written = sent.any()
	if err != nil {
		r.Err = noReply(ctx, err, time.Since(r.Start), r.Written)
		return r
	}
	defer res.Body.Close()
	r.Written, r.Status, r.Header = true, res.StatusCode, res.Header
	if r.Body, err = readCapped(res.Body, res.ContentLength); err != nil {
		r.Err = fmt.Errorf("read reply: %w", err)
	}
	r.Body = bytes.TrimPrefix(r.Body, byteOrderMark)
	return r
}

// byteOrderMark is what some .NET and Windows servers put before their JSON, against RFC 8259 §8.1.
var byteOrderMark = []byte("\ufeff")

// Reach opens a connection to the base URL's host, or to the proxy, and closes it. It is no proof that a call will get through.
func (c *Client) Reach(ctx context.Context) error {
	t, ok := c.pool.(*http.Transport)
	if p, own := c.pool.(*lines); own {
		t, ok = p.set, true
	}
	if !ok {
		return nil
	}
	u, err := url.Parse(c.base)
	if err != nil {
		return errors.New("base_url is not a URL")
	}
	if t.Proxy != nil {
		if proxy, _ := t.Proxy(&http.Request{URL: u}); proxy != nil {
			u = proxy
		}
	}
	conn, err := t.DialContext(ctx, "tcp", addressOf(u))
	if err != nil {
		return fmt.Errorf("connection failed before anything was sent: %w", err)
	}
	return conn.Close()
}

// addressOf is where to dial for a URL.
func addressOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// Unreachable tries the way to the host for a request that uses up what the authority rations, such as a login. When there
// is no way, nothing is used up, and the reply says why.
func (c *Client) Unreachable(ctx context.Context, q Request) (r Reply, is bool) {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	r = Reply{Start: time.Now(), purpose: string(q.Purpose), method: q.Method, url: c.base + q.Path}
	r.Err = c.Reach(ctx)
	r.Took = time.Since(r.Start)
	return r, r.Err != nil
}

func (c *Client) request(ctx context.Context, q Request) (*http.Request, error) {
	u, err := url.Parse(c.base + q.Path)
	if err != nil {
		return nil, errors.New("the request's path is not a URL")
	}
	header := make(http.Header, len(q.Header)+len(c.static)+2)
	for name, values := range q.Header {
		header[name] = values
	}
	for name, values := range c.static {
		if !hasName(header, name) {
			header[name] = values
		}
	}
	header["User-Agent"] = []string{"einvoice-bridge"}
	if tp := traceParent(ctx); tp != "" {
		header["Traceparent"] = []string{tp}
	}
	req := &http.Request{Method: q.Method, URL: u, Host: u.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if q.Body != nil {
		// A plain reader without GetBody: the transport can't send it twice.
		req.Body = io.NopCloser(bytes.NewReader(q.Body))
		req.ContentLength = int64(len(q.Body))
	}
	return req.WithContext(ctx), nil
}

// hasName looks for a header in any spelling: a static header never doubles one that the adapter sets.
func hasName(h http.Header, name string) bool {
	for have := range h {
		if strings.EqualFold(have, name) {
			return true
		}
	}
	return false
}

func readCapped(body io.Reader, length int64) ([]byte, error) {
	var b bytes.Buffer
	if length > 0 && length <= MaxReply {
		b.Grow(int(length) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(body, MaxReply+1))
	if n > MaxReply {
		return nil, ErrTooLong
	}
	return b.Bytes(), err
}

// noReply words a transport error for the operator. Only ctx is asked what kind it is, never the error's text.
func noReply(ctx context.Context, err error, took time.Duration, written bool) error {
	when := "before anything was sent"
	if written {
		when = "after the request was sent"
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no reply within %s, %s: %w", took.Round(time.Millisecond), when, context.DeadlineExceeded)
	}
	return fmt.Errorf("connection failed %s: %w", when, err)
}

// written watches one request's connection for bytes that leave.
type written struct {
	check func() error // whether the first of them may; nil: yes
	conn  *countingConn
	start int64
	// headers is set when the connection can't be counted (a test's own network) and a header went out.
	headers atomic.Bool
}

func (w *written) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if w.conn = counting(info.Conn); w.conn != nil {
				w.start = w.conn.sent.Load()
				w.conn.check.Store(&w.check)
			}
		},
		WroteHeaders: func() { w.headers.Store(w.conn == nil) },
	})
}

// any is exact once RoundTrip has returned: net/http waits for its writer before it reports an error.
func (w *written) any() bool {
	return w.headers.Load() || w.conn != nil && w.conn.sent.Load() > w.start
}

// counting finds our connection below TLS.
func counting(c net.Conn) *countingConn {
	for {
		switch t := c.(type) {
		case *countingConn:
			return t
		case interface{ NetConn() net.Conn }:
			c = t.NetConn()
		default:
			return nil
		}
	}
}
