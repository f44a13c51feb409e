package server

import (
	"cmp"
	"slices"
	"sync"

	"einvoice-bridge/bridge"
)

// pool is what places are shared out among.
type pool struct {
	kind bridge.PoolKind
	name string // of the caller or the upstream
}

// weights say how many places must be left for each that a pool holds already. Whoever makes all his calls hang comes to a
// third of the places, an authority that hangs to half of them, and each that does so leaves as much again to everybody
// else: nobody needs to be told beforehand how many there will be. Of log-ins no more wait than come to their turn in time.
var weights = map[bridge.PoolKind]int{
	bridge.PoolArriving: 1, bridge.PoolCaller: 2, bridge.PoolUpstream: 1, bridge.PoolLogin: 14, bridge.PoolRelay: 4, bridge.PoolRecall: 1,
	bridge.PoolWaiting: 1,
}

// places are shared out so that nobody takes all.
type places struct {
	mu      sync.Mutex
	taken   int
	waiting int // for their turn: places of their own, of which there are as many again
	by      map[pool]*portion
}

// portion is what one pool holds.
type portion struct {
	held int
	full uint64 // how often it had no place left
}

func newPlaces() places { return places{by: map[pool]*portion{}} }

// of needs the lock.
func (ps *places) of(p pool) *portion {
	if ps.by[p] == nil {
		ps.by[p] = &portion{}
	}
	return ps.by[p]
}

// know shows pools before anybody has come to them.
func (ps *places) know(all ...pool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range all {
		ps.of(p)
	}
}

// room tells whether each of the pools may hold one more when so many places are left.
func (ps *places) room(left int, pools []pool) bool {
	ok := true
	for _, p := range pools {
		if q := ps.of(p); q.held*weights[p.kind] >= left {
			q.full++
			ok = false
		}
	}
	return ok
}

// hold needs the lock.
func (ps *places) hold(pools []pool, n int) {
	for _, p := range pools {
		ps.of(p).held += n
	}
}

// place is one that is taken, until everybody who uses it has left: a call, and the work it began, which may outlast it.
type place struct {
	all     *places
	most    int
	counted [2]pool // that it counts for
	n       int     // of them; 0: it was left
	users   int
	waits   bool // for its turn
}

func (p *place) pools() []pool { return p.counted[:p.n] }

// enter takes one of at most so many places.
func (ps *places) enter(most int, p pool) (*place, bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	taken := &place{all: ps, most: most, counted: [2]pool{p}, n: 1, users: 1}
	if !ps.room(most-ps.taken, taken.pools()) {
		return nil, false
	}
	ps.taken++
	ps.hold(taken.pools(), 1)
	return taken, true
}

// become counts a place for other pools from now on, two at most, if these may hold one more.
func (p *place) become(pools ...pool) bool {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	if !p.all.room(p.most-p.all.taken+1, pools) { // it is taken already
		return false
	}
	p.all.hold(p.pools(), -1)
	p.n = copy(p.counted[:], pools)
	p.all.hold(p.pools(), 1)
	return true
}

// keep holds the place for one user more, until it is told that this one has left.
func (p *place) keep() (leave func()) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.users++
	return p.leave
}

// wait counts the place among those that wait their turn, if there is room.
func (p *place) wait(w pool) {
	ps := p.all
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.n == 0 || p.waits || !ps.room(p.most-ps.waiting, []pool{w}) {
		return
	}
	ps.hold(p.pools(), -1)
	ps.taken, ps.waiting, p.waits = ps.taken-1, ps.waiting+1, true
	p.n = copy(p.counted[:], []pool{w})
	ps.hold(p.pools(), 1)
}

// crowded tells whether no more may wait for their turn in a pool.
func (ps *places) crowded(most int, w pool) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return !ps.room(most-ps.waiting, []pool{w})
}

// leave is one user's; the last one gives the place back.
func (p *place) leave() {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	if p.users--; p.users > 0 || p.n == 0 {
		return
	}
	if p.waits {
		p.all.waiting--
	} else {
		p.all.taken--
	}
	p.all.hold(p.pools(), -1)
	p.n = 0
}

// count is how many places are taken.
func (ps *places) count() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.taken
}

// report tells what each pool holds, and what it may hold as things stand.
func (ps *places) report(most int) []bridge.Pool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var all []bridge.Pool
	for p, q := range ps.by {
		taken := ps.taken
		if p.kind == bridge.PoolWaiting {
			taken = ps.waiting
		}
		room := q.held + max(0, (most-taken-q.held*weights[p.kind]+weights[p.kind])/(1+weights[p.kind]))
		all = append(all, bridge.Pool{Kind: p.kind, Name: p.name, Held: q.held, Most: room, Full: q.full})
	}
	slices.SortFunc(all, func(a, b bridge.Pool) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return all
}
