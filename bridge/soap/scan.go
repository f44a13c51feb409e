package soap

import (
	"slices"
	"strconv"
	"strings"

	"einvoice-bridge/bridge/soap/payload"
)

// token is what a scanner has just read.
type token int

const (
	tokStart token = iota
	tokEnd
	tokText
	tokInstruction // a processing instruction
	tokEOF
)

// scanner is the strict reading of a document: it keeps the element stack and the namespace bindings, counts everything
// against the limits, and gives up at the first violation. Comments are skipped. A prefix that nobody declared is no
// violation but a note: the original goes by local names, and templates in PL/SQL and VB6 rely on it. Names, values and texts are pieces of
// the document where nothing in them had to be replaced.
type scanner struct {
	doc  []byte // UTF-8, legal XML characters only, without byte order mark
	src  string // the same
	base int    // length of the XML declaration

	// the last token
	start, end int // its bytes in doc
	name       qname
	attrs      []attr // of a start tag, without namespace declarations
	text       string
	closing    bool // the tag was an empty element's, whose end comes next

	open     []openElement
	bound    []binding
	rootSeen bool
	hidden   hidden
	notes    []string // leniencies that were needed, each once

	elements, attributes, namespaces, comments, cdata int

	room struct { // where the slices begin; most calls need no more
		open  [6]openElement
		bound [6]binding
		attrs [6]attr
	}
}

type qname struct{ space, local string }

type attr struct {
	qname
	prefix     string
	value      string // resolved
	start, end int    // of the value in the document
}

type openElement struct {
	name  string // as it stands there, with its prefix
	bound int    // bindings outside this element
}

type binding struct{ prefix, uri string }

func (s *scanner) init(doc []byte, xml11 bool) *Fault {
	d := payload.ParseDeclaration(doc)
	s.doc, s.src, s.base, s.end = doc, string(doc), d.Length, d.Length
	s.open, s.bound, s.attrs = s.room.open[:0], s.room.bound[:0], s.room.attrs[:0]
	switch {
	case d.Length == 0:
	case !d.WellFormed:
		return clientf("The request is not well-formed XML: bad XML declaration at byte 0")
	case d.Version == "1.1" && xml11:
		s.note("XML 1.1 was read as 1.0, as configured")
	case d.Version != "1.0":
		return clientf("Only XML 1.0 is accepted, the XML declaration at byte 0 says otherwise")
	}
	return nil
}

const (
	openComment, closeComment = "<!--", "-->"
	openCDATA, closeCDATA     = "<![CDATA[", "]]>"
)

// note remembers a leniency, once: a thousand unknown parameters are one line in the log.
func (s *scanner) note(text string) {
	if !slices.Contains(s.notes, text) {
		s.notes = append(s.notes, text)
	}
}

// next reads up to the next start tag, end tag, run of text, processing instruction, or the end of a document with
// exactly one root. Document type declarations are refused unread (SOAP 1.1 §3, SOAP 1.2 part 1 §5, WS-I BP 1.1 R1008).
func (s *scanner) next() (token, *Fault) {
	for {
		s.start = s.end
		if s.closing {
			s.closing = false
			s.closeElement()
			return tokEnd, nil
		}
		rest := s.src[s.start:]
		switch {
		case rest == "":
			return tokEOF, s.endOfDocument()
		case rest[0] != '<':
			return tokText, s.charData(rest)
		case strings.HasPrefix(rest, "</"):
			return tokEnd, s.endElement()
		case strings.HasPrefix(rest, "<?"):
			return tokInstruction, s.instruction(rest)
		case !strings.HasPrefix(rest, "<!"):
			return tokStart, s.startElement()
		case strings.HasPrefix(rest, openCDATA):
			return tokText, s.section(rest)
		case !strings.HasPrefix(rest, openComment):
			return 0, clientf("A document type declaration is not allowed, found one at byte %d", s.start)
		}
		if fault := s.comment(rest); fault != nil {
			return 0, fault
		}
	}
}

// shown names the element of the last start tag. A prefix that nobody declared explains a missing namespace.
func (s *scanner) shown() string {
	if name := s.open[len(s.open)-1].name; s.name.space == "" && name != s.name.local {
		return "'" + name + "', whose prefix is not declared"
	}
	return shown(s.name)
}

func (s *scanner) endOfDocument() *Fault {
	if len(s.open) > 0 {
		return clientf("The request is not well-formed XML: it ends inside an element, at byte %d", s.end)
	}
	if !s.rootSeen {
		return clientf("The request is not XML: it has no root element")
	}
	return nil
}

// comment skips a comment, which must not hold "--" (XML 1.0 §2.5).
func (s *scanner) comment(rest string) *Fault {
	n := strings.Index(rest[len(openComment):], "--")
	if n < 0 {
		return notWellFormed(len(s.src))
	}
	n += len(openComment)
	if !strings.HasPrefix(rest[n:], closeComment) {
		return notWellFormed(s.start + n)
	}
	s.end = s.start + n + len(closeComment)
	if s.comments++; s.comments > maxComments {
		return exceeded("comments", maxComments, s.start)
	}
	s.hidden.add(s.start+len(openComment), s.end-len(closeComment), false)
	return nil
}

