package soap

import (
	"strings"
	"unicode/utf8"
)

// startElement reads a start tag or an empty element's.
func (s *scanner) startElement() *Fault {
	end := nameEnd(s.src, s.start+1)
	written := s.src[s.start+1 : end]
	prefix, local, ok := cutName(written)
	if !ok {
		return notWellFormed(s.start)
	}
	if fault := s.readTag(end); fault != nil {
		return fault
	}
	if fault := s.countElement(prefix, local); fault != nil {
		return fault
	}
	s.open = append(s.open, openElement{written, len(s.bound)})
	if fault := s.bind(); fault != nil {
		return fault
	}
	if fault := s.resolveAttrs(); fault != nil {
		return fault
	}
	space, ok := s.lookup(prefix)
	if !ok {
		s.note(noteUndeclared)
	}
	s.name = qname{space, local}
	secret := s.hidden.enter(len(s.open)-1, local, s.end)
	for i := range s.attrs {
		s.hidden.attribute(secret, &s.attrs[i])
	}
	return nil
}

// readTag reads the attributes from i on, and the end of the tag. They are counted as they come, so that nobody gets
// more of them built than the limits allow.
func (s *scanner) readTag(i int) *Fault {
	s.attrs = s.attrs[:0]
	attributes, namespaces := 0, 0
	for {
		at := skipSpace(s.src, i)
		switch rest := s.src[at:]; {
		case strings.HasPrefix(rest, ">"):
			s.end = at + len(">")
			return nil
		case strings.HasPrefix(rest, "/>"):
			s.end, s.closing = at+len("/>"), true
			return nil
		case at == i: // the end of the document, or no white space before an attribute
			return notWellFormed(at)
		}
		if i = s.readAttr(at); i < 0 {
			return notWellFormed(at)
		}
		if _, ok := s.attrs[len(s.attrs)-1].declares(); ok {
			namespaces++
		} else {
			attributes++
		}
		switch {
		case attributes > maxAttributes:
			return exceeded("attributes", maxAttributes, s.start)
		case namespaces > maxNamespaces:
			return exceeded("namespaces", maxNamespaces, s.start)
		}
	}
}

// readAttr reads the attribute at i and returns where it ends, -1 when it is none.
func (s *scanner) readAttr(i int) int {
	end := nameEnd(s.src, i)
	prefix, local, ok := cutName(s.src[i:end])
	equals := skipSpace(s.src, end)
	if !ok || !strings.HasPrefix(s.src[equals:], "=") {
		return -1
	}
	quote := skipSpace(s.src, equals+1)
	rest := s.src[quote:]
	if rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return -1
	}
	start := quote + 1
	n := strings.IndexByte(rest[1:], rest[0])
	if n < 0 {
		return -1
	}
	raw := s.src[start : start+n]
	value, bad := resolve(raw)
	if bad >= 0 || strings.IndexByte(raw, '<') >= 0 {
		return -1
	}
	s.attrs = append(s.attrs, attr{qname{"", local}, prefix, value, start, start + n})
	return start + n + 1
}

// declares returns the prefix that the attribute declares, "" for the default namespace, if it is a declaration.
func (a *attr) declares() (prefix string, ok bool) {
	switch {
	case a.prefix == "xmlns":
		return a.local, true
	case a.prefix == "" && a.local == "xmlns":
		return "", true
	}
	return "", false
}

// endElement reads an end tag, which is its start tag's or wrong.
func (s *scanner) endElement() *Fault {
	from := s.start + len("</")
	if n := len(s.open) - 1; n >= 0 && strings.HasPrefix(s.src[from:], s.open[n].name) {
		end := skipSpace(s.src, from+len(s.open[n].name))
		if strings.HasPrefix(s.src[end:], ">") {
			s.end = end + len(">")
			s.closeElement()
			return nil
		}
	}
	end := nameEnd(s.src, from)
	if _, _, ok := cutName(s.src[from:end]); !ok || !strings.HasPrefix(s.src[skipSpace(s.src, end):], ">") {
		return notWellFormed(s.start)
	}
	return clientf("The request is not well-formed XML: end tag without its start tag, at byte %d", s.start)
}

func (s *scanner) closeElement() {
	n := len(s.open) - 1
	s.bound = s.bound[:s.open[n].bound]
	s.open = s.open[:n]
	s.hidden.leave(n, s.start)
}

func (s *scanner) countElement(prefix, local string) *Fault {
	if len(s.open) == 0 && s.rootSeen {
		return clientf("The request is not well-formed XML: second root element, at byte %d", s.start)
	}
	s.rootSeen = true
	if len(s.open) >= maxDepth {
		return exceeded("depth", maxDepth, s.start)
	}
	if s.elements++; s.elements > maxElements {
		return exceeded("elements", maxElements, s.start)
	}
	return s.checkLength(prefix, local)
}

func (s *scanner) checkLength(prefix, local string) *Fault {
	if len(prefix) > maxNameBytes || len(local) > maxNameBytes {
		return exceeded("name_bytes", maxNameBytes, s.start)
	}
	return nil
}

