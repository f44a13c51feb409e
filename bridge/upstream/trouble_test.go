package upstream_test

import (
	"testing"

	"einvoice-bridge/bridge/upstream"
)

// A text of trouble is no refusal, whatever envelope it comes in; an authority's no must not look like one.
func TestTrouble(t *testing.T) {
	for text, want := range map[string]bool{
		"Connection reset by peer":                  true, // Masters India, although executed
		"Expecting value: line 1 column 1 (char 0)": true, // Masters India: the parser meets NIC's empty reply
		"Gateway Time-out":                          true, // Masters India
		"HTTPSConnectionPool: Max retries exceeded": true, // Masters India
		"[Errno 113] No route to host":              true, // Masters India
		"GEN5008: GSTN Server Error":                true, // GSP
		"try after 5 minutes":                       true, // GSP 118
		"Invalid Token":                             true, // GSP 105, 106

		"OperationPeriodOver: The time limit of cancellation has already run out": false, // MyInvois SDK
		"The reason may have at most 300 characters":                              false,
		"2272: EInvoice is already Cancelled":                                     false, // ClearTax Malaysia
		"2143: Invoice does not belongs to the user GSTIN":                        false, // NIC
		"": false,
	} {
		if got := upstream.Trouble(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
