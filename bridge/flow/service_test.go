package flow_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/flow"
	"einvoice-bridge/bridge/journal"
)

const (
	irn   = "1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae"
	gstin = "09AAAPG7885R002"
)

// authority is a scripted upstream: it answers each send and each lookup by number, from 1.
type authority struct {
	profile *bridge.Profile
	cancel  func(send int, c bridge.Cancellation) bridge.Outcome
	lookup  func(n int) (bridge.DocumentState, error)

	mu             sync.Mutex
	sends, lookups int
	running        map[string]int // cancels in flight by document
	overlap        bool
	times          []time.Time
	docs           []string
}

func (a *authority) Profile() *bridge.Profile { return a.profile }

func (a *authority) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	if err := fence(ctx); err != nil {
		return bridge.Outcome{Class: bridge.NotApplied}
	}
	a.mu.Lock()
	a.sends++
	n := a.sends
	a.times, a.docs = append(a.times, time.Now()), append(a.docs, c.Document)
	a.running[c.Document]++
	a.overlap = a.overlap || a.running[c.Document] > 1
	a.mu.Unlock()
	o := a.cancel(n, c)
	a.mu.Lock()
	a.running[c.Document]--
	a.mu.Unlock()
	return o
}

func (a *authority) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	a.mu.Lock()
	a.lookups++
	n := a.lookups
	a.mu.Unlock()
	time.Sleep(time.Millisecond) // no two at the same moment
	if a.lookup == nil {
		return bridge.DocumentState{}, errors.New("lookup: connection refused")
	}
	return a.lookup(n)
}

func (a *authority) Probe(context.Context) error { return nil }

func (a *authority) counts() (sends, lookups int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sends, a.lookups
}

// observed keeps reports and alarms.
type observed struct {
	mu     sync.Mutex
	calls  []bridge.CallReport
	alarms []bridge.Alarm
}

func (o *observed) Answered(r *bridge.CallReport) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, *r)
}
func (o *observed) Attempted(bridge.AttemptReport) {}
func (o *observed) Alarm(a bridge.Alarm) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.alarms = append(o.alarms, a)
}

// bench is a Service on a real journal with a scripted authority, on a fake clock.
type bench struct {
	*testing.T
	authority *authority
	journal   *journal.Journal
	service   *flow.Service
	seen      *observed
	path      string
	cfg       flow.Terms
	wrap      func(bridge.Journal) bridge.Journal
	budget    bridge.Budget // instead of the journal's
	known     func(taxpayer string) bool
	changed   atomic.Pointer[flow.Terms]
	step      atomic.Int64 // of the wall clock, nanoseconds
}

// newBench makes a bench that is not open yet.
func newBench(t *testing.T) *bench {
	return &bench{
		T: t, known: func(taxpayer string) bool { return taxpayer != "NOBODY" }, seen: &observed{}, path: filepath.Join(t.TempDir(), "j.db"), cfg: flow.Terms{CarryOutWithin: 30 * time.Minute, RepeatRefusalsAfter: time.Minute, AlreadyCancelled: flow.AlreadyByJournal},
		authority: &authority{running: map[string]int{}, profile: &bridge.Profile{
			Name: "nic", Kind: "nic", Space: "irp", Zone: time.FixedZone("IST", 19800), Credential: "cred",
			LookupWindow: 48 * time.Hour, CallTimeout: 30 * time.Second, LookupTimeout: 10 * time.Second,
			Rules: bridge.Rules{Document: "irn", Remarks: "utf16max=100", Normal: strings.ToLower,
				Refusal: func(field, rule string) (string, string) { return "2142", "2142: " + field + " " + rule }},
		}},
	}
}

// run sets a bench up inside a synctest bubble and tears it down.
func run(t *testing.T, test func(b *bench), change ...func(*bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for _, c := range change {
			c(b)
		}
		b.open()
		test(b)
		b.close()
		if b.authority.overlap {
			t.Error("two cancels of one document were in flight at once")
		}
	})
}

func (b *bench) open() {
	b.Helper()
	wall := func() time.Time { return time.Now().Add(time.Duration(b.step.Load())) }
	j, err := journal.Open(context.Background(), "sqlite:"+b.path, journal.Options{Now: wall})
	if err != nil {
		b.Fatal(err)
	}
	b.journal = j
	var w bridge.Journal = j
	if b.wrap != nil {
		w = b.wrap(j)
	}
	b.service = flow.New(w, cmp.Or[bridge.Budget](b.budget, j), b.seen, b.terms())
	if err := b.service.Start(); err != nil {
		b.Fatal(err)
	}
}

// terms are those of the last change, or the bench's own.
func (b *bench) terms() *flow.Terms {
	if t := b.changed.Load(); t != nil {
		return t
	}
	t := b.cfg
	t.Route = func(taxpayer string) (bridge.Upstream, bool) { return b.authority, b.known(taxpayer) }
	return &t
}

func (b *bench) close() {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.service.Close(ctx); err != nil {
		b.Error(err)
	}
	if err := b.journal.Close(); err != nil {
		b.Error(err)
	}
}

// restart ends the process in good order and starts the next one on the same file.
func (b *bench) restart() { b.Helper(); b.close(); b.open() }

