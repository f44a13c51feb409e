package journaltest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// What the model shares with PostgreSQL's journal by design, not by code.
const (
	headFresh  = 2 * time.Second        // how long who waits for a rate counts as waiting after he has asked
	askAgain   = time.Second            // longest wait between two questions of one who waits
	behindWait = 100 * time.Millisecond // wait of one who is behind another
	gateMost   = time.Hour              // how far ahead a gate can be shut
	lookupMost = 2 * time.Hour          // how far ahead a lookup can be due; what lies further is due
)

// Model is one record in memory that several instances share, as they share a PostgreSQL database. It starts nothing
// by itself and polls nothing, so that millions of stories can be played on it, also inside testing/synctest: its own
// clock is time.Now, which all instances agree on.
type Model struct {
	// Lease and Settle are as in journal.Options: 15 s and 45 s. Set them before the first instance joins.
	Lease, Settle time.Duration

	mu       sync.Mutex
	rows     []*bridge.Entry // by ID, which starts at 1
	byOwner  map[owner]*bridge.Entry
	leases   map[bridge.Key]*lease
	attempts int64
	asks     []bridge.Ask
	byRef    map[string]int // places in asks
	sends    map[string][]time.Time
	heads    map[string]map[*Instance]head
	gates    map[string]bridge.Gate // Until by time.Now
}

type owner struct {
	bridge.Key
	taxpayer string
}

// lease says who may send for a document. Its owner prolongs it while he lives.
type lease struct {
	by       *Instance
	taxpayer string
	until    time.Time     // zero while by lives and reaches the record
	ahead    time.Duration // of by's wall clock before ours when he took it or prolonged it last
	freed    chan struct{} // closed when it is given back, or when until is set
}

// head is the lowest turn that an instance waits with.
type head struct {
	turn  int64
	until time.Time
}

// NewModel makes an empty record.
func NewModel() *Model {
	return &Model{
		Lease: 15 * time.Second, Settle: 45 * time.Second,
		byOwner: map[owner]*bridge.Entry{}, leases: map[bridge.Key]*lease{}, byRef: map[string]int{},
		sends: map[string][]time.Time{}, heads: map[string]map[*Instance]head{}, gates: map[string]bridge.Gate{},
	}
}

// Instance joins a process whose wall clock is now; nil: time.Now.
func (m *Model) Instance(name string, now func() time.Time) *Instance {
	if now == nil {
		now = time.Now
	}
	return &Instance{m: m, name: name, now: now}
}

// Entries are all entries in the order of their IDs, as they stand.
func (m *Model) Entries() []bridge.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]bridge.Entry, len(m.rows))
	for i, e := range m.rows {
		all[i] = clone(e)
	}
	return all
}

// Asks are what callers were told last, one for each call, in the order in which the calls were first answered.
func (m *Model) Asks() []bridge.Ask {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asks)
}

// Sends are the bookings of a rate that were not given back, oldest first.
func (m *Model) Sends(key string) []time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.sends[key])
}

// Instance is one process on the record. It implements bridge.Journal and bridge.Budget.
type Instance struct {
	// Fault, if set, is asked in every call but MaySend and AwaitRelease, which touch no disk: once as the call's name
	// ("Find", "Begin") before anything happens, and in calls that write a second time ("Begin written") when it has
	// happened. The call waits for delay, or for the end of its context, and fails with err, if there is any. A Begin
	// or Take whose caller doesn't hear that it was written is taken back, as journal.Journal does; other writes stand.
	// Set it before use; it is called from whatever goroutine makes the call, without any lock.
	Fault func(method string) (delay time.Duration, err error)

	m    *Model
	name string
	now  func() time.Time
	dead bool // guarded by m.mu, as is cut
	cut  bool
}

var (
	_ bridge.Journal = (*Instance)(nil)
	_ bridge.Budget  = (*Instance)(nil)
)

var (
	errDead = errors.New("model: this process is dead")
	errCut  = errors.New("model: the record can't be reached")
)

// Now is the process's wall clock.
func (i *Instance) Now() time.Time { return i.now() }

// Kill ends the process as it stands: its calls fail from now on and its leases run out.
func (i *Instance) Kill() {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	i.dead = true
	i.runOut()
}

// Cut keeps the process from the record, or frees it from a standstill that it did not notice: its calls fail, and its
// leases run out. Mend ends that: leases that nobody took meanwhile are its own again.
func (i *Instance) Cut() {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	i.cut = true
	i.runOut()
}

