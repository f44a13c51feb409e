package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// What must never be, held against the truth at the moment when it happens. That every answer comes is judged at the
// story's end, when nothing breaks any more and everybody asks until he knows.

// simSlack is how much later than booked a cancel may leave: what was learnt before and the attempt are written in
// between, and that may take a while.
const simSlack = 2*diskTime + time.Second

// sent notes a cancel that leaves.
func (w *world) sent(o *office, p *paper, taxpayer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.left[taxpayer]++
	if p.running++; p.running > 1 {
		w.wrongLocked("two cancels of %s are under way at once", p.name)
	}
	if _, told := p.word[taxpayer]; told {
		w.wrongLocked("a cancel of %s for %s, who was told that it is cancelled", p.name, taxpayer)
	}
	if e, ok := w.recorded(o.profile.Space, p, taxpayer); ok && e.Outcome.Class == bridge.Cancelled {
		w.wrongLocked("a cancel of %s for %s, and the record has it cancelled", p.name, taxpayer)
	}
	if !w.asked[wish{taxpayer, o.profile.Space, p.id}] {
		w.wrongLocked("a cancel of %s for %s, and nobody has asked for it", p.name, taxpayer)
	}
	if w.plan.sqlite || w.stalled { // its clock may be set; what it had booked may leave later
		w.sends = append(w.sends, time.Now())
		return
	}
	for _, key := range [...]string{o.profile.Credential, o.profile.Cancels.Key} {
		if g := w.gates[key]; time.Since(g.shut) > simSlack && time.Now().Before(g.until) {
			w.wrongLocked("a cancel of %s leaves although the gate is shut for %s more", p.name, time.Until(g.until))
		}
	}
	if o.profile.Cancels.Limit == 0 {
		return
	}
	w.sends = append(w.sends, time.Now())
	if n, most := len(w.sends), o.profile.Cancels.Limit; n > most && w.sends[n-1].Sub(w.sends[n-1-most]) < time.Minute-simSlack {
		w.wrongLocked("%d cancels within %s, %d a minute are allowed", most+1, w.sends[n-1].Sub(w.sends[n-1-most]), most)
	}
}

func (w *world) arrived(p *paper) {
	w.mu.Lock()
	p.running--
	w.mu.Unlock()
}

// gate is when a gate was shut last, and until when at least.
type gate struct{ shut, until time.Time }

// shut notes that a process has shut one.
func (w *world) shut(i *process, key string, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tellLocked("%s shuts the gate %s for %s", i.name, key, time.Until(until).Round(time.Millisecond))
	g := w.gates[key]
	if !time.Now().Before(g.until) {
		g.shut = time.Now()
	}
	if until.After(g.until) {
		g.until = until
	}
	w.gates[key] = g
}

// recorded is what the model has of a paper; SQLite's file is not asked.
func (w *world) recorded(space string, p *paper, taxpayer string) (bridge.Entry, bool) {
	for _, e := range w.model.Entries() {
		if e.Key.Space == space && e.Key.Document == p.id && e.Taxpayer == taxpayer {
			return e, true
		}
	}
	return bridge.Entry{}, false
}

// watcher is the observer of a process.
type watcher struct{ i *process }

// Answered implements bridge.Observer.
func (x watcher) Answered(r *bridge.CallReport) {
	w := x.i.w
	w.mu.Lock()
	defer w.mu.Unlock()
	left := 0
	for _, home := range w.homes[:] {
		if p := home[r.Key.Document]; p != nil {
			left = max(left, p.left[r.Taxpayer])
		}
	}
	switch {
	case r.Sends > left:
		w.wrongLocked("%s is said to have sent %d cancels, and %d have left", r.Ref, r.Sends, left)
	case r.Sends > 0 && r.Answer.Fault == bridge.FaultBusy && !x.i.died():
		w.wrongLocked("%s is told that nothing was sent for it, and %d cancels were", r.Ref, r.Sends)
	}
}

// Attempted implements bridge.Observer.
func (watcher) Attempted(bridge.AttemptReport) {}

