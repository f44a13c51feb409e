package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/console"
	"einvoice-bridge/bridge/observe"
)

// Reload takes the configuration file up as it is now: all of it, or nothing when something in it is wrong or can't
// change while the bridge runs. by says who asked for it. One reload runs at a time, and none once the bridge stops.
func (a *App) Reload(by string) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if a.stopping() {
		return
	}
	r := console.Reload{At: time.Now(), By: by}
	r.Changes, r.Problems = a.tryReload()
	a.lastReload.Store(&r)
	a.metrics.Reloaded(r.Good(), r.At)
	a.did(bridge.Deed{Who: by, What: bridge.DidReload, About: reloadText(r)})
	switch {
	case !r.Good():
		for _, text := range r.Problems {
			a.Log.Error("configuration not reloaded, nothing is changed: "+text, "by", by)
		}
	case len(r.Changes) == 0:
		a.Log.Info("configuration reloaded: nothing in it has changed", "by", by)
	default:
		a.Log.Info("configuration reloaded", "by", by, "changes", brief(r.Changes))
	}
}

// did puts what an operator did on the list of that.
func (a *App) did(d bridge.Deed) {
	ctx, cancel := context.WithTimeout(a.working, 5*time.Second)
	defer cancel()
	if err := a.journal.Did(ctx, d); err != nil {
		a.Log.Error(err.Error(), "by", d.Who)
	}
}

func reloadText(r console.Reload) string {
	switch {
	case !r.Good():
		return "nothing changed, the file is wrong: " + r.Problems[0]
	case len(r.Changes) == 0:
		return "nothing had changed"
	}
	return strings.Join(brief(r.Changes), "; ")
}

// tryReload says what has changed, or why nothing has.
func (a *App) tryReload() (changes []bridge.Change, problems []string) {
	old := a.plan.Load()
	path := old.file.Path()
	f, err := config.Load(path, FileKinds)
	if err != nil {
		return nil, inWords(path, err)
	}
	changes = config.Changes(old.file, f)
	if len(changes) == 0 {
		return nil, nil
	}
	p, wrong := newPlan(f, old.shared.Next(), old.callers)
	if wrong = append(wrong, f.NeedsRestart(changes)...); len(wrong) > 0 {
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
func (a *App) put(p *plan) error {
	a.equip(p)
	desk, err := a.server.Prepare(p.options)
	if err != nil {
		return err
	}
	a.journal.RaiseSettle(settleTime(p.file))
	observe.Restyle(a.Log, p.file.Log.Format, p.file.Log.Level)
	a.lines.HashIDs(p.file.Log.IDs == "hashed")
	a.webhook.Aim(p.file.Alarms.Webhook.Reveal())
	a.plan.Store(p)
	a.service.Change(p.terms)
	a.server.Open(desk)
	return nil
}

// warn logs what looks wrong in a plan and may be meant.
func (a *App) warn(p *plan) {
	for _, w := range byLine(p.warnings) {
		a.Log.Warn(w.Text, "line", w.Line)
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
func brief(changes []bridge.Change) (words []string) {
	for i, c := range changes {
		if i == 100 {
			return append(words, fmt.Sprintf("and %d more", len(changes)-i))
		}
		words = append(words, c.String())
	}
	return words
}

// settings is the settings page: what works now, and what check says of the file as it is now.
func (a *App) settings(context.Context) console.Settings {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	p := a.plan.Load()
	s := console.Settings{Path: p.file.Path(), Since: p.read, Running: p.file.Effective(), Last: a.lastReload.Load()}
	in, err := Inspect(s.Path)
	switch {
	case err != nil:
		s.Check = []string{err.Error()}
	case in.plan != nil:
		s.Changes = config.Changes(p.file, in.plan.file)
		s.Restart = config.RestartFor(s.Changes)
		fallthrough
	default:
		s.Check, s.Good = in.Lines, in.Good
	}
	return s
}

// reloadAtHangups reloads at each SIGHUP. Windows has none; there the console's button is the way.
func (a *App) reloadAtHangups(hangups <-chan os.Signal) {
	for {
		select {
		case <-a.working.Done():
			return
		case <-hangups:
			a.Reload("SIGHUP")
		}
	}
}

func (a *App) stopping() bool { return a.working.Err() != nil }
