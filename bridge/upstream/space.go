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

// Environment is where an upstream's documents live: the label that the configuration gives it, else what the host's
// name says, else production. Documents of two environments never share a record: IRNs are digests of an invoice's own
// numbers, so that an invoice tried in the sandbox has the IRN of the real one.
func Environment(label, baseURL string) string {
	if label = strings.ToLower(strings.TrimSpace(label)); label != "" {
		return label
	}
	u, err := url.Parse(baseURL)
	if err != nil {
		return Production
	}
	host := strings.ToLower(u.Hostname())
	for _, m := range marks {
		if strings.Contains(host, m) {
			return "sandbox"
		}
	}
	for word := range strings.FieldsFuncSeq(host, func(r rune) bool { return r == '.' || r == '-' }) {
		if slices.Contains(words, word) {
			return "sandbox"
		}
	}
	return Production
}

// Space is the document space of an authority's documents in one environment (bridge.Profile.Space). Production's has
// the plain name.
func Space(authority, environment string) string {
	if environment == Production {
		return authority
	}
	return authority + "/" + environment
}
