package place

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// SQLite finds its way in the log by an index in memory, which all processes map from a file, path-shm. The first write to
// a page of such a file waits for the disk, in the middle of Go code, where no collector can stop it: while the file
// system was frozen, as it is for a snapshot, the whole process stood still. So the service keeps the index in memory that
// no disk is behind. Of path-shm it holds SQLite's own lock, which keeps other programs out, and writes into it which
// descriptor the memory is: its own commands find it through /proc.
const (
	indexLock   = 128 // SQLite's "dead man's switch": whoever has the index mapped holds this byte
	commandLock = 129 // behind what SQLite knows; commands that share a service's index hold it, so that no other starts
	startWait   = 10 * time.Second
	indexNote   = "descriptor %d of the einvoice-bridge that serves with this journal\n"
)

// fileID is a file, by whatever name.
type fileID struct{ dev, ino uint64 }

// index is what this process knows of one file's index.
type index struct {
	memory *os.File // nil: it is in path-shm, since nobody serves
	shm    *os.File // path-shm, for the locks on it
	shared bool     // the memory is another process's
	users  int
}

// indexes are those of the files that this process has open. There is one for each, and it is closed after SQLite has
// closed the file: closing any descriptor of path-shm or the memory would give back SQLite's locks on it.
var indexes = struct {
	sync.Mutex
	by map[fileID]*index
}{by: map[fileID]*index{}}

func (p *Place) id() fileID {
	s := p.file.Sys().(*syscall.Stat_t)
	return fileID{uint64(s.Dev), s.Ino}
}

// keepIndex makes memory for the index and keeps everybody out who doesn't know of it.
func (p *Place) keepIndex() error {
	indexes.Lock()
	defer indexes.Unlock()
	if indexes.by[p.id()] != nil {
		return errors.New("this process has it open for a command")
	}
	shm, err := p.lockIndex()
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("einvoice-bridge-index", unix.MFD_CLOEXEC)
	if err == nil {
		err = errors.Join(shm.Truncate(0), write(shm, fmt.Sprintf(indexNote, fd)))
	}
	if err == nil {
		p.shm, err = shm.Stat()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keeping the index of its log in memory: %w", err), shm.Close())
	}
	p.useIndex(&index{memory: os.NewFile(uintptr(fd), "index"), shm: shm})
	return nil
}

func write(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// lockIndex waits for commands to end: they would go by another index. The lock is the process's, as SQLite's own are:
// others see by whom they are kept out.
func (p *Place) lockIndex() (*os.File, error) {
	for deadline := time.Now().Add(startWait); ; time.Sleep(50 * time.Millisecond) {
		f, err := p.openIndex(os.O_CREATE)
		if err != nil {
			return nil, err
		}
		err = setLock(f, unix.F_SETLK, unix.F_WRLCK, indexLock, 2)
		if err == nil && p.hasIndex(f) {
			return f, setLock(f, unix.F_SETLK, unix.F_UNLCK, commandLock, 1)
		}
		who := holder(f, unix.F_WRLCK)
		_ = f.Close()
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s has it open: end that, a command of einvoice-bridge or a database shell: %w", who, err)
		}
	}
}

// openIndex opens path-shm. As with SQLite, it belongs to the journal's owner, whoever makes it.
func (p *Place) openIndex(create int) (*os.File, error) {
	f, err := os.OpenFile(p.real+"-shm", os.O_RDWR|unix.O_NOFOLLOW|create, p.file.Mode().Perm())
	if err == nil && create != 0 && os.Geteuid() == 0 {
		s := p.file.Sys().(*syscall.Stat_t)
		_ = f.Chown(int(s.Uid), int(s.Gid))
	}
	return f, err
}

// hasIndex tells whether f is path-shm still: whoever closed the journal last has deleted it.
func (p *Place) hasIndex(f *os.File) bool {
	is, err := os.Stat(p.real + "-shm")
	was, err2 := f.Stat()
	return err == nil && err2 == nil && os.SameFile(is, was)
}

