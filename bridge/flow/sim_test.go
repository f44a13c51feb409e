package flow

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
	"einvoice-bridge/bridge/journal/journaltest"
)

// The simulation plays stories: the real flow, one to five instances of it, callers who ask, give up and ask again, an
// authority as nasty as they come, crashes, restarts, reloads, clocks that are set, a journal that fails, rates, operators.
// Every answer is held against the truth at the moment it is given. A story hangs on its seed alone.
//
//	go test ./bridge/flow -run TestSimulation -seeds 20000
//	go test ./bridge/flow -run TestSimulation -seed 4711     plays one, and tells it
var (
	seeds    = flag.Int("seeds", 400, "stories that TestSimulation plays")
	from     = flag.Uint64("from", 1, "seed of the first")
	oneSeed  = flag.Uint64("seed", 0, "play this story alone, and tell it")
	sqliteIn = flag.Int("sqlite", 40, "every how many stories one is played on an SQLite file; 0: none")
)

// plan is a story before it is played: what is left out of it is not played, so that a failing one can be shrunk.
type plan struct {
	seed      uint64
	sqlite    bool
	instances int
	rate      int // cancels a minute; 0: no limit
	policy    AlreadyPolicy
	papers    []paperPlan
	acts      []act
	fates     []fate
	views     []view
	faults    []fault
}

type paperPlan struct{ rule, byID, hidden bool }

// act is one thing that happens, at a time after the one before.
type act struct {
	kind     actKind
	after    time.Duration
	who      int // taxpayer
	doc      int
	instance int
	spelling int
	reason   bridge.Reason
	within   time.Duration
	d        time.Duration
}

type actKind uint8

const (
	asks actKind = iota
	rests
	crashes
	restarts
	moves
	steps
	resolves
	foreign
	stalls
	actKinds
)

// fault is what the journal does to one call of the flow.
type fault struct {
	delay         time.Duration
	before, after bool // fails, before or after it has written
}

func newPlan(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	chance := func(n int) bool { return r.IntN(n) == 0 }
	span := func(lo, hi time.Duration) time.Duration { return lo + time.Duration(r.Int64N(int64(hi-lo))) }
	p := plan{seed: seed, instances: 1, policy: AlreadyByJournal, sqlite: *sqliteIn > 0 && seed%uint64(*sqliteIn) == 0}
	if !p.sqlite && chance(2) {
		p.instances = 2 + r.IntN(4)
	}
	if chance(4) {
		p.rate = 1 + r.IntN(3)
	}
	switch r.IntN(8) {
	case 0:
		p.policy = AlreadySuccess
	case 1:
		p.policy = AlreadyRefuse
	}
	for range 1 + r.IntN(2) {
		p.papers = append(p.papers, paperPlan{rule: chance(5), byID: chance(4), hidden: chance(10)})
	}
	calm := chance(3) // nothing breaks but the authority
	for range 2 + r.IntN(8) {
		a := act{after: span(0, 8*time.Second), who: r.IntN(4) / 3, doc: r.IntN(len(p.papers)), instance: r.IntN(p.instances),
			spelling: r.IntN(3), reason: [...]bridge.Reason{"1", "2"}[r.IntN(2)], within: span(2*time.Second, 50*time.Second), d: span(time.Second, 90*time.Second)}
		switch n := r.IntN(16); {
		case n < 9:
			a.kind = asks
		case n < 11:
			a.kind = rests
		case n == 11:
			a.kind = foreign
		case calm:
			a.kind = asks
		case n == 12:
			a.kind = crashes
		case n == 13:
			a.kind = restarts
		case n == 14:
			a.kind = [...]actKind{moves, steps, stalls}[r.IntN(3)]
		default:
			a.kind = resolves
		}
		p.acts = append(p.acts, a)
	}
	for range r.IntN(7) {
		p.fates = append(p.fates, fate(r.IntN(int(fates))))
	}
	for range r.IntN(8) {
		p.views = append(p.views, view(r.IntN(int(views))))
	}
	if !calm && chance(2) {
		for range r.IntN(30) {
			f := fault{}
			switch r.IntN(10) {
			case 0:
				f.before = true
			case 1:
				f.after = true
			case 2:
				f.delay = span(0, 12*time.Second)
			}
			p.faults = append(p.faults, f)
		}
	}
	return p
}

