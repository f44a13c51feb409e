package upstream

import "testing"

func TestCancelDate(t *testing.T) {
	for in, want := range map[string]string{
		"2019-12-05 14:26:00":   "2019-12-05 14:26:00",
		" 2019-12-05 14:26:00 ": "2019-12-05 14:26:00",
		"05/12/2019 02:26 PM":   "05/12/2019 02:26 PM", // not ours to read: 19 printable characters pass
		"2019-12-05":            "",
		"2019-12-05 14:26:0\n0": "",
		"":                      "",
	} {
		if got := CancelDate(in); got != want {
			t.Errorf("CancelDate(%q) = %q, want %q", in, got, want)
		}
	}
}
