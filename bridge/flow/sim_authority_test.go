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
	stops                   // stopped at the gate by a 429, which may say how long to stay away: nothing was judged
	never                   // never left this machine: no room for a login
	noEntry                 // nor this one: our login is refused
	tooMany                 // judged, and answered 429 all the same
	unlisted                // judged, and answered in words that are in no list
	unlistedNot             // not judged, and answered likewise
	another                 // judged; the answer names another document
	seals                   // judged; the answer can't be read but for its yes
	checksFirst             // refused by a check that comes before the document's state
	turnsAway               // our rights are refused, and calls stay away for a while
	fates
)

var fateWords = [fates]string{"is answered", "has its reply lost", "is lost on the way", "is given up, and judged later",
	"is stopped at the gate", "never leaves", "never leaves, our login being refused", "is judged and answered 429", "is judged and answered in unlisted words",
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

// naming is what becomes of one question for a document's id.
type naming uint8

const (
	knows    naming = iota
	slow            // may take longer than the caller has
	unasked         // can't be asked
	turnedUs        // our rights are refused
	namings
)

// paper is one document at the authority. Its own clock is time.Now.
type paper struct {
	name, id  string
	paperPlan // rule: it may not be cancelled (frozen: and is shown so); byID: "already" is told as IncorrectState; hidden: not for us to view

	by      string            // who cancelled it: a taxpayer of ours, "somebody else", or nobody
	at      time.Time         // when
	lied    bool              // a cancel of it was answered 429 although it had been carried out
	running int               // cancels under way
	left    map[string]int    // cancels of ours that left, by taxpayer
	pending map[string]int    // of these, those that were given up and will still be judged
	word    map[string]string // to whom of ours success was told, and the date
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
	switch f {
	case never:
		return bridge.Outcome{Class: bridge.NotApplied, Message: "login held back", RetryAfter: max(0, w.draw(-20*time.Second, 20*time.Second))}
	case noEntry:
		return o.shut(bridge.Outcome{Class: bridge.Misconfigured, Message: "login refused"}, misconfHold)
	}
	w.sent(o, p, c.Taxpayer)
	took := w.draw(200*time.Millisecond, 3*time.Second)
	if f == goesLate || f == loses || f == drops {
		took = w.draw(time.Second, simCall)
	}
	died := o.i.sleep(took)
	w.arrived(p)
	if died { // the process is gone; what it sent may still be judged
		if f != drops && f != stops && f != turnsAway && f != unlistedNot && f != checksFirst {
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
	case tooMany:
		w.judge(p, c)
		w.mu.Lock()
		p.lied = true
		w.mu.Unlock()
		fallthrough
	case stops:
		no := said(bridge.NotApplied, "429")
		if no.RetryAfter = max(0, w.draw(-time.Minute, time.Minute)); no.RetryAfter > 0 {
			return o.shut(no, no.RetryAfter)
		}
		return no
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
		return o.shut(said(bridge.Misconfigured, "403"), misconfHold)
	}
}

// misconfHold is how long calls stay away from who refuses our credentials.
const misconfHold = time.Minute

// shut closes the gate that an outcome says to stay behind, as the adapters' guard does: the taxpayer's own, or now and
// then that of the account that all share.
func (o *office) shut(out bridge.Outcome, d time.Duration) bridge.Outcome {
	key := o.profile.Credential
	if o.w.plan.rate > 0 && o.w.draw(0, 2) == 0 {
		key = o.profile.Cancels.Key
	}
	until := time.Now().Add(d)
	if err := o.i.disk.Shut(context.Background(), key, bridge.Gate{Class: out.Class, Until: o.i.now().Add(d), Text: out.Message}); err == nil {
		o.w.shut(o.i, key, until)
	}
	return out
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
	case p.rule && p.frozen:
		return bridge.DocumentState{Status: bridge.StatusOther, Text: "Invalid"}
	}
	return bridge.DocumentState{Status: bridge.StatusActive, Text: "ACT"}
}

// Resolve implements bridge.Resolver: callers may use a number of their own. "No such document" is told of none that there
// is; an authority whose names lie would make any answer false.
func (o *office) Resolve(ctx context.Context, name string) (string, bridge.Outcome) {
	n := o.w.nextNaming()
	took := time.Duration(0)
	switch n {
	case slow:
		took = o.w.draw(time.Second, 40*time.Second)
	case unasked, turnedUs:
		took = o.w.draw(0, 5*time.Second)
	}
	if took > 0 {
		o.w.tell("%s asks whose number %s is: that takes %s", o.i.name, name, took.Round(time.Millisecond))
		select {
		case <-time.After(took):
		case <-ctx.Done():
			return "", bridge.Outcome{Class: bridge.NotApplied, Message: "no reply"}
		}
	}
	switch n {
	case unasked:
		return "", bridge.Outcome{Class: bridge.NotApplied, Message: "breaker open", RetryAfter: 5 * time.Second}
	case turnedUs:
		return "", o.shut(bridge.Outcome{Class: bridge.Misconfigured, Message: "login refused"}, misconfHold)
	}
	return strings.TrimPrefix(name, "no-"), bridge.Outcome{}
}
