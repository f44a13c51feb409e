package flow

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// ink bounds what a caller can have written down for nothing. New cancellations cost an authority's time and are few; but
// calls that the bridge refuses itself, and repeats, come as fast as they are answered, each with an envelope to keep.
type ink struct {
	mu sync.Mutex
	by map[string]*well // by caller
}

// well is what one caller has left.
type well struct{ refusals, bytes level }

// Of each caller's envelopes shortest bytes are kept always, the rest of them while there is some of fatMost left, of which
// fatPerSecond come back. So it is with refusals of our own: who has used his up is told that the bridge is busy.
const (
	shortest        = 4 << 10
	fatMost         = 16 << 20
	fatPerSecond    = 32 << 10
	refusalsMost    = 2000
	refusalsASecond = 20
)

// level is what is left of something that comes back with time.
type level struct {
	left float64
	at   time.Time // zero: it was never touched
}

// take takes n away if there is so much.
func (l *level) take(n, most, aSecond float64) bool {
	now := time.Now()
	if l.at.IsZero() {
		l.left = most
	}
	l.left = min(most, l.left+now.Sub(l.at).Seconds()*aSecond)
	l.at = now
	if l.left < n {
		return false
	}
	l.left -= n
	return true
}

// well needs the lock.
func (k *ink) well(caller string) *well {
	if k.by[caller] == nil {
		k.by[caller] = &well{}
	}
	return k.by[caller]
}

// envelope is as much of a caller's envelope as is kept.
func (k *ink) envelope(caller string, soap []byte) []byte {
	if len(soap) <= shortest {
		return soap
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.well(caller).bytes.take(float64(len(soap)-shortest), fatMost, fatPerSecond) {
		return soap
	}
	return fmt.Appendf(bytes.ToValidUTF8(soap[:shortest], nil), "… (%d bytes more; this caller sends too many large envelopes for all of them to be kept)", len(soap)-shortest)
}

// refusal tells whether one more refusal of our own may be written down.
func (k *ink) refusal(caller string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.well(caller).refusals.take(1, refusalsMost, refusalsASecond)
}

// refuse answers a call that ends before there is anything to carry.
func (s *Service) refuse(m *matter, r *bridge.Request, st *step) bridge.Answer {
	a := newAsk(r, bridge.FromCheck)
	if !s.ink.refusal(r.Caller) {
		ans := busy.answer(r, "more of this caller's calls were refused than are written down")
		s.answered(m, &bridge.CallReport{}, a, bridge.FromCheck, &ans, &bridge.Outcome{})
		return ans
	}
	return s.tellOne(m, a, st)
}
