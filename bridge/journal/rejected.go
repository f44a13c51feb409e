package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
)

// Of rejected calls a list is kept that nobody can fill for others. A caller has rows of its own. All whom nobody knows share
// those of their kind of mistake, so that scanners push out no wrong token, and one address (one network of IPv6) has few
// of them; whoever comes with many addresses is slowed down instead.
const (
	rejectedOfCaller  = 200 // rows
	rejectedOfAddress = 25
	rejectedOfKind    = 500 // of all strangers together

	rejectedBurst = 30               // written down at once of a source, of a kind of strangers twice as many
	rejectedPause = 6 * time.Second  // then one in so much time
	rejectedWaits = 256              // for the next write
	rejectedEvery = time.Second      // how often there is one
	rejectedTries = 5 * time.Second  // what the disk has not taken by then is lost
	rejectedKnown = 10 * time.Minute // how long a source is remembered that does nothing
	rejectedTexts = 4 << 10          // bytes of what came of one call
)

const (
	rejectedColumns = `id, ref, at, origin, caller, kind, why, came`
	insertRejected  = `INSERT INTO rejected (ref, at, pool, source, origin, caller, kind, why, came) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	trimSource      = `DELETE FROM rejected WHERE pool = $1 AND source = $2 AND id <= (
		SELECT id FROM rejected WHERE pool = $1 AND source = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)`
	trimPool = `DELETE FROM rejected WHERE pool = $1 AND id <= (
		SELECT id FROM rejected WHERE pool = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)`
	pruneRejected = `DELETE FROM rejected WHERE at < $1`
)

// rejects are rejected calls on their way to the disk.
type rejects struct {
	mu      sync.Mutex
	waiting []rejected
	pace    map[drawer]*pace
	lost    atomic.Uint64
}

// drawer is where a rejected call is kept. A pool without a source is all of it.
type drawer struct{ pool, source string }

func (d drawer) compare(e drawer) int {
	return cmp.Or(cmp.Compare(d.pool, e.pool), cmp.Compare(d.source, e.source))
}

type rejected struct {
	bridge.Rejected
	drawer
}

// drawerOf tells who may fill what.
func drawerOf(r bridge.Rejected) drawer {
	if r.Caller != "" {
		return drawer{"caller", r.Caller}
	}
	source := r.From
	if a, err := netip.ParseAddr(r.From); err == nil && a.Is6() && !a.Is4In6() {
		if net, err := a.Prefix(64); err == nil {
			source = net.String()
		}
	}
	return drawer{"stranger " + r.Kind, source}
}

// pace lets a burst through, and then one now and then.
type pace struct {
	left int
	last time.Time // when left was right
}

func (p *pace) take(now time.Time, burst int) bool {
	if n := int(now.Sub(p.last) / rejectedPause); n > 0 {
		p.left, p.last = min(burst, p.left+n), p.last.Add(time.Duration(n)*rejectedPause)
	}
	if p.left <= 0 {
		return false
	}
	p.left--
	return true
}

// Reject has a rejected call written down soon. It waits for nothing: what is too much is lost, and counted.
func (j *Journal) Reject(r bridge.Rejected) {
	if !j.rejects.add(rejected{r, drawerOf(r)}, time.Now()) {
		j.rejects.lost.Add(1)
	}
}

// Unrecorded counts the rejected calls that were not written down since the start.
func (j *Journal) Unrecorded() uint64 { return j.rejects.lost.Load() }

func (rs *rejects) add(r rejected, now time.Time) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if len(rs.waiting) >= rejectedWaits || !rs.of(r.drawer, now, rejectedBurst).take(now, rejectedBurst) {
		return false
	}
	if r.Caller == "" && !rs.of(drawer{pool: r.pool}, now, 2*rejectedBurst).take(now, 2*rejectedBurst) {
		return false
	}
	rs.waiting = append(rs.waiting, r)
	return true
}

// of needs the lock.
func (rs *rejects) of(d drawer, now time.Time, burst int) *pace {
	p := rs.pace[d]
	if p == nil {
		if rs.pace == nil {
			rs.pace = map[drawer]*pace{}
		}
		if len(rs.pace) >= 10*rejectedWaits {
			rs.forget(now)
		}
		p = &pace{burst, now}
		rs.pace[d] = p
	}
	return p
}

// forget makes room for other sources; the pools stay, and hold back whoever has many addresses.
func (rs *rejects) forget(now time.Time) {
	for _, idle := range []time.Duration{rejectedKnown, 0} {
		for d, p := range rs.pace {
			if d.source != "" && now.Sub(p.last) >= idle {
				delete(rs.pace, d)
			}
		}
		if len(rs.pace) < 5*rejectedWaits {
			return
		}
	}
}

func (rs *rejects) take() (all []rejected) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	all, rs.waiting = rs.waiting, nil
	return all
}

// keepRejected writes rejected calls down until Close, some at a time: it shares the writer with those that are not.
func (j *Journal) keepRejected() {
	defer close(j.kept)
	tick := time.NewTicker(rejectedEvery)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-j.quit:
			over = true
		case <-tick.C:
		}
		j.writeRejected(j.rejects.take())
	}
}

func (j *Journal) writeRejected(all []rejected) {
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), rejectedTries)
	defer cancel()
	err := j.write(ctx, "", func(t *tx) error {
		full := map[drawer]int{}
		for _, r := range all {
			came, err := json.Marshal(r.Came)
			if err != nil || len(came) > rejectedTexts {
				came = []byte("null")
			}
			t.Exec(insertRejected, r.Ref, micros(r.At), r.pool, r.source, r.From, r.Caller, r.Kind, r.Why, string(came))
			full[r.drawer] = rejectedOfCaller
			if r.Caller == "" {
				full[r.drawer], full[drawer{pool: r.pool}] = rejectedOfAddress, rejectedOfKind
			}
		}
		for _, d := range slices.SortedFunc(maps.Keys(full), drawer.compare) { // all instances in one order
			if d.source == "" {
				t.Exec(trimPool, d.pool, full[d])
			} else {
				t.Exec(trimSource, d.pool, d.source, full[d])
			}
		}
		return nil
	}, nil)
	if err != nil {
		j.rejects.lost.Add(uint64(len(all)))
	}
}

// Rejected reads rejected calls, newest first.
func (j *Journal) Rejected(ctx context.Context, f bridge.RejectedFilter) (all []bridge.Rejected, err error) {
	if f.Limit <= 0 {
		f.Limit = listLimit
	}
	w := &where{}
	for _, c := range []struct{ column, value string }{{"ref", f.Ref}, {"origin", f.From}, {"caller", f.Caller}, {"kind", f.Kind}} {
		if c.value != "" {
			w.add(c.column+" = $%d", c.value)
		}
	}
	if !f.Since.IsZero() {
		w.add("at >= $%d", micros(f.Since))
	}
	if !f.Until.IsZero() {
		w.add("at < $%d", micros(f.Until))
	}
	if f.Before > 0 {
		w.add("id < $%d", f.Before)
	}
	r := j.read.Once(ctx)
	r.Query(func(scan func(...any) error) error {
		var (
			x    bridge.Rejected
			when int64
			came string
		)
		err := scan(&x.ID, &x.Ref, &when, &x.From, &x.Caller, &x.Kind, &x.Why, &came)
		if err == nil {
			x.At = at(when)
			err = json.Unmarshal([]byte(came), &x.Came)
		}
		all = append(all, x)
		return err
	}, `SELECT `+rejectedColumns+` FROM rejected`+w.String()+` ORDER BY id DESC LIMIT `+fmt.Sprint(f.Limit), w.args...)
	if r.Err != nil {
		return nil, fmt.Errorf("listing rejected calls: %w", j.explain(r.Err))
	}
	return all, nil
}
