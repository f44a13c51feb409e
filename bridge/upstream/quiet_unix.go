//go:build unix

package upstream

import "syscall"

// quiet tells whether an idle connection is as it was left: still open, and nothing has come that nobody asked for.
// It doesn't wait. Below TLS, a session ticket that came late counts as noise, too.
func (c *conn) quiet() bool {
	if c.raw == nil {
		return false
	}
	quiet := false
	err := c.raw.Read(func(fd uintptr) bool {
		_, err := syscall.Read(int(fd), make([]byte, 1))
		quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	})
	return err == nil && quiet
}
