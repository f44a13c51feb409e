package wsdl

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// Namespaces whose address element holds the URL that callers post to.
var addressNamespaces = map[string]bool{
	"http://schemas.xmlsoap.org/wsdl/soap/":   true,
	"http://schemas.xmlsoap.org/wsdl/soap12/": true,
}

// Readdress gives an operator's saved description a new address: the value of every soap:address/@location changes
// and no other byte does, whatever the document's character set. A description without such an address is an error.
func Readdress(saved []byte, location string) ([]byte, error) {
	order, wide := utf16Order(saved)
	if !wide {
		return readdress(saved, location)
	}
	text, err := order.decode(saved)
	if err != nil {
		return nil, err
	}
	out, err := readdress(text, location)
	if err != nil {
		return nil, err
	}
	return order.encode(out), nil
}

// Charset is the character set that a description declares, "utf-8" when it declares none.
func Charset(saved []byte) string {
	if _, wide := utf16Order(saved); wide {
		return "utf-16"
	}
	decl, _, found := bytes.Cut(saved[:min(len(saved), 200)], []byte("?>"))
	if !found || !bytes.Contains(decl, []byte("<?xml")) {
		return "utf-8"
	}
	if v, ok := attribute(decl, "encoding"); ok {
		return strings.ToLower(string(decl[v.start:v.end]))
	}
	return "utf-8"
}

// span is a range of bytes.
type span struct{ start, end int }

func readdress(saved []byte, location string) ([]byte, error) {
	spans, err := addresses(saved)
	if err != nil {
		return nil, fmt.Errorf("read the saved WSDL: %w", err)
	}
	value, err := escape(location)
	if err != nil {
		return nil, err
	}
	var out []byte
	last := 0
	for _, s := range spans {
		out = append(append(out, saved[last:s.start]...), value...)
		last = s.end
	}
	return append(out, saved[last:]...), nil
}

// addresses finds the values of all soap:address/@location.
func addresses(saved []byte) ([]span, error) {
	var found []span
	d := xml.NewDecoder(bytes.NewReader(ascii(saved)))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	for {
		start := int(d.InputOffset())
		t, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		e, ok := t.(xml.StartElement)
		if !ok || e.Name.Local != "address" || !addressNamespaces[e.Name.Space] {
			continue
		}
		tag := saved[start:d.InputOffset()]
		v, ok := attribute(tag, "location")
		if !ok {
			return nil, errors.New("soap:address without location")
		}
		found = append(found, span{start + v.start, start + v.end})
	}
	if len(found) == 0 {
		return nil, errors.New("no soap:address in it")
	}
	return found, nil
}

// ascii replaces every byte beyond ASCII by a letter, so that a document in any single-byte set or UTF-8 can be
// parsed for its structure with all offsets kept.
func ascii(doc []byte) []byte {
	out := make([]byte, len(doc))
	for i, c := range doc {
		if c >= 0x80 {
			c = 'x'
		}
		out[i] = c
	}
	return out
}

// attribute finds the value of an attribute without prefix in a start tag or XML declaration that a parser has read.
func attribute(tag []byte, name string) (span, bool) {
	for i := 0; i < len(tag); i++ {
		if tag[i] != '"' && tag[i] != '\'' {
			continue
		}
		end := i + 1 + bytes.IndexByte(tag[i+1:], tag[i])
		if end == i {
			break
		}
		before := bytes.TrimRight(bytes.TrimSuffix(bytes.TrimRight(tag[:i], " \t\r\n"), []byte("=")), " \t\r\n")
		if at := bytes.LastIndexAny(before, " \t\r\n"); string(before[at+1:]) == name {
			return span{i + 1, end}, true
		}
		i = end
	}
	return span{}, false
}

// byteOrder is that of a UTF-16 document.
type byteOrder struct{ high, low int }

// utf16Order tells UTF-16 by its byte order mark, or without one by the zero beside the first "<".
func utf16Order(doc []byte) (byteOrder, bool) {
	switch {
	case len(doc) < 2:
		return byteOrder{}, false
	case doc[0] == 0xFE && doc[1] == 0xFF, doc[0] == 0 && doc[1] == '<':
		return byteOrder{0, 1}, true
	case doc[0] == 0xFF && doc[1] == 0xFE, doc[0] == '<' && doc[1] == 0:
		return byteOrder{1, 0}, true
	}
	return byteOrder{}, false
}

// decode gives the document in UTF-8. What would not come back byte for byte is an error.
func (o byteOrder) decode(doc []byte) ([]byte, error) {
	units := make([]uint16, len(doc)/2)
	for i := range units {
		units[i] = uint16(doc[2*i+o.high])<<8 | uint16(doc[2*i+o.low])
	}
	text := []byte(string(utf16.Decode(units)))
	if !bytes.Equal(o.encode(text), doc) {
		return nil, errors.New("the saved WSDL is not well-formed UTF-16")
	}
	return text, nil
}

func (o byteOrder) encode(text []byte) []byte {
	units := utf16.Encode([]rune(string(text)))
	out := make([]byte, 2*len(units))
	for i, u := range units {
		out[2*i+o.high], out[2*i+o.low] = byte(u>>8), byte(u)
	}
	return out
}
