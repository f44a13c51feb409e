package upstream

import (
	"net/url"
	"slices"
	"strings"
)

// Production is the environment whose documents count before the law.
const Production = "production"

// The marks in a host's name by which providers tell what is not production: parts of a word (MyInvois: preprod-api, NIC:
// einv-apisandbox, Masters India: prepro-router, sandb-api), or whole words (IRIS: stage-api; clientbasic is the sandbox of
// Masters India's legacy API).
var (
	marks = []string{"sandb", "preprod", "prepro-"}
	words = []string{"uat", "stage", "staging", "demo", "test", "dev", "clientbasic"}
)

// Environment is where an upstream's documents live: the label that the configuration gives it, else what is known of the
// host, else what its name says, else production. Documents of two environments never share a record: IRNs are digests of an invoice's own
// numbers, so that an invoice tried in the sandbox has the IRN of the real one.
func Environment(label, baseURL string) string {
	if label = strings.ToLower(strings.TrimSpace(label)); label != "" {
		return label
	}
	if known := KnownEnvironment(baseURL); known != "" {
		return known
	}
	if u, err := url.Parse(baseURL); err == nil && marked(strings.ToLower(u.Hostname())) {
		return Sandbox
	}
	return Production
}

// marked tells whether a name, of a host or of an environment, has a mark of what is not production.
func marked(name string) bool {
	if slices.ContainsFunc(marks, func(m string) bool { return strings.Contains(name, m) }) {
		return true
	}
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '-' })
	return slices.ContainsFunc(parts, func(p string) bool { return slices.Contains(words, p) })
}

// Space is the document space of an authority's documents in one environment (bridge.Profile.Space). Production's has
// the plain name.
func Space(authority, environment string) string {
	if environment == Production {
		return authority
	}
	return authority + "/" + environment
}
