package irp

import "testing"

func TestRules(t *testing.T) {
	rules := Keys{}.Rules("max=100")
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
