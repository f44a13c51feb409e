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

	"go.opentelemetry.io/otel/trace"

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
	pool   way
	host   *breaker
	last   atomic.Pointer[target] // of the last call: most go to the same path
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
func (c *Client) Do(ctx context.Context, q *Request) *Reply {
	r := &Reply{Start: time.Now(), purpose: string(q.Purpose), method: q.Method}
	ctx, span := beginSpan(ctx, string(q.Purpose), outbound...)
	defer c.done(span, q, r)
	k := &call{Request: q, ctx: ctx, until: until(ctx, r.Start, q.Timeout)}
	if r.Err = k.prepare(c, r); r.Err != nil {
		return r
	}
	if err := c.pool.carry(k, r); err != nil {
		r.Err = k.noReply(err, time.Since(r.Start), r.Written)
	}
	r.Body = bytes.TrimPrefix(r.Body, byteOrderMark)
	return r
}

func (c *Client) done(span trace.Span, q *Request, r *Reply) {
	r.Took = time.Since(r.Start)
	c.endSpan(span, q, r)
}

// way is what carries calls to a host. An error says that no reply came; half a one is r's.
type way interface {
	carry(k *call, r *Reply) error
}

// call is a request on its way.
type call struct {
	*Request
	ctx    context.Context
	until  time.Time   // when its time is over; zero: only ctx says so
	header http.Header // of it and of its client
	to     *target
}

// target is where the calls with one method and path go.
type target struct {
	method, path string
	url          *url.URL
	address      string // the same
	head         []byte // what their requests begin with: the first line, Host and User-Agent
}

const userAgent = "einvoice-bridge"

// until is when a call's time is over: what it takes at most from start on, or sooner when ctx ends then.
func until(ctx context.Context, start time.Time, timeout time.Duration) time.Time {
	end, bound := ctx.Deadline()
	if at := start.Add(timeout); timeout > 0 && (!bound || at.Before(end)) {
		return at
	}
	return end
}

// prepare does what can be done before there is a connection, and asks whether the call may leave.
func (k *call) prepare(c *Client, r *Reply) (err error) {
	if k.to, err = c.target(k.Method, k.Path); err != nil {
		r.url = c.base + k.Path
		return err
	}
	r.url = k.to.address
	k.header = c.headerOf(k.Request, traceParent(k.ctx))
	if err = k.ctx.Err(); err != nil {
		return err
	}
	return k.may()
}

// may asks whether the call may leave.
func (k *call) may() error {
	if k.Purpose == ForLogin || k.Purpose == ForLookup {
		return nil
	}
	if k.Fence == nil {
		return errNoFence
	}
	err := k.Fence(k.ctx)
	if err != nil {
		fenced(k.ctx)
	}
	return err
}

// within is ctx with the call's end, for what asks no connection.
func (k *call) within() (context.Context, context.CancelFunc) {
	if k.until.IsZero() {
		return context.WithCancel(k.ctx)
	}
	return context.WithDeadline(k.ctx, k.until)
}

// over tells whether the call's time is over.
func (k *call) over() bool {
	return errors.Is(k.ctx.Err(), context.DeadlineExceeded) || !k.until.IsZero() && !time.Now().Before(k.until)
}

func (c *Client) target(method, path string) (*target, error) {
	if t := c.last.Load(); t != nil && t.method == method && t.path == path {
		return t, nil
	}
	address := c.base + path
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the request's path is not a URL")
	}
	if strings.Trim(method, tokenChars) != "" {
		return nil, errors.New("invalid method")
	}
	var b bytes.Buffer
	req := http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{"User-Agent": {userAgent}}}
	if err := req.Write(&b); err != nil {
		return nil, err
	}
	const last = "\r\nUser-Agent: " + userAgent + "\r\n"
	t := &target{method, path, u, address, b.Bytes()[:bytes.Index(b.Bytes(), []byte(last))+len(last)]}
	c.last.Store(t)
	return t, nil
}

// headerOf is the request's header with what the client puts on each.
func (c *Client) headerOf(q *Request, traceParent string) http.Header {
	if len(c.static) == 0 && traceParent == "" {
		return q.Header
	}
	all := make(http.Header, len(q.Header)+len(c.static)+1)
	for name, values := range q.Header {
		all[name] = values
	}
	for name, values := range c.static {
		if !hasName(all, name) {
			all[name] = values
		}
	}
	if traceParent != "" {
		all["Traceparent"] = []string{traceParent}
	}
	return all
}

// netHTTP is net/http's way: of proxies and of tests.
type netHTTP struct{ http.RoundTripper }

func (t netHTTP) carry(k *call, r *Reply) error {
	ctx, cancel := k.within()
	defer cancel()
	sent := written{call: k}
	res, err := t.RoundTrip(k.request(sent.trace(ctx)))
	r.Written = sent.any()
	if err != nil {
		return err
	}
	defer res.Body.Close()
	r.Written, r.Status, r.Header = true, res.StatusCode, res.Header
	if r.Body, err = readCapped(res.Body, res.ContentLength); err != nil {
		r.Err = fmt.Errorf("read reply: %w", err)
	}
	return nil
}

// byteOrderMark is what some .NET and Windows servers put before their JSON, against RFC 8259 §8.1.
var byteOrderMark = []byte("\ufeff")

// Reach opens a connection to the base URL's host, or to the proxy, and closes it. It is no proof that a call will get through.
func (c *Client) Reach(ctx context.Context) error {
	var t *http.Transport
	switch p := c.pool.(type) {
	case *lines:
		t = p.set
	case netHTTP:
		t, _ = p.RoundTripper.(*http.Transport)
	}
	if t == nil {
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
func (c *Client) Unreachable(ctx context.Context, q *Request) (r *Reply, is bool) {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	r = &Reply{Start: time.Now(), purpose: string(q.Purpose), method: q.Method, url: c.base + q.Path}
	r.Err = c.Reach(ctx)
	r.Took = time.Since(r.Start)
	return r, r.Err != nil
}

func (k *call) request(ctx context.Context) *http.Request {
	header := k.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header["User-Agent"] = []string{userAgent}
	req := &http.Request{Method: k.Method, URL: k.to.url, Host: k.to.url.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if len(k.Body) > 0 {
		// A plain reader without GetBody: the transport can't send it twice.
		req.Body = io.NopCloser(bytes.NewReader(k.Body))
		req.ContentLength = int64(len(k.Body))
	}
	return req.WithContext(ctx)
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
	if body == http.NoBody {
		return nil, nil
	}
	if length > 0 && length <= MaxReply {
		b := make([]byte, length)
		n, err := io.ReadFull(body, b)
		return b[:n], err
	}
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(body, MaxReply+1))
	if n > MaxReply {
		return nil, ErrTooLong
	}
	return b.Bytes(), err
}

// noReply words a transport error for the operator. What kind it is only the call's time tells, never the error's text.
func (k *call) noReply(err error, took time.Duration, written bool) error {
	when := "before anything was sent"
	if written {
		when = "after the request was sent"
	}
	if err == context.DeadlineExceeded || k.over() {
		return fmt.Errorf("no reply within %s, %s: %w", took.Round(time.Millisecond), when, context.DeadlineExceeded)
	}
	return fmt.Errorf("connection failed %s: %w", when, err)
}

// written watches one request's connection, below net/http, for bytes that leave.
type written struct {
	call  *call
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
				w.conn.next.Store(w.call)
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