// joinIndex finds the index that another process's service keeps. Where none serves, SQLite's own way is right.
func (p *Place) joinIndex() error {
	indexes.Lock()
	defer indexes.Unlock()
	if x := indexes.by[p.id()]; x != nil {
		p.useIndex(x)
		return nil
	}
	shm, err := p.openIndex(0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	memory, err := findIndex(shm)
	if err != nil {
		return errors.Join(err, shm.Close())
	}
	p.useIndex(&index{memory: memory, shm: shm, shared: memory != nil})
	return nil
}

// findIndex opens the memory of the service that holds path-shm; nil when there is none. This lock, unlike SQLite's, is
// the open file's.
func findIndex(shm *os.File) (memory *os.File, err error) {
	for deadline := time.Now().Add(startWait); ; time.Sleep(50 * time.Millisecond) {
		if err = setLock(shm, unix.F_OFD_SETLK, unix.F_RDLCK, commandLock, 1); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("a bridge is starting with it: try again later: %w", err)
		}
	}
	who := holder(shm, unix.F_RDLCK)
	if who == "" {
		return nil, setLock(shm, unix.F_OFD_SETLK, unix.F_UNLCK, commandLock, 1)
	}
	text, err := io.ReadAll(io.NewSectionReader(shm, 0, int64(len(indexNote)+10)))
	fd := 0
	if err == nil {
		_, err = fmt.Sscanf(string(text), strings.TrimSpace(indexNote), &fd)
	}
	if err == nil {
		memory, err = os.OpenFile(fmt.Sprintf("/proc/%s/fd/%d", strings.TrimPrefix(who, "process "), fd), os.O_RDWR, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("%s serves with it and can't be reached: run the command where the bridge runs (in the same "+
			"container), as the same user or as root: %w", who, err)
	}
	return memory, nil
}

// errStopped ends a command whose bridge has gone: as long as it goes on, no other can start.
var errStopped = errors.New("the bridge that served with it has stopped meanwhile: run the command again")

// StillServed ends what a command reads by the index of a service that has gone.
func (p *Place) StillServed() error {
	if p != nil && p.index != nil && p.index.shared && holder(p.index.shm, unix.F_RDLCK) == "" {
		return errStopped
	}
	return nil
}

// holder is who has a lock that kind would have to wait for; empty when nobody has.
func holder(f *os.File, kind int16) string {
	l := unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: indexLock, Len: 2}
	switch err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &l); {
	case err == nil && l.Type == unix.F_UNLCK:
		return ""
	case err == nil && l.Pid > 0:
		return fmt.Sprintf("process %d", l.Pid)
	}
	return "a process out of sight"
}

func setLock(f *os.File, how int, kind int16, start, n int64) error {
	return unix.FcntlFlock(f.Fd(), how, &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: start, Len: n})
}

// useIndex lets SQLite find x until leaveIndex.
func (p *Place) useIndex(x *index) {
	hookOpen()
	indexes.by[p.id()], p.index = x, x
	x.users++
}

// leaveIndex closes the index with its last user.
func (p *Place) leaveIndex() (err error) {
	indexes.Lock()
	defer indexes.Unlock()
	x := p.index
	if x == nil {
		return nil
	}
	if x.users--; x.users > 0 {
		return nil
	}
	delete(indexes.by, p.id())
	if x.memory != nil {
		err = x.memory.Close()
	}
	return errors.Join(err, x.shm.Close())
}

// hookOpen puts openForSQLite in the place of the call that SQLite opens files with.
var hookOpen = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	defer tls.Close()
	vfs := lib.Xsqlite3_vfs_find(tls, 0)
	set := (*(**lib.Tsqlite3_vfs)(unsafe.Pointer(&vfs))).FxSetSystemCall
	name, err := libc.CString("open")
	if err != nil {
		panic(err) // out of memory
	}
	defer libc.Xfree(tls, name)
	open := openForSQLite
	(*(*func(*libc.TLS, uintptr, uintptr, uintptr) int32)(unsafe.Pointer(&struct{ uintptr }{set})))(tls, vfs, name, *(*uintptr)(unsafe.Pointer(&open)))
})

// openForSQLite opens a file, or the memory that stands for it.
func openForSQLite(tls *libc.TLS, path uintptr, flags, mode int32) int32 {
	if name := memoryFor(libc.GoString(path)); name != "" {
		c, err := libc.CString(name)
		if err != nil {
			return -1
		}
		defer libc.Xfree(tls, c)
		path, flags = c, flags&^(unix.O_CREAT|unix.O_NOFOLLOW)
	}
	args := tls.Alloc(16)
	defer tls.Free(16)
	return libc.Xopen(tls, path, flags, libc.VaList(args+8, mode))
}

// memoryFor names the memory in the place of path-shm; empty for every other file.
func memoryFor(name string) string {
	path, is := strings.CutSuffix(name, "-shm")
	if !is {
		return ""
	}
	p, err := find(path)
	if err != nil {
		return ""
	}
	return p.Index()
}

// Index is where SQLite finds the index, if that is in memory; otherwise empty.
func (p *Place) Index() string {
	indexes.Lock()
	defer indexes.Unlock()
	if x := indexes.by[p.id()]; x != nil && x.memory != nil {
		return fmt.Sprintf("/proc/self/fd/%d", x.memory.Fd())
	}
	return ""
}