// Mend ends what Cut began.
func (i *Instance) Mend() {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	if i.cut = false; i.dead {
		return
	}
	for _, l := range i.m.leases {
		if l.by == i {
			i.prolong(l)
		}
	}
}

// runOut lets the leases run out, and those who wait for one of them know when: in the order of the entries, so that a
// story goes the same way when it is told again.
func (i *Instance) runOut() {
	for _, r := range i.m.rows {
		if l, ok := i.m.leases[r.Key]; ok && l.by == i {
			l.runOut(i.m.Lease)
		}
	}
}

func (l *lease) runOut(in time.Duration) {
	if l.until.IsZero() {
		l.until = time.Now().Add(in)
		close(l.freed)
		l.freed = make(chan struct{})
	}
}

// do carries out one call: the fault before it, work under the lock, and if that writes the fault after it. undo takes
// back what the caller hears nothing of.
func (i *Instance) do(ctx context.Context, method string, writes bool, work func() error, undo func()) error {
	if err := i.fault(ctx, method); err != nil {
		return err
	}
	i.m.mu.Lock()
	err := i.gone()
	if err == nil {
		err = work()
	}
	i.m.mu.Unlock()
	if err != nil || !writes {
		return err
	}
	err = i.fault(ctx, method+" written")
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	if i.dead {
		return errDead
	}
	if err != nil && undo != nil {
		undo()
	}
	return err
}

func (i *Instance) fault(ctx context.Context, method string) error {
	if i.Fault == nil {
		return ctx.Err()
	}
	delay, err := i.Fault(method)
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return err
}

func (i *Instance) gone() error {
	switch {
	case i.dead:
		return errDead
	case i.cut:
		return errCut
	}
	return nil
}

// Find implements bridge.Journal.
func (i *Instance) Find(ctx context.Context, k bridge.Key, taxpayer string) (e bridge.Entry, err error) {
	err = i.do(ctx, "Find", false, func() error {
		r, ok := i.m.byOwner[owner{k, taxpayer}]
		if !ok {
			return bridge.ErrNoEntry
		}
		e = clone(r)
		return nil
	}, nil)
	return e, err
}

// Begin implements bridge.Journal.
func (i *Instance) Begin(ctx context.Context, b bridge.Begin) (e bridge.Entry, created bool, err error) {
	k, taxpayer := b.Entry.Key, b.Entry.Taxpayer
	var (
		r     *bridge.Entry
		fresh bool
	)
	err = i.do(ctx, "Begin", true, func() (err error) {
		if fresh, err = i.take(k, taxpayer); err != nil {
			return err
		}
		if r = i.m.byOwner[owner{k, taxpayer}]; r == nil {
			r, created = i.insert(b), true
		} else if fresh {
			orphan(r, i.now())
		}
		e = clone(r)
		return nil
	}, func() {
		if created { // its caller was told that it was not written down: it must never be carried out
			late := bridge.Outcome{Class: bridge.NotApplied, Message: "written down too late and not sent"}
			for n := range r.Attempts { // written in the same commit, and never sent
				r.Attempts[n].End, r.Attempts[n].Outcome = stored(i.now()), late
			}
			merge(r, bridge.Finish{State: bridge.Final, At: stored(i.now()), Outcome: late}, i.held(k, taxpayer))
		}
		if created || fresh {
			i.drop(k, taxpayer)
		}
	})
	if err != nil {
		return bridge.Entry{}, false, err
	}
	return e, created, nil
}

func (i *Instance) insert(b bridge.Begin) *bridge.Entry {
	e := b.Entry
	e.ID, e.State, e.Outcome, e.Attempts, e.NextLookup = int64(len(i.m.rows)+1), bridge.Accepted, bridge.Outcome{}, nil, time.Time{}
	e.Created, e.Expires = stored(e.Created), stored(e.Expires)
	e.Updated = e.Created
	if b.SendNow {
		e.State = bridge.Sending
		i.append(&e, bridge.Attempt{Kind: bridge.SendCancel, Start: e.Created, Upstream: e.Upstream})
	}
	i.m.rows = append(i.m.rows, &e)
	i.m.byOwner[owner{e.Key, e.Taxpayer}] = &e
	return &e
}

