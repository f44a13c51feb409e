package config

import (
	"slices"
	"strings"

	"einvoice-bridge/bridge"
)

// fixed are the keys that can't change while the bridge runs: where it keeps its record and what sessions in it are
// sealed with, where it listens, who may look, and where traces go. A reload that finds one of them changed changes
// nothing. The guide to operation lists them; a test holds it to that.
var fixed = []string{"journal", "seal", "listen", "console", "traces"}

// RestartFor names the changed keys that only a restart takes up.
func RestartFor(changes []bridge.Change) (keys []string) {
	for _, c := range changes {
		key, _, _ := strings.Cut(c.Path, ".")
		accepts := key == "listen" && strings.Contains(c.Path, ".accept.") // is read call by call
		if slices.Contains(fixed, key) && !accepts && !slices.Contains(keys, c.Path) {
			keys = append(keys, c.Path)
		}
	}
	return keys
}

// NeedsRestart is RestartFor as problems of the file.
func (f *File) NeedsRestart(changes []bridge.Change) (problems Problems) {
	if keys := RestartFor(changes); len(keys) > 0 {
		problems = append(problems, Problem{Line: f.Line(keys[0]),
			Text: strings.Join(keys, ", ") + " can't change while the bridge runs; restart to change them"})
	}
	return problems
}

// Changes says what is different in another configuration, key by key as they work: defaults and an upstream's
// settings in a taxpayer's place included. Of secrets it says only that they differ.
func Changes(was, is *File) (all []bridge.Change) {
	old := map[string]line{}
	before := described(was)
	for _, l := range before {
		old[l.Path] = l
	}
	for _, l := range described(is) {
		o, there := old[l.Path]
		delete(old, l.Path)
		switch {
		case !there:
			all = append(all, bridge.Change{Path: l.Path, Kind: bridge.Added, Is: l.tellable()})
		case o.exact != l.exact && o.Value == l.Value: // what differs does not show
			all = append(all, bridge.Change{Path: l.Path, Kind: bridge.Changed})
		case o.exact != l.exact:
			all = append(all, bridge.Change{Path: l.Path, Kind: bridge.Changed, Was: o.tellable(), Is: l.tellable()})
		}
	}
	for _, o := range before {
		if _, left := old[o.Path]; left {
			all = append(all, bridge.Change{Path: o.Path, Kind: bridge.Removed, Was: o.tellable()})
		}
	}
	return all
}

// tellable is the value as a change may tell it.
func (l line) tellable() string {
	if l.secret {
		return ""
	}
	return l.Value
}
