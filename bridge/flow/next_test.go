package flow

import (
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// The table of design §4, line by line: what is on record and what the flight has done, and what follows.

var t0 = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// sent is a cancel that ended with this outcome; none: the process died in it.
func sent(o bridge.Outcome) bridge.Attempt {
	return bridge.Attempt{Kind: bridge.SendCancel, Start: t0, End: t0.Add(time.Second), Outcome: o}
}

// saw is a lookup and what it brought to light.
func saw(c bridge.Class) bridge.Attempt {
	return bridge.Attempt{Kind: bridge.AskState, Start: t0.Add(time.Second), End: t0.Add(2 * time.Second), Outcome: bridge.Outcome{Class: c, Message: "as shown"}}
}

var (
	active   = saw(bridge.NotApplied)
	final    = saw(bridge.Refused)
	shown    = saw(bridge.AlreadyCancelled)
	noAnswer = saw(bridge.Unknown)
	proof    = func() bridge.Attempt { a := active; a.Outcome.Proof = true; return a }()
	word     = bridge.Attempt{Kind: bridge.ResolveHand, Outcome: bridge.Outcome{Class: bridge.NotApplied}}

	takenBack = bridge.Attempt{Kind: bridge.TakeBack, Outcome: bridge.Outcome{Class: bridge.NotApplied}}

	oCancelled = bridge.Outcome{Class: bridge.Cancelled, Date: "2026-03-01 15:30:01"}
	oRefused   = bridge.Outcome{Class: bridge.Refused, Message: "2270: too late"}
	oByState   = bridge.Outcome{Class: bridge.Refused, Message: "IncorrectState", ByState: true}
	oAlready   = bridge.Outcome{Class: bridge.AlreadyCancelled, Message: "9999: not active"}
	oNot       = bridge.Outcome{Class: bridge.NotApplied, Message: "429"}
	oUnknown   = bridge.Outcome{Class: bridge.Unknown, Message: "reset"}
	oClaimed   = bridge.Outcome{Class: bridge.Unknown, Message: "sealed", Claimed: true}
	oUnclear   = bridge.Outcome{Class: bridge.Unclear, Message: "7777: new"}
	oMisconf   = bridge.Outcome{Class: bridge.Misconfigured}
	oNone      = bridge.Outcome{}
)

// with is an entry in a state with these attempts.
func with(s bridge.State, attempts ...bridge.Attempt) bridge.Entry {
	return bridge.Entry{ID: 1, State: s, Attempts: attempts, Updated: t0, Reason: "1", Remarks: "x"}
}

// ended is an entry with an outcome.
func ended(c bridge.Class, attempts ...bridge.Attempt) bridge.Entry {
	e := with(bridge.Final, attempts...)
	e.Outcome.Class = c
	return e
}

// row is one line of the table. Facts are those of a caller's flight that has the lease and 40 s left, changed by change.
type row struct {
	name   string
	entry  bridge.Entry
	change func(*facts)
	want   move
	class  bridge.Class // of end, recall and fail
	more   func(step) bool
}

func (r row) check(t *testing.T) {
	t.Helper()
	f := facts{
		progress: progress{held: true}, now: t0.Add(3 * time.Second), asked: &bridge.Cancellation{Reason: "1", Remarks: "x"},
		terms:   &Terms{RepeatRefusalsAfter: time.Minute, AlreadyCancelled: AlreadyByJournal},
		profile: &bridge.Profile{CallTimeout: 30 * time.Second, LookupWindow: 48 * time.Hour, Zone: time.FixedZone("IST", 19800)},
		left:    40 * time.Second, ripens: settling,
	}
	if r.change != nil {
		r.change(&f)
	}
	got := next(&r.entry, &f)
	if got.move != r.want || got.outcome.Class != r.class || r.more != nil && !r.more(got) {
		t.Errorf("%s:\n got move %d, %+v\nwant move %d, class %s", r.name, got.move, got, r.want, r.class)
	}
}

func all(changes ...func(*facts)) func(*facts) {
	return func(f *facts) {
		for _, c := range changes {
			c(f)
		}
	}
}

func tried(f *facts)   { f.begun, f.tries = true, 1 }     // just came back from a send
func thrice(f *facts)  { f.begun, f.tries = true, 3 }     // from the last one
func askedOf(f *facts) { f.begun, f.looks = true, 1 }     // from a lookup
func twice(f *facts)   { f.begun, f.looks = true, 2 }     // from the last one
func rested(f *facts)  { f.rested = true }                // from a pause
func booked(f *facts)  { f.booked = true }                // it is its turn
func barred(f *facts)  { f.begun, f.barred = true, true } // the breaker is open
func truth(f *facts)   { f.errand, f.left = forTruth, -1 }
func turnFor(f *facts) { f.errand, f.left = forTurn, 20*time.Minute }
func late(f *facts)    { f.left = -1 }
func free(f *facts)    { f.held = false }
func ripe(f *facts)    { f.ripens = 0 }
func success(f *facts) { f.terms.AlreadyCancelled = AlreadySuccess }
func refuse(f *facts)  { f.terms.AlreadyCancelled = AlreadyRefuse }
func nicText(f *facts) { f.terms.AlreadyMessage = "nic" }
func after(d time.Duration) func(*facts) {
	return func(f *facts) { f.now = t0.Add(d) }
}
func met(o obstacle) func(*facts) { return func(f *facts) { f.obstacle, f.begun = o, true } }

func says(text string) func(step) bool {
	return func(s step) bool { return s.outcome.Message == text }
}

func waits(d time.Duration, jitter bool) func(step) bool {
	return func(s step) bool { return s.wait == d && s.jitter == jitter }
}

func dateFrom(source bridge.DateSource, date string) func(step) bool {
	return func(s step) bool { return s.outcome.DateSource == source && s.outcome.Date == date }
}

func again(d time.Duration) func(step) bool {
	return func(s step) bool { return s.nextLook.Equal(t0.Add(d)) }
}

func TestNextOnRecord(t *testing.T) {
	const none = bridge.None
	for _, r := range []row{
		{"a new document is written down", bridge.Entry{}, free, take, none, nil},
		{"cancelled is told as often as asked", ended(bridge.Cancelled), free, recall, bridge.Cancelled, nil},
		{"… whatever the reason", ended(bridge.Cancelled), all(free, func(f *facts) { f.asked.Reason = "3" }), recall, bridge.Cancelled, nil},
		{"… and with the lease", ended(bridge.Cancelled), nil, recall, bridge.Cancelled, nil},
		{"a fresh refusal is told", ended(bridge.Refused), all(free, after(59*time.Second)), recall, bridge.Refused, nil},
		{"an old one is sent again", ended(bridge.Refused), all(free, after(60*time.Second)), take, none, nil},
		{"one of the future is no fresh one", ended(bridge.Refused), all(free, after(-time.Hour)), take, none, nil},
		{"one for another reason is sent", ended(bridge.Refused), all(free, func(f *facts) { f.asked.Reason = "2" }), take, none, nil},
		{"one with other remarks is sent", ended(bridge.Refused), all(free, func(f *facts) { f.asked.Remarks = "y" }), take, none, nil},
		{"not applied is sent again", ended(bridge.NotApplied), nil, queue, none, nil},
		{"misconfigured is tried again", ended(bridge.Misconfigured, sent(oMisconf)), nil, queue, none, nil},
		{"accepted waits its turn", with(bridge.Accepted), nil, queue, none, nil},
		{"… and is sent", with(bridge.Accepted), booked, send, none, nil},
		{"… from the record, too", with(bridge.Accepted), turnFor, queue, none, nil},
		{"an attempt on record is sent", with(bridge.Sending, sent(oNone)), func(f *facts) { f.armed = true }, send, none, nil},
		{"open is looked up first", with(bridge.Open, sent(oUnknown)), nil, look, none, nil},
		{"… by the background", with(bridge.Open, sent(oUnknown)), truth, look, none, nil},
		{"what a dead process was sending is looked up first", with(bridge.Open, sent(oNone)), nil, look, none, nil},
		{"what ended while the flight was on its way is the answer", ended(bridge.NotApplied), func(f *facts) { f.begun = true }, recall, bridge.NotApplied, nil},
		{"the background tells what has ended", ended(bridge.Refused), all(truth, after(time.Hour)), recall, bridge.Refused, nil},
		{"a repeat of what is disproved is sent again", ended(bridge.NotApplied, sent(oUnknown), active, proof), nil, queue, none, nil},
		{"one that was ended in doubt is looked up first", ended(bridge.Refused, sent(oUnknown), sent(oRefused)), after(time.Hour), look, none, nil},
	} {
		r.check(t)
	}
}

func TestNextAfterASend(t *testing.T) {
	const none = bridge.None
	one := func(o bridge.Outcome) bridge.Entry { return with(bridge.Sending, sent(o)) }
	for _, r := range []row{
		{"cancelled", one(oCancelled), tried, end, bridge.Cancelled, dateFrom(bridge.DateUpstream, "2026-03-01 15:30:01")},
		{"cancelled without a date", one(bridge.Outcome{Class: bridge.Cancelled}), tried, end, bridge.Cancelled, dateFrom(bridge.DateEstimated, "2026-03-01 15:30:00")},
		{"refused", one(oRefused), tried, end, bridge.Refused, says("2270: too late")},
		{"misconfigured", one(oMisconf), tried, end, bridge.Misconfigured, nil},
		{"not applied pauses", one(oNot), tried, pause, none, waits(time.Second, true)},
		{"… longer the second time", with(bridge.Sending, sent(oNot), sent(oNot)), func(f *facts) { f.begun, f.tries = true, 2 }, pause, none, waits(3*time.Second, true)},
		{"… as long as the authority asks", one(bridge.Outcome{Class: bridge.NotApplied, RetryAfter: 20 * time.Second}), tried, pause, none, waits(20*time.Second, false)},
		{"… but not beyond the caller's time", one(bridge.Outcome{Class: bridge.NotApplied, RetryAfter: 41 * time.Second}), tried, end, bridge.NotApplied, nil},
		{"… waits its turn", one(oNot), all(tried, rested), queue, none, nil},
		{"… and sends", one(oNot), all(tried, rested, booked), send, none, nil},
		{"three times is enough", one(oNot), thrice, end, bridge.NotApplied, says("429")},
		{"nobody waits", one(oNot), all(tried, late), end, bridge.NotApplied, nil},
		{"unknown is looked up", one(oUnknown), tried, look, none, nil},
		{"unclear is looked up", one(oUnclear), tried, look, none, nil},
		{"a refusal by state is looked up", one(oByState), tried, look, none, nil},
		{"already cancelled, by somebody else", one(oAlready), tried, end, bridge.Refused, says("9999: not active")},
		{"… in the words that callers match on", one(oAlready), all(tried, nicText), end, bridge.Refused, says(NICAlready)},
		{"… counted as success is looked up first", one(oAlready), all(tried, success), look, none, nil},
		{"… and is", with(bridge.Open, sent(oAlready), shown), all(tried, askedOf, success), end, bridge.Cancelled, nil},
		{"… also when nobody answers", with(bridge.Open, sent(oAlready), noAnswer), all(tried, askedOf, success), end, bridge.Cancelled, nil},
		{"… also when the read lags", with(bridge.Open, sent(oAlready), active), all(tried, askedOf, success), end, bridge.Cancelled, nil},
		{"… but not in another final state", with(bridge.Open, sent(oAlready), final), all(tried, askedOf, success), end, bridge.Refused, nil},
	} {
		r.check(t)
	}
}

func TestNextByState(t *testing.T) {
	e := func(look bridge.Attempt) bridge.Entry { return with(bridge.Open, sent(oByState), look) }
	at := all(tried, askedOf)
	for _, r := range []row{
		{"not cancelled", e(active), at, end, bridge.Refused, says("IncorrectState")},
		{"can't be cancelled", e(final), at, end, bridge.Refused, says("IncorrectState")},
		{"cancelled by somebody else", e(shown), at, end, bridge.Refused, says("IncorrectState")},
		{"… as success", e(shown), all(at, success), end, bridge.Cancelled, nil},
		{"no answer", e(noAnswer), at, end, bridge.Refused, nil},
		{"can't be asked", with(bridge.Sending, sent(oByState)), all(tried, barred), end, bridge.Refused, nil},
		{"left behind by a crash", with(bridge.Open, sent(oByState)), truth, look, bridge.None, nil},
		{"… and looked up", e(active), all(truth, askedOf), end, bridge.Refused, nil},
	} {
		r.check(t)
	}
}

func TestNextInDoubt(t *testing.T) {
	const none = bridge.None
	open := func(all ...bridge.Attempt) bridge.Entry { return with(bridge.Open, all...) }
	at, at2 := all(tried, askedOf), all(tried, twice)
	for _, r := range []row{
		{"cancelled is proof", open(sent(oUnknown), shown), at, end, bridge.Cancelled, dateFrom(bridge.DateEstimated, "2026-03-01 15:30:00")},
		{"active is none: a pause, and once more", open(sent(oUnknown), active), at, pause, none, waits(time.Second, true)},
		{"… its turn", open(sent(oUnknown), active), all(at, rested), queue, none, nil},
		{"… and sent", open(sent(oUnknown), active), all(at, rested, booked), send, none, nil},
		{"active for a repeat is sent at once", open(sent(oUnknown), active), askedOf, queue, none, nil},
		{"another final state is no proof either, and is not sent again", open(sent(oUnknown), final), at, pause, none, waits(lookPause, false)},
		{"… until it is", open(sent(oUnknown), final, func() bridge.Attempt { a := final; a.Outcome.Proof = true; return a }()), all(truth, askedOf), end, bridge.Refused, says("as shown")},
		{"active for the background is left", open(sent(oUnknown), active), all(truth, askedOf), leave, none, again(30 * time.Second)},
		{"active after three sends is asked again", open(sent(oUnknown), active), all(thrice, askedOf), pause, none, waits(lookPause, false)},
		{"… and left", open(sent(oUnknown), active, active), all(thrice, twice), leave, none, nil},
		{"proof that nothing came of it", open(sent(oUnknown), active, proof), all(truth, askedOf), end, bridge.NotApplied, nil},
		{"… lets a caller's flight send again", open(sent(oUnknown), active, proof), askedOf, queue, none, nil},
		{"… of a crash", open(sent(oNone), active, proof), all(truth, askedOf), end, bridge.NotApplied, nil},
		{"no answer is asked again", open(sent(oUnknown), noAnswer), at, pause, none, waits(lookPause, false)},
		{"… after the pause", open(sent(oUnknown), noAnswer), all(at, rested), look, none, nil},
		{"… twice at most", open(sent(oUnknown), noAnswer, noAnswer), at2, leave, none, nil},
		{"… not when nobody waits", open(sent(oUnknown), noAnswer), all(at, late), leave, none, nil},
		{"can't be asked: no try counts", open(sent(oUnknown)), all(tried, barred), leave, none, again(33 * time.Second)},
		{"a repeat may send once more after two looks and two minutes", open(sent(oUnknown), noAnswer, noAnswer), all(twice, after(2*time.Minute)), queue, none, nil},
		{"… not earlier", open(sent(oUnknown), noAnswer, noAnswer), all(twice, after(119*time.Second)), leave, none, nil},
		{"… not by the background", open(sent(oUnknown), noAnswer, noAnswer), all(truth, twice, after(2*time.Minute)), leave, none, again(10 * time.Minute)},
		{"… not twice in one flight", open(sent(oUnknown), noAnswer, noAnswer), all(tried, twice, after(2*time.Minute)), leave, none, nil},

		// No verdict on a later send closes it.
		{"then refused", open(sent(oUnknown), active, sent(oRefused)), tried, look, none, nil},
		{"then misconfigured", open(sent(oUnknown), active, sent(oMisconf)), tried, look, none, nil},
		{"then not applied", open(sent(oUnknown), active, sent(oNot)), tried, look, none, nil},
		{"then refused by state", open(sent(oUnknown), active, sent(oByState)), tried, look, none, nil},
		{"then already cancelled", open(sent(oUnknown), active, sent(oAlready)), tried, look, none, nil},
		{"… under the policy refuse, too", open(sent(oUnknown), sent(oAlready)), all(tried, refuse), look, none, nil},
		{"then not applied, and active, is sent again", open(sent(oUnknown), sent(oNot), active), at, pause, none, waits(time.Second, true)},
		{"then refused, and active", open(sent(oUnknown), sent(oRefused), active), at, pause, none, waits(lookPause, false)},
		{"… is not sent again", open(sent(oUnknown), sent(oRefused), active, active), at2, leave, none, nil},
		{"then refused, and cancelled", open(sent(oUnknown), sent(oRefused), shown), at, end, bridge.Cancelled, nil},
		{"then refused, and proof", open(sent(oUnknown), sent(oRefused), active, proof), all(truth, askedOf), end, bridge.Refused, says("2270: too late")},
		{"then misconfigured, and proof", open(sent(oUnknown), sent(oMisconf), active, proof), all(truth, askedOf), end, bridge.Misconfigured, nil},
		{"then already cancelled, and seen so", open(sent(oUnknown), sent(oAlready), shown), at, end, bridge.Cancelled, nil},
		{"… seen active", open(sent(oUnknown), sent(oAlready), active, active), at2, leave, none, nil},
		{"… and nobody answers", open(sent(oUnknown), sent(oAlready), noAnswer, noAnswer), at2, end, bridge.Cancelled, nil},
		{"already cancelled after what seemed disproved is ours", open(sent(oUnknown), active, proof, sent(oAlready)), tried, look, none, nil},
		{"already cancelled after a 429 that did leave is ours", open(sent(bridge.Outcome{Class: bridge.NotApplied, Sent: true}), sent(oAlready)), tried, look, none, nil},
		{"… after one turned away for our rights, too", open(sent(bridge.Outcome{Class: bridge.Misconfigured, Sent: true}), sent(oAlready)), tried, look, none, nil},
		{"… after one that never left is not", open(sent(oNot), sent(oAlready)), tried, end, bridge.Refused, says("9999: not active")},
		{"already cancelled after an operator's no is looked up, too", open(sent(oUnknown), word, sent(oAlready)), tried, look, none, nil},
		{"an operator's word ends the doubt", open(sent(oUnknown), word, sent(oRefused)), tried, end, bridge.Refused, nil},
		{"taking back what waits is none", with(bridge.Sending, sent(bridge.Outcome{Class: bridge.NotApplied, Sent: true}), takenBack, sent(oRefused)), tried, look, none, nil},

		// The authority said yes, unreadably.
		{"claimed is looked up", with(bridge.Sending, sent(oClaimed)), tried, look, none, nil},
		{"… and seen active", open(sent(oClaimed), active, active), all(thrice, twice), leave, none, nil},
		{"… and nobody answers", open(sent(oClaimed), noAnswer, noAnswer), at2, end, bridge.Cancelled, nil},

		// An answer that nobody has listed.
		{"unclear and cancelled", open(sent(oUnclear), shown), at, end, bridge.Cancelled, nil},
		{"unclear and active: the read may lag", open(sent(oUnclear), active), at, pause, none, waits(settling, false)},
		{"… looked up when it can't any more", open(sent(oUnclear), active), all(at, rested, ripe), look, none, nil},
		{"… which makes it a refusal", open(sent(oUnclear), active, proof), at2, end, bridge.Refused, says("7777: new")},
		{"… or is left to the background", open(sent(oUnclear), active), all(at, func(f *facts) { f.left = 20 * time.Second }), leave, none, again(30 * time.Second)},
		{"unclear and no answer", open(sent(oUnclear), noAnswer, noAnswer), at2, leave, none, nil},
		{"unclear beside a cut-off one needs both looks", open(sent(oUnknown), sent(oUnclear), active), at, pause, none, waits(lookPause, false)},
		{"unclear, then already cancelled", open(sent(oUnclear), sent(oAlready), shown), at, end, bridge.Cancelled, nil},
	} {
		r.check(t)
	}
}

func TestNextStopped(t *testing.T) {
	const none = bridge.None
	busy := func(s step) bool { return s.fault == bridge.FaultBusy }
	for _, r := range []row{
		{"the record can't be read", bridge.Entry{}, all(free, met(broken)), fail, none, busy},
		{"a repeat can't be queued", ended(bridge.NotApplied), func(f *facts) { f.obstacle = broken }, fail, none, busy},
		{"accepted, and the attempt can't be written", with(bridge.Accepted), met(broken), park, none, nil},
		{"doubtful, and the attempt can't be written", with(bridge.Open, sent(oUnknown), active), all(askedOf, met(broken)), leave, none, nil},
		{"closing before anything is on record", bridge.Entry{}, all(free, met(closing)), fail, none, busy},
		{"closing while it waits", with(bridge.Accepted), met(closing), park, none, nil},
		{"closing between two sends", with(bridge.Accepted, sent(oNot)), all(tried, met(closing)), park, none, nil},
		{"… of which the last is not on record yet", with(bridge.Sending, sent(oNot)), all(tried, met(closing)), leave, none, nil},
		{"closing in doubt", with(bridge.Open, sent(oUnknown)), all(tried, met(closing)), leave, none, nil},
		{"somebody else has it now, and what was sent is not told", bridge.Entry{}, all(free, tried, met(broken)), fail, bridge.Unknown, nil},
		{"… nor when an operator has ended it, and the record can't be read", bridge.Entry{}, all(tried, met(broken)), fail, bridge.Unknown, nil},
		{"the gate is shut, nothing on record", bridge.Entry{}, all(free, met(gateShut)), fail, bridge.Misconfigured, nil},
		{"the gate is shut, waiting", with(bridge.Accepted), met(gateShut), end, bridge.Misconfigured, nil},
		{"the gate is shut, in doubt", with(bridge.Open, sent(oUnknown), sent(oNot)), all(tried, met(gateShut)), leave, none, nil},
		{"the gate is shut, a repeat of a refusal", ended(bridge.Refused), func(f *facts) { f.obstacle, f.now = gateShut, t0.Add(time.Hour) }, fail, bridge.Misconfigured, nil},
		{"not carried out in time", with(bridge.Accepted), met(expired), end, bridge.NotApplied, func(s step) bool { return s.alarm == bridge.AlarmExpired }},
		{"nobody waits for a doubtful one's turn", with(bridge.Open, sent(oUnknown), active), all(askedOf, met(overdue)), leave, none, nil},
		{"somebody else is busy with it", bridge.Entry{}, all(free, met(overdue)), fail, bridge.Unknown, nil},
		{"ended meanwhile", ended(bridge.Cancelled), all(free, met(closing)), recall, bridge.Cancelled, nil},
	} {
		r.check(t)
	}
}

// Lookups go by a schedule of their own, from the last send on, until the authority's window is over.
func TestLookupSchedule(t *testing.T) {
	for _, r := range []struct{ age, want time.Duration }{
		{0, 30 * time.Second}, {31 * time.Second, 2 * time.Minute}, {3 * time.Minute, 10 * time.Minute}, {time.Hour - 1, time.Hour},
		{time.Hour, 2 * time.Hour}, {47*time.Hour + time.Minute, 48 * time.Hour},
		{-time.Hour, -time.Hour + 30*time.Second}, // the clock was set back: soon by the new one
	} {
		row{"after " + r.age.String(), with(bridge.Open, sent(oUnknown), active), all(truth, askedOf, after(r.age)), leave, bridge.None, again(r.want)}.check(t)
	}
	never := func(s step) bool { return s.nextLook.IsZero() }
	row{"when the window is over", with(bridge.Open, sent(oUnknown), active), all(truth, askedOf, after(49*time.Hour)), leave, bridge.None, never}.check(t)
}

// Every class that an entry can end with is told: a business reply, or a Fault.
func TestEveryClassIsAnswered(t *testing.T) {
	r := bridge.Request{IRN: "IRN as sent", Ref: "r1"}
	for _, tt := range []struct {
		o    bridge.Outcome
		want bridge.Answer
		code int
	}{
		{oCancelled, bridge.Answer{Class: bridge.Cancelled, IRN: "IRN as sent", CancelDate: "2026-03-01 15:30:01", Ref: "r1"}, 200},
		{oRefused, bridge.Answer{Class: bridge.Refused, Message: "2270: too late", Ref: "r1"}, 204},
		{oNot, bridge.Answer{Class: bridge.NotApplied, Fault: bridge.FaultNotApplied, Ref: "r1", Why: "429"}, 503},
		{oUnknown, bridge.Answer{Class: bridge.Unknown, Fault: bridge.FaultUnknown, Ref: "r1", Why: "reset"}, 503},
		{bridge.Outcome{Class: bridge.Misconfigured, Alarm: "1008"}, bridge.Answer{Class: bridge.Misconfigured, Fault: bridge.FaultMisconfigured, Ref: "r1", Why: "1008"}, 503},
		{bridge.Outcome{Class: bridge.Unclear}, bridge.Answer{Class: bridge.Unknown, Fault: bridge.FaultUnknown, Ref: "r1"}, 503}, // never ends an entry
	} {
		if got := (&step{outcome: tt.o}).answer(&r, ""); got != tt.want || got.Code() != tt.code {
			t.Errorf("%s: got %+v (%d), want %+v (%d)", tt.o.Class, got, got.Code(), tt.want, tt.code)
		}
	}
	want := bridge.Answer{Fault: bridge.FaultBusy, Ref: "r1", RetryAfter: 5 * time.Second, Why: "disk full"}
	if got := busy.answer(&r, "disk full"); got != want || got.Code() != 503 {
		t.Errorf("busy: got %+v, want %+v", got, want)
	}
}
