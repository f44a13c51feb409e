// Package place looks after the file of a journal on this machine: who serves with it, by whatever name it is reached
// (lock_*.go), whether it is there still, where the index of its log is kept, so that a frozen file system stops no
// process (index_linux.go), how SQLite opens it and what its errors mean (sqlite.go). It knows nothing of what is in the
// file. Closing any descriptor of the file gives SQLite's locks on it back, so a [Place] is closed after all else.
package place

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var (
	// ErrServed means that the file is another process's.
	ErrServed = errors.New("another process serves with this file, perhaps by another name")
	// ErrGone answers every write once the file that is open is not the one that the journal's name leads to: what is
	// written there will be found by nobody.
	ErrGone = errors.New("its file, or what is beside it (-wal, -shm), was deleted, moved or replaced while it is in use: nothing is " +
		"sent; put it back, or stop the bridge, restore the journal and start it again")

	errTaken = fmt.Errorf("%w: stop that one, give this one a file of its own, or use PostgreSQL to run several", ErrServed)
)

// Place is where the journal's file is reached, and which file was there when it was opened.
type Place struct {
	path, real string // as it was given, and without links
	file       os.FileInfo
	log        os.FileInfo  // nil until it is there
	shm        os.FileInfo  // path-shm, where that keeps others out; otherwise nil
	index      *index       // of the log, where it is not SQLite's own
	unlock     func() error // nil where it is not ours
}

// Own makes the file this process's until Close, and creates it if need be: nobody else serves with it.
func Own(path string) (*Place, error) {
	if err := CreatePrivate(path); err != nil {
		return nil, err
	}
	unlock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	p, err := find(path)
	if err == nil {
		p.unlock = unlock
		err = p.keepIndex()
	}
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	return p, nil
}

// Join reaches the file beside the process that serves with it, if one does. It is nil where there is no file: SQLite
// says that in its words.
func Join(path string) (*Place, error) {
	p, err := find(path)
	if err != nil {
		return nil, nil
	}
	return p, p.joinIndex()
}

func find(path string) (*Place, error) {
	real, err := filepath.Abs(path)
	if err == nil {
		real, err = filepath.EvalSymlinks(real) // as SQLite does, which names the log after it
	}
	p := &Place{path: path, real: real}
	if err == nil {
		p.file, err = os.Stat(path)
	}
	return p, err
}

// CreatePrivate creates the file, if it isn't there, for its owner only: SQLite would let everybody read it. The log that
// SQLite keeps beside it gets the same permissions.
func CreatePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("it can't be opened, check that its folder exists and may be written: %w", err)
	}
	return f.Close()
}

// lockFile takes the file for this process, by whatever name it is reached. The kernel gives it back when the process
// ends, however it ends.
func lockFile(path string) (unlock func() error, err error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(lockName(real), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("it can't be opened for locking, check its permissions and its folder's: %w", err)
	}
	if err := lock(f); err != nil {
		_ = f.Close()
		if errors.Is(err, errLocked) {
			return nil, errTaken
		}
		return nil, fmt.Errorf("locking it: %w", err)
	}
	return f.Close, nil
}

// Try looks whether the file, or its folder where there is none yet, may be written, and is free: ErrServed when not.
func Try(path string) (there bool, err error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		f, err := os.CreateTemp(filepath.Dir(path), ".einvoice-bridge-check-*")
		if err != nil {
			return false, fmt.Errorf("it can't be made, check that its folder exists and may be written: %w", err)
		}
		return false, errors.Join(f.Close(), os.Remove(f.Name()))
	}
	unlock, err := lockFile(path)
	if err != nil {
		return true, err
	}
	return true, unlock()
}

// Check looks whether they are the same files still. It takes a few microseconds, and so comes before every commit.
func (p *Place) Check() error {
	if is, err := os.Stat(p.path); err != nil || !os.SameFile(is, p.file) {
		return ErrGone
	}
	log, err := os.Stat(p.real + "-wal")
	switch {
	case p.log == nil && err == nil:
		p.log = log
	case p.log != nil && (err != nil || !os.SameFile(log, p.log)):
		return ErrGone
	}
	if p.shm != nil {
		if is, err := os.Stat(p.real + "-shm"); err != nil || !os.SameFile(is, p.shm) {
			return ErrGone
		}
	}
	return nil
}

// LogBytes is the length of SQLite's log.
func (p *Place) LogBytes() int64 {
	log, err := os.Stat(p.real + "-wal")
	if err != nil {
		return 0
	}
	return log.Size()
}

// Close gives the file up.
func (p *Place) Close() error {
	err := p.leaveIndex()
	if p.unlock != nil {
		err = errors.Join(err, p.unlock())
	}
	return err
}