var refs struct {
	sync.Mutex
	n int
}

// ask calls as an ERP does; change alters the seed's own request.
func (b *bench) ask(change ...func(*bridge.Request)) bridge.Answer {
	refs.Lock()
	refs.n++
	ref := fmt.Sprintf("r%d", refs.n)
	refs.Unlock()
	r := bridge.Request{Ref: ref, Caller: "erp", Taxpayer: gstin, IRN: irn, Reason: "1", Remarks: "Wrong entry", Received: time.Now()}
	r.Until = r.Received.Add(50 * time.Second)
	for _, c := range change {
		c(&r)
	}
	return b.service.Cancel(b.terms(), &r)
}

func (b *bench) wantCode(what string, a bridge.Answer, code int) {
	b.Helper()
	if a.Code() != code {
		b.Errorf("%s: got %d (%+v), want %d", what, a.Code(), a, code)
	}
}

func (b *bench) wantSends(what string, sends, lookups int) {
	b.Helper()
	if s, l := b.authority.counts(); s != sends || l != lookups {
		b.Errorf("%s: the authority got %d cancels and %d lookups, want %d and %d", what, s, l, sends, lookups)
	}
}

// outcomes scripts one outcome per send, the last one for all that follow.
func outcomes(all ...bridge.Outcome) func(int, bridge.Cancellation) bridge.Outcome {
	return func(n int, _ bridge.Cancellation) bridge.Outcome { return all[min(n, len(all))-1] }
}

func states(all ...bridge.DocumentStatus) func(int) (bridge.DocumentState, error) {
	return func(n int) (bridge.DocumentState, error) {
		return bridge.DocumentState{Status: all[min(n, len(all))-1], Text: "state"}, nil
	}
}

var (
	cancelled  = bridge.Outcome{Class: bridge.Cancelled, Date: "2026-03-01 15:00:00", Sent: true, HTTPStatus: 200}
	refused    = bridge.Outcome{Class: bridge.Refused, Code: "2143", Message: "2143: Invoice does not belongs to the user GSTIN", Sent: true}
	already    = bridge.Outcome{Class: bridge.AlreadyCancelled, Code: "9999", Message: "9999: Invoice is not active", Sent: true}
	notApplied = bridge.Outcome{Class: bridge.NotApplied}
	unknown    = bridge.Outcome{Class: bridge.Unknown, Sent: true}
	misconf    = bridge.Outcome{Class: bridge.Misconfigured, Code: "1008", Alarm: "nic refuses the login of nic: 1008"}
)

func script(cancel func(int, bridge.Cancellation) bridge.Outcome, lookup func(int) (bridge.DocumentState, error)) func(*bench) {
	return func(b *bench) { b.authority.cancel, b.authority.lookup = cancel, lookup }
}

func TestSuccessAndRepeat(t *testing.T) {
	run(t, func(b *bench) {
		a := b.ask()
		b.wantCode("first", a, 200)
		if a.CancelDate != "2026-03-01 15:00:00" || a.IRN != irn || a.Message != "" {
			b.Errorf("got %+v", a)
		}
		upper := strings.ToUpper(irn)
		again := b.ask(func(r *bridge.Request) { r.IRN, r.Reason = upper, "3" })
		b.wantCode("repeat", again, 200)
		if again.CancelDate != a.CancelDate || again.IRN != upper {
			b.Errorf("a repeat gets the recorded date and its own spelling, got %+v", again)
		}
		b.restart()
		b.wantCode("repeat after a restart", b.ask(), 200)
		b.wantSends("all", 1, 0)
	}, script(outcomes(cancelled), nil))
}

func TestRefusalIsAnsweredForAMinuteAndOnlyIfUnchanged(t *testing.T) {
	run(t, func(b *bench) {
		for range 3 {
			a := b.ask()
			b.wantCode("refusal", a, 204)
			if a.Message != refused.Message || a.IRN != "" || a.CancelDate != "" {
				b.Errorf("got %+v", a)
			}
		}
		b.wantSends("three at once", 1, 0)
		b.ask(func(r *bridge.Request) { r.Reason = "2" })
		b.wantSends("another reason", 2, 0)
		b.ask(func(r *bridge.Request) { r.Reason, r.Remarks = "2", "other" })
		b.wantSends("other remarks", 3, 0)
		time.Sleep(time.Minute)
		b.ask(func(r *bridge.Request) { r.Reason, r.Remarks = "2", "other" })
		b.wantSends("a minute later", 4, 0)
	}, script(outcomes(refused), nil))
}

// X25: the same cancel a hundred times in parallel is one upstream call and a hundred identical answers.
func TestSameCallsJoin(t *testing.T) {
	run(t, func(b *bench) {
		var wg sync.WaitGroup
		answers := make([]bridge.Answer, 100)
		for i := range answers {
			wg.Go(func() { answers[i] = b.ask(func(r *bridge.Request) { r.Ref = "same" }) })
		}
		wg.Wait()
		for _, a := range answers {
			if a != answers[0] {
				b.Errorf("got %+v and %+v", a, answers[0])
			}
		}
		b.wantCode("all", answers[0], 200)
		b.wantSends("all", 1, 0)
	}, script(func(int, bridge.Cancellation) bridge.Outcome { time.Sleep(time.Second); return cancelled }, nil))
}

