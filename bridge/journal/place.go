package journal

import (
	"errors"
	"os"
	"path/filepath"
)

// errGone answers every write once the file that is open is not the one that the journal's name leads to: what is
// written there will be found by nobody.
var errGone = errors.New("its file, or what is beside it (-wal, -shm), was deleted, moved or replaced while it is in use: nothing is " +
	"sent; put it back, or stop the bridge, restore the journal and start it again")

// place is where the journal's file is reached, and which file was there when it was opened.
type place struct {
	path, real string // as it was given, and without links
	file       os.FileInfo
	log        os.FileInfo // nil until it is there
	index      os.FileInfo // path-shm, where that keeps others out; otherwise nil
}

func newPlace(path string) (*place, error) {
	real, err := filepath.Abs(path)
	if err == nil {
		real, err = filepath.EvalSymlinks(real) // as SQLite does, which names the log after it
	}
	p := &place{path: path, real: real}
	if err == nil {
		p.file, err = os.Stat(path)
	}
	return p, err
}

// check looks whether they are the same files still. It takes a few microseconds, and so comes before every commit.
func (p *place) check() error {
	if is, err := os.Stat(p.path); err != nil || !os.SameFile(is, p.file) {
		return errGone
	}
	log, err := os.Stat(p.real + "-wal")
	switch {
	case p.log == nil && err == nil:
		p.log = log
	case p.log != nil && (err != nil || !os.SameFile(log, p.log)):
		return errGone
	}
	if p.index != nil {
		if is, err := os.Stat(p.real + "-shm"); err != nil || !os.SameFile(is, p.index) {
			return errGone
		}
	}
	return nil
}
