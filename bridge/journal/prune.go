package journal

import (
	"context"
	"fmt"
	"time"
)

// pruneBatch is how many rows one write removes: callers who write meanwhile wait a few milliseconds at most.
const pruneBatch = 100

// sweep is one kind of row that is removed or emptied when it is old: $2 is the time before which a row is old.
type sweep struct {
	old   string   // selects the next $3 ids above $1, in order
	first string   // does it to $1, unless the row has changed meanwhile
	then  []string // done to $1 if first was
	last  string   // done after a batch
}

const settled = `EXISTS (SELECT 1 FROM ends x WHERE x.entry = %s.entry AND x.state = 'final')`

var (
	bodies = []sweep{{
		old: `SELECT id FROM attempts WHERE id > $1 AND started < $2 AND exchanges IS NOT NULL AND ` +
			fmt.Sprintf(settled, "attempts") + ` ORDER BY id LIMIT $3`,
		first: `UPDATE attempts SET exchanges = NULL WHERE id = $1 AND started < $2`,
	}, {
		old: `SELECT id FROM asks WHERE id > $1 AND told_at < $2 AND (soap_in IS NOT NULL OR soap_out IS NOT NULL)
			AND (entry = 0 OR ` + fmt.Sprintf(settled, "asks") + `) ORDER BY id LIMIT $3`,
		first: `UPDATE asks SET soap_in = NULL, soap_out = NULL WHERE id = $1 AND told_at < $2`,
	}, {
		old: `SELECT entry FROM ends WHERE entry > $1 AND sent_ended < $2 AND COALESCE(ask_told_at, 0) < $2 AND state = 'final'
			AND (sent_exchanges IS NOT NULL OR ask_in IS NOT NULL OR ask_out IS NOT NULL) ORDER BY entry LIMIT $3`,
		first: `UPDATE ends SET sent_exchanges = NULL, ask_in = NULL, ask_out = NULL, entry = -entry
			WHERE entry = $1 AND sent_ended < $2 AND COALESCE(ask_told_at, 0) < $2 AND state = 'final'`,
		// A row that shrinks where it is keeps its page in SQLite's file; one that goes and comes back needs a part of one.
		then: []string{`UPDATE ends SET entry = -entry WHERE entry = CAST(0 AS BIGINT) - $1`},
	}, {
		old:   `SELECT id FROM rehearsed WHERE id > $1 AND at < $2 ORDER BY id LIMIT $3`,
		first: `DELETE FROM rehearsed WHERE id = $1 AND at < $2`,
	}}
	rows = []sweep{{
		old:   `SELECT entry FROM ends WHERE entry > $1 AND updated < $2 AND state = 'final' ORDER BY entry LIMIT $3`,
		first: `DELETE FROM ends WHERE entry = $1 AND updated < $2 AND state = 'final'`,
		then: []string{`DELETE FROM entries WHERE id = $1`, `DELETE FROM attempts WHERE entry = $1`,
			`DELETE FROM asks WHERE entry = $1 AND entry <> 0`},
		last: lowerEnded,
	}, {
		old:   `SELECT id FROM asks WHERE id > $1 AND told_at < $2 AND entry = 0 ORDER BY id LIMIT $3`,
		first: `DELETE FROM asks WHERE id = $1 AND told_at < $2`,
	}}
)

// Prune removes what is older than retain, and the exchanges and SOAP bodies older than retainBodies, in small writes
// between everybody else's. What is not settled stays whole. It returns how many rows it removed or emptied.
func (j *Journal) Prune(ctx context.Context, retain, retainBodies time.Duration) (n int, err error) {
	now := j.now()
	for _, p := range []struct {
		sweeps []sweep
		before time.Time
	}{{bodies, now.Add(-retainBodies)}, {rows, now.Add(-retain)}} {
		for _, s := range p.sweeps {
			m, err := j.sweep(ctx, s, p.before)
			if n += m; err != nil {
				return n, fmt.Errorf("pruning: %w", err)
			}
		}
	}
	err = j.write(ctx, "", func(t *tx) error {
		old := now.Add(-retain).UnixMicro()
		t.Exec(pruneDeeds, old)
		t.Exec(pruneRejected, now.Add(-retainBodies).UnixMicro())
		t.Exec(`DELETE FROM tokens WHERE expires > 0 AND expires < $1 OR revoked > 0 AND revoked < $1`, old)
		t.Exec(`DELETE FROM gates WHERE until < $1`, old)
		t.Exec(`DELETE FROM sends WHERE at < $1`, old)
		t.Exec(`DELETE FROM sessions WHERE until < $1 AND turn < $1`, old)
		return nil
	}, nil)
	if err != nil {
		return n, fmt.Errorf("pruning: %w", err)
	}
	return n, nil
}

// sweep reads what is old without the writer, and then has each batch removed if it is still old.
func (j *Journal) sweep(ctx context.Context, s sweep, before time.Time) (n int, err error) {
	for last := int64(0); ; {
		r := j.read.Whole(ctx)
		ids := r.IDs(s.old, last, micros(before), pruneBatch)
		if r.Err != nil || len(ids) == 0 {
			return n, j.explain(r.Err)
		}
		err := j.write(ctx, "", func(t *tx) error {
			for _, id := range ids {
				if t.Exec(s.first, id, micros(before)) == 0 {
					continue
				}
				for _, q := range s.then {
					t.Exec(q, id)
				}
			}
			if s.last != "" {
				t.Exec(s.last)
			}
			return nil
		}, nil)
		if err != nil {
			return n, err
		}
		n, last = n+len(ids), ids[len(ids)-1]
	}
}
