package bridge

import "sync/atomic"

// maxIdle is how many carriers stay when they have nothing to carry.
const maxIdle = 64

// carriers are goroutines that carry one flight after the other. A new goroutine has a small stack, and growing it to
// what a call needs costs as much as reading the authority's reply.
type carriers struct {
	next chan *flight // unbuffered: only one who waits takes a flight
	idle atomic.Int32
}

// dispatch gives the flight to a carrier that waits, or to a new one.
func (s *Service) dispatch(f *flight) {
	select {
	case s.carriers.next <- f:
	default:
		go s.carrier(f)
	}
}

func (s *Service) carrier(f *flight) {
	for {
		s.carry(f)
		if s.carriers.idle.Add(1) > maxIdle {
			s.carriers.idle.Add(-1)
			return
		}
		select {
		case f = <-s.carriers.next:
			s.carriers.idle.Add(-1)
		case <-s.quit:
			return
		}
	}
}
