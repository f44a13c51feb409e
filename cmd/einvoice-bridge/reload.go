package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/console"
)

// reload takes the configuration file up as it is now: all of it, or nothing when something in it is wrong or can't
// change while the bridge runs. by says who asked for it. One reload runs at a time, and none once the bridge stops.
func (a *app) reload(by string) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if a.stopping() {
		return
	}
	r := console.Reload{At: time.Now(), By: by}
	r.Changes, r.Problems = a.tryReload()
	a.lastReload.Store(&r)
	a.metrics.Reloaded(r.Good(), r.At)
	switch {
	case !r.Good():
		for _, text := range r.Problems {
			a.log.Error("configuration not reloaded, nothing is changed: "+text, "by", by)
		}
	case len(r.Changes) == 0:
		a.log.Info("configuration reloaded: nothing in it has changed", "by", by)
	default:
		a.log.Info("configuration reloaded", "by", by, "changes", brief(r.Changes))
	}
}

// tryReload says what has changed, or why nothing has.
func (a *app) tryReload() (changes []console.Change, problems []string) {
	old := a.plan.Load()
	path := old.file.Path()
	f, err := config.Load(path, fileKinds)
	if err != nil {
		return nil, inWords(path, err)
	}
	changes = changesOf(old.file, f)
	if len(changes) == 0 {
		return nil, nil
	}
	p, wrong := newPlan(f, old.shared.Next(), old.callers)
	if wrong = append(wrong, fixedProblems(f, changes)...); len(wrong) > 0 {
		return nil, inWords(path, wrong)
	}
	if err := a.put(p); err != nil {
		return nil, inWords(path, err)
	}
	a.warn(p)
	return changes, nil
}

// put makes a plan the one that the bridge works by. A call meets it in one place, the SOAP side's desk: callers,
// routes and words are of one configuration, and a call in flight ends under the one that it began under.
func (a *app) put(p *plan) error {
	a.equip(p)
	desk, err := a.server.Prepare(p.options)
	if err != nil {
		return err
	}
	a.journal.RaiseSettle(settleTime(p.file))
	if h, ok := a.log.Handler().(*logHandler); ok {
		h.follow(p.file.Log)
	}
	a.hashed.Store(p.file.Log.IDs == "hashed")
	a.webhook.aim(p.file.Alarms.Webhook.Reveal())
	a.plan.Store(p)
	a.service.Change(p.terms)
	a.server.Open(desk)
	return nil
}

// warn logs what looks wrong in a plan and may be meant.
func (a *app) warn(p *plan) {
	for _, w := range byLine(p.warnings) {
		a.log.Warn(w.Text, "line", w.Line)
	}
}

// inWords is an error in the words of check.
func inWords(path string, err error) (lines []string) {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return []string{err.Error()}
	}
	for _, p := range byLine(problems) {
		lines = append(lines, fmt.Sprintf("%s:%d: %s", path, p.Line, p.Text))
	}
	return lines
}

// brief is the changes for one log line, the first hundred of them.
func brief(changes []console.Change) (words []string) {
	for i, c := range changes {
		if i == 100 {
			return append(words, fmt.Sprintf("and %d more", len(changes)-i))
		}
		words = append(words, c.String())
	}
	return words
}

// settings is the settings page: what works now, and what check says of the file as it is now.
func (a *app) settings(context.Context) console.Settings {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	p := a.plan.Load()
	s := console.Settings{Path: p.file.Path(), Since: p.read, Running: effective(p.file), Last: a.lastReload.Load()}
	in, err := inspect(s.Path)
	switch {
	case err != nil:
		s.Check = []string{err.Error()}
	case in.plan != nil:
		s.Changes = changesOf(p.file, in.plan.file)
		s.Restart = restartFor(s.Changes)
		fallthrough
	default:
		s.Check, s.Good = in.lines, in.good
	}
	return s
}

// obey reloads at each SIGHUP. Windows has none; there the console's button is the way.
func (a *app) obey(hangups <-chan os.Signal) {
	for {
		select {
		case <-a.working.Done():
			return
		case <-hangups:
			a.reload("SIGHUP")
		}
	}
}

func (a *app) stopping() bool { return a.working.Err() != nil }
