package journal

import (
	"context"
	"fmt"
	"strings"

	"einvoice-bridge/bridge"
)

const callColumns = `a.ref, a.caller, a.received, a.class, a.told, a.told_at, a.how, a.entry,
	COALESCE(e.taxpayer, a.taxpayer), COALESCE(e.document, a.document), COALESCE(e.space, a.space), CASE WHEN e.id IS NULL THEN '' ELSE COALESCE(x.state, 'sending') END, COALESCE(x.class, 'none')`

// Calls reads the calls that were answered in a stretch of time, newest first, without what went over the wire.
func (j *Journal) Calls(ctx context.Context, f bridge.CallFilter) (all []bridge.Call, err error) {
	if f.Limit <= 0 {
		f.Limit = listLimit
	}
	w := &where{}
	w.add("told_at >= $%d", micros(f.Since))
	w.add("told_at < $%d", micros(f.Until))
	if f.Caller != "" {
		w.add("caller = $%d", f.Caller)
	}
	if len(f.Classes) > 0 {
		classes := make([]string, len(f.Classes))
		for i, c := range f.Classes {
			classes[i] = "'" + c.String() + "'"
		}
		w.parts = append(w.parts, "class IN ("+strings.Join(classes, ", ")+")")
	}
	last := func(asks string) string { // of either kind no more than are shown
		return `SELECT * FROM (SELECT * FROM (` + asks + `) AS a` + w.String() + ` ORDER BY told_at DESC LIMIT ` + fmt.Sprint(f.Limit) + `) AS a`
	}
	r := j.read.Once(ctx)
	r.Query(func(scan func(...any) error) error {
		c, err := scanCall(scan)
		all = append(all, c)
		return err
	}, `SELECT `+callColumns+` FROM (`+last(laterAsks)+` UNION ALL `+last(firstAsks)+`) AS a
		LEFT JOIN entries e ON e.id = a.entry LEFT JOIN ends x ON x.entry = e.id ORDER BY a.told_at DESC LIMIT `+fmt.Sprint(f.Limit), w.args...)
	if r.Err != nil {
		return nil, fmt.Errorf("listing calls: %w", j.explain(r.Err))
	}
	return all, nil
}

func scanCall(scan func(...any) error) (c bridge.Call, err error) {
	var (
		received, toldAt int64
		class, told, now string
	)
	if err = scan(&c.Ref, &c.Caller, &received, &class, &told, &toldAt, &c.How, &c.Entry, &c.Taxpayer, &c.Key.Document, &c.Key.Space, &c.State, &now); err != nil {
		return c, err
	}
	c.Received, c.ToldAt = at(received), at(toldAt)
	if c.Now, err = bridge.ParseClass(now); err == nil {
		c.Told, err = decodeAnswer(c.Ask, class, told)
	}
	return c, err
}
