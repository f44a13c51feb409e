package journal

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal/engine"
)

const (
	listLimit  = 100
	exportPage = 500
	// clockSlack is how far Created may lag behind the order of IDs: concurrent calls, a clock that was set.
	clockSlack = time.Minute

	// Worded as the index is.
	toldOtherwise = `((class = 'cancelled' AND (told & 2) <> 0) OR (class IN ('refused', 'not_applied') AND (told & 1) <> 0))`
)

// List reads entries, newest first.
func (j *Journal) List(ctx context.Context, f bridge.Filter) ([]bridge.Entry, error) {
	if f.Limit <= 0 {
		f.Limit = listLimit
	}
	r := j.read.Once(ctx)
	w := j.conditions(r, f)
	var (
		entries []bridge.Entry
		at      = map[int64]int{}
	)
	r.Query(func(scan func(...any) error) error {
		rec, err := scanEntry(scan)
		if err == nil {
			at[rec.ID] = len(entries)
			entries = append(entries, rec.Entry)
		}
		return err
	}, listQuery(w, f.Limit), w.args...)
	readAttempts(r, entries, at)
	if r.Err != nil {
		return nil, fmt.Errorf("listing: %w", j.explain(r.Err))
	}
	return entries, nil
}

// Fitting counts the entries that a filter lets through, up to most.
func (j *Journal) Fitting(ctx context.Context, f bridge.Filter, most int) (n int, err error) {
	r := j.read.Once(ctx)
	w := j.conditions(r, f)
	r.Query(func(scan func(...any) error) error { return scan(&n) },
		`SELECT count(*) FROM (SELECT 1 FROM `+w.table+w.String()+` LIMIT `+fmt.Sprint(most)+`) AS fitting`, w.args...)
	if r.Err != nil {
		return 0, fmt.Errorf("counting: %w", j.explain(r.Err))
	}
	return n, nil
}

// conditions are those of a filter, with its times put into ids.
func (j *Journal) conditions(r *engine.Reading, f bridge.Filter) *search {
	w := conditions(f)
	if !f.Since.IsZero() {
		w.add(w.id+" >= $%d", idAt(r, f.Since.Add(-clockSlack)))
	}
	if !f.Until.IsZero() {
		w.add(w.id+" < $%d", idAt(r, f.Until.Add(clockSlack)))
	}
	return w
}

// listQuery finds the ids first: that needs the index only.
func listQuery(w *search, limit int) string {
	return `SELECT ` + entryColumns + ` FROM ` + allEntries + ` WHERE e.id IN (` + w.ids(limit) + `) ORDER BY e.id DESC`
}

func (w *search) ids(limit int) string {
	return `SELECT ` + w.id + ` FROM ` + w.table + w.String() + ` ORDER BY ` + w.id + ` DESC LIMIT ` + fmt.Sprint(limit)
}

// readAttempts gives entries their later attempts; at says where each is.
func readAttempts(r *engine.Reading, entries []bridge.Entry, at map[int64]int) {
	if len(entries) == 0 {
		return
	}
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = fmt.Sprint(e.ID)
	}
	r.Query(func(scan func(...any) error) error {
		var entry int64
		a, err := scanAttempt(scan, &entry)
		if err == nil {
			e := &entries[at[entry]]
			e.Attempts = append(e.Attempts, a)
		}
		return err
	}, `SELECT `+attemptColumns+`, entry FROM attempts WHERE entry IN (`+strings.Join(ids, ",")+`) ORDER BY id`)
}