func (i *Instance) append(e *bridge.Entry, a bridge.Attempt) bridge.Attempt {
	i.m.attempts++
	a.ID, a.By, a.Start, a.End, a.Outcome.Exchanges = i.m.attempts, i.name, stored(a.Start), stored(a.End), nil
	e.Attempts = append(e.Attempts, a)
	return a
}

// Requeue implements bridge.Journal.
func (i *Instance) Requeue(ctx context.Context, e bridge.Entry) (got bridge.Entry, err error) {
	err = i.do(ctx, "Requeue", true, func() error {
		r, err := i.carried(e)
		switch {
		case err != nil:
			return err
		case r.State != bridge.Final || r.Outcome.Class == bridge.Cancelled:
			return bridge.ErrNotWaiting
		}
		request(r, e)
		r.State, r.Outcome, r.NextLookup = bridge.Accepted, bridge.Outcome{}, time.Time{}
		r.Expires, r.Updated = stored(e.Expires), stored(i.now())
		got = clone(r)
		return nil
	}, nil)
	if err != nil {
		return bridge.Entry{}, err
	}
	return got, nil
}

// Attempt implements bridge.Journal.
func (i *Instance) Attempt(ctx context.Context, e bridge.Entry, start time.Time) (a bridge.Attempt, err error) {
	err = i.do(ctx, "Attempt", true, func() error {
		r, err := i.carried(e)
		switch {
		case err != nil:
			return err
		case r.State == bridge.Final && (e.State != bridge.Final || r.Outcome.Class == bridge.Cancelled || !r.Updated.Equal(stored(e.Updated))):
			return bridge.ErrNotWaiting
		}
		request(r, e)
		r.State, r.Outcome, r.NextLookup, r.Updated = bridge.Sending, bridge.Outcome{}, time.Time{}, stored(start)
		a = i.append(r, bridge.Attempt{Kind: bridge.SendCancel, Start: start, Upstream: e.Upstream})
		return nil
	}, nil)
	if err != nil {
		return bridge.Attempt{}, err
	}
	return a, nil
}

// carried is the entry as it stands, whose lease is ours and good; it is prolonged.
func (i *Instance) carried(e bridge.Entry) (*bridge.Entry, error) {
	if !i.valid(e.Key, e.Taxpayer) {
		return nil, bridge.ErrLostLease
	}
	i.prolong(i.m.leases[e.Key])
	if e.ID < 1 || e.ID > int64(len(i.m.rows)) {
		return nil, bridge.ErrNoEntry
	}
	return i.m.rows[e.ID-1], nil
}

// request puts the request of e into the entry.
func request(r *bridge.Entry, e bridge.Entry) {
	r.Upstream, r.Ref, r.Caller, r.IRN, r.Reason, r.Remarks = e.Upstream, e.Ref, e.Caller, e.IRN, e.Reason, e.Remarks
}

// MaySend implements bridge.Journal.
func (i *Instance) MaySend(_ context.Context, e *bridge.Entry) error {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	if i.dead || !i.valid(e.Key, e.Taxpayer) {
		return bridge.ErrLostLease
	}
	return nil
}

// Finish implements bridge.Journal.
func (i *Instance) Finish(ctx context.Context, fin *bridge.Finish) (e bridge.Entry, err error) {
	f := *fin
	f.Result.Exchanges, f.Outcome.Exchanges, f.At = nil, nil, stored(f.At)
	err = i.do(ctx, "Finish", true, func() error {
		if f.Entry < 1 || f.Entry > int64(len(i.m.rows)) {
			return bridge.ErrNoEntry
		}
		r := i.m.rows[f.Entry-1]
		held := i.held(r.Key, r.Taxpayer)
		for n := range r.Attempts {
			if a := &r.Attempts[n]; a.ID == f.Attempt && a.End.IsZero() {
				a.End, a.Outcome = f.At, f.Result
			}
		}
		if f.Look != nil && !i.looked(r, *f.Look) {
			i.append(r, *f.Look)
		}
		merge(r, f, held)
		i.tell(f.Asks, r.ID)
		switch {
		case f.Release:
			i.drop(r.Key, r.Taxpayer)
		case held && !i.m.leases[r.Key].until.IsZero():
			i.prolong(i.m.leases[r.Key])
		}
		e = clone(r)
		return nil
	}, nil)
	if err != nil {
		return bridge.Entry{}, err
	}
	return e, nil
}