// world is a story being played.
type world struct {
	plan   plan
	loud   bool
	start  time.Time
	dir    string
	model  *journaltest.Model
	timers sync.WaitGroup // of what the authority still does
	calls  sync.WaitGroup // of callers

	mu      sync.Mutex
	rng     *rand.Rand
	fates   []fate
	views   []view
	faults  []fault
	calm    bool // the story's end: nothing breaks any more
	lines   []string
	wrongs  []string
	sends   []time.Time // that left, under the rate
	asked   map[wish]bool
	routes  map[int]int // taxpayer → office
	homes   [3]map[string]*paper
	procs   []*process
	deaths  int
	refs    int
	lies    bool // the authority answered 429 to what it had carried out
	stalled bool // a process stood still, and what it had booked left later
}

// wish is what somebody asked for.
type wish struct {
	who, office int
	doc         int
}

func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tellLocked(format, args...)
}

func (w *world) tellLocked(format string, args ...any) {
	if w.loud {
		w.lines = append(w.lines, fmt.Sprintf("%9.3f s  ", time.Since(w.start).Seconds())+fmt.Sprintf(format, args...))
	}
}

func (w *world) wrong(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrongLocked(format, args...)
}

func (w *world) wrongLocked(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.wrongs = append(w.wrongs, text)
	w.tellLocked("WRONG: %s", text)
}

func (w *world) draw(lo, hi time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.drawLocked(lo, hi)
}

func (w *world) drawLocked(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(w.rng.Int64N(int64(hi-lo)+1))
}

func (w *world) nextFate() fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calm || len(w.fates) == 0 {
		return replies
	}
	f := w.fates[0]
	w.fates = w.fates[1:]
	w.lies = w.lies || f == tooMany
	return f
}

func (w *world) nextView() view {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calm || len(w.views) == 0 {
		return shows
	}
	v := w.views[0]
	w.views = w.views[1:]
	return v
}

// sent notes a cancel that leaves.
func (w *world) sent(o *office, p *paper, taxpayer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.running++; p.running > 1 {
		w.wrongLocked("two cancels of %s are under way at once", p.name)
	}
	if p.word[taxpayer] {
		w.wrongLocked("a cancel of %s for %s, who was told that it is cancelled", p.name, taxpayer)
	}
	if o.profile.Cancels.Limit == 0 {
		return
	}
	w.sends = append(w.sends, time.Now())
	if n, most := len(w.sends), o.profile.Cancels.Limit; !w.plan.sqlite && !w.stalled && n > most && w.sends[n-1].Sub(w.sends[n-1-most]) < time.Minute-simSlack {
		w.wrongLocked("%d cancels within %s, %d a minute are allowed", most+1, w.sends[n-1].Sub(w.sends[n-1-most]), most)
	}
}

// simSlack is how much later than booked a cancel may leave: the attempt is written in between, and that may take a while.
const simSlack = diskTime + time.Second

func (w *world) arrived(p *paper) {
	w.mu.Lock()
	p.running--
	w.mu.Unlock()
}

// process is one instance at work.
type process struct {
	w       *world
	name    string
	n       int
	service *Service
	terms   atomic.Pointer[Terms]
	step    atomic.Int64 // of its wall clock, nanoseconds
	said    atomic.Value // the last alarm
	stalled atomic.Int64 // until when it stands still, Unix nanoseconds
	dead    chan struct{}
	kill    func()
}

func (i *process) now() time.Time { return time.Now().Add(time.Duration(i.step.Load())).Round(0) }

// sleep is time passing on the way; true when the process has died meanwhile.
func (i *process) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return false
	case <-i.dead:
		return true
	}
}

func (i *process) died() bool {
	select {
	case <-i.dead:
		return true
	default:
		return false
	}
}

const simTaxpayers = 2

func taxpayerName(who int) string { return [...]string{"SELLER", "OTHER"}[who] }

