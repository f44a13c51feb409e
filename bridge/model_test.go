package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"einvoice-bridge/bridge"
)

// The model: one document at an authority that is right about itself but whose replies get lost, and callers who ask,
// give up and ask again while the process is killed under them. Whatever happens in whatever order, the promises hold.

// fate is what becomes of one send.
type fate int

const (
	replies fate = iota // carried out, and said so
	loses               // carried out, the reply is lost
	drops               // lost on the way, nothing is carried out
	stops               // stopped at the gate
	late                // the sender gives up; carried out half a second later, while a resend may be under way
	later               // the sender gives up; carried out 45 s later
)

// modelAuthority holds the truth about one document.
type modelAuthority struct {
	mu        sync.Mutex
	cancelled bool // by a send of ours
	foreign   bool // cancelled by somebody else before
	refuses   bool
	fates     []fate
	asked     []bool // whether each lookup gets through; later ones do
	sends     int
	running   int
	pending   int // sends that will be carried out although their sender gave up
	overlap   bool
	after     int // sends after a caller had been told 200
	told200   bool
}

func (m *modelAuthority) fate() fate {
	if len(m.fates) == 0 {
		return replies
	}
	f := m.fates[0]
	m.fates = m.fates[1:]
	return f
}

// commit carries one send out and says what the authority would reply.
func (m *modelAuthority) commit() bridge.Outcome {
	switch {
	case m.cancelled || m.foreign:
		return already
	case m.refuses:
		return refused
	}
	m.cancelled = true
	return cancelled
}

func (m *modelAuthority) cancel(int, bridge.Cancellation) bridge.Outcome {
	m.mu.Lock()
	m.sends++
	m.running++
	m.overlap = m.overlap || m.running > 1
	if m.told200 {
		m.after++
	}
	f := m.fate()
	m.mu.Unlock()
	time.Sleep(time.Second)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	switch f {
	case replies:
		return m.commit()
	case loses:
		m.commit()
	case stops:
		return notApplied
	case late:
		m.carryOutAfter(500 * time.Millisecond)
	case later:
		m.carryOutAfter(45 * time.Second)
	}
	return unknown
}

func (m *modelAuthority) carryOutAfter(d time.Duration) {
	m.pending++
	time.AfterFunc(d, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.pending--
		m.commit()
	})
}

func (m *modelAuthority) lookup(int) (bridge.DocumentState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.asked) > 0 {
		through := m.asked[0]
		m.asked = m.asked[1:]
		if !through {
			return bridge.DocumentState{}, errors.New("down")
		}
	}
	if m.cancelled || m.foreign {
		return bridge.DocumentState{Status: bridge.StatusCancelled}, nil
	}
	return bridge.DocumentState{Status: bridge.StatusActive}, nil
}

// judge holds one answer against the truth at the moment it was given.
func (m *modelAuthority) judge(a bridge.Answer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case a.Code() == 200 && !m.cancelled && !m.foreign:
		return errors.New("told 200 for a document that is not cancelled")
	case a.Code() == 204 && m.cancelled:
		return fmt.Errorf("told 204 %q for a document that we cancelled", a.Message)
	case a.Fault == bridge.FaultNotApplied && (m.cancelled || m.pending > 0 && !m.refuses):
		return errors.New("told that it was not cancelled, but it is, or will be")
	}
	m.told200 = m.told200 || a.Code() == 200
	return nil
}

// crash ends the process under whatever it is doing: nothing more reaches the disk, and nobody finishes anything.
func (b *bench) crash() {
	b.Helper()
	if err := b.journal.Close(); err != nil {
		b.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.service.Close(ctx) // says that flights are left; they are dead with the process
	time.Sleep(2 * time.Second)
	b.open()
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &modelAuthority{
			foreign: rapid.IntRange(0, 5).Draw(rt, "foreign") == 0,
			refuses: rapid.IntRange(0, 3).Draw(rt, "refuses") == 0,
			fates:   rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fate { return fate(rapid.IntRange(0, 5).Draw(t, "fate")) }), 0, 6).Draw(rt, "fates"),
			asked:   rapid.SliceOfN(rapid.Bool(), 0, 6).Draw(rt, "lookups"),
		}
		actions := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 8).Draw(rt, "actions")
		var failure error
		synctest.Test(t, func(t *testing.T) { failure = runModel(t, m, actions) })
		if failure != nil {
			rt.Fatal(failure)
		}
	})
}

// runModel plays the actions and then lets callers ask until there is a definite answer.
func runModel(t *testing.T, m *modelAuthority, actions []int) error {
	b := newBench(t)
	b.authority.cancel, b.authority.lookup = m.cancel, m.lookup
	b.open()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	ask := func(within time.Duration) bridge.Answer {
		a := b.ask(func(r *bridge.Request) { r.Within = within })
		if err := m.judge(a); err != nil {
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
		}
		return a
	}
	for _, action := range actions {
		switch {
		case action < 4: // a caller who waits, beside whatever else goes on
			wg.Go(func() { ask(30 * time.Second) })
		case action < 6: // an impatient one
			wg.Go(func() { ask(500 * time.Millisecond) })
		case action < 8:
			time.Sleep(time.Duration(action*action) * time.Second)
		case action == 8:
			b.restart()
		default:
			b.crash()
		}
		time.Sleep(300 * time.Millisecond)
	}
	wg.Wait()
	final := ask(50 * time.Second)
	for n := 0; final.Fault != "" && n < 20; n++ {
		time.Sleep(30 * time.Second)
		final = ask(50 * time.Second)
	}
	b.close()
	return errors.Join(append(errs, m.verdict(final))...)
}

// verdict is the end of the story.
func (m *modelAuthority) verdict(final bridge.Answer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.overlap:
		return errors.New("two cancels were in flight at once")
	case m.after > 0:
		return errors.New("sent after a caller had its success")
	case final.Fault != "":
		return fmt.Errorf("no definite answer in the end: %+v", final)
	case m.cancelled != (final.Code() == 200) && !m.foreign:
		return fmt.Errorf("in the end told %d, cancelled %v", final.Code(), m.cancelled)
	}
	return nil
}
