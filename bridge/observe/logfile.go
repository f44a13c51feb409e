package observe

import (
	"fmt"
	"os"
	"sync"
)

// A log file and those set aside before it, path.1 being the youngest.
const (
	logFileSize = 32 << 20
	logFileKeep = 9
)

// LogFile is where log lines go when nobody reads standard error. It bounds itself: a full disk would stop the journal.
type LogFile struct {
	mu     sync.Mutex
	path   string
	limit  int64
	size   int64
	f      *os.File
	opened func(*os.File)
}

// OpenLogFile opens a file to write on at its end. opened is told of it, and of every file that takes over; it may be nil.
func OpenLogFile(path string, opened func(*os.File)) (*LogFile, error) {
	l := &LogFile{path: path, limit: logFileSize, opened: opened}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("the log file: %w", err)
	}
	return l, nil
}

func (l *LogFile) open() (err error) {
	if l.f, err = os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640); err != nil {
		return err
	}
	if info, err := l.f.Stat(); err == nil {
		l.size = info.Size()
	}
	if l.opened != nil {
		l.opened(l.f)
	}
	return nil
}

// Write implements io.Writer. A line is never cut.
func (l *LogFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(line)) > l.limit {
		if err := l.turn(); err != nil {
			return 0, err
		}
	}
	n, err := l.f.Write(line)
	l.size += int64(n)
	return n, err
}

// turn sets the file aside and begins a new one. It is closed first, since Windows moves no open file; where somebody
// else has it open there, it can't be moved and goes on for another round.
func (l *LogFile) turn() error {
	_ = l.f.Close()
	for i := logFileKeep; i > 1; i-- {
		_ = os.Rename(fmt.Sprintf("%s.%d", l.path, i-1), fmt.Sprintf("%s.%d", l.path, i))
	}
	moved := os.Rename(l.path, l.path+".1")
	if err := l.open(); err != nil {
		return err
	}
	if moved != nil {
		l.size = 0
	}
	return nil
}

// Close implements io.Closer.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}
