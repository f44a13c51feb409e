package config

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Kind is what the file has to know of one sort of e-invoice API.
type Kind struct {
	// New makes a pointer to the struct of the kind's keys, with their defaults. Its yaml tags name them.
	New func() any
	// Check tells which keys it can't do without and lacks, and which have values that can't be, each with words that
	// may follow the key's name.
	Check func(settings any) (missing, wrong map[string]string)
}

// Kinds are the e-invoice APIs that an upstream can be, by name.
type Kinds map[string]Kind

// checkUpstreams holds every upstream's and every taxpayer's settings against their kind. Only a taxpayer's are complete,
// and what is wrong with its upstream's is not told again.
func (l *loader) checkUpstreams() {
	told := map[string]map[string]string{}
	for name, u := range sorted(l.file.Upstreams) {
		path := join("upstreams", name)
		kind, ok := l.kinds[u.Kind]
		if !ok {
			known := strings.Join(slices.Sorted(maps.Keys(l.kinds)), ", ")
			l.at(join(path, "kind"), "upstream %s has no known kind; known are %s", name, known)
			continue
		}
		_, told[name] = kind.Check(u.Settings)
		l.wrong(path, told[name], nil)
	}
	l.checkEnvironments()
	for name, t := range sorted(l.file.Taxpayers) {
		path := join("taxpayers", name)
		if want := strings.ToUpper(strings.TrimSpace(name)); want != name {
			l.at(path, "taxpayer %q is never found: callers' user_gstin is trimmed and upper-cased; write %s", name, want)
		}
		u, ok := l.file.Upstreams[t.Upstream]
		if !ok {
			l.at(path, "taxpayer %s names the upstream %q, which is not defined", name, t.Upstream)
			continue
		}
		if t.Settings == nil {
			continue
		}
		if _, own := l.file.lines[join(path, "kind")]; own {
			l.at(join(path, "kind"), "a taxpayer can't change its upstream's kind; name another upstream")
		}
		missing, wrong := l.kinds[u.Kind].Check(t.Settings)
		for key, what := range sorted(missing) {
			l.at(path, "taxpayer %s: %s needs %s%s, here or in upstream %s", name, u.Kind, key, what, t.Upstream)
		}
		l.wrong(path, wrong, told[t.Upstream])
	}
}

// wrong tells of keys whose values can't be, but for what has been told.
func (l *loader) wrong(path string, wrong, told map[string]string) {
	for key, what := range sorted(wrong) {
		if told[key] != what {
			l.at(join(path, key), "%s %s", join(path, key), what)
		}
	}
}

// checkEnvironments keeps sandbox and production out of one file, unless both are allowed by name.
func (l *loader) checkEnvironments() {
	seen := map[string]string{}
	for name, u := range sorted(l.file.Upstreams) {
		env := strings.ToLower(strings.TrimSpace(u.Environment)) // as documents' records are kept apart
		if env != "" && !slices.ContainsFunc(l.file.MixedEnvironments, func(m string) bool { return strings.EqualFold(m, env) }) {
			seen[env] = name
		}
	}
	if len(seen) < 2 {
		return
	}
	for env, name := range sorted(seen) {
		l.at(join("upstreams", name), "environment %s of upstream %s stands beside another one in this file; "+
			"keep them apart, or allow them by name in mixed_environments", env, name)
	}
}

func (l *loader) checkURL(path, v string) {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		l.at(path, "%s is no http(s) address", path)
	case u.User != nil:
		l.at(path, "%s holds a user name; credentials have keys of their own", path)
	case u.RawQuery != "" || u.Fragment != "":
		l.at(path, "%s ends before the question mark", path)
	}
}