// boot starts a process in slot n; step is what its wall clock is off by.
func (w *world) boot(n int, step int64) error {
	w.mu.Lock()
	i := &process{w: w, n: n, name: fmt.Sprintf("instance %d", n+1), dead: make(chan struct{})}
	w.mu.Unlock()
	i.step.Store(step)
	var record interface {
		bridge.Journal
		bridge.Budget
	}
	if w.plan.sqlite {
		j, err := journal.Open(context.Background(), "sqlite:"+filepath.Join(w.dir, "j.db"), journal.Options{Now: i.now})
		if err != nil {
			return err
		}
		record, i.kill = j, func() { _ = j.Close() }
	} else {
		j := w.model.Instance(i.name, i.now)
		record, i.kill = j, j.Kill
	}
	shaky := &shaky{Journal: record, Budget: record, i: i}
	i.terms.Store(w.terms(i))
	i.service = New(shaky, shaky, watcher{i}, i.terms.Load())
	i.service.clock = i.now
	i.service.jitter = func(d time.Duration) time.Duration { return w.draw(0, d-1) }
	w.mu.Lock()
	w.procs[n] = i
	w.mu.Unlock()
	for err := i.service.Start(); err != nil; err = i.service.Start() { // serve is started again until it comes up
		w.tell("%s does not start: %v", i.name, err)
		time.Sleep(3 * time.Second)
	}
	return nil
}

// terms are those of the routes as they are now.
func (w *world) terms(i *process) *Terms {
	w.mu.Lock()
	defer w.mu.Unlock()
	ways := map[string]bridge.Upstream{}
	for who := range simTaxpayers {
		at := w.routes[who]
		o := &office{w: w, i: i, papers: w.homes[at], profile: bridge.Profile{
			Name: [...]string{"nic", "gsp", "elsewhere"}[at], Kind: "sim", Space: [...]string{"irp", "irp", "other"}[at],
			Zone: time.UTC, Credential: fmt.Sprint("cred", at, who), CallTimeout: simCall, LookupTimeout: 10 * time.Second, LookupWindow: simWindow,
			Rules: bridge.Rules{Document: "pathsafe", Normal: strings.ToLower, Refusal: func(f, r string) (string, string) { return "2142", "2142: " + f + " " + r }},
		}}
		if w.plan.rate > 0 {
			o.profile.Cancels = bridge.Rate{Key: "rate", Limit: w.plan.rate, Per: time.Minute}
		}
		ways[taxpayerName(who)] = o
	}
	return &Terms{CarryOutWithin: 30 * time.Minute, RepeatRefusalsAfter: time.Minute, AlreadyCancelled: w.plan.policy,
		Route: func(t string) (bridge.Upstream, bool) { up, ok := ways[t]; return up, ok }}
}

// Resolve implements bridge.Resolver: callers may use a number of their own.
func (o *office) Resolve(_ context.Context, name string) (string, bridge.Outcome) {
	return strings.TrimPrefix(name, "no-"), bridge.Outcome{}
}

// watcher is the observer of a process.
type watcher struct{ i *process }

// Answered implements bridge.Observer.
func (watcher) Answered(bridge.CallReport) {}

// Attempted implements bridge.Observer.
func (watcher) Attempted(bridge.AttemptReport) {}

// Alarm implements bridge.Observer.
func (x watcher) Alarm(a bridge.Alarm) {
	if !x.i.died() && x.i.said.Swap(a.Text) != a.Text { // once, not every two seconds
		x.i.w.tell("%s calls an operator: %s", x.i.name, a.Text)
	}
}

var errShaky = errors.New("disk error")

// shaky is a journal that fails and is slow as planned.
type shaky struct {
	bridge.Journal
	bridge.Budget
	i *process
}

// shake is one call: what is wrong before it, do, what is wrong after it.
func shake[T any](s *shaky, ctx context.Context, name string, after bool, do func() (T, error)) (v T, err error) {
	w := s.i.w
	w.mu.Lock()
	var f fault
	if !w.calm && len(w.faults) > 0 {
		f, w.faults = w.faults[0], w.faults[1:]
	}
	if f != (fault{}) {
		w.tellLocked("the journal of %s, at %s: takes %s, fails before %v, after %v", s.i.name, name, f.delay, f.before, f.after && after)
	}
	w.mu.Unlock()
	if f.delay > 0 {
		t := time.NewTimer(f.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return v, ctx.Err()
		}
	}
	if s.i.died() || f.before && name != "claim" {
		return v, errShaky
	}
	if v, err = do(); err == nil && f.after && after {
		err = errShaky
	}
	return v, err
}

