package flow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// The authority of the simulation: right about itself, and as nasty towards those who ask as the real ones have been seen
// to be. What it does with each cancel and each question is part of a story's plan.

// What an authority may do at worst, so that a doubt can be closed at all: a cancel that its sender gave up may be carried
// out so much later, and a read may show what was true so long ago.
const (
	simCall   = 30 * time.Second // the upstream's call timeout
	latest    = 30 * time.Second
	readLag   = 29 * time.Second
	simWindow = 48 * time.Hour
)

// fate is what becomes of one send.
type fate uint8

const (
	replies     fate = iota // judged, and said so
	loses                   // judged; the reply is lost
	drops                   // lost on the way
	goesLate                // the sender gives up; judged later
	stops                   // stopped at the gate: nothing was judged
	never                   // never left this machine
	tooMany                 // judged, and answered 429 all the same
	unlisted                // judged, and answered in words that are in no list
	unlistedNot             // not judged, and answered likewise
	another                 // judged; the answer names another document
	seals                   // judged; the answer can't be read but for its yes
	checksFirst             // refused by a check that comes before the document's state
	turnsAway               // our rights are refused
	fates
)

var fateWords = [fates]string{"is answered", "has its reply lost", "is lost on the way", "is given up, and judged later",
	"is stopped at the gate", "never leaves", "is judged and answered 429", "is judged and answered in unlisted words",
	"is not judged and answered in unlisted words", "is judged, the answer naming another document",
	"is judged, the answer unreadable but for its yes", "is refused before the state is looked at", "is refused for our rights"}

// view is what becomes of one question.
type view uint8

const (
	shows  view = iota // as it is
	lags               // as it was
	fails              // no answer
	closed             // not even tried
	denies             // "no such document"
	views
)

var viewWords = [views]string{"is answered", "shows what was", "gets no answer", "is not tried", "finds no such document"}

// paper is one document at the authority. Its own clock is time.Now.
type paper struct {
	name   string
	rule   bool // a rule of the authority forbids to cancel it
	byID   bool // "already cancelled" is told as IncorrectState, by state
	hidden bool // it may not be viewed by us

	by      string          // who cancelled it: a taxpayer of ours, "somebody else", or nobody
	at      time.Time       // when
	running int             // cancels under way
	pending map[string]int  // cancels that were given up and will still be judged, by taxpayer
	word    map[string]bool // to whom of ours success was told
}

// office is one upstream of the story: the way to the papers for one taxpayer of one instance.
type office struct {
	w       *world
	i       *process
	profile bridge.Profile
	papers  map[string]*paper // by id; another environment or account has others
}

// Profile implements bridge.Upstream.
func (o *office) Profile() *bridge.Profile { return &o.profile }

// Probe implements bridge.Upstream.
func (o *office) Probe(context.Context) error { return nil }

// Cancel implements bridge.Upstream.
func (o *office) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	w := o.w
	o.i.stall()
	if err := fence(ctx); err != nil {
		return bridge.Outcome{Class: bridge.NotApplied, Message: "fence: " + err.Error()}
	}
	p := o.papers[c.Document]
	if p == nil {
		w.wrong("a cancel of %s went to %s, which has no such document", c.Document, o.profile.Space)
		return bridge.Outcome{Class: bridge.Refused, Message: "2148: no such document", Sent: true}
	}
	f := w.nextFate()
	w.tell("%s sends a cancel of %s for %s: it %s", o.i.name, p.name, c.Taxpayer, fateWords[f])
	if f == never {
		return bridge.Outcome{Class: bridge.NotApplied, Message: "login held back"}
	}
	w.sent(o, p, c.Taxpayer)
	took := w.draw(200*time.Millisecond, 3*time.Second)
	if f == goesLate || f == loses || f == drops {
		took = w.draw(time.Second, simCall)
	}
	died := o.i.sleep(took)
	w.arrived(p)
	if died { // the process is gone; what it sent may still be judged
		if f != drops && f != stops && f != turnsAway && f != unlistedNot {
			w.judgeLater(p, c)
		}
		return bridge.Outcome{Class: bridge.Unknown, Message: "process died", Sent: true}
	}
	return o.answer(p, c, f)
}