// Alarm implements bridge.Observer.
func (x watcher) Alarm(a bridge.Alarm) {
	if !x.i.died() && x.i.said.Swap(a.Text) != a.Text { // once, not every two seconds
		x.i.w.tell("%s calls an operator: %s", x.i.name, a.Text)
	}
}

// ask is one call, judged at the moment of its answer. Who asked a process that dies hears nothing.
func (w *world) ask(i *process, a act, within time.Duration) (ans bridge.Answer, heard bool) {
	id := docID(a.doc)
	t := i.terms.Load()
	up, _ := t.Route(taxpayerName(a.who))
	o := up.(*office)
	p := o.papers[id]
	w.mu.Lock()
	w.refs++
	ref := fmt.Sprintf("r%d", w.refs)
	w.asked[wish{taxpayerName(a.who), o.profile.Space, id}] = true
	w.tellLocked("%s: %s asks %s to cancel %s, within %s", ref, taxpayerName(a.who), i.name, p.name, within.Round(time.Millisecond))
	w.mu.Unlock()
	r := bridge.Request{Ref: ref, Caller: "erp", Taxpayer: taxpayerName(a.who), IRN: [...]string{id, strings.ToUpper(id), "no-" + id}[a.spelling],
		Reason: string(a.reason), Remarks: "x", Received: time.Now(), Until: time.Now().Add(within)}
	if a.recall {
		if ans, heard = i.service.Recall(t, &r); !heard {
			w.tell("%s is turned away", ref)
			return ans, false
		}
	} else {
		ans = i.service.Cancel(t, &r)
	}
	if i.died() {
		w.tell("%s hears nothing: %s has died", ref, i.name)
		return ans, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tellLocked("%s is told %d %s%s (%s)", ref, ans.Code(), ans.Message, ans.Fault, ans.Why)
	w.judgeAnswer(o, p, r, ans)
	return ans, true
}

func (w *world) judgeAnswer(o *office, p *paper, r bridge.Request, ans bridge.Answer) {
	ours := p.by == r.Taxpayer
	coming := p.pending[r.Taxpayer] > 0 && p.by == "" && !p.rule
	date, told := p.word[r.Taxpayer]
	if over := time.Since(r.Until); over > 10*time.Millisecond {
		w.wrongLocked("%s had to wait %s too long", r.Ref, over)
	}
	switch {
	case ans.Code() == 200:
		p.word[r.Taxpayer] = ans.CancelDate
		switch {
		case p.by == "":
			w.wrongLocked("%s is told 200 for %s, which is not cancelled", r.Ref, p.name)
		case p.left[r.Taxpayer] == 0 && w.deaths+len(w.plan.faults) == 0: // else the record may have an attempt that never left
			w.wrongLocked("%s is told 200 for %s, and no cancel of it has left for %s", r.Ref, p.name, r.Taxpayer)
		case told && date != ans.CancelDate:
			w.wrongLocked("%s is told that %s was cancelled at %s, and %s before", r.Ref, p.name, ans.CancelDate, date)
		case ans.IRN != r.IRN:
			w.wrongLocked("%s is told of %q, and has asked for %q", r.Ref, ans.IRN, r.IRN)
		}
	case ans.Code() == 204 && (ours || coming):
		w.wrongLocked("%s is told 204 %q for %s, which we have cancelled", r.Ref, ans.Message, p.name)
	case ans.Fault == bridge.FaultNotApplied && (ours || coming) && !p.lied:
		w.wrongLocked("%s is told that %s was not cancelled, and it is", r.Ref, p.name)
	case ans.Fault == bridge.FaultWaiting && !w.plan.sqlite:
		if _, ok := w.recorded(o.profile.Space, p, r.Taxpayer); !ok {
			w.wrongLocked("%s is told that %s waits its turn, and nothing is on record", r.Ref, p.name)
		}
	}
}

// settle is the story's end: nothing breaks any more, everybody comes back, and asks until there is an answer.
func (w *world) settle() {
	w.mu.Lock()
	w.calm = true
	w.tellLocked("from now on nothing breaks")
	w.mu.Unlock()
	for who := range simTaxpayers {
		w.move(who, 0)
	}
	if w.plan.sqlite && w.setBack {
		time.Sleep(time.Hour)
	}
	type ask struct{ who, doc int }
	last := map[ask]bridge.Answer{}
	for round := range 30 {
		open := 0
		for who := range simTaxpayers {
			for doc := range w.plan.papers {
				x := ask{who, doc}
				had, again := last[x]
				if !w.asked[wish{taxpayerName(who), "irp", docID(doc)}] || again && had.Fault == "" || round > 12 && w.homes[0][docID(doc)].hidden {
					continue
				}
				last[x], _ = w.ask(w.proc(round%len(w.procs)), act{who: who, doc: doc, reason: "1"}, 50*time.Second)
				open++
			}
		}
		if open == 0 {
			break
		}
		time.Sleep(35 * time.Second)
	}
	time.Sleep(2 * time.Minute) // for what may yet come to light
	for who := range simTaxpayers {
		for doc := range w.plan.papers {
			x := ask{who, doc}
			if ans, asked := last[x]; asked {
				if again, _ := w.ask(w.proc(0), act{who: who, doc: doc, reason: "1"}, 50*time.Second); again.Fault == "" {
					ans = again
				}
				w.judgeLast(who, doc, ans)
			}
		}
	}
	for n := 0; w.plan.rate > 0 && n < 4*w.refs/w.plan.rate && w.somebodyWaits(); n++ { // for what that has made wait
		time.Sleep(time.Minute)
	}
}

// somebodyWaits tells whether a cancellation still waits its turn.
func (w *world) somebodyWaits() bool {
	return w.plan.sqlite || slices.ContainsFunc(w.model.Entries(), func(e bridge.Entry) bool { return e.State == bridge.Accepted })
}

// judgeLast holds the last answer against the truth.
func (w *world) judgeLast(who, doc int, ans bridge.Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.homes[0][docID(doc)]
	switch {
	case ans.Fault != "" && !p.hidden:
		w.wrongLocked("the last word on %s for %s is no answer: %s (%s)", p.name, taxpayerName(who), ans.Fault, ans.Why)
	case p.by == taxpayerName(who) && ans.Fault == "" && ans.Code() != 200:
		w.wrongLocked("the last word on %s, which %s has cancelled, is %d %s", p.name, taxpayerName(who), ans.Code(), ans.Message)
	}
}

// judgeEnd looks at the record when all is over.
func (w *world) judgeEnd() {
	if w.plan.sqlite {
		return
	}
	for _, e := range w.model.Entries() {
		p := w.homes[0][e.Key.Document]
		if e.Key.Space != "irp" {
			p = w.homes[2][e.Key.Document]
		}
		switch {
		case p == nil:
			w.wrong("the record has a document %s for %s, which no authority knows by that name", e.Key.Document, e.Taxpayer)
		case e.State == bridge.Accepted && e.Key.Space == "irp":
			w.wrong("%s was accepted for %s and never carried out", p.name, e.Taxpayer)
		case e.State == bridge.Sending:
			w.wrong("%s is still being sent for %s", p.name, e.Taxpayer)
		case e.State == bridge.Final && e.Outcome.Class == bridge.Cancelled && p.by == "":
			w.wrong("the record has %s cancelled for %s, and it is not", p.name, e.Taxpayer)
		case e.State == bridge.Final && e.Outcome.Class != bridge.Cancelled && p.by == e.Taxpayer && !(p.lied && e.Outcome.Class != bridge.Refused): // nobody sees through a 429 that lies
			w.wrong("the record has %s %s for %s, who has cancelled it", p.name, e.Outcome.Class, e.Taxpayer)
		}
	}
	if booked, sent := len(w.model.Sends("rate")), len(w.sends); w.plan.rate > 0 && w.deaths+w.lost == 0 && booked != sent {
		w.wrong("%d sends were booked and %d left", booked, sent)
	}
}