// Another taxpayer's request waits for the document and then asks for itself: answers never cross taxpayers.
func TestOtherTaxpayerAsksForItself(t *testing.T) {
	run(t, func(b *bench) {
		var wg sync.WaitGroup
		wg.Go(func() { b.wantCode("owner", b.ask(), 200) })
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() {
			a := b.ask(func(r *bridge.Request) { r.Taxpayer = "29AAFCD5862R000" })
			b.wantCode("other", a, 204)
		})
		wg.Wait()
		b.wantSends("both", 2, 0)
	}, script(func(n int, c bridge.Cancellation) bridge.Outcome {
		time.Sleep(time.Second)
		if c.Taxpayer == gstin {
			return cancelled
		}
		return refused
	}, nil))
}

func TestDifferentDocumentsDontWait(t *testing.T) {
	run(t, func(b *bench) {
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				b.wantCode("each", b.ask(func(r *bridge.Request) { r.IRN = fmt.Sprintf("%064x", i) }), 200)
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 6*time.Second {
			b.Errorf("twenty documents took %s, one takes 5 s", took)
		}
	}, script(func(int, bridge.Cancellation) bridge.Outcome { time.Sleep(5 * time.Second); return cancelled }, nil))
}

// The deadline bounds the answer, not the work: what a caller no longer waits for is finished and recorded.
func TestDeadlineBoundsTheAnswer(t *testing.T) {
	run(t, func(b *bench) {
		start := time.Now()
		a := b.ask(func(r *bridge.Request) { r.Until = r.Received.Add(25 * time.Second) })
		if took := time.Since(start); took != 25*time.Second {
			b.Errorf("told after %s, want 25 s", took)
		}
		if a.Fault != bridge.FaultUnknown {
			b.Errorf("got %+v", a)
		}
		a = b.ask()
		b.wantCode("a repeat joins what is still running", a, 200)
		b.wantSends("both", 1, 0)
	}, script(func(int, bridge.Cancellation) bridge.Outcome { time.Sleep(29 * time.Second); return cancelled }, nil))
}

// After a doubtful send the authority is asked, and what it says is the answer.
func TestDoubtIsLookedUp(t *testing.T) {
	tests := []struct {
		name           string
		sends          []bridge.Outcome
		lookups        []bridge.DocumentStatus
		code           int
		class          bridge.Class
		nSends, nLooks int
	}{
		{"cancelled after all", []bridge.Outcome{unknown}, []bridge.DocumentStatus{bridge.StatusCancelled}, 200, bridge.Cancelled, 1, 1},
		{"another final state", []bridge.Outcome{unknown}, []bridge.DocumentStatus{bridge.StatusOther}, 503, bridge.Unknown, 1, 2},
		{"active: sent again", []bridge.Outcome{unknown, cancelled}, []bridge.DocumentStatus{bridge.StatusActive}, 200, bridge.Cancelled, 2, 1},
		{"active, and then already: it was us", []bridge.Outcome{unknown, already}, []bridge.DocumentStatus{bridge.StatusActive, bridge.StatusCancelled}, 200, bridge.Cancelled, 2, 2},
		{"active, and then refused", []bridge.Outcome{unknown, refused}, []bridge.DocumentStatus{bridge.StatusActive}, 503, bridge.Unknown, 2, 3},
		{"three doubtful sends", []bridge.Outcome{unknown}, []bridge.DocumentStatus{bridge.StatusActive}, 503, bridge.Unknown, 3, 4},
		{"two inconclusive lookups", []bridge.Outcome{unknown}, []bridge.DocumentStatus{bridge.StatusUnknown}, 503, bridge.Unknown, 1, 2},
		{"doubt, then stopped at the gate", []bridge.Outcome{unknown, notApplied}, []bridge.DocumentStatus{bridge.StatusActive}, 503, bridge.Unknown, 3, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, func(b *bench) {
				a := b.ask()
				b.wantCode("answer", a, test.code)
				if a.Class != test.class {
					b.Errorf("got %s, want %s", a.Class, test.class)
				}
				b.wantSends("flight", test.nSends, test.nLooks)
			}, script(outcomes(test.sends...), states(test.lookups...)))
		})
	}
}

// A date that no lookup gives is the start of the first attempt, in the authority's zone.
func TestEstimatedDate(t *testing.T) {
	run(t, func(b *bench) {
		want := time.Now().In(b.authority.profile.Zone).Format("2006-01-02 15:04") + ":00"
		if a := b.ask(); a.CancelDate != want {
			b.Errorf("got %q, want %q", a.CancelDate, want)
		}
	}, script(outcomes(unknown), states(bridge.StatusCancelled)))
}

func TestNotAppliedIsRetriedThreeTimesAtMost(t *testing.T) {
	run(t, func(b *bench) {
		a := b.ask()
		if a.Fault != bridge.FaultNotApplied {
			b.Errorf("got %+v", a)
		}
		b.wantSends("flight", 3, 0)
		for i, least := range []time.Duration{time.Second, 3 * time.Second} { // and half as long again at most
			if gap := b.authority.times[i+1].Sub(b.authority.times[i]); gap < least || gap > least*3/2 {
				b.Errorf("pause %d was %s, at least %s", i+1, gap, least)
			}
		}
		b.wantCode("a repeat sends again", b.ask(), 503)
		b.wantSends("repeat", 6, 0)
	}, script(outcomes(notApplied), nil))
}

