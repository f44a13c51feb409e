package config

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// Kind says which keys an upstream of this kind takes beside the common ones, and which of them must be there once a
// taxpayer's own settings are laid over.
type Kind struct {
	Needs, Takes []string
	Instead      map[string]string // by a needed key: the one that, when it is there, stands for it
}

// common keys are taken by every kind.
var common = []string{
	"kind", "environment", "base_url", "headers", "proxy", "ca", "client_certificate", "client_key",
	"timeout", "lookup_timeout", "cancels_per_minute",
}

// Kinds are the e-invoice APIs that an upstream can be.
var Kinds = map[string]Kind{
	"nic": {
		Needs:   []string{"base_url", "client_id", "client_secret", "username", "password", "public_key"},
		Takes:   []string{"header_style", "auth_version", "irp", "sup_gstin", "auth_path", "cancel_path", "lookup_path", "remarks_too_long"},
		Instead: map[string]string{"client_id": "headers", "client_secret": "headers"},
	},
	"myinvois": {
		Needs: []string{"base_url", "client_id", "client_secret"},
		Takes: []string{"identity_url", "spare_secret", "on_behalf_of", "irn_map", "fetch_cancel_date", "logins_per_minute", "lookups_per_minute"},
	},
	"cleartax-my": {
		Needs: []string{"base_url", "token"},
		Takes: []string{"token_header", "tin", "branch", "einvoice_type", "account", "lookups_per_minute"},
	},
	"cleartax-in": {
		Needs: []string{"base_url", "token"},
		Takes: []string{"token_header", "branch", "route", "remarks_too_long"},
	},
	"invx": {
		Needs: []string{"base_url", "auth_url", "org_id", "username", "password"},
		Takes: []string{"call_headers", "query", "parallel", "remarks_too_long"},
	},
	"mastersindia": {
		Needs:   []string{"base_url", "username", "password"},
		Takes:   []string{"api", "api_key", "client_id", "client_secret", "remarks_too_long"},
		Instead: map[string]string{"username": "api_key", "password": "api_key"},
	},
}

// choices are the values of keys that take one of a few words; the first is the default.
var choices = map[string][]string{
	"remarks_too_long": {"refuse", "truncate"},
	"header_style":     {"underscore", "hyphen"},
	"auth_version":     {"1.04", "1.03"},
	"einvoice_type":    {"SALES", "PURCHASE", "SALES_B2C"},
	"route":            {"govt", "v2"},
	"api":              {"legacy", "v1"},
}

// checkUpstreams holds every taxpayer's settings against its kind. An upstream without taxpayers is checked for its
// kind and for keys that the kind doesn't take.
func (l *loader) checkUpstreams() {
	for name, u := range sorted(l.file.Upstreams) {
		path := join("upstreams", name)
		if _, ok := Kinds[u.Kind]; !ok {
			l.at(join(path, "kind"), "upstream %s has no known kind; known are %s", name, strings.Join(kindNames(), ", "))
			continue
		}
		l.checkSettings(path, u)
	}
	l.checkEnvironments()
	for name, t := range sorted(l.file.Taxpayers) {
		path := join("taxpayers", name)
		if want := strings.ToUpper(strings.TrimSpace(name)); want != name {
			l.at(path, "taxpayer %q is never found: callers' user_gstin is trimmed and upper-cased; write %s", name, want)
		}
		if _, ok := l.file.Upstreams[t.Upstream]; !ok {
			l.at(path, "taxpayer %s names the upstream %q, which is not defined", name, t.Upstream)
			continue
		}
		if _, ok := Kinds[t.Settings.Kind]; !ok {
			continue
		}
		if _, own := l.file.lines[join(path, "kind")]; own {
			l.at(join(path, "kind"), "a taxpayer can't change its upstream's kind; name another upstream")
		}
		l.checkSettings(path, t.Settings)
		l.checkNeeds(path, name, t)
	}
}

// checkNeeds looks for what a taxpayer's kind can't do without.
func (l *loader) checkNeeds(path, name string, t Taxpayer) {
	kind := Kinds[t.Settings.Kind]
	for _, key := range kind.Needs {
		instead, ok := kind.Instead[key]
		switch {
		case !setting(t.Settings, key).IsZero() || ok && !setting(t.Settings, instead).IsZero():
		case ok:
			l.at(path, "taxpayer %s: %s needs %s (or %s instead), here or in upstream %s", name, t.Settings.Kind, key, instead, t.Upstream)
		default:
			l.at(path, "taxpayer %s: %s needs %s, here or in upstream %s", name, t.Settings.Kind, key, t.Upstream)
		}
	}
}

// checkSettings checks what stands at path: keys that the kind takes, words, addresses.
func (l *loader) checkSettings(path string, u Upstream) {
	k := Kinds[u.Kind]
	v := reflect.ValueOf(u)
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		if _, written := l.file.lines[join(path, key)]; !written {
			continue
		}
		if !slices.Contains(common, key) && !slices.Contains(k.Needs, key) && !slices.Contains(k.Takes, key) {
			l.at(join(path, key), "%s is no setting of kind %s", key, u.Kind)
		}
		if words, ok := choices[key]; ok && !slices.Contains(words, v.Field(i).String()) {
			l.at(join(path, key), "%s is one of %s", key, strings.Join(words, ", "))
		}
		if strings.HasSuffix(key, "_url") || key == "proxy" {
			l.checkURL(join(path, key), v.Field(i).String())
		}
	}
}

func setting(u Upstream, key string) reflect.Value {
	v := reflect.ValueOf(u)
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i)
		}
	}
	panic(fmt.Sprintf("config: no upstream setting %q", key)) // a misspelt key in Kinds; a test walks them all
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

func kindNames() []string {
	var names []string
	for k := range Kinds {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}