// bind takes the namespace declarations of a start tag.
func (s *scanner) bind() *Fault {
	outer := len(s.bound)
	for i := range s.attrs {
		a := &s.attrs[i]
		prefix, ok := a.declares()
		if !ok {
			continue
		}
		if s.namespaces++; s.namespaces > maxTotalNamespaces {
			return exceeded("total_namespaces", maxTotalNamespaces, s.start)
		}
		if len(a.value) > maxAttributeBytes {
			return exceeded("attribute_bytes", maxAttributeBytes, s.start)
		}
		if fault := s.checkLength("", prefix); fault != nil {
			return fault
		}
		uri := canonical(a.value)
		if !legalBinding(prefix, uri) {
			return clientf("The request is not well-formed XML: illegal namespace declaration at byte %d", s.start)
		}
		if uri != a.value {
			s.note(noteNamespace)
		}
		for _, b := range s.bound[outer:] {
			if b.prefix == prefix {
				return duplicateAttribute(s.start)
			}
		}
		s.bound = append(s.bound, binding{prefix, uri})
	}
	return nil
}

// legalBinding holds a declaration to Namespaces in XML 1.0 §3 and §6.2. White space inside a namespace name is refused
// as well: it would be normalised by a full XML processor, so that two readers could differ. Around it, it is gone.
func legalBinding(prefix, uri string) bool {
	switch {
	case strings.ContainsAny(uri, " \t\r\n"):
		return false
	case prefix == "xml":
		return uri == nsXML
	case prefix == "xmlns", uri == nsXML, uri == nsXMLNS:
		return false
	case prefix == "":
		return true
	}
	return uri != ""
}

// resolveAttrs finds the attributes' namespaces, and drops the declarations from among them.
func (s *scanner) resolveAttrs() *Fault {
	kept := s.attrs[:0]
	for i := range s.attrs {
		a := &s.attrs[i]
		if _, ok := a.declares(); ok {
			continue
		}
		if s.attributes++; s.attributes > maxTotalAttributes {
			return exceeded("total_attributes", maxTotalAttributes, s.start)
		}
		if len(a.value) > maxAttributeBytes {
			return exceeded("attribute_bytes", maxAttributeBytes, s.start)
		}
		if fault := s.checkLength(a.prefix, a.local); fault != nil {
			return fault
		}
		if a.prefix != "" {
			var ok bool
			if a.space, ok = s.lookup(a.prefix); !ok {
				s.note(noteUndeclared)
				a.space = undeclared + a.prefix
			}
		}
		for j := range kept {
			if kept[j].qname == a.qname {
				return duplicateAttribute(s.start)
			}
		}
		kept = append(kept, *a)
	}
	s.attrs = kept
	return nil
}

// lookup returns the namespace of a prefix, "" standing for the default one.
func (s *scanner) lookup(prefix string) (string, bool) {
	for i := len(s.bound) - 1; i >= 0; i-- {
		if s.bound[i].prefix == prefix {
			return s.bound[i].uri, true
		}
	}
	if prefix == "xml" {
		return nsXML, true
	}
	return "", prefix == ""
}

// attr returns an attribute of the last start tag.
func (s *scanner) attr(space, local string) (string, bool) {
	for i := range s.attrs {
		if a := &s.attrs[i]; a.local == local && a.space == space {
			return a.value, true
		}
	}
	return "", false
}

// nameEnd is where the name that starts at i ends, whatever it is made of.
func nameEnd(s string, i int) int {
	for ; i < len(s); i++ {
		if s[i] > '>' { // as letters are
			continue
		}
		switch s[i] {
		case ' ', '\t', '\r', '\n', '=', '>', '/':
			return i
		}
	}
	return i
}

// cutName splits a name at its colon, and reports whether it is one of Namespaces in XML.
func cutName(name string) (prefix, local string, ok bool) {
	prefix, local, colon := strings.Cut(name, ":")
	if !colon {
		return "", name, isNCName(name)
	}
	return prefix, local, isNCName(prefix) && isNCName(local)
}

// undeclared begins the namespace of attributes whose prefix nobody declared: no real one, so that they mean nothing.
const undeclared = "\x00"

const (
	noteUndeclared = "a namespace prefix that is not declared was ignored"
	noteNamespace  = "a namespace name was written in another way: blanks, slash, https or a draft of SOAP"
)

func duplicateAttribute(offset int) *Fault {
	return clientf("The request is not well-formed XML: duplicate attribute at byte %d", offset)
}

// isNCName reports whether s is a name without colon (XML 1.0, fifth edition, and Namespaces in XML).
func isNCName(s string) bool {
	wide := false
	for i, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', r == '_':
		case r >= utf8.RuneSelf && wideStart(r):
			wide = true
		case i == 0 || !nameRest(r):
			return false
		}
	}
	return s != "" && (!wide || utf8.ValidString(s))
}

// wideStart reports whether a character beyond ASCII may begin a name.
func wideStart(r rune) bool {
	return 0xC0 <= r && r <= 0x2FF && r != 0xD7 && r != 0xF7 || 0x370 <= r && r <= 0x1FFF && r != 0x37E ||
		0x200C <= r && r <= 0x200D || 0x2070 <= r && r <= 0x218F || 0x2C00 <= r && r <= 0x2FEF ||
		0x3001 <= r && r <= 0xD7FF || 0xF900 <= r && r <= 0xFDCF || 0xFDF0 <= r && r <= 0xFFFD ||
		0x10000 <= r && r <= 0xEFFFF
}

func nameRest(r rune) bool {
	return '0' <= r && r <= '9' || r == '-' || r == '.' || r == 0xB7 || 0x300 <= r && r <= 0x36F || 0x203F <= r && r <= 0x2040
}
