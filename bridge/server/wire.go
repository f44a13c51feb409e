package server

import (
	"bytes"
	"io"
	"math"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// wire is what must be done to a connection below the engine, which can't.
type wire struct {
	listener int    // that accepted it
	heads    head   // of the request that is being read
	ref      string // of the one that is being answered; empty: it has no name yet
	pending  []byte
	visit
	out     atomic.Bool // put out: nothing more is read
	lingers atomic.Bool
	others  *atomic.Int64 // connections that linger now
}

// How long, how many bytes, and how many connections at a time may be listened to after their answer.
const (
	lingerTime  = 10 * time.Second
	lingerBytes = 64 << 20
	lingerMost  = 256
)

// poison is what no engine takes for a header.
var poison = []byte("\x00:\x00\r\n\r\n")

// read is conn.Read, but a header with lines that end in LF alone (sockets by hand) is cut off there: the engine would
// wait for its end until the caller has given up. The engine waits for a request's first byte before it takes a buffer; with
// that byte comes what else fits ahead, as a rule all of the request, which is one system call less.
func (w *wire) read(conn net.Conn, p, ahead []byte) (int, error) {
	if len(w.pending) == 0 && !w.heads.bare {
		into := p
		if len(p) < len(ahead) {
			into = ahead
		}
		n, err := conn.Read(into)
		if n > 0 {
			w.watch(into[:n])
		}
		switch {
		case w.heads.bare:
			w.pending = poison
		case n == 0 || len(p) >= len(ahead):
			return n, err
		default:
			w.pending = ahead[:n] // an error comes again with the next read
		}
	}
	if len(w.pending) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.pending)
	w.pending = w.pending[n:]
	return n, nil
}

// watch counts what a request takes up, once it has begun and again when its head tells how long its body is: the engine
// makes room for all of it before any of it has come.
func (w *wire) watch(p []byte) {
	if !w.heads.begun {
		w.takes(headCost)
	}
	if w.heads.feed(p) && w.heads.body > 0 {
		w.takes(min(w.heads.body, w.in.largest()))
	}
}

// arrived is called when a request is complete.
func (w *wire) arrived() {
	w.complete()
	w.heads = head{later: true}
}

// name is the id of the request that is being answered. One that the engine refuses gets its own here, too.
func (w *wire) name() string {
	if w.ref == "" {
		w.ref = uuid.Must(uuid.NewV7()).String()
	}
	return w.ref
}

// readUntil is SetReadDeadline for a connection that may have been put out.
func (w *wire) readUntil(t time.Time) error {
	err := w.socket.SetReadDeadline(t)
	if w.out.Load() {
		return w.socket.SetReadDeadline(longAgo)
	}
	return err
}

// close is conn.Close, but a caller that was answered while he was still sending is listened to until he has read the
// answer: closing at once resets the connection, and the answer is lost with it.
func (w *wire) close(conn net.Conn) error {
	w.leaves()
	half, ok := conn.(interface{ CloseWrite() error })
	if !w.lingers.Swap(false) || !ok {
		return conn.Close()
	}
	if w.others.Add(1) > lingerMost {
		w.others.Add(-1)
		return conn.Close()
	}
	go func() {
		defer w.others.Add(-1)
		defer conn.Close()
		if conn.SetDeadline(time.Now().Add(lingerTime)) == nil && half.CloseWrite() == nil {
			_, _ = io.CopyN(io.Discard, conn, lingerBytes) // that it ends is all that is wanted
		}
	}()
	return nil
}

// head watches the lines of a request's head go by.
type head struct {
	line [64]byte // that has not ended, its blanks left out; of one that is longer only the name matters
	n    int
	last byte
	body int64 // that it announces
	// later is a request that is not the connection's first. It may begin in the middle, in what the engine has read
	// already, so that line ends say nothing.
	later bool
	begun bool
	over  bool
	bare  bool // a line ended in LF alone
}

// unsaid is the length of a body that its head does not tell in so many words.
const unsaid = math.MaxInt64

// feed reports whether these bytes hold the head's end.
func (h *head) feed(p []byte) bool {
	if h.over {
		return false
	}
	for _, b := range p {
		switch {
		case b == '\n':
			h.bare = h.last != '\r' && !h.later
			if h.over = h.bare || h.n == 0 && h.begun; h.over {
				return true
			}
			h.endLine()
		case b != '\r' && b != ' ' && b != '\t' && h.n < len(h.line):
			h.begun = true
			h.line[h.n] = b
			h.n++
		}
		h.last = b
	}
	return false
}

// endLine takes from a line how long the body is.
func (h *head) endLine() {
	name, value, _ := bytes.Cut(h.line[:h.n], []byte(":"))
	h.n = 0
	switch {
	case bytes.EqualFold(name, uniqueHeaders[transferEncoding]):
		h.body = unsaid
	case bytes.EqualFold(name, uniqueHeaders[contentLength]):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 {
			n = unsaid
		}
		h.body = max(h.body, n)
	}
}

// plainConn is a connection without TLS, which reads ahead itself.
type plainConn struct {
	net.Conn
	wire
	ahead [1 << 10]byte
}

// Read implements net.Conn.
func (c *plainConn) Read(p []byte) (int, error) { return c.read(c.Conn, p, c.ahead[:]) }

// Close implements net.Conn.
func (c *plainConn) Close() error { return c.close(c.Conn) }

// SetReadDeadline implements net.Conn.
func (c *plainConn) SetReadDeadline(t time.Time) error { return c.readUntil(t) }

// wireOf is a connection's, as the engine hands it back.
func wireOf(conn net.Conn) *wire {
	switch c := conn.(type) {
	case *plainConn:
		return &c.wire
	case *tlsConn:
		return &c.wire
	}
	return nil
}
