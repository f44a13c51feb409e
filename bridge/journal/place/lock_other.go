//go:build !linux && !windows

package place

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockFile takes a file beside the journal for this process, since here a lock on the journal itself would be in SQLite's
// way. The kernel gives it back when the process ends, however it ends; the empty file stays.
func lockFile(path string) (unlock func() error, err error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(real+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("its lock file can't be opened, check that the folder exists and may be written: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errTaken
		}
		return nil, fmt.Errorf("locking it: %w", err)
	}
	return f.Close, nil
}
