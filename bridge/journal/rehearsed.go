package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"einvoice-bridge/bridge"
)

var _ bridge.Rehearsals = (*Journal)(nil)

const (
	insertRehearsed = `INSERT INTO rehearsed (at, call) VALUES ($1, $2)`
	// The ids of one engine have no gaps to speak of, those of the other few: near enough for a bound.
	dropRehearsed = `DELETE FROM rehearsed WHERE id <= (SELECT max(id) FROM rehearsed) - $1`
	listRehearsed = `SELECT id, call FROM rehearsed WHERE id > $1 AND at >= $2 ORDER BY id LIMIT $3`
)

// rehearsedMost is how many rehearsed requests are kept: some days of an ERP, and 100 MB at most times.
const rehearsedMost = 20_000

// Rehearse keeps rehearsed requests; the oldest make room.
func (j *Journal) Rehearse(ctx context.Context, calls []bridge.Rehearsed) error {
	rows := make([]string, len(calls))
	for i, c := range calls {
		b, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("keeping rehearsed requests: %w", err)
		}
		rows[i] = string(b)
	}
	err := j.write(ctx, "", func(t *tx) error {
		for i, row := range rows {
			t.Exec(insertRehearsed, micros(calls[i].At), row)
		}
		t.Exec(dropRehearsed, rehearsedMost)
		return nil
	}, nil)
	if err != nil {
		return fmt.Errorf("keeping rehearsed requests: %w", err)
	}
	return nil
}

// Rehearsed hands out rehearsed requests from since on, in the order in which they were written down.
func (j *Journal) Rehearsed(ctx context.Context, since time.Time, do func(bridge.Rehearsed) error) error {
	const page = 200
	for last := int64(0); ; {
		var calls []bridge.Rehearsed
		r := j.read.Whole(ctx)
		r.Query(func(scan func(...any) error) error {
			var c bridge.Rehearsed
			var row string
			if err := scan(&c.ID, &row); err != nil {
				return err
			}
			calls = append(calls, c)
			return json.Unmarshal([]byte(row), &calls[len(calls)-1])
		}, listRehearsed, last, micros(since), page)
		if r.Err != nil {
			return fmt.Errorf("reading rehearsed requests: %w", j.explain(r.Err))
		}
		for _, c := range calls {
			if err := do(c); err != nil {
				return err
			}
			last = c.ID
		}
		if len(calls) < page {
			return nil
		}
	}
}
