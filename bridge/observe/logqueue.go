package observe

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	logQueueSize = 4 << 20  // bytes: two seconds of lines at full load
	logQueueKeep = 64 << 10 // bytes that are kept for the lines to come
)

// LogFlush is how long the end of the process waits for whoever reads its lines.
const LogFlush = 2 * time.Second

// LogQueue stands between the bridge and whoever takes its log lines, a pipe mostly: a reader that has stopped reading
// delays no answer, and one that has gone stops nothing. What doesn't fit meanwhile is lost, and counted.
type LogQueue struct {
	out  io.Writer
	size int
	back func(lost int64) // the reader takes lines again, and has missed so many

	mu       sync.Mutex
	lines    []byte // waiting to be written
	spare    []byte // what lines grows in next
	lost     int64  // lines, since the start
	told     int64  // of these
	ending   bool
	wake     chan struct{} // there is something to write, or nothing will come any more
	finished chan struct{}
}

// NewLogQueue takes lines for out. They wait until Start.
func NewLogQueue(out io.Writer) *LogQueue {
	return &LogQueue{out: out, size: logQueueSize, wake: make(chan struct{}, 1), finished: make(chan struct{})}
}

// Start begins to write. back is called between two writes.
func (q *LogQueue) Start(back func(lost int64)) *LogQueue {
	q.back = back
	go q.write()
	return q
}

// Write implements io.Writer. It takes a whole line or none, and never waits.
func (q *LogQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	if len(q.lines)+len(line) > q.size {
		q.lost++
	} else {
		q.lines = append(q.lines, line...)
	}
	q.mu.Unlock()
	q.poke()
	return len(line), nil
}

func (q *LogQueue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// write hands on what waits, as much as there is, until Close.
func (q *LogQueue) write() {
	defer close(q.finished)
	for range q.wake {
		lines, ending := q.take()
		n, err := 0, error(nil)
		if len(lines) > 0 {
			n, err = q.out.Write(lines)
		}
		missed := q.missed(lines, n, err)
		if missed > 0 {
			q.back(missed) // comes back as a line
		} else if ending {
			return
		}
	}
}

func (q *LogQueue) take() (lines []byte, ending bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, q.lines, q.spare = q.lines, q.spare, nil
	return lines, q.ending
}

// missed takes the buffer back, counts the lines in it that failed to be written, and says how many the reader has not
// been told of, if it reads.
func (q *LogQueue) missed(lines []byte, written int, err error) (n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if cap(lines) <= logQueueKeep {
		q.spare = lines[:0]
	}
	if err != nil {
		q.lost += int64(bytes.Count(lines[written:], []byte("\n")))
	}
	if err != nil || written == 0 || len(q.lines) > q.size/2 { // what says so must fit
		return 0
	}
	n, q.told = q.lost-q.told, q.lost
	return n
}

// Close writes what waits, as long as somebody takes it.
func (q *LogQueue) Close(within time.Duration) {
	q.mu.Lock()
	q.ending = true
	q.mu.Unlock()
	q.poke()
	select {
	case <-q.finished:
	case <-time.After(within):
	}
}

// Collector counts what was lost, for the metrics.
func (q *LogQueue) Collector() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "einvoice_log_lines_lost_total", Help: "Log lines that nobody took: standard error is full or closed.",
	}, func() float64 {
		q.mu.Lock()
		defer q.mu.Unlock()
		return float64(q.lost)
	})
}
