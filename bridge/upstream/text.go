package upstream

import (
	"regexp"
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

// trouble are the texts of what fails on the way. Masters India passes on what its Python libraries and the gateways before
// NIC say (v1, seen in production).
var trouble = regexp.MustCompile(`(?i)connection ?(reset|refused|aborted|closed|timed out|error|pool|broken)|no route to host|unreachable|broken pipe|` +
	`remote end closed|max retries exceeded|time[- ]?out|timed out|bad gateway|unavailable\b|temporar|expecting value|server error|` +
	`gst ?down|is down|maintenance|being upgraded|try (again|after|later)|too many|limit (is )?exceeded|rate limit|` +
	`\btoken\b|signature has expired|something went wrong|^\s*50\d\s*$`)

// Trouble tells whether a text says that something on the way failed: a gateway, a proxy, a parser. They word it alike in
// every country and put it into any envelope, and it is no refusal: what became of the cancel behind it is Unknown. Ask it
// only of what no list of refusals has.
func Trouble(text string) bool { return trouble.MatchString(text) }
