package soap

import (
	"bytes"
	"strings"
)

// declaration is a parsed XML declaration.
type declaration struct {
	length     int // in bytes; 0 when there is none
	encoding   string
	wellFormed bool
	version    string
}

// checkDeclaration returns the length of the document's XML declaration, which must be a correct one for XML 1.0, or 1.1
// where that is let pass.
func checkDeclaration(doc []byte, xml11 bool) (int, *Fault) {
	d := parseDeclaration(doc)
	switch {
	case d.length == 0:
		return 0, nil
	case !d.wellFormed:
		return 0, clientf("The request is not well-formed XML: bad XML declaration at byte 0")
	case d.version != "1.0" && (d.version != "1.1" || !xml11):
		return 0, clientf("Only XML 1.0 is accepted, the XML declaration at byte 0 says otherwise")
	}
	return d.length, nil
}

// declaredEncoding reads the encoding out of a declaration in any ASCII-compatible character set.
func declaredEncoding(doc []byte) string { return parseDeclaration(doc).encoding }

// parseDeclaration reads '<?xml version="1.0" encoding="…" standalone="…"?>' (XML 1.0 §2.8): fixed order, the first
// required, the others optional.
func parseDeclaration(doc []byte) declaration {
	const start = "<?xml"
	if len(doc) <= len(start) || string(doc[:len(start)]) != start || !blank(string(doc[len(start)])) {
		return declaration{}
	}
	end := bytes.Index(doc, []byte("?>"))
	if end < 0 {
		return declaration{length: len(doc)}
	}
	d := declaration{length: end + len("?>"), wellFormed: true}
	rest := string(doc[len(start):end])
	var ok bool
	if d.version, rest, ok = pseudoAttribute(rest, "version"); !ok {
		d.wellFormed = false
	}
	if d.encoding, rest, ok = pseudoAttribute(rest, "encoding"); ok && !encodingName(d.encoding) {
		d.wellFormed = false
	}
	standalone, rest, ok := pseudoAttribute(rest, "standalone")
	if ok && standalone != "yes" && standalone != "no" {
		d.wellFormed = false
	}
	if strings.Trim(rest, " \t\r\n") != "" {
		d.wellFormed = false
	}
	return d
}

// pseudoAttribute takes name="value", with white space before it, from the front of s.
func pseudoAttribute(s, name string) (value, rest string, ok bool) {
	t := strings.TrimLeft(s, " \t\r\n")
	if len(t) == len(s) || !strings.HasPrefix(t, name) {
		return "", s, false
	}
	t = strings.TrimLeft(t[len(name):], " \t\r\n")
	if !strings.HasPrefix(t, "=") {
		return "", s, false
	}
	t = strings.TrimLeft(t[1:], " \t\r\n")
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
