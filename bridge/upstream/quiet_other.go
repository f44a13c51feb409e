//go:build !unix

package upstream

import (
	"errors"
	"os"
	"time"
)

// quiet tells whether an idle connection is as it was left: still open, and nothing has come that nobody asked for.
// The system can't be asked without waiting, so it waits as shortly as it can.
func (c *conn) quiet() bool {
	if c.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return false
	}
	_, err := c.in.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded) && c.SetReadDeadline(time.Time{}) == nil
}
