package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// storyPage answers "what happened to this invoice".
type storyPage struct {
	Of      string
	Stories []telling
}

// telling is one taxpayer's story of a document, ready to be read.
type telling struct {
	bridge.Story
	Standing  badge
	Verdict   []string
	Otherwise []bridge.Ask // last told the opposite of what is true
	Events    []Event
	Chain     chain
	Back      string // of this page, for the forms
}

// chain is the call that decided: what came in, what went out, what came back, what was told.
type chain struct {
	SOAPIn, SOAPOut []byte
	Exchange        *bridge.Exchange
}

func (p *pages) show(w http.ResponseWriter, r *http.Request) error {
	of := r.URL.Query().Get("of")
	stories, err := p.Records.Show(r.Context(), of)
	if err != nil {
		return err
	}
	s := storyPage{Of: of}
	live := false
	for _, story := range stories {
		s.Stories = append(s.Stories, tell(story, p.zone))
		live = live || story.Entry.State != bridge.Final && story.Entry.ID != 0
	}
	return p.render(w, r, http.StatusOK, "story", page{
		Title: short(stories[0].Entry.Key.Document), Tab: "/cancellations", Live: live, Search: stories[0].Entry.Key.Document,
		Notice: notices[r.URL.Query().Get("done")], Body: s,
	})
}

func tell(s bridge.Story, z Zone) telling {
	t := telling{Story: s, Standing: standing(s.Entry), Verdict: Verdict(s, z), Otherwise: otherwise(s), Events: Events(s, z), Chain: chainOf(s)}
	if t.Back = s.Entry.Key.Document; s.Entry.ID != 0 {
		t.Back = strconv.FormatInt(s.Entry.ID, 10)
	}
	return t
}

// Waiting tells whether the entry can be withdrawn.
func (t telling) Waiting() bool { return t.Entry.State == bridge.Accepted && t.Entry.ID != 0 }

// Doubtful tells whether the portal must be asked.
func (t telling) Doubtful() bool { return t.Entry.State == bridge.Open }

// Correctable tells whether an operator's evidence can still change the end.
func (t telling) Correctable() bool {
	return t.Entry.ID != 0 && t.Entry.State == bridge.Final && t.Entry.Outcome.Class != bridge.Cancelled
}

// Verdict says in sentences what is known.
func Verdict(s bridge.Story, z Zone) []string {
	e, o := s.Entry, s.Entry.Outcome
	switch {
	case e.ID == 0:
		return []string{"Nothing was sent to the authority: the bridge refused every call for this document itself, as a rule of the taxpayer's upstream was broken."}
	case e.State == bridge.Accepted:
		return []string{"It is written down and waits its turn; nothing has been sent yet.",
			"It is carried out by " + z.Clock(e.Expires) + ", or given up."}
	case e.State == bridge.Sending:
		return []string{"It is being sent to " + e.Upstream + " right now."}
	case e.State == bridge.Open:
		return doubt(e, z)
	}
	if hand := e.ByHand(); hand != nil {
		return []string{recorded(o, e.Key.Space), wordOf(hand, z)}
	}
	switch o.Class {
	case bridge.Cancelled:
		return []string{"It is cancelled at the authority, dated " + Dated(o.Date, e.Key.Space) + " (" + dateText(o.DateSource) + ")."}
	case bridge.Refused:
		return []string{"It is not cancelled. The authority refused: " + o.Message}
	case bridge.NotApplied:
		return []string{because("It is not cancelled", cmp.Or(o.Message, "nothing was carried out")), "The caller may send it again."}
	case bridge.Misconfigured:
		return []string{because("It is not cancelled; credentials, address or rights of the bridge are wrong", o.Message), o.Alarm}
	}
	return []string{"It ended as: " + classText(o.Class) + "."}
}

// doubt says what is known of a doubtful entry, and who finds out more.
func doubt(e bridge.Entry, z Zone) []string {
	what := "It is not known whether it is cancelled"
	if at := firstSent(e); !at.IsZero() {
		what += "; what was sent on " + z.Clock(at) + " has no clear answer"
	}
	if what = because(what, Why(e)); e.NextLookup.IsZero() {
		return []string{what, "The bridge doesn't look it up any more: see the authority's portal and record below what it shows."}
	}
	return []string{what, "The bridge goes on looking; next lookup " + lookupText(e.NextLookup) + ".",
		"Or look it up in the authority's portal and record below what it shows."}
}