func TestNotAppliedThenSuccess(t *testing.T) {
	run(t, func(b *bench) { b.wantCode("third send", b.ask(), 200) }, script(outcomes(notApplied, notApplied, cancelled), nil))
}

// A Retry-After beyond the deadline is told at once.
func TestRetryAfterBeyondTheDeadline(t *testing.T) {
	later := notApplied
	later.RetryAfter = 90 * time.Second
	run(t, func(b *bench) {
		start := time.Now()
		a := b.ask()
		if a.Fault != bridge.FaultNotApplied || a.RetryAfter != 90*time.Second || time.Since(start) > time.Second {
			b.Errorf("got %+v after %s", a, time.Since(start))
		}
		b.wantSends("flight", 1, 0)
	}, script(outcomes(later), nil))
}

func TestAlreadyCancelledPolicies(t *testing.T) {
	tests := []struct {
		name   string
		policy flow.AlreadyPolicy
		nic    string
		sends  []bridge.Outcome
		code   int
		text   string
	}{
		{"not by us", flow.AlreadyByJournal, "", []bridge.Outcome{already}, 204, "9999: Invoice is not active"},
		{"always a success", flow.AlreadySuccess, "", []bridge.Outcome{already}, 200, ""},
		{"always a refusal", flow.AlreadyRefuse, "", []bridge.Outcome{already}, 204, "9999: Invoice is not active"},
		{"… but not while a send of ours is in doubt", flow.AlreadyRefuse, "", []bridge.Outcome{unknown, already}, 503, ""},
		{"NIC's text for every upstream", flow.AlreadyByJournal, "nic", []bridge.Outcome{{Class: bridge.AlreadyCancelled, Message: "2272: EInvoice is already Cancelled"}}, 204, flow.NICAlready},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, func(b *bench) {
				a := b.ask()
				b.wantCode("answer", a, test.code)
				if a.Message != test.text {
					b.Errorf("got %q, want %q", a.Message, test.text)
				}
			}, script(outcomes(test.sends...), states(bridge.StatusActive)), func(b *bench) {
				b.cfg.AlreadyCancelled, b.cfg.AlreadyMessage = test.policy, test.nic
			})
		})
	}
}

// An open cancellation is looked up in the background; nothing is sent, and the caller's repeat gets the truth.
func TestBackgroundSettles(t *testing.T) {
	run(t, func(b *bench) {
		if a := b.ask(); a.Fault != bridge.FaultUnknown {
			b.Errorf("got %+v", a)
		}
		time.Sleep(35 * time.Second)
		b.wantSends("after the first slot", 1, 3)
		b.wantCode("repeat", b.ask(), 200)
		b.wantSends("repeat", 1, 3)
	}, script(outcomes(unknown), func(n int) (bridge.DocumentState, error) {
		if n < 3 {
			return bridge.DocumentState{}, errors.New("down")
		}
		return bridge.DocumentState{Status: bridge.StatusCancelled}, nil
	}))
}

// "Active" is believed only the second time, 30 s and one call timeout later; the background sends nothing.
func TestBackgroundProvesNotApplied(t *testing.T) {
	run(t, func(b *bench) {
		b.ask()
		for wait, state := range map[time.Duration]bridge.State{50 * time.Second: bridge.Open} {
			time.Sleep(wait)
			if e, err := b.journal.Find(b.Context(), bridge.Key{Space: "irp", Document: irn}, gstin); err != nil || e.State != state {
				b.Errorf("after %s: %s, %v", wait, e.State, err)
			}
		}
		time.Sleep(2 * time.Minute)
		e, err := b.journal.Find(b.Context(), bridge.Key{Space: "irp", Document: irn}, gstin)
		if err != nil || e.State != bridge.Final || e.Outcome.Class != bridge.NotApplied {
			b.Errorf("got %s %s, %v", e.State, e.Outcome.Class, err)
		}
		if sends, _ := b.authority.counts(); sends != 1 {
			b.Errorf("the background sent: %d sends", sends)
		}
	}, script(outcomes(unknown), func(n int) (bridge.DocumentState, error) {
		if n <= 2 { // while the caller waits
			return bridge.DocumentState{}, errors.New("down")
		}
		return bridge.DocumentState{Status: bridge.StatusActive}, nil
	}))
}

// An entry that was ended although a send of its may have been carried out (older programs did) is looked up by the next
// repeat, and goes on like any that is in doubt.
func TestEndedInDoubtGoesOn(t *testing.T) {
	for _, state := range []bridge.DocumentStatus{bridge.StatusActive, bridge.StatusCancelled} {
		var answers atomic.Bool
		run(t, func(b *bench) {
			b.ask()
			e, err := b.journal.Find(b.Context(), bridge.Key{Space: "irp", Document: irn}, gstin)
			if err != nil || e.State != bridge.Open {
				b.Fatalf("%s, %v", e.State, err)
			}
			if _, err = b.journal.Finish(b.Context(), &bridge.Finish{Entry: e.ID, State: bridge.Final, At: time.Now(), Outcome: refused}); err != nil {
				b.Fatal(err)
			}
			answers.Store(true)
			time.Sleep(2 * time.Minute)
			b.wantCode("a repeat", b.ask(), 200)
		}, script(outcomes(unknown, cancelled), func(int) (bridge.DocumentState, error) {
			if !answers.Load() {
				return bridge.DocumentState{}, errors.New("down")
			}
			return bridge.DocumentState{Status: state}, nil
		}))
	}
}

