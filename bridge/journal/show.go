package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal/engine"
)

const (
	// The calls that the bridge refused before there was an entry belong to the document's story too.
	selectAsks = `SELECT ` + askColumns + ` FROM (` + entryAsks + `
		UNION ALL ` + laterAsks + ` WHERE entry = 0 AND document = $2 AND space = $3 AND taxpayer = $4) AS story
		ORDER BY told_at, id`
	selectExchanges = `SELECT id, exchanges FROM attempts WHERE entry = $1 AND exchanges IS NOT NULL
		UNION ALL SELECT -entry, sent_exchanges FROM ends WHERE entry = $1 AND sent_exchanges IS NOT NULL`

	entriesOfDocument = `SELECT id FROM entries WHERE document = $1 ORDER BY id`
	refusedOfDocument = `SELECT DISTINCT entry, space, document, taxpayer FROM asks WHERE entry = 0 AND document = $1
		ORDER BY space, taxpayer`
	callsOfRef = `SELECT entry, space, document, taxpayer FROM asks WHERE ref = $1
		UNION ALL SELECT entry, '', '', '' FROM ends WHERE ask_ref = $1`
	entryOfID = `SELECT id FROM entries WHERE id = $1`
)

// Show tells everything about an entry's id, a document, or the reference of a call. A document may have several
// stories, one per taxpayer; one that was only ever refused by the bridge itself has an Entry without ID. ErrNoEntry
// when nothing fits.
func (j *Journal) Show(ctx context.Context, what string) ([]bridge.Story, error) {
	r := j.read.Whole(ctx)
	s := stories{r: r, seen: map[storyKey]bool{}}
	if id, err := strconv.ParseInt(what, 10, 64); err == nil {
		s.ofEntries(entryOfID, id)
	}
	s.ofEntries(entriesOfDocument, what)
	s.ofCalls(refusedOfDocument, what)
	s.ofCalls(callsOfRef, what)
	switch {
	case r.Err != nil:
		return nil, fmt.Errorf("showing %s: %w", what, j.explain(r.Err))
	case len(s.all) == 0:
		return nil, bridge.ErrNoEntry
	}
	return s.all, nil
}

// stories collects each story once.
type stories struct {
	r    *engine.Reading
	seen map[storyKey]bool
	all  []bridge.Story
}

type storyKey struct {
	bridge.Key
	taxpayer string
}

// ofEntries adds the entries whose ids query finds.
func (s *stories) ofEntries(query string, arg any) {
	for _, id := range s.r.IDs(query, arg) {
		if rec := load(s.r, selectEntry, id); rec != nil {
			s.add(rec.Entry)
		}
	}
}

// ofCalls adds what the calls that query finds asked for, also where the bridge refused them all itself.
func (s *stories) ofCalls(query, arg string) {
	var all []bridge.Entry
	s.r.Query(func(scan func(...any) error) error {
		var e bridge.Entry
		err := scan(&e.ID, &e.Key.Space, &e.Key.Document, &e.Taxpayer)
		all = append(all, e)
		return err
	}, query, arg)
	for _, e := range all {
		if e.ID != 0 {
			s.ofEntries(entryOfID, e.ID)
		} else {
			s.add(e)
		}
	}
}

// add completes a story with its exchanges and everyone who asked.
func (s *stories) add(e bridge.Entry) {
	k := storyKey{e.Key, e.Taxpayer}
	if s.seen[k] {
		return
	}
	s.seen[k] = true
	story := bridge.Story{Entry: e}
	if e.ID == 0 { // there may be an entry after all
		if rec := load(s.r, selectDocument, e.Key.Document, e.Key.Space, e.Taxpayer); rec != nil {
			story.Entry = rec.Entry
		}
	}
	if story.Entry.ID != 0 {
		s.r.Query(func(scan func(...any) error) error {
			var (
				id        int64
				exchanges string
			)
			err := scan(&id, &exchanges)
			i := slices.IndexFunc(story.Entry.Attempts, func(a bridge.Attempt) bool { return a.ID == id })
			if err == nil && i >= 0 {
				err = json.Unmarshal([]byte(exchanges), &story.Entry.Attempts[i].Outcome.Exchanges)
			}
			return err
		}, selectExchanges, story.Entry.ID)
	}
	s.r.Query(func(scan func(...any) error) error {
		a, err := scanAsk(scan)
		a.Key, a.Taxpayer = e.Key, e.Taxpayer
		story.Asks = append(story.Asks, a)
		return err
	}, selectAsks, story.Entry.ID, e.Key.Document, e.Key.Space, e.Taxpayer)
	s.all = append(s.all, story)
}

