package irp

import "testing"

func TestRules(t *testing.T) {
	rules := Rules("max=100")
	if got := rules.Normal("A5C1"); got != "a5c1" {
		t.Error(got)
	}
	_, irn := rules.Refusal("irn", "must be 64 hexadecimal characters")
	code, reason := rules.Refusal("cancel_reason", "must be one of 1, 2, 3, 4")
	if irn != "2145: IRN is not valid (irn must be 64 hexadecimal characters)" ||
		reason != "2142: Incomplete request parameters (cancel_reason must be one of 1, 2, 3, 4)" || code != "2142" {
		t.Errorf("%s\n%s", irn, reason)
	}
}

func TestDate(t *testing.T) {
	for in, want := range map[string]string{
		"2019-12-05 14:26:00":   "2019-12-05 14:26:00",
		" 2019-12-05 14:26:00 ": "2019-12-05 14:26:00",
		"05/12/2019 02:26 PM":   "05/12/2019 02:26 PM", // not ours to read: 19 printable characters pass
		"2019-12-05":            "",
		"2019-12-05 14:26:0\n0": "",
		"":                      "",
	} {
		if got := Date(in); got != want {
			t.Errorf("Date(%q) = %q, want %q", in, got, want)
		}
	}
}
