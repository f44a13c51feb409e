package upstream

import "strings"

// scan is a pass over JSON. Its methods move at behind what they are named for, and fail where it is something else.
type scan struct {
	mask   Mask
	b      []byte
	at     int
	out    strings.Builder
	kept   int  // b[:kept] is in out
	hiding bool // inside a value that is hidden as a whole
}

const maxNested = 10_000 // as in encoding/json

func (s *scan) value(nested int) bool {
	switch c := s.next(); {
	case c == '{':
		return nested < maxNested && s.list('}', func() bool { return s.field(nested + 1) })
	case c == '[':
		return nested < maxNested && s.list(']', func() bool { return s.value(nested + 1) })
	case c == '"':
		return s.text()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	return s.word("true") || s.word("false") || s.word("null")
}

// list is an object or an array.
func (s *scan) list(end byte, element func() bool) bool {
	s.at++
	if s.blanks(); s.next() == end {
		s.at++
		return true
	}
	for s.blanks(); element(); s.blanks() {
		s.blanks()
		c := s.next()
		s.at++
		if c != ',' {
			return c == end
		}
	}
	return false
}

func (s *scan) field(nested int) bool {
	from := s.at
	if s.next() != '"' || !s.text() {
		return false
	}
	hide := !s.hiding && s.mask.named(s.b[from:s.at])
	s.blanks()
	if !s.word(":") {
		return false
	}
	s.blanks()
	from, s.hiding = s.at, s.hiding || hide
	if !s.value(nested) {
		return false
	}
	if hide {
		if s.kept == 0 {
			s.out.Grow(len(s.b) + len(masked))
		}
		s.out.Write(s.b[s.kept:from])
		s.out.WriteString(`"` + masked + `"`)
		s.kept, s.hiding = s.at, false
	}
	return true
}

func (s *scan) text() bool {
	for s.at++; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; {
		case c == '"':
			s.at++
			return true
		case c < ' ':
			return false
		case c == '\\':
			if s.at++; !s.escape() {
				return false
			}
		}
	}
	return false
}

// escape is what follows a backslash, but for its last byte.
func (s *scan) escape() bool {
	if s.next() != 'u' {
		return strings.IndexByte(`"\/bfnrt`, s.next()) >= 0
	}
	for range 4 {
		s.at++
		if c := s.next(); (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

func (s *scan) number() bool {
	s.word("-")
	if !s.word("0") && !s.digits() || s.word(".") && !s.digits() {
		return false
	}
	if !s.word("e") && !s.word("E") {
		return true
	}
	_ = s.word("+") || s.word("-")
	return s.digits()
}

func (s *scan) digits() bool {
	from := s.at
	for c := s.next(); c >= '0' && c <= '9'; c = s.next() {
		s.at++
	}
	return s.at > from
}

// word is a text as it stands.
func (s *scan) word(w string) bool {
	if len(s.b)-s.at < len(w) || string(s.b[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scan) blanks() {
	for c := s.next(); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = s.next() {
		s.at++
	}
}

// next is the byte to come, 0 behind the last one: no JSON has it outside of texts, where it is refused, too.
func (s *scan) next() byte {
	if s.at < len(s.b) {
		return s.b[s.at]
	}
	return 0
}
