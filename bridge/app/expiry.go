package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/console"
	"einvoice-bridge/bridge/upstream"
)

// expiries are what ends some day, the first to end first: certificates by themselves, secrets by what they or the configuration
// say, and the tokens that operators have issued.
func (a *App) expiries(ctx context.Context) ([]console.Expiry, error) {
	p := a.plan.Load()
	all := certificates(p.file)
	for _, s := range p.ends {
		all = append(all, console.Expiry{What: s.what, At: s.at})
	}
	tokens, err := a.journal.Issued(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range tokens {
		// A program fetches its own anew; those have no label, and the length of life that all such have.
		fetched := t.Label == access.Adopted || t.Label == "" && t.Expires.Sub(t.Issued) <= time.Duration(p.file.Token.TTL)
		if !fetched && t.Revoked.IsZero() && time.Now().Before(t.Expires) {
			all = append(all, console.Expiry{What: "token of " + t.Caller + ", " + cmp.Or(t.Label, t.Hash[:min(12, len(t.Hash))]), At: t.Expires})
		}
	}
	slices.SortStableFunc(all, func(a, b console.Expiry) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.What, b.What)) })
	return all, nil
}

// certificates are those that listeners show and ask for, as their files are now, and those that upstreams are shown.
func certificates(f *config.File) (all []console.Expiry) {
	add := func(what, pem string) {
		for i, c := range parsePEM(pem) {
			name := what
			if i > 0 {
				name += fmt.Sprintf(" (no. %d in the file)", i+1)
			}
			all = append(all, console.Expiry{What: name, At: c.NotAfter})
		}
	}
	files := map[string]string{}
	for _, l := range f.Listen {
		if l.TLS == nil {
			continue
		}
		for _, p := range l.TLS.Pairs() {
			files[p.Certificate] = "certificate " + p.Certificate
		}
		if l.TLS.ClientCA != "" {
			files[l.TLS.ClientCA] = "client CA " + l.TLS.ClientCA
		}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if text, err := os.ReadFile(path); err == nil { // a broken one is told in the log, and by check
			add(files[path], string(text))
		}
	}
	shown := clientCertificates(f)
	for _, path := range slices.Sorted(maps.Keys(shown)) {
		add(path, shown[path])
	}
	return all
}

// ending is a secret that ends some day, with the key that says so.
type ending struct {
	what, key string
	at        time.Time
}

// secrets end as the configuration says, or as they say themselves.
func secrets(f *config.File) (all []ending) {
	for path, text := range secretEnds(f) {
		if at, err := time.Parse(time.DateOnly, text); err == nil {
			all = append(all, ending{"secret of " + path, path + ".secret_expires", at})
		}
	}
	for key, at := range f.TokenEnds() {
		all = append(all, ending{"token in " + key, key, at})
	}
	return all
}

// secretEnds are the days on which secrets end, by whose they are; a taxpayer's only where it is its own.
func secretEnds(f *config.File) map[string]string {
	ends := map[string]string{}
	for name, u := range f.Upstreams {
		if end := upstream.Common(u.Settings).SecretExpires; end != "" {
			ends["upstreams."+name] = end
		}
	}
	for name, t := range f.Taxpayers {
		if end := upstream.Common(t.Settings).SecretExpires; end != "" && end != ends["upstreams."+t.Upstream] {
			ends["taxpayers."+name] = end
		}
	}
	return ends
}

// endingSoon warns of secrets that end within a month.
func endingSoon(f *config.File, now time.Time) (all config.Problems) {
	for _, s := range secrets(f) {
		on := s.at.Format(time.DateOnly)
		switch days := int(s.at.Sub(now).Hours() / 24); {
		case !now.Before(s.at):
			all = append(all, config.Problem{Line: f.Line(s.key), Text: fmt.Sprintf("the %s ended on %s, by %s", s.what, on, s.key)})
		case days < 30:
			all = append(all, config.Problem{Line: f.Line(s.key), Text: fmt.Sprintf("the %s ends on %s, in %d days, by %s", s.what, on, days, s.key)})
		}
	}
	return all
}