// Export reads all that the filter lets through, newest first, a page at a time: writers never wait for it, and what
// is written meanwhile may be missing.
func (j *Journal) Export(ctx context.Context, f bridge.Filter) iter.Seq2[bridge.Entry, error] {
	return func(yield func(bridge.Entry, error) bool) {
		left := f.Limit
		for {
			f.Limit = exportPage
			if left > 0 {
				f.Limit = min(left, exportPage)
			}
			page, err := j.List(ctx, f)
			if err != nil {
				yield(bridge.Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if left -= len(page); len(page) < f.Limit || left == 0 {
				return
			}
			f.Before = page[len(page)-1].ID
		}
	}
}

// where collects conditions and their arguments.
type where struct {
	parts []string
	args  []any
}

// add takes a condition with one %d for the argument's number.
func (w *where) add(condition string, arg any) {
	w.args = append(w.args, arg)
	w.parts = append(w.parts, fmt.Sprintf(condition, len(w.args)))
}

func (w *where) String() string {
	if len(w.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.parts, " AND ")
}

// search is a filter in SQL. It walks through one table, by the id there.
type search struct {
	where
	table, id string
}

// conditions puts a filter into SQL. Only the most selective condition is worded so that its index serves: a database
// without statistics would as soon walk through everything that one caller ever sent. What the other table has to say is asked
// for one row after another, in words that leave no other way: joined, PostgreSQL would as soon walk through both from the end.
func conditions(f bridge.Filter) *search {
	w := &search{table: "entries e", id: "e.id"}
	ends, served := standings(f)
	fromEnds := len(ends) > 0 && f.Document == "" && (served || f.Taxpayer+f.Caller+f.Upstream == "")
	w.request(f, !fromEnds)
	switch entries := w.parts; {
	case fromEnds:
		w.table, w.id = "ends x", "x.entry"
		w.parts = beside(ends, entries, `entries e WHERE e.id = x.entry`)
	default:
		w.parts = beside(entries, ends, `ends x WHERE x.entry = e.id`)
	}
	if f.Before > 0 {
		w.add(w.id+" < $%d", f.Before)
	}
	return w
}

// beside adds the conditions that are on the row of another table.
func beside(parts, others []string, row string) []string {
	if len(others) == 0 {
		return parts
	}
	return append(parts, `(SELECT `+strings.Join(others, " AND ")+` FROM `+row+`)`)
}

// request adds what a filter wants of what was asked for, by an index if one of entries is to serve.
func (w *search) request(f bridge.Filter, index bool) {
	if f.Document != "" {
		w.add("e.document >= $%d", f.Document)
		w.add("e.document < $%d", f.Document+"\U0010FFFF")
		index = false
	}
	for _, c := range []struct{ column, value string }{{"e.taxpayer", f.Taxpayer}, {"e.caller", f.Caller}, {"e.upstream", f.Upstream}} {
		switch {
		case c.value != "" && index:
			w.add(c.column+" = $%d", c.value)
			index = false
		case c.value != "":
			w.add(c.column+" || '' = $%d", c.value) // an expression: no index
		}
	}
	if !f.Since.IsZero() {
		w.add("e.created >= $%d", micros(f.Since))
	}
	if !f.Until.IsZero() {
		w.add("e.created < $%d", micros(f.Until))
	}
}

// standings is what a filter wants of how entries stand, and whether an index serves that.
func standings(f bridge.Filter) (parts []string, served bool) {
	for _, c := range []struct {
		on        bool
		condition string
	}{
		{f.Open, "state <> 'final' AND state = 'open'"},
		{f.Waiting, "state <> 'final' AND state = 'accepted'"},
		{f.ToldOtherwise, toldOtherwise},
	} {
		if c.on {
			parts, served = append(parts, c.condition), true
		}
	}
	if f.Class != bridge.None { // in the text, so that the partial index is seen to fit
		parts = append(parts, "class = '"+f.Class.String()+"'")
		if f.Class != bridge.Cancelled && !served {
			parts, served = append(parts, "class NOT IN ('none', 'cancelled')"), true
		}
	}
	return parts, served
}

// selectIDAt takes ever shorter steps, from more than there are entries down to one, up to where the next entry is not older
// than $1.
const selectIDAt = `WITH RECURSIVE walk(at, step) AS (
	SELECT CAST(0 AS BIGINT), 1099511627776
	UNION ALL SELECT CASE WHEN (SELECT created FROM entries WHERE id >= at + step ORDER BY id LIMIT 1) < $1 THEN at + step ELSE at END,
		step / 2 FROM walk WHERE step > 0
	) SELECT at + 1 FROM walk WHERE step = 0`

// idAt is the lowest id whose entry is not older than when, by bisection: ids grow with time, so that no index of times
// is needed.
func idAt(r *engine.Reading, when time.Time) (id int64) {
	r.Query(func(scan func(...any) error) error { return scan(&id) }, selectIDAt, micros(when))
	return id
}
