// Package saved makes a contract of a WSDL that a customer has kept from the provider. It works once, at the start, and for
// nobody but the operator who saved the file; whatever it can't find stops the start.
package saved

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/bridge/soap/payload"
)

// Contract derives names, order and namespace from a WSDL 1.1 (document/literal wrapped, or rpc), in whatever character
// set. What the WSDL doesn't say is the default contract's. The error names everything that could not be found. Where that
// is the meaning of some names alone, the contract comes with it, for these to be configured by hand.
func Contract(wsdl []byte) (*soap.Contract, error) {
	root, err := parse(wsdl)
	if err != nil {
		return nil, fmt.Errorf("read the saved WSDL: %w", err)
	}
	w := &reader{root: root, contract: soap.DefaultContract()}
	w.operation(&w.contract.Cancel)
	if w.find("portType/operation", w.contract.Token.Name) != nil {
		w.operation(&w.contract.Token)
	}
	w.qualify()
	if len(w.missing)+len(w.unknown) == 0 {
		w.missing = w.contract.Check()
	}
	if all := append(w.missing, w.unknown...); len(all) > 0 {
		err = fmt.Errorf("derive the contract from the saved WSDL: %w", errors.Join(all...))
	}
	if len(w.missing) > 0 {
		return nil, err
	}
	return w.contract, err
}

func parse(wsdl []byte) (*etree.Element, error) {
	text, refusal := payload.Transcode(wsdl, "", 16<<20)
	if refusal != nil {
		return nil, errors.New(refusal.Text)
	}
	doc := etree.NewDocument()
	doc.ReadSettings.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	if err := doc.ReadFromBytes(text); err != nil {
		return nil, err
	}
	if doc.Root() == nil || doc.Root().Tag != "definitions" {
		return nil, errors.New("its root is not wsdl:definitions")
	}
	return doc.Root(), nil
}

// reader walks a WSDL by local names: one file describes one service, whatever prefixes it uses.
type reader struct {
	root     *etree.Element
	contract *soap.Contract
	spaces   []string // namespaces of the requests' and answers' elements
	// qualified and unqualified tell how the answers' parts are declared.
	qualified, unqualified bool
	missing                []error
	unknown                []error // names that say nothing to us
}

func (w *reader) lacks(format string, args ...any) {
	w.missing = append(w.missing, fmt.Errorf(format, args...))
}

// operation fills op from the WSDL's operation of the same name.
func (w *reader) operation(op *soap.Operation) {
	name := op.Name
	port := w.find("portType/operation", name)
	if port == nil {
		w.lacks("there is no operation %s", name)
		return
	}
	if doc := port.SelectElement("documentation"); doc != nil && len(doc.ChildElements()) == 0 {
		op.Description = cmp.Or(strings.Trim(doc.Text(), " \t\r\n"), op.Description)
	}
	op.SOAPAction = w.bound(name, "operation", "soapAction", op.SOAPAction)
	in := w.message(port, "input", name)
	out := w.message(port, "output", name)
	if in == nil || out == nil {
		return
	}
	op.Name, op.ResponseName = in.name, out.name
	w.spaces = append(w.spaces, in.space, out.space)
	op.Request = w.requestParts(in, op)
	op.Response, op.ResponseWrapper = w.responseParts(out, op)
	if w.bound(name, "output/body", "use", "literal") != "encoded" {
		for i := range op.Response {
			op.Response[i].Type = ""
		}
	}
}

// shape is a message as it looks on the wire: an element and its children.
type shape struct {
	name, space string
	children    []field
}

// field is one declared child.
type field struct {
	name      string
	typ       string         // local name of its type
	complex   *etree.Element // its complexType, where it is no simple value
	qualified bool
}

// message returns the shape of an operation's input or output.
func (w *reader) message(port *etree.Element, direction, operation string) *shape {
	ref := port.SelectElement(direction)
	if ref == nil {
		w.lacks("operation %s has no %s", operation, direction)
		return nil
	}
	message := w.find("message", local(ref.SelectAttrValue("message", "")))
	if message == nil {
		w.lacks("the %s message of operation %s is not in this file", direction, operation)
		return nil
	}
	parts := message.SelectElements("part")
	if len(parts) == 1 && parts[0].SelectAttr("element") != nil {
		return w.documentShape(local(parts[0].SelectAttrValue("element", "")), operation)
	}
	s := &shape{name: operation, space: w.rpcNamespace(operation, direction)}
	if direction == "output" {
		s.name += "Response"
	}
	for _, p := range parts {
		typ := local(p.SelectAttrValue("type", ""))
		s.children = append(s.children, field{
			name: p.SelectAttrValue("name", ""), typ: typ, complex: w.schema("complexType", typ),
		})
	}
	return s
}

