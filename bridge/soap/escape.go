package soap

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// appendText appends s as ASCII XML text, fit for element content and attribute values in any character set:
// everything beyond ASCII becomes a decimal character reference and what XML 1.0 forbids is dropped.
func appendText(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			dst = appendASCII(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		if (r == utf8.RuneError && size == 1) || r == 0xFFFE || r == 0xFFFF {
			continue
		}
		dst = append(dst, "&#"...)
		dst = strconv.AppendInt(dst, int64(r), 10)
		dst = append(dst, ';')
	}
	return dst
}

func appendASCII(dst []byte, c byte) []byte {
	switch c {
	case '&':
		return append(dst, "&amp;"...)
	case '<':
		return append(dst, "&lt;"...)
	case '>':
		return append(dst, "&gt;"...)
	case '"':
		return append(dst, "&quot;"...)
	case '\'':
		return append(dst, "&apos;"...)
	case '\r': // a bare one would be read back as a line feed
		return append(dst, "&#13;"...)
	case '\t', '\n':
		return append(dst, c)
	}
	if c < ' ' {
		return dst
	}
	return append(dst, c)
}

// appendElement appends <name>text</name>, never the short form of an empty element.
func appendElement(dst []byte, name, text string) []byte {
	dst = append(append(append(dst, '<'), name...), '>')
	dst = appendText(dst, text)
	return append(append(append(dst, "</"...), name...), '>')
}

// oneLine makes s fit the fixed fields and log lines in which callers keep messages: control characters, with the
// blanks around them, become one blank, and it is cut at max characters.
func oneLine(s string, max int) string {
	if strings.ContainsFunc(s, control) {
		words := strings.FieldsFunc(s, func(r rune) bool { return control(r) || r == ' ' })
		s = strings.Join(words, " ")
	}
	if len(s) <= max {
		return s
	}
	n := 0
	for i := range s {
		if n == max {
			return s[:i]
		}
		n++
	}
	return s
}

// control reports whether r is a control character or one of Unicode's own line separators.
func control(r rune) bool { return r < ' ' || (r >= 0x7F && r < 0xA0) || r == 0x2028 || r == 0x2029 }
