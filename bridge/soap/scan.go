package soap

import (
	"bytes"
	"encoding/xml"
	"io"
)

// token is what a scanner has just read.
type token int

const (
	tokStart token = iota
	tokEnd
	tokText
	tokEOF
)

// scanner is the strict reading of a document. encoding/xml does the lexing; the scanner refuses what that lets pass:
// it keeps its own element stack and namespace bindings, counts everything against the limits, and gives up at the
// first violation. Comments are skipped.
type scanner struct {
	doc  []byte // UTF-8, legal XML characters only, without byte order mark
	base int    // length of the XML declaration, which the lexer doesn't see
	lex  *xml.Decoder
	lim  *Limits

	// the last token
	start, end int // its bytes in doc
	name       qname
	attrs      []attr // of a start tag, without namespace declarations
	text       []byte // valid until the next token

	open     []openElement
	bound    []binding
	rootSeen bool
	hidden   hidden

	elements, attributes, namespaces, comments, cdata int
}

type qname struct{ space, local string }

type attr struct {
	qname
	value string
}

type openElement struct {
	prefix, local string
	bound         int // bindings outside this element
}

type binding struct{ prefix, uri string }

func (s *scanner) init(doc []byte, lim *Limits) *Fault {
	base, fault := checkDeclaration(doc)
	if fault != nil {
		return fault
	}
	s.doc, s.base, s.lim = doc, base, lim
	s.lex = xml.NewDecoder(bytes.NewReader(doc[base:]))
	return nil
}

func (s *scanner) offset() int { return s.base + int(s.lex.InputOffset()) }

// next reads up to the next start tag, end tag, run of text, or the end of a document with exactly one root.
func (s *scanner) next() (token, *Fault) {
	for {
		s.start = s.offset()
		if fault := s.foresee(); fault != nil {
			return 0, fault
		}
		t, err := s.lex.RawToken()
		s.end = s.offset()
		if err == io.EOF {
			return tokEOF, s.endOfDocument()
		}
		if err != nil {
			return 0, notWellFormed(s.end)
		}
		switch t := t.(type) {
		case xml.StartElement:
			return tokStart, s.startElement(t)
		case xml.EndElement:
			return tokEnd, s.endElement(t)
		case xml.CharData:
			return tokText, s.charData(t)
		case xml.Comment:
			if fault := s.comment(); fault != nil {
				return 0, fault
			}
		default:
			return 0, notWellFormed(s.start)
		}
	}
}

// foresee refuses what must not even be lexed: document type declarations and processing instructions (SOAP 1.1 §3,
// SOAP 1.2 part 1 §5, WS-I BP 1.1 R1008, R1009), and start tags with too many attributes.
func (s *scanner) foresee() *Fault {
	rest := s.doc[s.start:]
	switch {
	case !bytes.HasPrefix(rest, []byte("<")):
		return nil
	case bytes.HasPrefix(rest, []byte("<?")):
		return clientf("Processing instructions are not allowed, found one at byte %d", s.start)
	case bytes.HasPrefix(rest, []byte("<!--")), isCDATA(rest):
		return nil
	case bytes.HasPrefix(rest, []byte("<!")):
		return clientf("A document type declaration is not allowed, found one at byte %d", s.start)
	}
	return s.countAttributes(rest)
}

func isCDATA(b []byte) bool { return bytes.HasPrefix(b, []byte("<![CDATA[")) }

func (s *scanner) endOfDocument() *Fault {
	if len(s.open) > 0 {
		return clientf("The request is not well-formed XML: it ends inside an element, at byte %d", s.end)
	}
	if !s.rootSeen {
		return clientf("The request is not XML: it has no root element")
	}
	return nil
}

func (s *scanner) comment() *Fault {
	if s.comments++; s.comments > s.lim.Comments {
		return exceeded("comments", s.lim.Comments, s.start)
	}
	s.hidden.add(s.start+len("<!--"), s.end-len("-->"), false)
	return nil
}

func (s *scanner) charData(text xml.CharData) *Fault {
	raw := s.doc[s.start:s.end]
	cdata := isCDATA(raw)
	if cdata {
		if s.cdata++; s.cdata > s.lim.CDATASections {
			return exceeded("cdata_sections", s.lim.CDATASections, s.start)
		}
	} else if i := badReference(raw); i >= 0 {
		return notWellFormed(s.start + i)
	}
	if len(text) > s.lim.TextBytes {
		return exceeded("text_bytes", s.lim.TextBytes, s.start)
	}
	if len(s.open) == 0 && (cdata || !blank(raw)) {
		return clientf("The request is not well-formed XML: text outside the root element, at byte %d", s.start)
	}
	s.text = text
	return nil
}

func (s *scanner) endElement(t xml.EndElement) *Fault {
	n := len(s.open) - 1
	if n < 0 || s.open[n].prefix != t.Name.Space || s.open[n].local != t.Name.Local {
		return clientf("The request is not well-formed XML: end tag without its start tag, at byte %d", s.start)
	}
	s.bound = s.bound[:s.open[n].bound]
	s.open = s.open[:n]
	s.hidden.leave(n, s.start)
	return nil
}

func notWellFormed(offset int) *Fault {
	return clientf("The request is not well-formed XML: syntax error at byte %d", offset)
}

// badReference returns the offset of a character reference to a surrogate, which encoding/xml silently reads as
// U+FFFD, or -1. Every other bad reference is an error there.
func badReference(raw []byte) int {
	for from := 0; ; {
		i := bytes.Index(raw[from:], []byte("&#"))
		if i < 0 {
			return -1
		}
		at := from + i
		from = at + 2
		if n := referenced(raw[from:]); n >= 0xD800 && n <= 0xDFFF {
			return at
		}
	}
}

// referenced reads the number of a character reference after its "&#"; it saturates beyond Unicode.
func referenced(b []byte) int {
	base, n := 10, 0
	if len(b) > 0 && b[0] == 'x' {
		base, b = 16, b[1:]
	}
	for _, c := range b {
		d := 0
		switch {
		case '0' <= c && c <= '9':
			d = int(c - '0')
		case base == 16 && 'a' <= c|0x20 && c|0x20 <= 'f':
			d = int(c|0x20-'a') + 10
		default:
			return n
		}
		if n = n*base + d; n > 0x10FFFF {
			return 0x110000
		}
	}
	return n
}

func blank(b []byte) bool { return len(trimXML(b)) == 0 }

// trimXML cuts XML white space, and nothing else that Unicode calls a space, off both ends.
func trimXML(b []byte) []byte { return bytes.Trim(b, " \t\r\n") }
