package journal

import (
	"context"
	"fmt"
	"sync"
)

// An entry without a row in ends is being sent, or its process died in that. These are few, and new: up to some id every entry
// has one. That id is kept, so that nobody has to look through all that ever was.
const (
	selectEnded = `SELECT upto FROM ended`
	// The last entry, and the first above $1 without a row in ends.
	selectTail = `SELECT COALESCE((SELECT max(id) FROM entries), 0), COALESCE((SELECT min(id) FROM entries
		WHERE id > $1 AND NOT EXISTS (SELECT 1 FROM ends WHERE entry = id)), 0)`
	// The transactions under way: all of before the first have ended, none from the second on has begun.
	underWay = `, txid_snapshot_xmin(txid_current_snapshot()), txid_snapshot_xmax(txid_current_snapshot())`
	// New entries come after the last one that is there. SQLite gives ids anew once the last has been pruned.
	raiseEnded = `UPDATE ended SET upto = $1 WHERE upto < $1 AND EXISTS (SELECT 1 FROM entries WHERE id >= $1)`
	lowerEnded = `UPDATE ended SET upto = (SELECT COALESCE(max(id), 0) FROM entries)
		WHERE upto > (SELECT COALESCE(max(id), 0) FROM entries)`
)

// raiseAfter is how many entries are looked through again rather than write.
const raiseAfter = 1000

// tail is what the instances' transactions hide: an id below the last may yet appear. It is known to be complete when all that
// were under way when the last one was seen have ended.
type tail struct {
	mu         sync.Mutex
	last, next int64 // an entry, and the transaction that was the next to begin when it was the last
}

// ended is an id up to which every entry has a row in ends.
func (j *Journal) ended(ctx context.Context) (upto int64, err error) {
	r := j.read.Point(ctx)
	r.Query(func(scan func(...any) error) error { return scan(&upto) }, selectEnded)
	return upto, j.explain(r.Err)
}

// raise notes up to where every entry has a row in ends by now. upto is what was known before.
func (j *Journal) raise(ctx context.Context, upto int64) error {
	var last, open, first, next int64
	r, query, dest := j.read.Whole(ctx), selectTail, []any{&last, &open}
	if j.shared != nil {
		query, dest = query+underWay, append(dest, &first, &next)
	}
	r.Query(func(scan func(...any) error) error { return scan(dest...) }, query, upto)
	if r.Err != nil {
		return j.explain(r.Err)
	}
	if j.shared != nil {
		last = j.tail.complete(last, first, next)
	}
	if open > 0 {
		last = min(last, open-1)
	}
	if last < upto+raiseAfter {
		return nil
	}
	_, err := j.put(ctx, fmt.Sprintf("noting that entries up to %d have ended", last), raiseEnded, last)
	return err
}

// complete gives an entry up to which no other can appear any more, 0 for none, and remembers the last for the next time.
func (tl *tail) complete(last, first, next int64) (sure int64) {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	if first < tl.next {
		return 0
	}
	sure = tl.last
	tl.last, tl.next = last, next
	return sure
}