func scanAsk(scan func(...any) error) (a bridge.Ask, err error) {
	var (
		received, toldAt int64
		class, told      string
	)
	err = scan(&a.Entry, &a.Ref, &a.Caller, &a.Taxpayer, &a.Key.Space, &a.Key.Document, &a.IRN, &a.Reason, &a.Remarks,
		&received, &class, &told, &toldAt, &a.How, &a.SOAPIn, &a.SOAPOut)
	if err != nil {
		return a, err
	}
	a.Received, a.ToldAt = at(received), at(toldAt)
	a.Told, err = decodeAnswer(a, class, told)
	return a, err
}

// Stats counts what an operator should look at.
func (j *Journal) Stats(ctx context.Context) (s bridge.Stats, err error) {
	r := j.read.Whole(ctx)
	now, silent := r.Now(), (3 * time.Minute).Microseconds()
	var oldest, expiry int64
	one := func(query string, dest ...any) {
		r.Query(func(scan func(...any) error) error { return scan(dest...) }, query)
	}
	one(`SELECT count(*) FROM ends WHERE state <> 'final' AND state = 'open'`, &s.Open)
	one(`SELECT COALESCE(min(started), 0) FROM (
		SELECT started FROM attempts WHERE kind = 'cancel' AND entry IN (SELECT entry FROM ends WHERE state <> 'final' AND state = 'open')
		UNION ALL SELECT started FROM ends JOIN entries ON id = entry WHERE state <> 'final' AND state = 'open' AND started > 0) AS sends`, &oldest)
	one(`SELECT count(*), COALESCE(min(expires), 0) FROM ends JOIN entries ON id = entry
		WHERE state <> 'final' AND state = 'accepted'`, &s.Waiting, &expiry)
	one(`SELECT count(*) FROM ends WHERE `+toldOtherwise, &s.ToldOtherwise)
	s.OldestOpen, s.NextExpiry = at(oldest), at(expiry)
	r.Query(func(scan func(...any) error) error {
		var (
			i             bridge.Instance
			started, seen int64
		)
		err := scan(&i.Name, &started, &seen)
		i.Started, i.Seen = at(started), at(seen)
		s.Instances = append(s.Instances, i)
		return err
	}, `SELECT id, started, seen FROM instances WHERE seen BETWEEN $1 AND $2 ORDER BY started, id`, now-silent, now+silent)
	if r.Err != nil {
		return s, fmt.Errorf("counting: %w", j.explain(r.Err))
	}
	return s, nil
}

// Counts counts the calls that were answered from since up to but without until, by class, in stretches of step. Those
// without a call are left out.
func (j *Journal) Counts(ctx context.Context, since, until time.Time, step time.Duration) (all []bridge.Count, err error) {
	r := j.read.Whole(ctx)
	r.Query(func(scan func(...any) error) error {
		var (
			c     bridge.Count
			n     int64
			class string
		)
		err := scan(&n, &class, &c.Calls)
		if err == nil {
			c.From = at(micros(since)).Add(time.Duration(n) * step)
			c.Class, err = bridge.ParseClass(class)
		}
		all = append(all, c)
		return err
	}, `SELECT (told_at - $1) / $3 AS n, class, count(*) FROM (
		SELECT told_at, class FROM asks WHERE told_at >= $1 AND told_at < $2
		UNION ALL SELECT ask_told_at, ask_class FROM ends WHERE ask_told_at >= $1 AND ask_told_at < $2) AS told GROUP BY n, class
		ORDER BY n, class`, micros(since), micros(until), step.Microseconds())
	if r.Err != nil {
		return nil, fmt.Errorf("counting calls: %w", j.explain(r.Err))
	}
	return all, nil
}
