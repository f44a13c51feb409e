package upstream

import (
	"strings"
	"testing"
)

func TestCut(t *testing.T) {
	x := strings.Repeat("x", 99)
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"Wrong entry", "Wrong entry"},
		{x + "yz", x + "y"},
		{x + "éz", x + "é"},
		{x + "😀", x}, // two units: half a character is never kept
		{x + " z", x},
	} {
		if got := Cut(c.in, 100); got != c.want {
			t.Errorf("%q became %q, want %q", c.in, got, c.want)
		}
	}
}