// Where lookups don't help, the caller's own repeat may send once more after two minutes.
func TestRepeatResendsWhereLookupsDontHelp(t *testing.T) {
	run(t, func(b *bench) {
		b.ask()
		b.wantSends("first", 1, 2)
		a := b.ask()
		b.wantCode("too early", a, 503)
		if s, _ := b.authority.counts(); s != 1 {
			b.Errorf("resent after %d sends", s)
		}
		time.Sleep(2 * time.Minute)
		b.wantCode("later", b.ask(), 200)
		if s, _ := b.authority.counts(); s != 2 {
			b.Errorf("want one resend, got %d sends", s)
		}
	}, script(outcomes(unknown, already), func(int) (bridge.DocumentState, error) { return bridge.DocumentState{}, errors.New("down") }))
}

func TestMisconfigured(t *testing.T) {
	run(t, func(b *bench) {
		a := b.ask()
		if a.Fault != bridge.FaultMisconfigured {
			b.Errorf("got %+v", a)
		}
		if len(b.seen.alarms) != 1 || b.seen.alarms[0].Kind != bridge.AlarmMisconfigured {
			b.Errorf("alarms: %+v", b.seen.alarms)
		}
		if err := b.journal.Shut(b.Context(), "cred", bridge.Gate{Class: bridge.Misconfigured, Until: time.Now().Add(time.Minute), Text: "1008"}); err != nil {
			b.Fatal(err)
		}
		other := func(r *bridge.Request) { r.IRN = strings.Repeat("a", 64) }
		if a := b.ask(other); a.Fault != bridge.FaultMisconfigured {
			b.Errorf("behind the gate: %+v", a)
		}
		b.wantSends("behind the gate", 1, 0)
		time.Sleep(time.Minute)
		b.ask(other)
		b.wantSends("gate open again", 2, 0)
	}, script(outcomes(misconf), nil))
}

// A field that is wrong is the caller's business: no upstream call, a 204 that names it.
func TestLocalRefusal(t *testing.T) {
	run(t, func(b *bench) {
		a := b.ask(func(r *bridge.Request) { r.Reason = "7" })
		b.wantCode("reason 7", a, 204)
		if !strings.Contains(a.Message, "cancel_reason must be one of 1, 2, 3, 4") {
			b.Errorf("got %q", a.Message)
		}
		if a := b.ask(func(r *bridge.Request) { r.Taxpayer = "NOBODY" }); a.Fault != bridge.FaultMisconfigured {
			b.Errorf("no upstream: %+v", a)
		}
		b.wantSends("none", 0, 0)
	}, script(outcomes(cancelled), nil))
}

// broken is a journal whose writes fail while broken is set.
type broken struct {
	bridge.Journal
	begin, finish func() error
}

func (j *broken) Begin(ctx context.Context, b bridge.Begin) (bridge.Entry, bool, error) {
	if err := j.begin(); err != nil {
		return bridge.Entry{}, false, err
	}
	return j.Journal.Begin(ctx, b)
}

func (j *broken) Finish(ctx context.Context, f *bridge.Finish) (bridge.Entry, error) {
	if err := j.finish(); err != nil {
		return bridge.Entry{}, err
	}
	return j.Journal.Finish(ctx, f)
}

func breaking(begin, finish func() error) func(*bench) {
	return func(b *bench) {
		b.wrap = func(j bridge.Journal) bridge.Journal { return &broken{j, begin, finish} }
	}
}

func works() error { return nil }

// A cancellation that can't be written down isn't sent.
func TestCantBeWrittenIsNotSent(t *testing.T) {
	run(t, func(b *bench) {
		if a := b.ask(); a.Fault != bridge.FaultBusy || a.RetryAfter == 0 {
			b.Errorf("got %+v", a)
		}
		b.wantSends("disk full", 0, 0)
	}, script(outcomes(cancelled), nil), breaking(func() error { return errors.New("disk full") }, works))
}

// A disk that can't be written may be readable: who repeats what has ended is told that.
func TestCantBeWrittenTellsWhatIsOnRecord(t *testing.T) {
	var disk error
	run(t, func(b *bench) {
		first := b.ask()
		disk = errors.New("database is locked")
		if a := b.ask(); a.Code() != 200 || a.CancelDate != first.CancelDate {
			b.Errorf("got %+v, first %+v", a, first)
		}
		b.wantSends("from the record", 1, 0)
	}, script(outcomes(cancelled), nil), breaking(func() error { return disk }, works))
}

// hanging is a database that answers nothing, until whoever asks has had enough.
type hanging struct {
	bridge.Journal
	bridge.Budget
}

func (hanging) Find(ctx context.Context, _ bridge.Key, _ string) (bridge.Entry, error) {
	<-ctx.Done()
	return bridge.Entry{}, ctx.Err()
}

