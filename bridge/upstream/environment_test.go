package upstream_test

import (
	"testing"

	"einvoice-bridge/bridge/upstream"
)

// An invoice tried in the sandbox has the IRN of the real one: what is known of the one must not answer for the other.
func TestEnvironmentsAreSpacesOfTheirOwn(t *testing.T) {
	for _, tt := range []struct{ label, base, want string }{
		{"production", "https://einv-apisandbox.nic.in", "irp"},
		{"", "https://api.einvoice1.gst.gov.in", "irp"},
		{"", "https://einv-apisandbox.nic.in", "irp/sandbox"},
		{"", "https://prepro-router.mastersindia.co", "irp/sandbox"},
		{"", "https://sandb-api.mastersindia.co", "irp/sandbox"},
		{"", "https://clientbasic.mastersindia.co", "irp/sandbox"},
		{"", "https://pro.mastersindia.co", "irp"},
		{"", "https://preprod-api.myinvois.hasil.gov.my", "irp/sandbox"},
		{"", "https://gateway.uat.example.com", "irp/sandbox"},
		{"", "https://evaluator.latest.example.com", "irp"},
		{"", "https://api.mastersindia.co", "irp/sandbox"}, // no mark, but known
		{" Sandbox ", "https://api.einvoice1.gst.gov.in", "irp/sandbox"},
		{"pilot", "http://127.0.0.1:1", "irp/pilot"},
	} {
		if got := upstream.Space("irp", upstream.Environment(tt.label, tt.base)); got != tt.want {
			t.Errorf("label %q, %s: space %s, want %s", tt.label, tt.base, got, tt.want)
		}
	}
}

// A label that says the opposite of what is known of a host is never meant; one of the operator's own may be.
func TestContradicts(t *testing.T) {
	for _, tt := range []struct {
		label, base string
		want        bool
	}{
		{"sandbox", "https://api.einvoice1.gst.gov.in", true},
		{" Sandbox", "https://API.einvoice1.gst.gov.in:443/x", true},
		{"uat", "https://api.myinvois.hasil.gov.my", true},
		{"production", "https://preprod-api.myinvois.hasil.gov.my", true},
		{"Production", "https://clientbasic.mastersindia.co", true},
		{"sandbox", "https://router.mastersindia.co", true},
		{"sandbox", "https://prod-api.mastersindia.co", true},
		{"production", "https://prepro-router.mastersindia.co", true},
		{"production", "https://api.sandbox.core.irisirp.com", true},
		{"sandbox", "https://services.vayana.com/theodore/apis/v1", true},
		{"production", "https://api.einvoice2.gst.gov.in", false},
		{"sandbox", "https://einv1api.gstsandbox.nic.in", false},
		{"pilot", "https://api.einvoice1.gst.gov.in", false},
		{"", "https://api.einvoice1.gst.gov.in", false},
		{"production", "https://sandbox.gateway.example", false}, // a name is no knowledge: a warning
		{"sandbox", "http://127.0.0.1:9000", false},
	} {
		if got := upstream.Contradicts(tt.label, tt.base); got != tt.want {
			t.Errorf("%q at %s: %v", tt.label, tt.base, got)
		}
	}
}
