package flow

import (
	"context"
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
	seeds    = flag.Int("seeds", 200, "stories that TestSimulation plays")
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
	carry     time.Duration // carry_out_within
	papers    []paperPlan
	acts      []act
	fates     []fate
	views     []view
	namings   []naming
	faults    []fault
}

type paperPlan struct{ rule, frozen, byID, hidden bool }

// act is one thing that happens, at a time after the one before.
type act struct {
	kind     actKind
	after    time.Duration
	who      int // taxpayer
	doc      int
	instance int
	spelling int
	reason   bridge.Reason
	recall   bool // no new work is taken: the record alone is asked
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
)

func newPlan(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	chance := func(n int) bool { return r.IntN(n) == 0 }
	span := func(lo, hi time.Duration) time.Duration { return lo + time.Duration(r.Int64N(int64(hi-lo))) }
	p := plan{seed: seed, instances: 1, policy: AlreadyByJournal, carry: 30 * time.Minute, sqlite: *sqliteIn > 0 && seed%uint64(*sqliteIn) == 0}
	if !p.sqlite && chance(2) {
		p.instances = 2 + r.IntN(4)
	}
	if chance(4) {
		p.rate = 1 + r.IntN(3)
	}
	if chance(4) {
		p.carry = span(20*time.Second, 5*time.Minute)
	}
	switch r.IntN(8) {
	case 0:
		p.policy = AlreadySuccess
	case 1:
		p.policy = AlreadyRefuse
	}
	for range 1 + r.IntN(2) {
		p.papers = append(p.papers, paperPlan{rule: chance(5), frozen: chance(2), byID: chance(4), hidden: chance(10)})
	}
	calm := chance(3) // nothing breaks but the authority
	for range 2 + r.IntN(8) {
		a := act{after: span(0, 8*time.Second), who: r.IntN(4) / 3, doc: r.IntN(len(p.papers)), instance: r.IntN(p.instances),
			spelling: r.IntN(3), reason: [...]bridge.Reason{"1", "2"}[r.IntN(2)], recall: chance(12),
			within: span(2*time.Second, 50*time.Second), d: span(time.Second, 90*time.Second)}
		switch n := r.IntN(16); {
		case n < 9:
			a.kind = asks
		case n < 11:
			if a.kind = rests; chance(16) {
				a.d *= 40 // up to an hour
			}
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
	if chance(3) {
		for range r.IntN(6) {
			p.namings = append(p.namings, naming(r.IntN(int(namings))))
		}
	}
	if !calm && chance(2) {
		for range r.IntN(40) {
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
	namings []naming
	faults  []fault
	calm    bool // the story's end: nothing breaks any more
	lines   []string
	wrongs  []string
	sends   []time.Time // that left, under the rate
	gates   map[string]gate
	asked   map[wish]bool
	routes  map[int]int // taxpayer → office
	homes   [3]map[string]*paper
	procs   []*process
	deaths  int
	lost    int // bookings that could not be given back
	refs    int
	stalled bool // a process stood still, and what it had booked left later
	setBack bool // a clock was: gates on SQLite may stay shut for as long, an hour at most
}

// wish is what somebody asked for.
type wish struct{ taxpayer, space, doc string }

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

// pop is what comes next of a plan, the harmless zero value when nothing does.
func pop[T any](w *world, rest *[]T) (first T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.calm && len(*rest) > 0 {
		first, *rest = (*rest)[0], (*rest)[1:]
	}
	return first
}

func (w *world) nextFate() fate     { return pop(w, &w.fates) }
func (w *world) nextView() view     { return pop(w, &w.views) }
func (w *world) nextNaming() naming { return pop(w, &w.namings) }

func (w *world) nextFault(i *process, call string, k kind) fault {
	f := pop(w, &w.faults)
	if f != (fault{}) {
		w.tell("the journal of %s, at %s: takes %s, fails before %v, after %v", i.name, call, f.delay.Round(time.Millisecond), f.before && k != always, f.after && k != reads)
	}
	return f
}

func (w *world) lose() {
	w.mu.Lock()
	w.lost++
	w.mu.Unlock()
}

// proc is the process that stands in slot n now.
func (w *world) proc(n int) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.procs[n]
}

// process is one instance at work.
type process struct {
	w       *world
	name    string
	n       int
	disk    *shaky
	service *Service
	terms   atomic.Pointer[Terms]
	leaving bool         // it is stopping, and the next one comes by itself; guarded by the world
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
	i.disk = &shaky{i: i}
	if w.plan.sqlite {
		j, err := journal.Open(context.Background(), "sqlite:"+filepath.Join(w.dir, "j.db"), journal.Options{Now: i.now})
		if err != nil {
			return err
		}
		i.disk.Journal, i.disk.Budget, i.kill = j, j, func() { _ = j.Close() }
	} else {
		j := w.model.Instance(i.name, i.now)
		j.Fault = i.disk.unheard
		i.disk.Journal, i.disk.Budget, i.kill = j, j, j.Kill
	}
	i.terms.Store(w.terms(i))
	i.service = New(i.disk, i.disk, watcher{i}, i.terms.Load())
	i.service.jitter = func(d time.Duration) time.Duration { return w.draw(0, d) }
	w.mu.Lock()
	w.procs[n] = i
	w.mu.Unlock()
	for err := i.service.Start(); err != nil && !i.died(); err = i.service.Start() { // serve is started again until it comes up
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
	return &Terms{CarryOutWithin: w.plan.carry, RepeatRefusalsAfter: time.Minute, AlreadyCancelled: w.plan.policy,
		Route: func(t string) (bridge.Upstream, bool) { up, ok := ways[t]; return up, ok }}
}

// play plays a plan and returns what went wrong and, if loud, the story.
func play(t *testing.T, p plan, loud bool) (wrongs, lines []string) {
	w := &world{plan: p, loud: loud, model: journaltest.NewModel(), rng: rand.New(rand.NewPCG(p.seed, 2)),
		fates: slices.Clone(p.fates), views: slices.Clone(p.views), namings: slices.Clone(p.namings), faults: slices.Clone(p.faults),
		gates: map[string]gate{}, asked: map[wish]bool{}, routes: map[int]int{}, procs: make([]*process, p.instances)}
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
			w.homes[at][docID(n)] = &paper{name: name, id: docID(n), paperPlan: pp, left: map[string]int{}, pending: map[string]int{}, word: map[string]string{}}
		}
	}
}

func docID(n int) string { return fmt.Sprintf("doc%c", 'a'+n) }

func (w *world) act(t *testing.T, a act) {
	i := w.proc(a.instance)
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
		if !w.leave(i) {
			return
		}
		w.tell("%s is killed", i.name)
		i.crash()
		time.Sleep(a.d / 20)
		if err := w.boot(a.instance, i.step.Load()); err != nil {
			t.Fatal(err)
		}
	case restarts: // those who ask it meanwhile are answered from the record, or turned away
		if !w.leave(i) {
			return
		}
		w.tell("%s is restarted", i.name)
		w.calls.Go(func() {
			i.stop(40 * time.Second)
			if err := w.boot(a.instance, i.step.Load()); err != nil {
				w.wrong("%s does not come back: %v", i.name, err)
			}
		})
	case moves:
		w.move(a.who, [...]int{0, 1, 2}[int(a.d.Milliseconds())%3])
	case steps:
		d := a.d * 40 // up to an hour
		if a.spelling == 0 {
			d = -d
		}
		w.mu.Lock()
		w.setBack = w.setBack || d < 0
		w.tellLocked("the clock of %s is set by %s", i.name, d.Round(time.Second))
		w.mu.Unlock()
		i.step.Add(int64(d))
	case resolves:
		w.resolve(i, a)
	case stalls:
		if j, ok := i.disk.Journal.(*journaltest.Instance); ok {
			w.mu.Lock()
			w.stalled = true
			w.mu.Unlock()
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

// leave tells whether the process may end now; false when it is ending already.
func (w *world) leave(i *process) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := i.leaving
	i.leaving = true
	return !was
}

// move reloads every instance with another way for a taxpayer.
func (w *world) move(who, to int) {
	w.mu.Lock()
	w.routes[who] = to
	w.tellLocked("%s goes by %s from now on", taxpayerName(who), [...]string{"nic", "gsp", "elsewhere, where the documents are others"}[to])
	procs := slices.Clone(w.procs)
	w.mu.Unlock()
	for _, i := range procs {
		t := w.terms(i)
		i.terms.Store(t)
		i.service.Change(t)
	}
}

// resolve is an operator. He takes back what waits its turn. For what is open he looks at the authority's own page, sees
// the truth, and writes it down; he comes when nothing is on its way any more.
func (w *world) resolve(i *process, a act) {
	e, err := i.disk.Journal.Find(context.Background(), bridge.Key{Space: "irp", Document: docID(a.doc)}, taxpayerName(a.who))
	if err != nil || e.State != bridge.Open && e.State != bridge.Accepted {
		return
	}
	w.mu.Lock()
	p := w.homes[0][docID(a.doc)]
	o := bridge.Outcome{Class: bridge.NotApplied}
	if p.by != "" {
		o = bridge.Outcome{Class: bridge.Cancelled, Date: "2026-03-01 10:00:00"}
	}
	waits := p.running > 0 || p.pending[e.Taxpayer] > 0
	w.mu.Unlock()
	var hand interface {
		Resolve(context.Context, int64, bridge.Outcome, string, string, bool) (bridge.Entry, error)
		Withdraw(context.Context, int64, string) (bridge.Entry, error)
	}
	if hand = (byHand{w.model}); w.plan.sqlite {
		hand = i.disk.Journal.(*journal.Journal)
	}
	switch {
	case e.State == bridge.Accepted:
		if _, err = hand.Withdraw(context.Background(), e.ID, "operator"); err == nil {
			w.tell("an operator takes the cancellation of %s for %s back", p.name, e.Taxpayer)
		}
	case !waits:
		if _, err = hand.Resolve(context.Background(), e.ID, o, "operator", "seen in the portal", true); err == nil {
			w.tell("an operator writes down that %s is %s", p.name, o.Class)
		}
	}
}

// byHand is the model's side for operators, in the shape of the journal's.
type byHand struct{ m *journaltest.Model }

func (h byHand) Resolve(_ context.Context, id int64, o bridge.Outcome, by, why string, force bool) (bridge.Entry, error) {
	return h.m.Resolve(id, o, by, why, force)
}

func (h byHand) Withdraw(_ context.Context, id int64, by string) (bridge.Entry, error) {
	return h.m.Withdraw(id, by)
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
			func(q *plan, n int) bool { return drop(&q.namings, n) },
		} {
			for n := 0; ; {
				q := p
				q.acts, q.faults, q.fates = slices.Clone(p.acts), slices.Clone(p.faults), slices.Clone(p.fates)
				q.views, q.namings = slices.Clone(p.views), slices.Clone(p.namings)
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
