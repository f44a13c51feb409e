package soap

import (
	"bytes"
	"encoding/xml"
	"strings"
	"unicode/utf8"
)

// countAttributes counts the quoted values up to the end of a tag, well-formed or not. The lexer would build all
// attributes before anybody could count them.
func (s *scanner) countAttributes(rest []byte) *Fault {
	attributes, namespaces := 0, 0
	for i := 0; i < len(rest) && rest[i] != '>'; i++ {
		if rest[i] != '"' && rest[i] != '\'' {
			continue
		}
		name := bytes.TrimRight(rest[:i], " \t\r\n=")
		name = name[bytes.LastIndexAny(name, " \t\r\n\"'<")+1:]
		if string(name) == "xmlns" || bytes.HasPrefix(name, []byte("xmlns:")) {
			namespaces++
		} else {
			attributes++
		}
		end := bytes.IndexByte(rest[i+1:], rest[i])
		if end < 0 {
			break
		}
		i += 1 + end
	}
	if attributes > s.lim.Attributes {
		return exceeded("attributes", s.lim.Attributes, s.start)
	}
	if namespaces > s.lim.Namespaces {
		return exceeded("namespaces", s.lim.Namespaces, s.start)
	}
	return nil
}

func (s *scanner) startElement(t xml.StartElement) *Fault {
	if fault := s.countElement(t.Name); fault != nil {
		return fault
	}
	s.open = append(s.open, openElement{t.Name.Space, t.Name.Local, len(s.bound)})
	if i := badReference(s.doc[s.start:s.end]); i >= 0 {
		return notWellFormed(s.start + i)
	}
	if fault := s.bind(t.Attr); fault != nil {
		return fault
	}
	if fault := s.resolveAttrs(t.Attr); fault != nil {
		return fault
	}
	space, ok := s.lookup(t.Name.Space)
	if !ok {
		return undeclared(s.start)
	}
	s.name = qname{space, t.Name.Local}
	return s.scanTag()
}

func (s *scanner) countElement(name xml.Name) *Fault {
	if len(s.open) == 0 && s.rootSeen {
		return clientf("The request is not well-formed XML: second root element, at byte %d", s.start)
	}
	s.rootSeen = true
	if len(s.open) >= s.lim.Depth {
		return exceeded("depth", s.lim.Depth, s.start)
	}
	if s.elements++; s.elements > s.lim.Elements {
		return exceeded("elements", s.lim.Elements, s.start)
	}
	return s.checkName(name)
}

// checkName holds names to Namespaces in XML, where encoding/xml also takes ":a", "a:" and "a:1".
func (s *scanner) checkName(name xml.Name) *Fault {
	if len(name.Space) > s.lim.NameBytes || len(name.Local) > s.lim.NameBytes {
		return exceeded("name_bytes", s.lim.NameBytes, s.start)
	}
	if !isNCName(name.Local) || (name.Space != "" && !isNCName(name.Space)) {
		return notWellFormed(s.start)
	}
	return nil
}

// bind takes the namespace declarations of a start tag.
func (s *scanner) bind(attrs []xml.Attr) *Fault {
	outer := len(s.bound)
	for _, a := range attrs {
		prefix, ok := declaredPrefix(a.Name)
		if !ok {
			continue
		}
		if s.namespaces++; s.namespaces > s.lim.TotalNamespaces {
			return exceeded("total_namespaces", s.lim.TotalNamespaces, s.start)
		}
		if len(a.Value) > s.lim.AttributeBytes {
			return exceeded("attribute_bytes", s.lim.AttributeBytes, s.start)
		}
		if len(prefix) > s.lim.NameBytes {
			return exceeded("name_bytes", s.lim.NameBytes, s.start)
		}
		if !legalBinding(prefix, a.Value) {
			return clientf("The request is not well-formed XML: illegal namespace declaration at byte %d", s.start)
		}
		for _, b := range s.bound[outer:] {
			if b.prefix == prefix {
				return duplicateAttribute(s.start)
			}
		}
		s.bound = append(s.bound, binding{prefix, a.Value})
	}
	return nil
}

func declaredPrefix(name xml.Name) (string, bool) {
	switch {
	case name.Space == "xmlns":
		return name.Local, true
	case name.Space == "" && name.Local == "xmlns":
		return "", true
	}
	return "", false
}