// documentShape reads a global element, the wrapper of document/literal.
func (w *reader) documentShape(name, operation string) *shape {
	e := w.schema("element", name)
	if e == nil {
		w.lacks("element %s of operation %s is not in this file; imports are not followed", name, operation)
		return nil
	}
	typ := w.complexType(e)
	if typ == nil {
		w.lacks("element %s of operation %s has no complex type", name, operation)
		return nil
	}
	return &shape{name: name, space: schemaOf(e).SelectAttrValue("targetNamespace", ""), children: w.fields(typ)}
}

// rpcNamespace is the namespace that the binding gives an rpc wrapper.
func (w *reader) rpcNamespace(operation, direction string) string {
	return w.bound(operation, direction+"/body", "namespace", w.root.SelectAttrValue("targetNamespace", ""))
}

// bound returns an attribute that some binding of an operation has; bindings to plain HTTP have none of them.
func (w *reader) bound(operation, path, attr, otherwise string) string {
	for _, b := range w.root.FindElements("binding/operation") {
		if b.SelectAttrValue("name", "") != operation {
			continue
		}
		if e := b.FindElement(path); e != nil && e.SelectAttr(attr) != nil {
			return e.SelectAttrValue(attr, "")
		}
	}
	return otherwise
}

// fields lists the children that a complex type declares in its sequence or all.
func (w *reader) fields(typ *etree.Element) []field {
	group := typ.SelectElement("sequence")
	if group == nil {
		group = typ.SelectElement("all")
	}
	if group == nil {
		return nil
	}
	var fields []field
	for _, e := range group.SelectElements("element") {
		f := field{name: e.SelectAttrValue("name", ""), qualified: qualified(e)}
		if ref := e.SelectAttrValue("ref", ""); ref != "" {
			f.name, f.qualified = local(ref), true
			if e = w.schema("element", f.name); e == nil {
				continue
			}
		}
		f.typ, f.complex = local(e.SelectAttrValue("type", "")), w.complexType(e)
		fields = append(fields, f)
	}
	return fields
}

// complexType returns the complex type of an element, inline or named.
func (w *reader) complexType(e *etree.Element) *etree.Element {
	if inline := e.SelectElement("complexType"); inline != nil {
		return inline
	}
	if name := local(e.SelectAttrValue("type", "")); name != "" {
		return w.schema("complexType", name)
	}
	return nil
}

// find returns the element at a path under definitions that has this name.
func (w *reader) find(path, name string) *etree.Element {
	return named1(w.root.FindElements(path), name)
}

// schema returns a global declaration of any schema in the file.
func (w *reader) schema(kind, name string) *etree.Element {
	return named1(w.root.FindElements("types/schema/"+kind), name)
}

func named1(elements []*etree.Element, name string) *etree.Element {
	i := slices.IndexFunc(elements, func(e *etree.Element) bool { return e.SelectAttrValue("name", "") == name })
	if i < 0 {
		return nil
	}
	return elements[i]
}

func schemaOf(e *etree.Element) *etree.Element {
	for ; e != nil && e.Tag != "schema"; e = e.Parent() {
	}
	return e
}

func qualified(e *etree.Element) bool {
	form := schemaOf(e).SelectAttrValue("elementFormDefault", "unqualified")
	return e.SelectAttrValue("form", form) == "qualified"
}

func local(qname string) string { return qname[strings.LastIndexByte(qname, ':')+1:] }

// qualify settles what holds for the whole contract.
func (w *reader) qualify() {
	if w.qualified && w.unqualified {
		w.lacks("the answers mix parts with and without namespace")
	}
	w.contract.Qualified = w.qualified
	if len(w.spaces) < 2 {
		return
	}
	// the answers' namespace is the one that is written; requests may come in one of their own
	w.contract.Namespace = w.spaces[1]
	for i, op := range []*soap.Operation{&w.contract.Cancel, &w.contract.Token}[:len(w.spaces)/2] {
		request, answer := w.spaces[2*i], w.spaces[2*i+1]
		if answer != w.contract.Namespace {
			w.lacks("the answers are in two namespaces, %s and %s", w.contract.Namespace, answer)
		}
		if request != w.contract.Namespace {
			op.Namespace = request
		}
	}
}
