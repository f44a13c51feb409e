package journal

import (
	"context"
	"fmt"
)

// spacesSince is the version of the tables that was the first to keep environments apart.
const spacesSince = 4

const (
	moveEntries = `UPDATE entries SET space = $2 WHERE space = $1 AND upstream = $3 AND NOT EXISTS (
		SELECT 1 FROM entries e WHERE e.space = $2 AND e.document = entries.document AND e.taxpayer = entries.taxpayer)`
	knowsUpstream = `SELECT 1 FROM entries WHERE upstream = $1 AND space = $2 LIMIT 1`
)

// MoveSpace puts the entries of an upstream into another document space. Journals of before environments had spaces of
// their own keep the sandbox's documents beside production's, under the same ids; with those, an invoice tried in the
// sandbox would answer for the real one. That is done once, by the Open that brings such tables up to date, before anything
// is carried; later it does nothing. It returns how many it moved.
func (j *Journal) MoveSpace(ctx context.Context, upstream, from, to string) (n int64, err error) {
	if j.was == 0 || j.was >= spacesSince {
		return 0, nil
	}
	known := false
	r := j.read.Whole(ctx)
	r.Query(func(func(...any) error) error { known = true; return nil }, knowsUpstream, upstream, from)
	if r.Err != nil || !known {
		return 0, j.explain(r.Err)
	}
	return j.put(ctx, fmt.Sprintf("moving the documents of %s from %s to %s", upstream, from, to), moveEntries, from, to, upstream)
}