// answer judges a send and words the reply.
func (o *office) answer(p *paper, c bridge.Cancellation, f fate) bridge.Outcome {
	w := o.w
	said := func(class bridge.Class, text string) bridge.Outcome {
		return bridge.Outcome{Class: class, Message: text, Sent: true, HTTPStatus: 200}
	}
	switch f {
	case replies:
		return w.judge(p, c)
	case loses, another:
		w.judge(p, c)
		return said(bridge.Unknown, "no reply")
	case goesLate:
		w.judgeLater(p, c)
		return said(bridge.Unknown, "no reply")
	case drops:
		return said(bridge.Unknown, "no reply")
	case stops:
		return said(bridge.NotApplied, "429")
	case tooMany:
		w.judge(p, c)
		return said(bridge.NotApplied, "429")
	case unlisted:
		w.judge(p, c)
		return said(bridge.Unclear, "7777: in no list")
	case unlistedNot:
		return said(bridge.Unclear, "7777: in no list")
	case seals:
		if got := w.judge(p, c); got.Class != bridge.Cancelled {
			return got
		}
		o := said(bridge.Unknown, "sealed")
		o.Claimed = true
		return o
	case checksFirst:
		return said(bridge.Refused, "2270: the time limit is crossed")
	default:
		return said(bridge.Misconfigured, "403")
	}
}

// judge carries one send out and says what the authority replies.
func (w *world) judge(p *paper, c bridge.Cancellation) bridge.Outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := bridge.Outcome{Sent: true, HTTPStatus: 200}
	switch {
	case p.by != "" && p.byID:
		o.Class, o.Message, o.ByState = bridge.Refused, "IncorrectState", true
	case p.by != "":
		o.Class, o.Message = bridge.AlreadyCancelled, "9999: Invoice is not active"
	case p.rule && p.byID:
		o.Class, o.Message, o.ByState = bridge.Refused, "IncorrectState", true
	case p.rule:
		o.Class, o.Message = bridge.Refused, "2230: an e-way bill is active"
	default:
		p.by, p.at = c.Taxpayer, time.Now()
		w.tellLocked("… %s is cancelled, for %s", p.name, c.Taxpayer)
		o.Class, o.Date = bridge.Cancelled, p.at.UTC().Format(time.DateTime)
	}
	return o
}

// judgeLater carries out what its sender has given up.
func (w *world) judgeLater(p *paper, c bridge.Cancellation) {
	w.mu.Lock()
	p.pending[c.Taxpayer]++
	d := w.drawLocked(0, latest-time.Second)
	w.mu.Unlock()
	w.timers.Add(1)
	time.AfterFunc(d, func() {
		defer w.timers.Done()
		w.mu.Lock()
		p.pending[c.Taxpayer]--
		w.mu.Unlock()
		w.judge(p, c)
	})
}

// Lookup implements bridge.Upstream.
func (o *office) Lookup(_ context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	w, p := o.w, o.papers[c.Document]
	v := w.nextView()
	if p != nil {
		w.tell("%s asks for %s: it %s", o.i.name, p.name, viewWords[v])
	}
	o.i.sleep(w.draw(100*time.Millisecond, 2*time.Second))
	switch {
	case v == closed:
		return bridge.DocumentState{}, fmt.Errorf("breaker open: %w", bridge.ErrUnavailable)
	case v == fails:
		return bridge.DocumentState{}, errors.New("no reply")
	case v == denies || p == nil || p.hidden:
		return bridge.DocumentState{Text: "2148: no such document"}, nil
	}
	return w.state(p, v == lags), nil
}

// state is what a read of the paper shows.
func (w *world) state(p *paper, lagging bool) bridge.DocumentState {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Now()
	if lagging {
		at = at.Add(-w.drawLocked(0, readLag))
	}
	switch {
	case p.by != "" && !p.at.After(at):
		return bridge.DocumentState{Status: bridge.StatusCancelled}
	case p.rule && strings.HasPrefix(p.name, "frozen"):
		return bridge.DocumentState{Status: bridge.StatusOther, Text: "Invalid"}
	}
	return bridge.DocumentState{Status: bridge.StatusActive, Text: "ACT"}
}
