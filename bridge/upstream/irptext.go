package upstream

import (
	"regexp"
	"strings"
)

// codeFirst is how gateways write the authority's error as one text: "2270: text", with or without blanks.
var codeFirst = regexp.MustCompile(`^\s*([A-Z_]*\d{3,5})\s*:\s*(.*)$`)

// IRPErrorIn reads an error that a gateway wrote as one text; ok is false when it does not begin with a code.
func IRPErrorIn(text string) (e IRPError, ok bool) {
	m := codeFirst.FindStringSubmatch(text)
	if m == nil {
		return IRPError{}, false
	}
	return IRPError{m[1], strings.TrimSpace(m[2])}, true
}