// instruction reads a processing instruction (XML 1.0 §2.6). What it says is nobody's business here; whoever reads next
// decides whether one may stand there. It counts as a comment.
func (s *scanner) instruction(rest string) *Fault {
	inside, _, closed := strings.Cut(rest[len("<?"):], "?>")
	if !closed {
		return notWellFormed(len(s.src))
	}
	target, _, _ := strings.Cut(strings.NewReplacer("\t", " ", "\r", " ", "\n", " ").Replace(inside), " ")
	switch {
	case strings.EqualFold(target, "xml"):
		return clientf("The request is not well-formed XML: an XML declaration that is not its beginning, at byte %d", s.start)
	case !isNCName(target):
		return notWellFormed(s.start)
	}
	s.end = s.start + len("<?") + len(inside) + len("?>")
	if s.comments++; s.comments > maxComments {
		return exceeded("comments", maxComments, s.start)
	}
	s.hidden.add(s.start, s.end, false)
	return nil
}

// section reads a CDATA section.
func (s *scanner) section(rest string) *Fault {
	n := strings.Index(rest, closeCDATA)
	if n < 0 {
		return notWellFormed(len(s.src))
	}
	s.end = s.start + n + len(closeCDATA)
	if s.cdata++; s.cdata > maxCDATASections {
		return exceeded("cdata_sections", maxCDATASections, s.start)
	}
	return s.setText(lineEnds(rest[len(openCDATA):n]), len(s.open) > 0)
}

// charData reads a run of text up to the next markup.
func (s *scanner) charData(rest string) *Fault {
	if n := strings.IndexByte(rest, '<'); n >= 0 {
		rest = rest[:n]
	}
	s.end = s.start + len(rest)
	if i := strings.Index(rest, closeCDATA); i >= 0 { // allowed nowhere but there (XML 1.0 §2.4)
		return notWellFormed(s.start + i)
	}
	text, bad := resolve(rest)
	if bad >= 0 {
		return notWellFormed(s.start + bad)
	}
	return s.setText(text, len(s.open) > 0 || blank(rest))
}

func (s *scanner) setText(text string, inPlace bool) *Fault {
	if len(text) > maxTextBytes {
		return exceeded("text_bytes", maxTextBytes, s.start)
	}
	if !inPlace {
		return clientf("The request is not well-formed XML: text outside the root element, at byte %d", s.start)
	}
	s.text = text
	return nil
}

func notWellFormed(offset int) *Fault {
	return clientf("The request is not well-formed XML: syntax error at byte %d", offset)
}

// resolve replaces references by what they stand for and line ends by line feeds (XML 1.0 §4.1, §2.11). bad is the
// offset of a reference that stands for nothing, or -1.
func resolve(raw string) (text string, bad int) {
	amp := strings.IndexByte(raw, '&')
	if amp < 0 {
		return lineEnds(raw), -1
	}
	var b strings.Builder
	from := 0
	for amp >= 0 {
		at := from + amp
		r, length := referredTo(raw[at:])
		if length == 0 {
			return "", at
		}
		b.WriteString(lineEnds(raw[from:at]))
		b.WriteRune(r)
		from = at + length
		amp = strings.IndexByte(raw[from:], '&')
	}
	b.WriteString(lineEnds(raw[from:]))
	return b.String(), -1
}

// referredTo reads the reference that s begins with; its length is 0 when it is none. Only XML's own entities are
// known, and only characters of XML can be referred to.
func referredTo(s string) (r rune, length int) {
	const longest = 64 // leading zeros and all
	end := strings.IndexByte(s[:min(len(s), longest)], ';')
	if end < 0 {
		return 0, 0
	}
	name := s[1:end]
	if digits, ok := strings.CutPrefix(name, "#"); ok {
		base := 10
		if hex, ok := strings.CutPrefix(digits, "x"); ok {
			digits, base = hex, 16
		}
		n, err := strconv.ParseUint(digits, base, 32)
		if err != nil || !xmlChar(n) {
			return 0, 0
		}
		return rune(n), end + 1
	}
	r, ok := entities[name]
	if !ok {
		return 0, 0
	}
	return r, end + 1
}

var entities = map[string]rune{"lt": '<', "gt": '>', "amp": '&', "apos": '\'', "quot": '"'}

// xmlChar holds to XML 1.0 §2.2.
func xmlChar(n uint64) bool {
	return n == '\t' || n == '\n' || n == '\r' || ' ' <= n && n <= 0xD7FF || 0xE000 <= n && n <= 0xFFFD || 0x10000 <= n && n <= 0x10FFFF
}

func lineEnds(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

func blank(s string) bool { return skipSpace(s, 0) == len(s) }

// xmlSpace is XML's white space; there is more that Unicode calls a space.
const xmlSpace = " \t\r\n"

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// skipSpace is where white space that starts at i ends.
func skipSpace(s string, i int) int {
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	return i
}

// trimXML is strings.Trim with xmlSpace, which makes a set of it first: for each piece of character data, and each value.
func trimXML(s string) string {
	s = s[skipSpace(s, 0):]
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}