// recorded says what an operator recorded.
func recorded(o bridge.Outcome, space string) string {
	switch o.Class {
	case bridge.Cancelled:
		return "It is recorded as cancelled, dated " + Dated(o.Date, space) + "."
	case bridge.Refused:
		return because("It is recorded as not cancelled and past cancelling", o.Message)
	}
	return because("It is recorded as not cancelled", o.Message)
}

func dateText(s bridge.DateSource) string {
	switch s {
	case bridge.DateReply:
		return "time of its reply, which names no date"
	case bridge.DateEstimated:
		return "estimated from the first attempt"
	case bridge.DateOperator:
		return "as an operator recorded it"
	}
	return "its own date"
}

// otherwise lists the callers whose last definite answer is the opposite of the truth.
func otherwise(s bridge.Story) []bridge.Ask {
	if s.Entry.State != bridge.Final || s.Entry.ID == 0 {
		return nil
	}
	cancelled := s.Entry.Outcome.Class == bridge.Cancelled
	last := map[string]bridge.Ask{}
	for _, a := range s.Asks {
		switch c := a.Told.Class; {
		case a.How == bridge.FromCheck && (c == bridge.Cancelled) != cancelled:
		case c == bridge.Cancelled, c == bridge.Refused, c == bridge.NotApplied:
			last[a.Caller] = a
		}
	}
	var all []bridge.Ask
	for _, a := range last {
		if (a.Told.Class == bridge.Cancelled) != cancelled {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b bridge.Ask) int { return cmp.Compare(a.Caller, b.Caller) })
	return all
}

// Event is one thing on the time line.
type Event struct {
	At     time.Time
	Offset string // since the first one
	What   string
	Detail string
	Colour string
	Took   time.Duration // 0: a moment
	Bar    float64       // per cent of the longest
}

// Events puts calls, attempts and answers into one order.
func Events(s bridge.Story, z Zone) []Event {
	all := askEvents(s, z)
	for _, a := range s.Entry.Attempts {
		all = append(all, attemptEvent(a))
	}
	slices.SortStableFunc(all, func(a, b Event) int { return a.At.Compare(b.At) })
	longest := time.Millisecond
	for _, e := range all {
		longest = max(longest, e.Took)
	}
	for i := range all {
		all[i].Offset = "+" + tookText(all[i].At.Sub(all[0].At))
		all[i].Bar = float64(all[i].Took) / float64(longest) * 100
	}
	return all
}

// askEvents are a call and an answer for each ask; one for a run of repeats that were answered alike from the journal.
func askEvents(s bridge.Story, z Zone) (all []Event) {
	asks, hand := s.Asks, s.Entry.ByHand()
	for i := 0; i < len(asks); i++ {
		a, caller := asks[i], cmp.Or(asks[i].Caller, "a caller")
		last := i
		for last+1 < len(asks) && a.How == bridge.FromJournal && sameAnswer(a, asks[last+1]) {
			last++
		}
		answer := Event{At: a.ToldAt, What: caller + " was told " + strconv.Itoa(a.Told.Code()), Colour: a.Told.Class.String(),
			Detail: toldText(a.Told, s.Entry.Key.Space) + " · " + howText(a.How)}
		if a.Told.Why != "" {
			answer.Detail += " · " + a.Told.Why
		}
		if byWord(a, hand) {
			answer.Detail += " · by the word of " + hand.By
		}
		switch {
		case last > i:
			answer.At, answer.What = a.Received, fmt.Sprintf("%s asked again, %d times until %s, and was told %d", caller, last-i+1, z.Clock(asks[last].ToldAt), a.Told.Code())
		case a.How == bridge.FromJournal:
			answer.At, answer.What = a.Received, fmt.Sprintf("%s asked again and was told %d", caller, a.Told.Code())
		default:
			all = append(all, Event{At: a.Received, What: caller + " asked", Detail: "ref " + a.Ref, Colour: "ask"})
		}
		all, i = append(all, answer), last
	}
	return all
}

// byWord tells that a call was answered by what an operator had recorded.
func byWord(a bridge.Ask, hand *bridge.Attempt) bool {
	return hand != nil && a.Told.Class == hand.Outcome.Class && a.ToldAt.After(hand.Start)
}

func sameAnswer(a, b bridge.Ask) bool {
	return a.Caller == b.Caller && a.How == b.How && a.Told.Class == b.Told.Class && toldText(a.Told, "") == toldText(b.Told, "")
}

