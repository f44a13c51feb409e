package payload

import (
	"bytes"
	"strings"
)

// Declaration is a parsed XML declaration.
type Declaration struct {
	Length            int // in bytes; 0 when there is none
	Version, Encoding string
	WellFormed        bool
}

// declaredEncoding reads the encoding out of a declaration in any ASCII-compatible character set.
func declaredEncoding(doc []byte) string { return ParseDeclaration(doc).Encoding }

// ParseDeclaration reads '<?xml version="1.0" encoding="…" standalone="…"?>' (XML 1.0 §2.8): fixed order, the first
// required, the others optional.
func ParseDeclaration(doc []byte) Declaration {
	const start = "<?xml"
	if len(doc) <= len(start) || string(doc[:len(start)]) != start || !strings.Contains(xmlSpace, string(doc[len(start)])) {
		return Declaration{}
	}
	end := bytes.Index(doc, []byte("?>"))
	if end < 0 {
		return Declaration{Length: len(doc)}
	}
	d := Declaration{Length: end + len("?>"), WellFormed: true}
	rest := string(doc[len(start):end])
	var ok bool
	if d.Version, rest, ok = pseudoAttribute(rest, "version"); !ok {
		d.WellFormed = false
	}
	if d.Encoding, rest, ok = pseudoAttribute(rest, "encoding"); ok && !encodingName(d.Encoding) {
		d.WellFormed = false
	}
	standalone, rest, ok := pseudoAttribute(rest, "standalone")
	if ok && standalone != "yes" && standalone != "no" {
		d.WellFormed = false
	}
	if strings.Trim(rest, xmlSpace) != "" {
		d.WellFormed = false
	}
	return d
}

// pseudoAttribute takes name="value", with white space before it, from the front of s.
func pseudoAttribute(s, name string) (value, rest string, ok bool) {
	t := strings.TrimLeft(s, xmlSpace)
	if len(t) == len(s) || !strings.HasPrefix(t, name) {
		return "", s, false
	}
	t = strings.TrimLeft(t[len(name):], xmlSpace)
	if !strings.HasPrefix(t, "=") {
		return "", s, false
	}
	t = strings.TrimLeft(t[1:], xmlSpace)
	if t == "" || (t[0] != '"' && t[0] != '\'') {
		return "", s, false
	}
	value, rest, ok = strings.Cut(t[1:], t[:1])
	if !ok {
		return "", s, false
	}
	return value, rest, true
}

func encodingName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || !('0' <= s[i] && s[i] <= '9' || s[i] == '.' || s[i] == '_' || s[i] == '-')) {
			return false
		}
	}
	return s != ""
}
