package soap

import (
	"encoding/xml"
	"io"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// block is one child of Header that is meant for us.
type block struct {
	*etree.Element
	name           xml.Name
	mustUnderstand bool
}

// readHeader reads Header, which has just been opened, to its end, and judges it. Only a Header that holds blocks is
// worth a document tree.
func (r *reading) readHeader() *Fault {
	blocks := 0
	var closed []span
	fault := r.children("Header", func() *Fault {
		if blocks++; blocks > max(maxHeaderBlocks, r.d.HeaderBlocks) {
			return exceeded("header_blocks", max(maxHeaderBlocks, r.d.HeaderBlocks), r.scan.start)
		}
		if blocks > maxHeaderBlocks {
			r.note("more header blocks than usual were read, as configured")
		}
		known := isAddressing(r.scan.name.space) || r.scan.name.space == nsWSSE
		content := span{start: r.scan.end}
		if fault := r.skip(); fault != nil {
			return fault
		}
		if content.end = r.scan.start; !known { // home-made headers carry credentials under any name
			r.scan.hidden.add(content.start, content.end, false)
			closed = append(closed, content)
		}
		return nil
	})
	if fault != nil {
		return fault
	}
	if blocks > 0 && r.reply == nil {
		r.refused = r.judgeHeader(closed)
	}
	return nil
}

// judgeHeader goes over the blocks in the order that SOAP demands: their syntax first (SOAP 1.2 part 1 §5.2.3), then
// whether all mandatory ones are understood, before anything else is done (WS-I BP 1.1 R1025, R1027, R2725). Of a block
// whose content is closed to us only the start tag counts.
func (r *reading) judgeHeader(closed []span) *Fault {
	header, fault := r.headerTree(closed)
	if fault != nil {
		return fault
	}
	var blocks []block
	for _, e := range header.ChildElements() {
		if !r.forUs(e) {
			continue
		}
		b := block{Element: e, name: xml.Name{Space: canonical(e.NamespaceURI()), Local: e.Tag}}
		if b.mustUnderstand, fault = r.mustUnderstand(e); fault != nil {
			return fault
		}
		blocks = append(blocks, b)
	}
	var unknown []xml.Name
	for _, b := range blocks {
		if b.mustUnderstand && !r.understood(b) {
			unknown = append(unknown, b.name)
		}
	}
	if len(unknown) > 0 {
		f := &Fault{Code: MustUnderstand, Text: "A mandatory header block is not understood", NotUnderstood: unknown}
		return f.came(shown(qname{unknown[0].Space, unknown[0].Local}))
	}
	if fault := r.readAddressing(blocks); fault != nil {
		return fault
	}
	return r.readSecurity(blocks)
}

// headerTree parses the document up to the end of Header, closed there, without the pieces in out. The scanner has
// already held these very bytes to XML and to the limits.
func (r *reading) headerTree(out []span) (*etree.Element, *Fault) {
	var part []byte
	at := r.scan.base
	for _, s := range out {
		part = append(part, r.scan.doc[at:s.start]...)
		at = s.end
	}
	part = append(part, r.scan.doc[at:r.scan.end]...)
	part = append(part, "</"+r.scan.open[0].name+">"...)
	doc := etree.NewDocument()
	doc.ReadSettings.MaxDepth = maxDepth + 1
	doc.ReadSettings.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	if err := doc.ReadFromBytes(part); err != nil || doc.Root() == nil {
		return nil, notWellFormed(r.scan.start)
	}
	children := doc.Root().ChildElements()
	if len(children) != 1 {
		return nil, notWellFormed(r.scan.start)
	}
	return children[0], nil
}

// forUs reports whether a block is addressed to the ultimate receiver: by no role, the next node's, or its own.
func (r *reading) forUs(e *etree.Element) bool {
	name := "actor"
	if r.spoken == SOAP12 {
		name = "role"
	}
	role, _ := attrOf(e, r.spoken.namespace(), name)
	switch strings.TrimSpace(role) {
	case "", "http://schemas.xmlsoap.org/soap/actor/next",
		ns12Envelope + "/role/next", ns12Envelope + "/role/ultimateReceiver":
		return true
	}
	return false
}

// mustUnderstand reads the attribute; SOAP 1.1 §4.2.3 knows only 0 and 1, its callers also send the words.
func (r *reading) mustUnderstand(e *etree.Element) (bool, *Fault) {
	value, ok := attrOf(e, r.spoken.namespace(), "mustUnderstand")
	if !ok {
		return false, nil
	}
	must, ok := boolean(value)
	if !ok {
		return false, clientf("mustUnderstand of a header block is not a boolean")
	}
	return must, nil
}

func (r *reading) understood(b block) bool {
	switch {
	case r.d.understands(b.name):
		r.note("a mandatory header block was ignored, as configured")
		return true
	case isAddressing(b.name.Space):
		return slices.Contains(addressingBlocks, b.name.Local)
	case b.name == securityName:
		return securityUnderstood(b.Element)
	}
	return false
}

// attrOf returns an attribute by its expanded name.
func attrOf(e *etree.Element, space, local string) (string, bool) {
	for i := range e.Attr {
		if a := &e.Attr[i]; a.Key == local && a.Space != "" && canonical(a.NamespaceURI()) == space {
			return a.Value, true
		}
	}
	return "", false
}

// childrenOf returns an element's children of one expanded name.
func childrenOf(e *etree.Element, space, local string) []*etree.Element {
	var found []*etree.Element
	for _, c := range e.ChildElements() {
		if c.Tag == local && canonical(c.NamespaceURI()) == space {
			found = append(found, c)
		}
	}
	return found
}

// textOf returns the text of an element, "" when it holds elements: etree would return the text before the first one.
func textOf(e *etree.Element) string {
	if len(e.ChildElements()) > 0 {
		return ""
	}
	return trimXML(e.Text())
}
