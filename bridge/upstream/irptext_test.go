package upstream

import "testing"

func TestIRPErrorIn(t *testing.T) {
	for in, want := range map[string]IRPError{
		"9999: Invoice is not active": {"9999", "Invoice is not active"},
		" 2270 : time: crossed ":      {"2270", "time: crossed"},
		"SYS_5001: Application error": {"SYS_5001", "Application error"},
		"301:Invalid eway bill":       {"301", "Invalid eway bill"},
		"2143:":                       {"2143", ""},
		"Invoice is not active":       {},
		"12: too short for a code":    {},
		"err-x: 2270: later":          {},
		"":                            {},
	} {
		if got, ok := IRPErrorIn(in); got != want || ok != (want.Code != "") {
			t.Errorf("%q: %+v, %v; want %+v", in, got, ok, want)
		}
	}
}