// looked tells whether a lookup is on record already: a Finish that its caller did not hear of comes again.
func (i *Instance) looked(r *bridge.Entry, look bridge.Attempt) bool {
	return slices.ContainsFunc(r.Attempts, func(a bridge.Attempt) bool {
		return a.Kind == look.Kind && a.By == i.name && a.Start.Equal(stored(look.Start))
	})
}

// merge is what evidence does to an entry, see bridge.Journal.
func merge(e *bridge.Entry, f bridge.Finish, held bool) {
	if f.State == bridge.Final && !ends(f.Outcome.Class) {
		f.State = bridge.Open
	}
	proof := f.State == bridge.Final && f.Outcome.Class == bridge.Cancelled
	if e.Outcome.Class == bridge.Cancelled || !proof && (!held || e.State == bridge.Final && f.State != bridge.Final) {
		return
	}
	e.State, e.Updated, e.NextLookup, e.Outcome = f.State, f.At, time.Time{}, bridge.Outcome{}
	switch f.State {
	case bridge.Final:
		e.Outcome = f.Outcome
	case bridge.Open:
		e.NextLookup, e.Outcome = stored(f.NextLookup), bridge.Outcome{Class: bridge.Unknown}
		if f.Outcome.Class == bridge.Unknown {
			e.Outcome = f.Outcome
		}
	}
}

// ends tells whether an entry can end as c. Anything else leaves it in doubt.
func ends(c bridge.Class) bool {
	return c == bridge.Cancelled || c == bridge.Refused || c == bridge.NotApplied || c == bridge.Misconfigured
}

// Tell implements bridge.Journal.
func (i *Instance) Tell(ctx context.Context, asks ...bridge.Ask) error {
	return i.do(ctx, "Tell", true, func() error {
		i.tell(asks, 0)
		return nil
	}, nil)
}

// tell writes asks down. One without an entry belongs to entry, or to the one that its document has.
func (i *Instance) tell(asks []bridge.Ask, entry int64) {
	for _, a := range asks {
		if a.Entry == 0 {
			a.Entry = entry
		}
		if r, ok := i.m.byOwner[owner{a.Key, a.Taxpayer}]; ok && a.Entry == 0 {
			a.Entry = r.ID
		}
		a.Received, a.ToldAt = stored(a.Received), stored(a.ToldAt)
		at, again := i.m.byRef[a.Ref]
		if !again {
			i.m.byRef[a.Ref] = len(i.m.asks)
			i.m.asks = append(i.m.asks, a)
			continue
		}
		was := &i.m.asks[at]
		was.Told, was.ToldAt, was.How, was.SOAPOut = a.Told, a.ToldAt, a.How, a.SOAPOut
	}
}

// Release implements bridge.Journal. Whatever the error, the lease is not prolonged any more.
func (i *Instance) Release(ctx context.Context, e bridge.Entry) error {
	err := i.do(ctx, "Release", true, func() error {
		i.drop(e.Key, e.Taxpayer)
		return nil
	}, nil)
	if err != nil {
		i.m.mu.Lock()
		defer i.m.mu.Unlock()
		if i.held(e.Key, e.Taxpayer) {
			l := i.m.leases[e.Key]
			l.runOut(i.m.Lease)
			l.by = nil
		}
	}
	return err
}

// AwaitRelease implements bridge.Journal.
func (i *Instance) AwaitRelease(ctx context.Context, k bridge.Key) {
	i.m.mu.Lock()
	l, ok := i.m.leases[k]
	if !ok || i.m.over(k, l) {
		i.m.mu.Unlock()
		return
	}
	freed, until := l.freed, i.m.free(k, l)
	i.m.mu.Unlock()
	var over <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until) + time.Microsecond)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-freed:
	case <-over:
	case <-ctx.Done():
	}
}

// Due implements bridge.Journal.
func (i *Instance) Due(ctx context.Context, now time.Time, n int) (due []bridge.Entry, err error) {
	err = i.do(ctx, "Due", true, func() error {
		var open []*bridge.Entry
		for _, r := range i.m.rows {
			if r.State == bridge.Open && !r.NextLookup.IsZero() && (!r.NextLookup.After(now) || r.NextLookup.After(now.Add(lookupMost))) {
				open = append(open, r)
			}
		}
		slices.SortStableFunc(open, func(a, b *bridge.Entry) int { return a.NextLookup.Compare(b.NextLookup) })
		slices.SortStableFunc(open, func(a, b *bridge.Entry) int { return i.rank(a) - i.rank(b) })
		for _, r := range open {
			if len(due) == n {
				break
			}
			if _, err := i.take(r.Key, r.Taxpayer); err == nil {
				due = append(due, clone(r))
			}
		}
		return nil
	}, nil)
	return due, err
}