func (hanging) Begin(ctx context.Context, _ bridge.Begin) (bridge.Entry, bool, error) {
	<-ctx.Done()
	return bridge.Entry{}, false, ctx.Err()
}

func (hanging) Tell(ctx context.Context, _ ...bridge.Ask) error { <-ctx.Done(); return ctx.Err() }

func (hanging) Gate(ctx context.Context, _ string) (bridge.Gate, bool, error) {
	<-ctx.Done()
	return bridge.Gate{}, false, ctx.Err()
}

// Whoever waits while the database hangs is told that nothing was sent, however little time he has: not that the invoice
// may have been cancelled.
func TestHangingJournalIsToldInTime(t *testing.T) {
	for _, paced := range []bool{false, true} {
		for _, within := range []time.Duration{3 * time.Second, 5 * time.Second, 8 * time.Second, 10 * time.Second, 50 * time.Second} {
			t.Run(fmt.Sprint(within, paced), func(t *testing.T) {
				run(t, func(b *bench) {
					a := b.ask(func(r *bridge.Request) { r.Until = r.Received.Add(within) })
					if a.Fault != bridge.FaultBusy {
						b.Errorf("got %+v", a)
					}
					b.wantSends("none", 0, 0)
				}, script(outcomes(cancelled), nil), func(b *bench) {
					b.budget = hanging{}
					b.wrap = func(j bridge.Journal) bridge.Journal { return hanging{Journal: j} }
					if paced {
						b.authority.profile.Cancels = bridge.Rate{Key: "cid", Limit: 12, Per: time.Minute}
					}
				})
			})
		}
	}
}

// An outcome that can't be written is not told: the caller hears Unknown at its deadline, and the truth once the disk
// is back.
func TestOutcomeThatCantBeWritten(t *testing.T) {
	var mu sync.Mutex
	var disk error = errors.New("disk full")
	run(t, func(b *bench) {
		start := time.Now()
		if a := b.ask(); a.Fault != bridge.FaultUnknown || time.Since(start) < 50*time.Second {
			b.Errorf("got %+v after %s", a, time.Since(start))
		}
		mu.Lock()
		disk = nil
		mu.Unlock()
		b.wantCode("disk is back", b.ask(), 200)
		b.wantSends("all", 1, 0)
	}, script(outcomes(cancelled), nil), breaking(works, func() error { mu.Lock(); defer mu.Unlock(); return disk }))
}

// overtaken is a journal in which another instance has the document when a flight comes to its end: a Finish before was
// written, which gave the lease back, and its caller heard of an error.
type overtaken struct{ bridge.Journal }

func (j overtaken) Finish(ctx context.Context, f *bridge.Finish) (bridge.Entry, error) {
	e, err := j.Journal.Finish(ctx, f)
	e.State, e.Outcome = bridge.Sending, bridge.Outcome{}
	return e, err
}

// Nobody is told no while another instance may be cancelling the document by then.
func TestNoRefusalOfADocumentThatAnotherHas(t *testing.T) {
	for _, o := range []bridge.Outcome{refused, {Class: bridge.Misconfigured, Message: "1005"}} {
		run(t, func(b *bench) {
			if a := b.ask(); a.Fault != bridge.FaultUnknown || a.Class != bridge.Unknown {
				b.Errorf("%s: told %+v", o.Class, a)
			}
		}, script(outcomes(o), nil), func(b *bench) {
			b.wrap = func(j bridge.Journal) bridge.Journal { return overtaken{j} }
		})
	}
}

func paced(b *bench) {
	b.authority.profile.Cancels = bridge.Rate{Key: "cid", Limit: 12, Per: time.Minute}
}

// 200 cancellations in 20 s against a budget of 12 a minute: all carried out in order, never more than 12 in any 60 s,
// everyone told the truth within reply_within.
func TestBurstAgainstABudget(t *testing.T) {
	run(t, func(b *bench) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		told := map[string]int{}
		for i := range 200 {
			time.Sleep(100 * time.Millisecond)
			wg.Go(func() {
				start := time.Now()
				a := b.ask(func(r *bridge.Request) { r.IRN = fmt.Sprintf("%064x", i) })
				if took := time.Since(start); took > 51*time.Second {
					b.Errorf("call %d was told after %s", i, took)
				}
				mu.Lock()
				defer mu.Unlock()
				told[a.Fault]++
			})
		}
		wg.Wait()
		time.Sleep(18 * time.Minute)
		b.wantSends("in the end", 200, 0)
		if !slices.IsSorted(b.authority.docs) {
			b.Error("not in the order of arrival")
		}
		for i := 12; i < len(b.authority.times); i++ {
			if gap := b.authority.times[i].Sub(b.authority.times[i-12]); gap < time.Minute {
				b.Errorf("13 sends within %s", gap)
			}
		}
		if told[""] < 12 || told[bridge.FaultWaiting]+told[""] != 200 {
			b.Errorf("callers were told %v", told)
		}
		for i := range 200 {
			b.wantCode("repeat", b.ask(func(r *bridge.Request) { r.IRN = fmt.Sprintf("%064x", i) }), 200)
		}
		b.wantSends("repeats", 200, 0)
	}, script(outcomes(cancelled), nil), paced)
}