func attemptEvent(a bridge.Attempt) Event {
	e := Event{At: a.Start, Detail: a.Outcome.Message, Colour: a.Outcome.Class.String()}
	if !a.End.IsZero() {
		e.Took = a.End.Sub(a.Start)
	}
	end := classText(a.Outcome.Class)
	switch {
	case a.End.IsZero():
		end = "no end is recorded"
	case a.Kind == bridge.AskState && a.Outcome.Class == bridge.NotApplied:
		end = "not cancelled"
	}
	switch a.Kind {
	case bridge.SendCancel:
		if !Sent(a) {
			e.What = "not sent to " + a.Upstream + ": " + end
			break
		}
		e.What = "sent to " + a.Upstream + ": " + end
	case bridge.AskState:
		e.What = "looked up at " + a.Upstream + ": " + end
	case bridge.ResolveHand, bridge.TakeBack:
		e.What = a.By + " recorded: " + end
		e.Detail, e.Took = a.Outcome.Alarm, 0
	}
	return e
}

// chainOf finds the call that was carried out, and what went over the wire for it.
func chainOf(s bridge.Story) (c chain) {
	for _, a := range s.Asks {
		if c.SOAPIn == nil || a.How == bridge.FromUpstream {
			c.SOAPIn, c.SOAPOut = a.SOAPIn, a.SOAPOut
		}
	}
	for _, a := range s.Entry.Attempts {
		for i, x := range a.Outcome.Exchanges {
			if x.Purpose == "cancel" {
				c.Exchange = &a.Outcome.Exchanges[i]
			}
		}
	}
	return c
}

var notices = map[string]string{
	"resolved":  "Recorded as your word. Callers who ask again hear it.",
	"asked":     "The authority is being asked. Reload in a few seconds, unless the page does so itself.",
	"withdrawn": "Withdrawn: it will not be sent. Callers who ask again are told that it was not cancelled.",
}

const noWhy = "Say where you saw it: the next person to read this wants to know. Go back and fill it in."

// resolve records what an operator found out at the authority's own portal.
func (p *pages) resolve(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	o, err := evidence(r, r.PostFormValue("date"))
	if err != nil {
		return err
	}
	why := bridge.OneLine(r.PostFormValue("why"), 500)
	if why == "" {
		return mistake{http.StatusBadRequest, noWhy}
	}
	force := r.PostFormValue("force") != ""
	if _, err := p.Records.Resolve(r.Context(), id, o, p.who(r), why, force); err != nil {
		return mistake{http.StatusConflict, "It could not be recorded: " + err.Error() + ". Go back; the box under the choices stands for --yes."}
	}
	p.Log.Info("console: outcome recorded by hand", "entry", id, "outcome", o.Class.String(), "by", p.who(r))
	return back(w, r, id, "resolved")
}

// evidence is the outcome that the form describes, with its cancel date.
func evidence(r *http.Request, date string) (o bridge.Outcome, err error) {
	if o.Class, err = bridge.ParseClass(r.PostFormValue("outcome")); err != nil {
		return o, mistake{http.StatusBadRequest, "Choose what the portal shows."}
	}
	switch o.Class {
	case bridge.Cancelled:
		t, ok := Zone{time.UTC}.moment(strings.TrimSpace(date)) // the authority's zone, as it writes it
		if !ok {
			return o, mistake{http.StatusBadRequest, "Give the cancel date as the portal shows it, like 2026-04-01 15:04:05: callers are told it."}
		}
		o.Date = t.Format(time.DateTime)
	case bridge.Refused:
		if o.Message = bridge.OneLine(r.PostFormValue("message"), 500); o.Message == "" {
			return o, mistake{http.StatusBadRequest, "Give the reason in the authority's words: callers are told it."}
		}
	}
	return o, nil
}

func (p *pages) withdraw(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	if _, err := p.Records.Withdraw(r.Context(), id, p.who(r)); err != nil {
		return mistake{http.StatusConflict, "It could not be withdrawn: " + err.Error()}
	}
	p.Log.Info("console: withdrawn", "entry", id, "by", p.who(r))
	return back(w, r, id, "withdrawn")
}

func (p *pages) lookUp(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	if err := p.Records.LookUpSoon(r.Context(), id); errors.Is(err, bridge.ErrNotWaiting) {
		return back(w, r, id, "") // settled meanwhile: the page says how
	} else if err != nil {
		return err
	}
	return back(w, r, id, "asked")
}

func idOf(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PostFormValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, mistake{http.StatusBadRequest, "The form is damaged; go back and reload the page."}
	}
	return id, nil
}

func back(w http.ResponseWriter, r *http.Request, id int64, done string) error {
	q := url.Values{"of": {strconv.FormatInt(id, 10)}, "done": {done}}
	http.Redirect(w, r, "/show?"+q.Encode(), http.StatusSeeOther)
	return nil
}