// rank puts what is ours already behind the rest.
func (i *Instance) rank(r *bridge.Entry) int {
	if i.held(r.Key, r.Taxpayer) {
		return 1
	}
	return 0
}

// Orphans implements bridge.Journal.
func (i *Instance) Orphans(ctx context.Context, now time.Time) (waiting []bridge.Entry, err error) {
	err = i.do(ctx, "Orphans", true, func() error {
		for _, r := range i.m.rows {
			if r.State != bridge.Accepted && r.State != bridge.Sending {
				continue
			}
			fresh, err := i.take(r.Key, r.Taxpayer)
			switch {
			case err != nil || !fresh:
			case r.State == bridge.Accepted:
				waiting = append(waiting, clone(r))
			default:
				orphan(r, now)
				i.drop(r.Key, r.Taxpayer)
			}
		}
		return nil
	}, nil)
	return waiting, err
}

// orphan turns an entry that was left while sending into an open one with a lookup due.
func orphan(r *bridge.Entry, now time.Time) {
	if r.State == bridge.Sending {
		r.State, r.Outcome = bridge.Open, bridge.Outcome{Class: bridge.Unknown}
		r.NextLookup, r.Updated = stored(now), stored(now)
	}
}

// take makes the document's lease ours; fresh when it was not before.
func (i *Instance) take(k bridge.Key, taxpayer string) (fresh bool, err error) {
	l, ok := i.m.leases[k]
	switch {
	case ok && l.by == i && l.taxpayer == taxpayer:
		i.prolong(l)
		return false, nil
	case ok && !i.m.over(k, l):
		return false, bridge.ErrBusy
	case ok:
		close(l.freed)
	}
	l = &lease{by: i, taxpayer: taxpayer, freed: make(chan struct{})}
	i.prolong(l)
	i.m.leases[k] = l
	return true, nil
}

func (i *Instance) prolong(l *lease) { l.until, l.ahead = time.Time{}, i.ahead() }

// ahead is how far the process's wall clock is before the record's.
func (i *Instance) ahead() time.Duration { return time.Until(i.now()) }

// held tells whether the document's lease is ours, run out or not.
func (i *Instance) held(k bridge.Key, taxpayer string) bool {
	l, ok := i.m.leases[k]
	return ok && l.by == i && l.taxpayer == taxpayer
}

// valid tells whether the lease is ours and good, by both clocks. A wall clock that was set ahead by more than a lease
// makes it run out once: then the process has prolonged it.
func (i *Instance) valid(k bridge.Key, taxpayer string) bool {
	if !i.held(k, taxpayer) {
		return false
	}
	l := i.m.leases[k]
	if !l.until.IsZero() && !time.Now().Before(l.until) {
		return false
	}
	ahead := i.ahead()
	if ahead-l.ahead < i.m.Lease {
		return true
	}
	l.ahead = ahead
	return false
}

// drop gives the lease back if it is ours, and wakes who waits for it.
func (i *Instance) drop(k bridge.Key, taxpayer string) {
	if i.held(k, taxpayer) {
		close(i.m.leases[k].freed)
		delete(i.m.leases, k)
	}
}

// free is when somebody else may take the lease: when it has run out, and while something sent under it may still be
// under way, the settling time later. Zero: its owner lives.
func (m *Model) free(k bridge.Key, l *lease) time.Time {
	if l.until.IsZero() {
		return time.Time{}
	}
	if r, ok := m.byOwner[owner{k, l.taxpayer}]; ok && r.State == bridge.Sending {
		return l.until.Add(m.Settle)
	}
	return l.until
}

func (m *Model) over(k bridge.Key, l *lease) bool {
	at := m.free(k, l)
	return !at.IsZero() && time.Now().After(at)
}

// clone keeps what others do with their copy out of ours.
func clone(r *bridge.Entry) bridge.Entry {
	e := *r
	e.Attempts = slices.Clone(r.Attempts)
	return e
}

// stored is a time as it comes back from a disk.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}
