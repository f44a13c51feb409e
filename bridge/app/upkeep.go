package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// keepUp looks after the journal while serving: every minute for callers who were told something that turned out
// otherwise, every hour for what is older than it may be kept. Nothing of it outlasts the beginning of a stop.
func (a *App) keepUp() {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	known, held := map[int64]bool{}, map[string]time.Time{}
	for minute := 1; ; minute++ {
		select {
		case <-a.working.Done():
			return
		case <-tick.C:
		}
		known = a.alarmToldOtherwise(a.journal, known)
		held = a.alarmLoginsHeld((&health{a.plan.Load(), a.journal}).held(), held)
		if minute%60 == 0 {
			a.prune(a.journal)
		}
	}
}

// watchEvery is how often the journal is tried, whether anybody calls or not.
const watchEvery = 10 * time.Second

// watchJournal raises an alarm when the journal can't be written, once for each stretch of trouble, and says when it is over.
// So it does, in a warning, when somebody keeps the log from starting over.
func (a *App) watchJournal(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for well, long := true, false; ; {
		select {
		case <-a.working.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(a.working, every)
		err := a.journal.Ping(ctx)
		cancel()
		switch {
		case a.stopping():
			return
		case err != nil && well:
			a.observer.Alarm(bridge.Alarm{Kind: bridge.AlarmJournal, Text: "not ready, nothing is sent: " + err.Error()})
		case err == nil && !well:
			a.Log.Info("the journal can be written again")
		}
		well = err == nil
		size := a.journal.LogBytes()
		if size > journal.LogTooLong && !long {
			a.Log.Warn("the journal's log (-wal) is long: a backup, an export or another command has been reading for long; it grows until that ends", "bytes", size)
		}
		long = size > journal.LogTooLong
	}
}

// exporter reads all entries that a filter lets through; the journal does.
type exporter interface {
	Export(ctx context.Context, f bridge.Filter) iter.Seq2[bridge.Entry, error]
}

// alarmToldOtherwise raises one alarm for each entry whose truth differs from what a caller was told last. known are
// those that had theirs, and it returns those that have now; a restart tells them once more.
func (a *App) alarmToldOtherwise(j exporter, known map[int64]bool) map[int64]bool {
	ctx, cancel := context.WithTimeout(a.working, 5*time.Minute)
	defer cancel()
	now := map[int64]bool{}
	for e, err := range j.Export(ctx, bridge.Filter{ToldOtherwise: true}) {
		if err != nil {
			if !a.stopping() {
				a.Log.Error("can't look for callers who were told otherwise: " + err.Error())
			}
			for id := range known { // the rest of them were not seen
				now[id] = true
			}
			break
		}
		if now[e.ID] = true; known[e.ID] {
			continue
		}
		a.observer.Alarm(bridge.Alarm{
			Kind: bridge.AlarmToldOtherwise, Upstream: e.Upstream, Taxpayer: e.Taxpayer, Key: e.Key, Ref: e.Ref,
			Text: fmt.Sprintf("the document is %s%s, but a caller was last told otherwise: tell its owner (journal show %d)",
				e.Outcome.Class, bySomebody(e), e.ID),
		})
	}
	return now
}

// alarmLoginsHeld raises one alarm for each upstream whose logins are held back, and no other before that hold is over:
// callers who ask meanwhile prolong nothing. told are those that had theirs, until when, and it returns those that have now.
func (a *App) alarmLoginsHeld(held, told map[string]time.Time) map[string]time.Time {
	now := map[string]time.Time{}
	for name, until := range held {
		if now[name] = told[name]; time.Now().Before(told[name]) {
			continue
		}
		now[name] = until
		a.observer.Alarm(bridge.Alarm{Kind: bridge.AlarmLoginsHeld, Upstream: name, Text: fmt.Sprintf(
			"no session, and no login before %s: until then nothing is carried out or looked up with these credentials", until.UTC().Format(time.RFC3339))})
	}
	return now
}

// bySomebody says whose word an entry's outcome is, where it isn't the authority's.
func bySomebody(e bridge.Entry) string {
	if hand := e.ByHand(); hand != nil {
		return ", as " + hand.By + " recorded"
	}
	return ""
}

// pruner removes what is older than it may be kept; the journal does, in small steps.
type pruner interface {
	Prune(ctx context.Context, retain, retainBodies time.Duration) (rows int, err error)
}

// prune has removed what is older than it may be kept. A stop doesn't wait for it: the next run goes on.
func (a *App) prune(j pruner) {
	ctx, cancel := context.WithTimeout(a.working, 10*time.Minute)
	defer cancel()
	f := a.plan.Load().file
	n, err := j.Prune(ctx, f.Retain.D(), f.RetainExchanges.D())
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil:
		a.Log.Error("the journal can't be pruned: " + err.Error())
	case n > 0:
		a.Log.Info("journal pruned", "rows", n)
	}
}

// partEnvironments gives the documents of other environments than production their own place in a journal of before they
// had one.
func (a *App) partEnvironments(ctx context.Context, p *plan) error {
	for _, up := range p.ups {
		is := up.Profile()
		at := strings.LastIndexByte(is.Space, '/')
		if at < 0 {
			continue
		}
		n, err := a.journal.MoveSpace(ctx, is.Name, is.Space[:at], is.Space)
		if err != nil {
			return err
		}
		if n > 0 {
			a.Log.Info("journal: documents of another environment than production are kept apart now", "upstream", is.Name, "space", is.Space, "documents", n)
		}
	}
	return nil
}
