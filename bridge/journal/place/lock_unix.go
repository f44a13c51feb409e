//go:build unix

package place

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// lockName is the file that is locked: itself under Linux, where SQLite's own locks are of another kind. Elsewhere such a
// lock would be in SQLite's way, so there it is one beside it, which stays, empty.
func lockName(real string) string {
	if runtime.GOOS == "linux" {
		return real
	}
	return real + ".lock"
}

const errLocked = unix.EWOULDBLOCK

func lock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
