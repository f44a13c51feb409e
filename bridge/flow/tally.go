package flow

import "sync"

// tally counts what the Service has in hand: calls, flights, the background. Unlike a sync.WaitGroup's, its count may
// rise again while somebody waits for its end.
type tally struct {
	mu      sync.Mutex
	n       int
	shut    bool
	closing chan struct{} // closed when no new work is begun
	done    chan struct{} // closed when all of it has ended
}

// begin counts one more. false says that the Service is closing, and that nothing new may come of it.
func (t *tally) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	return !t.shut
}

// end counts one less.
func (t *tally) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n--; t.shut {
		t.checkDone()
	}
}

// close lets nothing new begin.
func (t *tally) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.shut {
		t.shut = true
		close(t.closing)
		t.checkDone()
	}
}

// checkDone notes that nothing is left to wait for. It needs the lock.
func (t *tally) checkDone() {
	if t.n > 0 {
		return
	}
	select {
	case <-t.done: // a call that came since has ended, too
	default:
		close(t.done)
	}
}
