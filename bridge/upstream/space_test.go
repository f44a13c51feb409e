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
		{" Sandbox ", "https://api.einvoice1.gst.gov.in", "irp/sandbox"},
		{"pilot", "http://127.0.0.1:1", "irp/pilot"},
	} {
		if got := upstream.Space("irp", upstream.Environment(tt.label, tt.base)); got != tt.want {
			t.Errorf("label %q, %s: space %s, want %s", tt.label, tt.base, got, tt.want)
		}
	}
}