// What waits its turn is on disk: a restart carries it on, in order.
func TestRestartCarriesOnWhatWaits(t *testing.T) {
	run(t, func(b *bench) {
		var wg sync.WaitGroup
		for i := range 15 {
			time.Sleep(time.Millisecond)
			wg.Go(func() {
				a := b.ask(func(r *bridge.Request) { r.IRN = fmt.Sprintf("%064x", i) })
				if a.Fault != "" && a.Fault != bridge.FaultWaiting {
					b.Errorf("call %d was told %+v", i, a)
				}
			})
		}
		time.Sleep(time.Second)
		b.restart()
		wg.Wait()
		b.wantSends("before its turn", 12, 0)
		time.Sleep(2 * time.Minute)
		b.wantSends("its turn came", 15, 0)
		if !slices.IsSorted(b.authority.docs) {
			b.Error("not in order")
		}
	}, script(outcomes(cancelled), nil), paced)
}

// What can't be carried out within carry_out_within is given up unsent.
func TestWaitsNoLongerThanPromised(t *testing.T) {
	run(t, func(b *bench) {
		for n := range 12 {
			b.ask(func(r *bridge.Request) { r.IRN = fmt.Sprintf("%064x", n) })
		}
		if a := b.ask(func(r *bridge.Request) { r.Until = r.Received.Add(5 * time.Second) }); a.Fault != bridge.FaultWaiting {
			b.Errorf("got %+v", a)
		}
		time.Sleep(30 * time.Second)
		e, err := b.journal.Find(b.Context(), bridge.Key{Space: "irp", Document: irn}, gstin)
		if err != nil || e.State != bridge.Final || e.Outcome.Class != bridge.NotApplied {
			b.Errorf("got %s %s, %v", e.State, e.Outcome.Class, err)
		}
		b.wantSends("given up", 12, 0)
	}, script(outcomes(cancelled), nil), paced, func(b *bench) { b.cfg.CarryOutWithin = 20 * time.Second })
}

// A 429 closes the gate for everybody who sends under the same rate: the others wait behind it and are not refused.
func TestGateOfASharedAccountMakesOthersWait(t *testing.T) {
	run(t, func(b *bench) {
		if err := b.journal.Shut(b.Context(), "cid", bridge.Gate{Class: bridge.NotApplied, Until: time.Now().Add(20 * time.Second)}); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		b.wantCode("behind the gate", b.ask(), 200)
		if took := time.Since(start); took < 20*time.Second || took > 21*time.Second {
			b.Errorf("took %s, the gate opens after 20 s", took)
		}
		b.wantSends("all", 1, 0)
	}, script(outcomes(cancelled), nil), paced)
}

// Who waits for a gate of his own holds up nobody who comes behind him under the same rate.
func TestOwnGateHoldsUpNobodyBehind(t *testing.T) {
	run(t, func(b *bench) {
		p := *b.authority.profile
		p.Credential = "of another taxpayer"
		other, terms := &authority{profile: &p, cancel: b.authority.cancel, running: map[string]int{}}, b.terms()
		terms.Route = func(taxpayer string) (bridge.Upstream, bool) {
			if taxpayer == gstin {
				return b.authority, true
			}
			return other, true
		}
		b.changed.Store(terms)
		if err := b.journal.Shut(b.Context(), "cred", bridge.Gate{Class: bridge.NotApplied, Until: time.Now().Add(10 * time.Minute)}); err != nil {
			b.Fatal(err)
		}
		if a := b.ask(func(r *bridge.Request) { r.Until = r.Received.Add(5 * time.Second) }); a.Fault != bridge.FaultWaiting {
			b.Errorf("behind its own gate: %+v", a)
		}
		start := time.Now()
		b.wantCode("another taxpayer", b.ask(func(r *bridge.Request) { r.Taxpayer, r.IRN = "29AAFCD5862R000", strings.Repeat("a", 64) }), 200)
		if took := time.Since(start); took > time.Second {
			b.Errorf("held up for %s", took)
		}
	}, script(outcomes(cancelled), nil), paced)
}

// What stays doubtful for an hour is an operator's: an alarm at every lookup from then on, and none before.
func TestOldDoubtIsAlarmed(t *testing.T) {
	run(t, func(b *bench) {
		b.ask()
		time.Sleep(59 * time.Minute)
		if n := b.seen.count(bridge.AlarmOpen); n != 0 {
			b.Errorf("%d alarms within the hour", n)
		}
		time.Sleep(2*time.Hour + 2*time.Minute)
		if n := b.seen.count(bridge.AlarmOpen); n != 3 {
			b.Errorf("%d alarms after three hours, want 3", n)
		}
		b.wantSends("no more than the caller's own", 1, 2+3+3)
	}, script(outcomes(unknown), func(int) (bridge.DocumentState, error) { return bridge.DocumentState{}, errors.New("down") }))
}

func (o *observed) count(kind bridge.AlarmKind) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.alarms {
		if a.Kind == kind {
			n++
		}
	}
	return n
}