// legalBinding holds a declaration to Namespaces in XML 1.0 §3 and §6.2. White space in a namespace name is refused as
// well: it would be normalised by a full XML processor, so that two readers could differ.
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
	return uri != "" && isNCName(prefix)
}

func (s *scanner) resolveAttrs(attrs []xml.Attr) *Fault {
	s.attrs = s.attrs[:0]
	for _, a := range attrs {
		if _, ok := declaredPrefix(a.Name); ok {
			continue
		}
		if fault := s.countAttr(a); fault != nil {
			return fault
		}
		space := ""
		if a.Name.Space != "" {
			var ok bool
			if space, ok = s.lookup(a.Name.Space); !ok {
				return undeclared(s.start)
			}
		}
		name := qname{space, a.Name.Local}
		for _, other := range s.attrs {
			if other.qname == name {
				return duplicateAttribute(s.start)
			}
		}
		s.attrs = append(s.attrs, attr{name, a.Value})
	}
	return nil
}

func (s *scanner) countAttr(a xml.Attr) *Fault {
	if s.attributes++; s.attributes > s.lim.TotalAttributes {
		return exceeded("total_attributes", s.lim.TotalAttributes, s.start)
	}
	if len(a.Value) > s.lim.AttributeBytes {
		return exceeded("attribute_bytes", s.lim.AttributeBytes, s.start)
	}
	return s.checkName(a.Name)
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
	for _, a := range s.attrs {
		if a.local == local && a.space == space {
			return a.value, true
		}
	}
	return "", false
}

// scanTag goes over the bytes of a start tag that the lexer has taken: XML wants white space between attributes, and
// what a secret's tag carries must be hidden too.
func (s *scanner) scanTag() *Fault {
	secret := s.hidden.enter(len(s.open)-1, s.name.local, s.end)
	raw := s.doc[s.start:s.end]
	i := nameEnd(raw, 1)
	for {
		after := skipSpace(raw, i)
		if raw[after] == '>' || raw[after] == '/' {
			return nil
		}
		if after == i {
			return notWellFormed(s.start + i)
		}
		i = nameEnd(raw, after)
		name := raw[after:i]
		i = skipSpace(raw, i) + 1 // the "="
		i = skipSpace(raw, i)
		quote := raw[i]
		from := i + 1
		for i = from; raw[i] != quote; i++ {
		}
		s.hidden.attribute(secret, string(name), s.start+from, s.start+i)
		i++
	}
}

func nameEnd(raw []byte, i int) int {
	for ; i < len(raw); i++ {
		switch raw[i] {
		case ' ', '\t', '\r', '\n', '=', '>', '/':
			return i
		}
	}
	return i
}

func skipSpace(raw []byte, i int) int {
	for raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\r' || raw[i] == '\n' {
		i++
	}
	return i
}

func undeclared(offset int) *Fault {
	return clientf("The request is not well-formed XML: undeclared namespace prefix at byte %d", offset)
}

func duplicateAttribute(offset int) *Fault {
	return clientf("The request is not well-formed XML: duplicate attribute at byte %d", offset)
}

// isNCName reports whether s is a name without colon (XML 1.0, fifth edition, and Namespaces in XML).
func isNCName(s string) bool {
	for i, r := range s {
		if !nameStart(r) && (i == 0 || !nameRest(r)) {
			return false
		}
	}
	return s != "" && utf8.ValidString(s)
}

func nameStart(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_'
	}
	return 0xC0 <= r && r <= 0x2FF && r != 0xD7 && r != 0xF7 || 0x370 <= r && r <= 0x1FFF && r != 0x37E ||
		0x200C <= r && r <= 0x200D || 0x2070 <= r && r <= 0x218F || 0x2C00 <= r && r <= 0x2FEF ||
		0x3001 <= r && r <= 0xD7FF || 0xF900 <= r && r <= 0xFDCF || 0xFDF0 <= r && r <= 0xFFFD ||
		0x10000 <= r && r <= 0xEFFFF
}

func nameRest(r rune) bool {
	return '0' <= r && r <= '9' || r == '-' || r == '.' || r == 0xB7 || 0x300 <= r && r <= 0x36F || 0x203F <= r && r <= 0x2040
}
