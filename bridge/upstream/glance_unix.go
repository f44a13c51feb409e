//go:build unix

package upstream

import (
	"io"
	"net"
	"os"
	"syscall"
)

// glances tells whether this system can read what has come without waiting.
const glances = true

// glancer is what glancing at a connection takes, made once.
type glancer struct {
	raw  syscall.RawConn
	once func(fd uintptr) bool
	into []byte
	n    int
	err  error
}

// glance reads what has come and doesn't wait: os.ErrDeadlineExceeded means nothing.
func (c *countingConn) glance(b []byte) (n int, err error) {
	g := &c.glancer
	if g.raw == nil {
		own, ok := c.Conn.(syscall.Conn)
		if !ok {
			return 0, net.ErrClosed
		}
		if g.raw, err = own.SyscallConn(); err != nil {
			return 0, err
		}
		g.once = func(fd uintptr) bool { g.n, g.err = syscall.Read(int(fd), g.into); return true }
	}
	g.into = b
	if g.raw.Read(g.once) != nil {
		return 0, net.ErrClosed // never a deadline that has passed: that would look like silence
	}
	switch {
	case g.err == syscall.EAGAIN:
		return 0, os.ErrDeadlineExceeded
	case g.err != nil:
		return 0, g.err
	case g.n == 0:
		return 0, io.EOF
	}
	return g.n, nil
}
