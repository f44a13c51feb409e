package journal

import (
	"context"
	"fmt"

	"einvoice-bridge/bridge"
)

const (
	insertDeed = `INSERT INTO deeds (at, who, what, entry, about) VALUES ($1, $2, $3, $4, $5)`
	pruneDeeds = `DELETE FROM deeds WHERE at < $1`
)

// note writes down what an operator does, in the transaction that does it.
func note(t *tx, d bridge.Deed) {
	t.Exec(insertDeed, micros(d.At), d.Who, string(d.What), d.Entry, bridge.OneLine(d.About, 500))
}

// putBy is put, with a note of the deed if it changed something and somebody did it.
func (j *Journal) putBy(ctx context.Context, d bridge.Deed, doing, query string, args ...any) (int64, error) {
	var n int64 // the writer's until write returns without an error
	err := j.write(ctx, "", func(t *tx) error {
		if n = t.Exec(query, args...); n > 0 && d.Who != "" {
			note(t, d)
		}
		return nil
	}, nil)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	return n, nil
}

// Did writes down what an operator did that the journal itself does not hear of.
func (j *Journal) Did(ctx context.Context, d bridge.Deed) error {
	err := j.write(ctx, "", func(t *tx) error {
		d.At = at(t.Now())
		note(t, d)
		return nil
	}, nil)
	if err != nil {
		return fmt.Errorf("writing down who did it: %w", err)
	}
	return nil
}

// Deeds reads what operators did, newest first, those below an id if it isn't 0.
func (j *Journal) Deeds(ctx context.Context, before int64, limit int) (all []bridge.Deed, err error) {
	w := &where{}
	if before > 0 {
		w.add("id < $%d", before)
	}
	r := j.read.Once(ctx)
	r.Query(func(scan func(...any) error) error {
		var (
			d    bridge.Deed
			when int64
		)
		err := scan(&d.ID, &when, &d.Who, &d.What, &d.Entry, &d.About)
		d.At = at(when)
		all = append(all, d)
		return err
	}, `SELECT id, at, who, what, entry, about FROM deeds`+w.String()+` ORDER BY id DESC LIMIT `+fmt.Sprint(limit), w.args...)
	if r.Err != nil {
		return nil, fmt.Errorf("listing what operators did: %w", j.explain(r.Err))
	}
	return all, nil
}
