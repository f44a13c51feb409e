package server

import (
	"cmp"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"einvoice-bridge/bridge"
)

// crowd bounds what all connections hold together. Nobody is turned away at the door, since he may be a caller: whoever
// comes when there is too much has others put out. These are strangers first, on whose connection no call was let in yet,
// and of them the one whose address holds most, the longest-standing first: a caller's request is there within a moment,
// and who only wants to hold something up must hold it for long.
type crowd struct {
	limits Crowd
	desk   func() *Desk // that is open

	mu        sync.Mutex
	all       map[*wire]bool
	strangers int
	held      int64 // bytes, by requests that are not complete
	put       map[bridge.PutOut]uint64
}

// Crowd is how many connections there may be, and how much they may hold. What is 0 has a default.
type Crowd struct {
	Connections int   // 16,384
	Strangers   int   // 2,048: of these, on which nobody was let in yet
	Unfinished  int64 // 16 MiB, or room for sixteen of the largest bodies: what requests hold that are not complete
}

// headCost is what the engine holds for a request from its first byte on, its body apart: the buffer that it reads
// through, and a context.
const headCost = headerLimit + 4<<10

// visit is what the crowd knows of a connection. The crowd's lock guards it.
type visit struct {
	in     *crowd
	socket net.Conn
	from   netip.Addr // whom it counts for while it is a stranger's; zero: itself
	caller string     // who was let in on it last; empty: nobody, it is a stranger's
	since  time.Time  // of its request's first byte, or of when nothing was going on any more
	holds  int64
}

func newCrowd(limits Crowd, desk func() *Desk) *crowd {
	limits.Connections = orElse(limits.Connections, 16<<10)
	limits.Strangers = orElse(limits.Strangers, 2<<10)
	return &crowd{limits: limits, desk: desk, all: map[*wire]bool{}, put: map[bridge.PutOut]uint64{}}
}

// most is how many bytes unfinished requests may hold.
func (c *crowd) most() int64 { return orElse(c.limits.Unfinished, max(16<<20, 16*c.largest())) }

// largest is how long a body can be.
func (c *crowd) largest() int64 { return int64(c.desk().bodyLimit()) }

// enters lets a connection in.
func (c *crowd) enters(w *wire, socket net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.visit = visit{in: c, socket: socket, since: time.Now()}
	if addr, ok := socket.RemoteAddr().(*net.TCPAddr); ok {
		if from := addr.AddrPort().Addr().Unmap(); !c.desk().trusts(from) { // a proxy brings many callers
			w.from = from
		}
	}
	c.all[w] = true
	c.strangers++
	if c.strangers > c.limits.Strangers {
		c.clear(bridge.PutOutStranger, func() bool { return c.strangers > c.limits.Strangers*7/8 })
	}
	if len(c.all) > c.limits.Connections {
		c.clear(bridge.PutOutConnection, func() bool { return len(c.all) > c.limits.Connections*7/8 })
	}
}

// leaves lets go of a connection that has ended.
func (w *wire) leaves() {
	c := w.in
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(w)
}

// remove needs the lock.
func (c *crowd) remove(w *wire) {
	if !c.all[w] {
		return
	}
	delete(c.all, w)
	c.held -= w.holds
	w.holds = 0
	if w.caller == "" {
		c.strangers--
	}
}

// takes counts what a request will hold until it is complete.
func (w *wire) takes(n int64) {
	c := w.in
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.all[w] {
		return
	}
	if w.holds == 0 {
		w.since = time.Now()
	}
	w.holds += n
	if c.held += n; c.held > c.most() {
		c.clear(bridge.PutOutUnfinished, func() bool { return c.held > c.most()*7/8 })
	}
}

// complete counts a request as complete.
func (w *wire) complete() {
	c := w.in
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held -= w.holds
	w.holds, w.since = 0, time.Now()
}

// belongs notes whom a call was let in for.
func (w *wire) belongs(caller string) {
	if w.caller == caller { // nobody else writes it
		return
	}
	c := w.in
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all[w] && w.caller == "" {
		c.strangers--
	}
	w.caller = caller
}

// clear puts out who must go first, while there is too much. It goes on to an eighth below the limit: setting everybody in
// order has its price, too. It needs the lock.
func (c *crowd) clear(why bridge.PutOut, tooMuch func() bool) {
	order := c.order(why)
	for _, w := range order {
		if !tooMuch() {
			return
		}
		c.remove(w)
		c.put[why]++
		w.out.Store(true)
		_ = w.socket.SetReadDeadline(longAgo) // the engine answers that its time is over, see Desk.fail
	}
}

// justBegun is how long a caller's request is not put out for what unfinished ones hold: many callers may begin at once.
const justBegun = time.Second

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// order is who may be put out, in the order in which they must go. One who is being answered holds nothing and is no
// stranger any more by then, or soon.
func (c *crowd) order(why bridge.PutOut) []*wire {
	var all []*wire
	begun := time.Now().Add(-justBegun)
	for w := range c.all {
		if why != bridge.PutOutUnfinished || w.holds > 0 && (w.caller == "" || w.since.Before(begun)) {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b *wire) int { return b.since.Compare(a.since) })
	type owner struct {
		from   netip.Addr
		caller string
	}
	sums, standing := map[owner]int64{}, make(map[*wire]int64, len(all)) // with all that its owner has begun since
	for _, w := range all {
		weight := w.holds + headCost
		standing[w] = weight
		if o := (owner{w.from, w.caller}); o != (owner{}) {
			sums[o] += weight
			standing[w] = sums[o]
		}
	}
	known := func(w *wire) int { return min(len(w.caller), 1) }
	slices.SortFunc(all, func(a, b *wire) int {
		return cmp.Or(cmp.Compare(known(a), known(b)), cmp.Compare(standing[b], standing[a]), a.since.Compare(b.since))
	})
	return all
}

// report tells how things stand.
func (c *crowd) report() bridge.Crowd {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bridge.Crowd{Callers: len(c.all) - c.strangers, Strangers: c.strangers, Unfinished: c.held, PutOut: maps.Clone(c.put)}
}
