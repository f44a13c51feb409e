package place

import (
	"os"

	"golang.org/x/sys/windows"
)

func lockName(real string) string { return real }

const errLocked = windows.ERROR_LOCK_VIOLATION

// lock takes a byte of the file that is far behind everything that SQLite reads, writes or locks.
func lock(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 30})
}
