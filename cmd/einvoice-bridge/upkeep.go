package main

import (
	"context"
	"fmt"
	"time"

	"einvoice-bridge/bridge"
)

// keepUp looks after the journal while serving: every minute for callers who were told something that turned out
// otherwise, every hour for what is older than it may be kept.
func (a *app) keepUp() {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	known := map[int64]bool{}
	for minute := 1; ; minute++ {
		select {
		case <-a.quit:
			return
		case <-tick.C:
		}
		a.alarmToldOtherwise(known)
		if minute%60 == 0 {
			a.prune()
		}
	}
}

// alarmToldOtherwise raises one alarm for each entry whose truth differs from what a caller was told last. known are
// those that had theirs; a restart tells them once more.
func (a *app) alarmToldOtherwise(known map[int64]bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	entries, err := a.journal.List(ctx, bridge.Filter{ToldOtherwise: true, Limit: 100})
	if err != nil {
		a.log.Error("can't look for callers who were told otherwise: " + err.Error())
		return
	}
	for _, e := range entries {
		if known[e.ID] {
			continue
		}
		known[e.ID] = true
		a.observe.Alarm(bridge.Alarm{
			Kind: bridge.AlarmToldOtherwise, Upstream: e.Upstream, Taxpayer: e.Taxpayer, Key: e.Key, Ref: e.Ref,
			Text: fmt.Sprintf("the document is %s, but a caller was last told otherwise: tell its owner (journal show %d)", e.Outcome.Class, e.ID),
		})
	}
}

// prune removes what is older than it may be kept.
func (a *app) prune() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	f := a.plan.Load().file
	n, err := a.journal.Prune(ctx, f.Retain.D(), f.RetainExchanges.D())
	switch {
	case err != nil:
		a.log.Error("the journal can't be pruned: " + err.Error())
	case n > 0:
		a.log.Info("journal pruned", "rows", n)
	}
}
