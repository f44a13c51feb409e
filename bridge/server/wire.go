package server

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// wire is what must be done to a connection below the engine, which can't.
type wire struct {
	listener int  // that accepted it
	heads    head // of its first request
	pending  []byte
	lingers  atomic.Bool
	others   *atomic.Int64 // connections that linger now
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
// wait for its end until the caller has given up.
func (w *wire) read(conn net.Conn, p []byte) (int, error) {
	if len(w.pending) == 0 && !w.heads.bare {
		n, err := conn.Read(p)
		if !w.heads.feed(p[:n]) {
			return n, err
		}
		w.pending = poison
	}
	if len(w.pending) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.pending)
	w.pending = w.pending[n:]
	return n, nil
}

// close is conn.Close, but a caller that was answered while he was still sending is listened to until he has read the
// answer: closing at once resets the connection, and the answer is lost with it.
func (w *wire) close(conn net.Conn) error {
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

// head watches the bytes of a request's head go by.
type head struct {
	tail []byte // its last bytes, three at most
	over bool
	bare bool // a line ended in LF alone
}

// feed reports whether these bytes hold the first line end that is none.
func (h *head) feed(p []byte) bool {
	if h.over || len(p) == 0 {
		return false
	}
	seen := append(h.tail, p...)
	if end := bytes.Index(seen, []byte("\r\n\r\n")); end >= 0 {
		h.over = true
		seen = seen[:end]
	}
	for i := len(h.tail); i < len(seen); i++ {
		if seen[i] == '\n' && (i == 0 || seen[i-1] != '\r') {
			h.over, h.bare = true, true
			return true
		}
	}
	h.tail = bytes.Clone(seen[max(0, len(seen)-3):])
	return false
}

// plainConn is a connection without TLS.
type plainConn struct {
	net.Conn
	wire
}

// Read implements net.Conn.
func (c *plainConn) Read(p []byte) (int, error) { return c.read(c.Conn, p) }

// Close implements net.Conn.
func (c *plainConn) Close() error { return c.close(c.Conn) }

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