// A repeat of an old entry that must wait its turn waits like a new one: durably, for carry_out_within from now, also
// through a restart.
func TestRepeatWaitsItsTurnAnew(t *testing.T) {
	run(t, func(b *bench) {
		b.wantCode("refused long ago", b.ask(), 204)
		time.Sleep(time.Hour)
		for n := range 12 {
			b.ask(func(r *bridge.Request) { r.IRN = fmt.Sprintf("%064x", n) })
		}
		if a := b.ask(func(r *bridge.Request) { r.Until = r.Received.Add(5 * time.Second) }); a.Fault != bridge.FaultWaiting {
			b.Errorf("got %+v", a)
		}
		b.restart()
		time.Sleep(2 * time.Minute)
		b.wantSends("its turn came", 14, 0)
		b.wantCode("asked again", b.ask(), 200)
		b.wantSends("from the journal", 14, 0)
	}, script(outcomes(append([]bridge.Outcome{refused}, cancelled)...), nil), paced)
}

// What an operator resolves while it waits is told as the operator recorded it.
func TestResolvedWhileWaiting(t *testing.T) {
	run(t, func(b *bench) {
		for n := range 12 {
			b.ask(func(r *bridge.Request) { r.IRN = fmt.Sprintf("%064x", n) })
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			b.wantCode("waited, then resolved", b.ask(func(r *bridge.Request) { r.Until = r.Received.Add(90 * time.Second) }), 200)
		})
		time.Sleep(5 * time.Second)
		e, err := b.journal.Find(b.Context(), bridge.Key{Space: "irp", Document: irn}, gstin)
		if err != nil || e.State != bridge.Accepted {
			b.Fatalf("%s, %v", e.State, err)
		}
		if _, err := b.journal.Resolve(b.Context(), e.ID, bridge.Outcome{Class: bridge.Cancelled, Date: "2026-03-01 15:00:00"}, "asha", "portal", true); err != nil {
			b.Fatal(err)
		}
		wg.Wait()
		b.wantSends("not sent", 12, 0)
	}, script(outcomes(cancelled), nil), paced)
}

// forgetful is a journal whose scan fails after it has claimed something, and that takes a lease away right before a send.
type forgetful struct {
	bridge.Journal
	scan, lease bool
}

func (j forgetful) Orphans(ctx context.Context, now time.Time) ([]bridge.Entry, error) {
	e, err := j.Journal.Orphans(ctx, now)
	if len(e) > 0 && j.scan {
		err = errors.New("context over in mid-scan")
	}
	return e, err
}

func (j forgetful) MaySend(ctx context.Context, e *bridge.Entry) error {
	if j.lease {
		return bridge.ErrLostLease
	}
	return j.Journal.MaySend(ctx, e)
}

// What a scan has claimed before it failed is carried out: its lease is ours, nobody else will.
func TestClaimedIsCarriedOut(t *testing.T) {
	run(t, func(b *bench) {
		_, _, err := b.journal.Begin(b.Context(), bridge.Begin{Entry: bridge.Entry{
			Key: bridge.Key{Space: "irp", Document: irn}, Taxpayer: gstin, Reason: "1", Created: time.Now(), Expires: time.Now().Add(time.Hour)}})
		if err != nil {
			b.Fatal(err)
		}
		if err := b.journal.Release(b.Context(), bridge.Entry{Key: bridge.Key{Space: "irp", Document: irn}, Taxpayer: gstin}); err != nil {
			b.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		b.wantSends("carried out", 1, 0)
	}, script(outcomes(cancelled), nil), func(b *bench) {
		b.wrap = func(j bridge.Journal) bridge.Journal { return forgetful{Journal: j, scan: true} }
	})
}

// Nothing leaves when the lease is gone at the last moment.
func TestFenceIsAsked(t *testing.T) {
	run(t, func(b *bench) {
		if a := b.ask(); a.Fault == "" {
			b.Errorf("got %+v", a)
		}
		b.wantSends("behind the fence", 0, 0)
	}, script(outcomes(cancelled), nil), func(b *bench) {
		b.wrap = func(j bridge.Journal) bridge.Journal { return forgetful{Journal: j, lease: true} }
	})
}

// Whoever counts work hears of each flight, from its beginning to its end, which may be after its callers': one call has
// begun it, and who joins it has not.
func TestWorkIsCountedToItsEnd(t *testing.T) {
	run(t, func(b *bench) {
		var begun, ended atomic.Int32
		counted := func(r *bridge.Request) {
			r.Until = r.Received.Add(5 * time.Second)
			r.Carried = func() func() {
				begun.Add(1)
				return func() { ended.Add(1) }
			}
		}
		want := func(when string, wantBegun, wantEnded int32) {
			if begun.Load() != wantBegun || ended.Load() != wantEnded {
				b.Errorf("%s: %d begun and %d ended, want %d and %d", when, begun.Load(), ended.Load(), wantBegun, wantEnded)
			}
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { b.ask(counted) })
		}
		both.Wait()
		want("both callers have gone", 1, 0)
		time.Sleep(30 * time.Second)
		want("the authority has answered", 1, 1)
		b.wantCode("a repeat", b.ask(counted), 200)
		want("a repeat was answered", 2, 2)
		b.ask(counted, func(r *bridge.Request) { r.Reason = "7" })
		want("a refusal by the rules", 2, 2)
	}, script(func(int, bridge.Cancellation) bridge.Outcome { time.Sleep(30 * time.Second); return cancelled }, nil))
}
