package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	// hosts are one or more of them, as PostgreSQL's addresses may have: h1:5432,h2:5433, [::1]:5432.
	hosts = regexp.MustCompile(`^[\pL\pN._,%-]*(:\d*)?((,|\[)[\pL\pN._:%-]*\]?(:\d*)?)*$`)
	// openParameters say nothing secret in an address's query. Every other is left out: password, sslpassword, a key.
	openParameters = []string{
		"host", "hostaddr", "port", "dbname", "user", "sslmode", "target_session_attrs", "application_name", "connect_timeout",
		"synchronous_commit", "statement_timeout", "lock_timeout",
	}
)

// WithoutSecrets is a journal's or a service's address fit for a log line or a page: who and where, and nothing that lets
// anybody in. What can't be told apart is left out, with … in its place.
func WithoutSecrets(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s // sqlite:FILE, or no address
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, rest := rest[:end], rest[end:]
	user := ""
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, authority = authority[:at], authority[at+1:]
		var hidden bool
		if user, _, hidden = strings.Cut(user, ":"); hidden {
			user += ":xxxxx" // as net/url writes it
		}
		user += "@"
	}
	if strings.Contains(rest, "@") || !hosts.MatchString(authority) { // what is before may be half a password
		return scheme + "://…"
	}
	path, _, _ := strings.Cut(rest, "#")
	path, query, _ := strings.Cut(path, "?")
	return scheme + "://" + user + authority + path + openQuery(query)
}

// openQuery is what may be shown of a query.
func openQuery(query string) string {
	if query == "" {
		return ""
	}
	var shown []string
	for p := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(p, "=")
		if plain, err := url.QueryUnescape(value); err == nil && slices.Contains(openParameters, name) && !strings.ContainsAny(plain, "\r\n") {
			shown = append(shown, p)
		} else if !slices.Contains(shown, "…") {
			shown = append(shown, "…")
		}
	}
	return "?" + strings.Join(shown, "&")
}

// origin is WithoutSecrets without the path, which may be what lets somebody in.
func origin(s string) string {
	s = WithoutSecrets(s)
	scheme, rest, ok := strings.Cut(s, "://")
	if end := strings.IndexAny(rest, "/?"); ok && end >= 0 && strings.Trim(rest[end:], "/") != "" {
		return scheme + "://" + rest[:end] + "/…"
	}
	return s
}
