package upstream

import (
	"strings"
	"unicode/utf16"
)

// Cut keeps at most n UTF-16 units of a text, as .NET and Java count, and never half a character.
func Cut(s string, n int) string {
	for at, r := range s {
		if n -= utf16.RuneLen(r); n < 0 {
			return strings.TrimRight(s[:at], " ")
		}
	}
	return s
}
