package observe

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// gate is a reader of log lines that takes them only while it is open.
type gate struct {
	mu   sync.Mutex
	err  error
	took strings.Builder
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return 0, g.err
	}
	return g.took.Write(p)
}

func (g *gate) set(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

// Lines that don't fit while the reader stalls, and those that it refuses, are lost whole, counted, and told when it reads
// again.
func TestLogQueueCountsWhatIsLost(t *testing.T) {
	g := &gate{}
	q := NewLogQueue(g)
	q.size = 20
	q.Start(func(lost int64) { fmt.Fprintf(q, "lost %d\n", lost) })
	line := func(n int) { fmt.Fprintf(q, "line %02d\n", n) } // 8 bytes: two fit

	line(1)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		g.mu.Lock()
		n := g.took.Len()
		g.mu.Unlock()
		if n > 0 {
			break
		}
	}
	g.set(errors.New("gone"))
	line(2)
	for deadline := time.Now().Add(10 * time.Second); q.missedSoFar() != 1 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	g.set(nil)
	g.mu.Lock() // stalls
	for n := 3; n < 10; n++ {
		line(n)
	}
	lost := q.missedSoFar()
	g.mu.Unlock()
	q.Close(10 * time.Second)
	got := g.took.String()
	if want := fmt.Sprintf("lost %d\n", lost); lost < 4 || !strings.HasSuffix(got, want) || strings.Contains(got, "line 02") {
		t.Errorf("%d lost, the reader has %q", lost, got)
	}
}

func (q *LogQueue) missedSoFar() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}
