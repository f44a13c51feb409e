package upstream

import (
	"net/url"
	"strings"
)

// Sandbox is the environment for trying things out.
const Sandbox = "sandbox"

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
	u, err := url.Parse(baseURL)
	if err != nil {
		return ""
	}
	for _, h := range hosts {
		if strings.EqualFold(h.host, u.Hostname()) {
			return h.environment
		}
	}
	return ""
}

// Contradicts tells whether a label says that an address is in the other one of the two environments that every provider
// has. Labels of an operator's own ("pilot") contradict nothing.
func Contradicts(label, baseURL string) bool {
	known := KnownEnvironment(baseURL)
	label = strings.ToLower(strings.TrimSpace(label))
	return known == Production && marked(label) || known == Sandbox && label == Production
}
