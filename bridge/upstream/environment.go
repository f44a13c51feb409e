package upstream

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// The environments that every provider has: the one whose documents count before the law, and the one for trying things
// out.
const Production, Sandbox = "production", "sandbox"

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

// hosts are those of which a source says in which environment they are, by the upstream's kind. What no source states is
// left to the marks in the name.
var hosts = []struct{ kind, host, environment, source string }{
	{"nic", "api.einvoice1.gst.gov.in", Production, "NIC-IRP 1, seen with clients, 2024-26"},
	{"nic", "api.einvoice2.gst.gov.in", Production, "NIC-IRP 2, seen with clients, 2024-26"},
	{"nic", "einv1api.gstsandbox.nic.in", Sandbox, "seen with clients, 2024-26"},
	{"nic", "einv2api.gstsandbox.nic.in", Sandbox, "seen with clients, 2024-26"},
	{"nic", "einv-apisandbox.nic.in", Sandbox, "NIC's sandbox pages"},
	{"nic", "api.einvoice6.gst.gov.in", Production, "IRIS IRP (IRP 6)"},
	{"nic", "api.sandbox.core.irisirp.com", Sandbox, "IRIS IRP (IRP 6)"},
	{"nic", "api.einvoice5.gst.gov.in", Production, "EY IRP (IRP 5), seen with a client, 2026-11"},
	{"nic", "einvapisandbox.irp5.in", Sandbox, "EY IRP (IRP 5), seen with a client, 2026-11"},
	{"nic", "www.alankitgst.com", Production, "Alankit, seen with clients, 2026-11"},
	{"nic", "developers.eraahi.com", Sandbox, "Alankit, seen with clients, 2026-11"},
	{"nic", "einvapi.charteredinfo.com", Production, "TaxPro, seen with clients, 2026-11"},
	{"nic", "gstsandbox.charteredinfo.com", Sandbox, "TaxPro, seen with clients, 2026-11"},
	{"nic", "proapi.mastersindia.co", Production, "Masters India's encrypted gateway"},
	{"nic", "api.mastersindia.co", Sandbox, "Masters India's encrypted gateway"},
	{"myinvois", "api.myinvois.hasil.gov.my", Production, "MyInvois SDK"},
	{"myinvois", "preprod-api.myinvois.hasil.gov.my", Sandbox, "MyInvois SDK"},
	{"cleartax-my", "api-sandbox.my.cleartax.com", Sandbox, "ClearTax, E-Invoicing Malaysia API"},
	{"cleartax-in", "api.clear.in", Production, "ClearTax, E-Invoicing API reference"},
	{"cleartax-in", "api-sandbox.clear.in", Sandbox, "ClearTax, E-Invoicing API reference"},
	{"invx", "services.vayana.com", Production, "Vayana, Integrating"},
	{"invx", "sandbox.services.vayananet.com", Sandbox, "Vayana, Integrating"},
	{"mastersindia", "pro.mastersindia.co", Production, "legacy, seen with clients"},
	{"mastersindia", "clientbasic.mastersindia.co", Sandbox, "legacy, the vendor's pages"},
	{"mastersindia", "prod-api.mastersindia.co", Production, "v1, seen with clients"},
	{"mastersindia", "router.mastersindia.co", Production, "v1, seen with clients, 2026-11"},
	{"mastersindia", "prepro-router.mastersindia.co", Sandbox, "v1, the vendor's API pages, 2026-11"},
	{"mastersindia", "sandb-api.mastersindia.co", Sandbox, "v1, seen with clients"},
}

// KnownEnvironment is the environment of an address whose host a source names; empty for all others.
func KnownEnvironment(baseURL string) string {
	_, environment := known(baseURL)
	return environment
}

// KnownKind is the kind of upstream at such an address.
func KnownKind(baseURL string) string {
	kind, _ := known(baseURL)
	return kind
}

func known(baseURL string) (kind, environment string) {
	if u, err := url.Parse(baseURL); err == nil {
		for _, h := range hosts {
			if strings.EqualFold(h.host, u.Hostname()) {
				return h.kind, h.environment
			}
		}
	}
	return "", ""
}

// Mislabelled warns of a label that speaks against the host's name, where production is how the provider names the others.
func (s Settings) Mislabelled(production *regexp.Regexp) []string {
	u, err := url.Parse(s.BaseURL)
	if err != nil {
		return nil
	}
	host, label := u.Hostname(), strings.ToLower(s.Environment)
	sandbox := strings.Contains(host, Sandbox)
	if sandbox && strings.HasPrefix(label, "prod") || !sandbox && production.MatchString(host) && strings.Contains(label, Sandbox) {
		return []string{fmt.Sprintf("%s: environment is %q, but the base URL's host is %s", s.Name, s.Environment, host)}
	}
	return nil
}

// Contradicts tells whether a label says that an address is in the other one of the two environments that every provider
// has. Labels of an operator's own ("pilot") contradict nothing.
func Contradicts(label, baseURL string) bool {
	known := KnownEnvironment(baseURL)
	label = strings.ToLower(strings.TrimSpace(label))
	return known == Production && marked(label) || known == Sandbox && label == Production
}
