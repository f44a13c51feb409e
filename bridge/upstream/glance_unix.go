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

// glance reads what has come and doesn't wait: os.ErrDeadlineExceeded means nothing.
func (c *countingConn) glance(b []byte) (n int, err error) {
	own, ok := c.Conn.(syscall.Conn)
	if !ok {
		return 0, net.ErrClosed
	}
	raw, err := own.SyscallConn()
	if err != nil {
		return 0, err
	}
	if raw.Read(func(fd uintptr) bool { n, err = syscall.Read(int(fd), b); return true }) != nil {
		return 0, net.ErrClosed // never a deadline that has passed: that would look like silence
	}
	switch {
	case err == syscall.EAGAIN:
		return 0, os.ErrDeadlineExceeded
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}