func (s *shaky) Find(ctx context.Context, k bridge.Key, t string) (bridge.Entry, error) {
	return shake(s, ctx, "find", false, func() (bridge.Entry, error) { return s.Journal.Find(ctx, k, t) })
}

func (s *shaky) Begin(ctx context.Context, b bridge.Begin) (e bridge.Entry, created bool, err error) {
	e, err = shake(s, ctx, "begin", false, func() (e bridge.Entry, err error) {
		e, created, err = s.Journal.Begin(ctx, b)
		return e, err
	})
	return e, created, err
}

func (s *shaky) Requeue(ctx context.Context, e bridge.Entry) (bridge.Entry, error) {
	return shake(s, ctx, "requeue", true, func() (bridge.Entry, error) { return s.Journal.Requeue(ctx, e) })
}

func (s *shaky) Attempt(ctx context.Context, e bridge.Entry, start time.Time) (bridge.Attempt, error) {
	return shake(s, ctx, "attempt", true, func() (bridge.Attempt, error) { return s.Journal.Attempt(ctx, e, start) })
}

func (s *shaky) MaySend(ctx context.Context, e bridge.Entry) error {
	if s.i.died() {
		return errShaky
	}
	return s.Journal.MaySend(ctx, e)
}

func (s *shaky) Finish(ctx context.Context, f bridge.Finish) (bridge.Entry, error) {
	return shake(s, ctx, "finish", true, func() (bridge.Entry, error) { return s.Journal.Finish(ctx, f) })
}

func (s *shaky) Tell(ctx context.Context, asks ...bridge.Ask) error {
	_, err := shake(s, ctx, "tell", true, func() (struct{}, error) { return struct{}{}, s.Journal.Tell(ctx, asks...) })
	return err
}

func (s *shaky) Release(ctx context.Context, e bridge.Entry) error {
	if s.i.died() {
		return errShaky
	}
	return s.Journal.Release(ctx, e)
}

// Due and Orphans may fail after they have claimed some.
func (s *shaky) Due(ctx context.Context, now time.Time, n int) ([]bridge.Entry, error) {
	return s.claims(func() ([]bridge.Entry, error) { return s.Journal.Due(ctx, now, n) })
}

func (s *shaky) Orphans(ctx context.Context, now time.Time) ([]bridge.Entry, error) {
	return s.claims(func() ([]bridge.Entry, error) { return s.Journal.Orphans(ctx, now) })
}

func (s *shaky) claims(do func() ([]bridge.Entry, error)) ([]bridge.Entry, error) {
	if s.i.died() {
		return nil, errShaky
	}
	claimed, err := do()
	if len(claimed) > 0 && err == nil { // else the story's faults are used up by looking for nothing
		return shake(s, context.Background(), "claim", true, func() ([]bridge.Entry, error) { return claimed, nil })
	}
	return claimed, err
}

func (s *shaky) Take(ctx context.Context, r bridge.Rate, turn int64) (at time.Time, wait time.Duration, err error) {
	wait, err = shake(s, ctx, "take", false, func() (wait time.Duration, err error) {
		at, wait, err = s.Budget.Take(ctx, r, turn)
		return wait, err
	})
	return at, wait, err
}

func (s *shaky) Return(ctx context.Context, r bridge.Rate, at time.Time) error {
	if s.i.died() {
		return errShaky
	}
	return s.Budget.Return(ctx, r, at)
}

