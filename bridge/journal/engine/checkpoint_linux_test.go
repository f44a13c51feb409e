package engine

import (
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A long log starts over although somebody was just copying out of it when the writer wanted to copy the last of it.
func TestLogStartsOverWhenItCan(t *testing.T) {
	d := newDesk(t)
	index, err := os.OpenFile(d.place.Index(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	copying := func(kind int16) { // SQLite's file format: the lock of whoever copies is the second byte of eight from 120
		if err := unix.FcntlFlock(index.Fd(), unix.F_OFD_SETLKW, &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: 121, Len: 1}); err != nil {
			t.Fatal(err)
		}
	}
	d.fillLog(0, 3)
	lap := d.lap()
	d.db.(*file).copier.rest.Store(true) // as if it were long
	copying(unix.F_WRLCK)
	d.fillLog(3, 5)
	if d.lap() != lap {
		t.Fatal("the log started over before its end was copied")
	}
	copying(unix.F_UNLCK)
	d.fillLog(5, 6)
	if d.lap() == lap {
		t.Error("the log goes on")
	}
}