// play plays a plan and returns what went wrong and, if loud, the story.
func play(t *testing.T, p plan, loud bool) (wrongs, lines []string) {
	w := &world{plan: p, loud: loud, model: journaltest.NewModel(), rng: rand.New(rand.NewPCG(p.seed, 2)),
		fates: slices.Clone(p.fates), views: slices.Clone(p.views), faults: slices.Clone(p.faults),
		asked: map[wish]bool{}, routes: map[int]int{}, procs: make([]*process, p.instances)}
	if p.sqlite {
		dir, err := os.MkdirTemp(tmpfs(), "story")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w.dir = dir
	}
	synctest.Test(t, func(t *testing.T) {
		w.start = time.Now()
		w.print()
		for n := range w.procs {
			if err := w.boot(n, 0); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range p.acts {
			time.Sleep(a.after + time.Microsecond)
			w.act(t, a)
		}
		w.calls.Wait()
		w.settle()
		for _, i := range w.procs {
			i.stop(time.Minute)
		}
		w.timers.Wait()
		w.judgeEnd()
	})
	return w.wrongs, w.lines
}

// tmpfs is a folder in memory, where there is one: the simulation is not about disks.
func tmpfs() string {
	if s, err := os.Stat("/dev/shm"); err == nil && s.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// print makes the papers.
func (w *world) print() {
	for at := range w.homes {
		if at == 1 { // another provider carries the same documents
			w.homes[1] = w.homes[0]
			continue
		}
		w.homes[at] = map[string]*paper{}
		for n, pp := range w.plan.papers {
			name := fmt.Sprintf("document %c%s", 'A'+n, [...]string{"", "", " of the other account"}[at])
			w.homes[at][docID(n)] = &paper{name: name, rule: pp.rule, byID: pp.byID, hidden: pp.hidden, pending: map[string]int{}, word: map[string]bool{}}
		}
	}
}

func docID(n int) string { return fmt.Sprintf("doc%c", 'a'+n) }

func (w *world) act(t *testing.T, a act) {
	i := w.procs[a.instance]
	switch a.kind {
	case asks:
		w.calls.Go(func() { w.ask(i, a, a.within) })
	case rests:
		time.Sleep(a.d)
	case foreign:
		w.mu.Lock()
		if p := w.homes[0][docID(a.doc)]; p.by == "" && !p.rule {
			p.by, p.at = "somebody else", time.Now()
			w.tellLocked("somebody else cancels %s", p.name)
		}
		w.mu.Unlock()
	case crashes:
		w.tell("%s is killed", i.name)
		i.crash()
		time.Sleep(a.d / 20)
		if err := w.boot(a.instance, i.step.Load()); err != nil {
			t.Fatal(err)
		}
	case restarts:
		w.tell("%s is restarted", i.name)
		i.stop(40 * time.Second)
		if err := w.boot(a.instance, i.step.Load()); err != nil {
			t.Fatal(err)
		}
	case moves:
		w.move(a.who, [...]int{0, 1, 2}[int(a.d.Milliseconds())%3])
	case steps:
		d := a.d * 40 // up to an hour
		if a.spelling == 0 {
			d = -d
		}
		w.tell("the clock of %s is set by %s", i.name, d.Round(time.Second))
		i.step.Add(int64(d))
	case resolves:
		w.resolve(i, a)
	case stalls:
		if j, ok := i.service.journal.(*shaky).Journal.(*journaltest.Instance); ok {
			w.stalled = true
			w.tell("%s stands still for %s", i.name, (2 * a.d).Round(time.Second))
			i.stalled.Store(time.Now().Add(2 * a.d).UnixNano())
			j.Cut()
			time.AfterFunc(2*a.d, j.Mend)
		}
	}
}

// stall is where a process that stands still stands: on its way to the wire.
func (i *process) stall() {
	if until := time.Unix(0, i.stalled.Load()); time.Now().Before(until) {
		i.sleep(time.Until(until))
	}
}

// move reloads every instance with another way for a taxpayer.
func (w *world) move(who, to int) {
	w.mu.Lock()
	w.routes[who] = to
	w.tellLocked("%s goes by %s from now on", taxpayerName(who), [...]string{"nic", "gsp", "elsewhere, where the documents are others"}[to])
	w.mu.Unlock()
	for _, i := range w.procs {
		t := w.terms(i)
		i.terms.Store(t)
		i.service.Change(t)
	}
}

// resolve is an operator who looks at the authority's own page, sees the truth, and writes it down for what is open. He
// comes when nothing is on its way any more.
func (w *world) resolve(i *process, a act) {
	e, err := i.service.journal.(*shaky).Journal.Find(context.Background(), bridge.Key{Space: "irp", Document: docID(a.doc)}, taxpayerName(a.who))
	if err != nil || e.State != bridge.Open {
		return
	}
	w.mu.Lock()
	p := w.homes[0][docID(a.doc)]
	o := bridge.Outcome{Class: bridge.NotApplied}
	if p.by != "" {
		o = bridge.Outcome{Class: bridge.Cancelled, Date: "2026-03-01 10:00:00"}
	}
	waits := p.running > 0 || p.pending[taxpayerName(a.who)] > 0
	w.mu.Unlock()
	if waits {
		return
	}
	if j, ok := i.service.journal.(*shaky).Journal.(*journal.Journal); ok {
		_, err = j.Resolve(context.Background(), e.ID, o, "operator", "seen in the portal", true)
	} else {
		_, err = w.model.Resolve(e.ID, o, "operator", "seen in the portal", true)
	}
	if err == nil {
		w.tell("an operator writes down that %s is %s", p.name, o.Class)
	}
}

// crash ends the process under whatever it is doing: nothing more reaches the journal, and nobody finishes anything.
func (i *process) crash() {
	i.w.mu.Lock()
	i.w.deaths++
	i.w.mu.Unlock()
	close(i.dead)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = i.service.Close(ctx)
	i.kill()
}

// stop ends the process in good order.
func (i *process) stop(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := i.service.Close(ctx)
	if err != nil {
		i.w.mu.Lock()
		i.w.deaths++
		i.w.mu.Unlock()
	}
	close(i.dead)
	i.kill()
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
	at := w.routes[a.who]
	w.asked[wish{a.who, at, a.doc}] = true
	w.tellLocked("%s: %s asks %s to cancel %s, within %s", ref, taxpayerName(a.who), i.name, p.name, within.Round(time.Millisecond))
	w.mu.Unlock()
	r := bridge.Request{Ref: ref, Caller: "erp", Taxpayer: taxpayerName(a.who), IRN: [...]string{id, strings.ToUpper(id), "no-" + id}[a.spelling],
		Reason: string(a.reason), Remarks: "x", Received: time.Now(), Until: time.Now().Add(within)}
	ans = i.service.Cancel(t, r)
	if i.died() {
		w.tell("%s hears nothing: %s has died", ref, i.name)
		return ans, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tellLocked("%s is told %d %s%s (%s)", ref, ans.Code(), ans.Message, ans.Fault, ans.Why)
	w.judgeAnswer(p, r, ans)
	return ans, true
}

func (w *world) judgeAnswer(p *paper, r bridge.Request, ans bridge.Answer) {
	ours := p.by == r.Taxpayer
	coming := p.pending[r.Taxpayer] > 0 && p.by == "" && !p.rule
	if over := time.Since(r.Until); over > 10*time.Millisecond {
		w.wrongLocked("%s had to wait %s too long", r.Ref, over)
	}
	switch {
	case ans.Code() == 200:
		p.word[r.Taxpayer] = true
		if p.by == "" {
			w.wrongLocked("%s is told 200 for %s, which is not cancelled", r.Ref, p.name)
		}
	case ans.Code() == 204 && (ours || coming):
		w.wrongLocked("%s is told 204 %q for %s, which we have cancelled", r.Ref, ans.Message, p.name)
	case ans.Fault == bridge.FaultNotApplied && (ours || coming) && !w.lies:
		w.wrongLocked("%s is told that %s was not cancelled, and it is", r.Ref, p.name)
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
	last := map[wish]bridge.Answer{}
	for round := range 30 {
		open := 0
		for who := range simTaxpayers {
			for doc := range w.plan.papers {
				x := wish{who, 0, doc}
				had, asked := last[x]
				if !w.asked[x] && !w.asked[wish{who, 1, doc}] || asked && had.Fault == "" || round > 12 && w.homes[0][docID(doc)].hidden {
					continue
				}
				last[x], _ = w.ask(w.procs[round%len(w.procs)], act{who: who, doc: doc, reason: "1"}, 50*time.Second)
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
			x := wish{who, 0, doc}
			if ans, asked := last[x]; asked {
				if again, _ := w.ask(w.procs[0], act{who: who, doc: doc, reason: "1"}, 50*time.Second); again.Fault == "" {
					ans = again
				}
				w.judgeLast(x, ans)
			}
		}
	}
	if w.plan.rate > 0 {
		time.Sleep(time.Duration(4*w.refs/w.plan.rate) * time.Minute) // for what that has made wait
	}
}

// judgeLast holds the last answer against the truth.
func (w *world) judgeLast(x wish, ans bridge.Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.homes[0][docID(x.doc)]
	switch {
	case ans.Fault != "" && !p.hidden:
		w.wrongLocked("the last word on %s for %s is no answer: %s (%s)", p.name, taxpayerName(x.who), ans.Fault, ans.Why)
	case p.by == taxpayerName(x.who) && ans.Fault == "" && ans.Code() != 200:
		w.wrongLocked("the last word on %s, which %s has cancelled, is %d %s", p.name, taxpayerName(x.who), ans.Code(), ans.Message)
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
		case e.State == bridge.Accepted && e.Key.Space == "irp":
			w.wrong("%s was accepted for %s and never carried out", p.name, e.Taxpayer)
		case e.State == bridge.Sending:
			w.wrong("%s is still being sent for %s", p.name, e.Taxpayer)
		case e.State == bridge.Final && e.Outcome.Class == bridge.Cancelled && p.by == "":
			w.wrong("the record has %s cancelled for %s, and it is not", p.name, e.Taxpayer)
		case e.State == bridge.Final && e.Outcome.Class != bridge.Cancelled && p.by == e.Taxpayer && !(w.lies && e.Outcome.Class == bridge.NotApplied):
			w.wrong("the record has %s %s for %s, who has cancelled it", p.name, e.Outcome.Class, e.Taxpayer)
		}
	}
	if booked, sent := len(w.model.Sends("rate")), len(w.sends); w.plan.rate > 0 && w.deaths == 0 && !w.stalled && booked > sent { // what can't be given back while the record is out of reach ages out
		w.wrong("%d sends were booked and %d left", booked, sent)
	}
}

func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		wrongs, lines := play(t, newPlan(*oneSeed), true)
		t.Log(story(newPlan(*oneSeed), lines))
		for _, x := range wrongs {
			t.Error(x)
		}
		return
	}
	var next atomic.Uint64
	next.Store(*from)
	last := *from + uint64(*seeds)
	for range 2 {
		t.Run("stories", func(t *testing.T) {
			t.Parallel()
			for seed := next.Add(1) - 1; seed < last && !t.Failed(); seed = next.Add(1) - 1 {
				p := newPlan(seed)
				if wrongs, _ := play(t, p, false); len(wrongs) > 0 {
					p = shrink(t, p)
					wrongs, lines := play(t, p, true)
					t.Errorf("seed %d: %s\n%s", seed, strings.Join(wrongs, "\n"), story(p, lines))
				}
			}
		})
	}
}

func story(p plan, lines []string) string {
	return fmt.Sprintf("a story of %d instances, %d cancels a minute, already_cancelled: %s, on SQLite: %v, papers %+v\n%s",
		p.instances, p.rate, p.policy, p.sqlite, p.papers, strings.Join(lines, "\n"))
}

// shrink leaves out of a failing plan what it fails without.
func shrink(t *testing.T, p plan) plan {
	fails := func(q plan) bool {
		wrongs, _ := play(t, q, false)
		return len(wrongs) > 0
	}
	for again := true; again; {
		again = false
		for _, cut := range []func(*plan, int) bool{
			func(q *plan, n int) bool { return drop(&q.acts, n) },
			func(q *plan, n int) bool { return drop(&q.faults, n) },
			func(q *plan, n int) bool { return drop(&q.fates, n) },
			func(q *plan, n int) bool { return drop(&q.views, n) },
		} {
			for n := 0; ; {
				q := p
				q.acts, q.faults, q.fates, q.views = slices.Clone(p.acts), slices.Clone(p.faults), slices.Clone(p.fates), slices.Clone(p.views)
				if !cut(&q, n) {
					break
				}
				if fails(q) {
					p, again = q, true
				} else {
					n++
				}
			}
		}
	}
	return p
}

func drop[T any](all *[]T, n int) bool {
	if n >= len(*all) {
		return false
	}
	*all = slices.Delete(*all, n, n+1)
	return true
}
