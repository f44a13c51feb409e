package wsdl

import (
	"bytes"
	"embed"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

// Default is the flavour behind a plain ?wsdl.
const Default = "document"

// flavour says which template a flavour is rendered from, and with which switches.
type flavour struct {
	name, template       string
	All, SOAP12, Encoded bool
}

func (f flavour) rpc() bool { return f.template == "rpc.wsdl" }

var flavours = []flavour{
	{name: Default, template: "document.wsdl", All: true},
	{name: "document-sequence", template: "document.wsdl"},
	{name: "rpc-literal", template: "rpc.wsdl"},
	{name: "rpc-encoded", template: "rpc.wsdl", Encoded: true},
	{name: "document-soap12", template: "document.wsdl", All: true, SOAP12: true},
}

// Flavours are the names that Render knows, the default first.
func Flavours() []string {
	names := make([]string, len(flavours))
	for i, f := range flavours {
		names[i] = f.name
	}
	return names
}

// Operation is one operation and the names of its parts, in wire order.
type Operation struct {
	Name          string
	Documentation string // one phrase; may be empty
	SOAPAction    string // what callers are told to send in the header of that name
	Request       []string
	Response      []string
	// Optional are those of Request that callers may leave out: Axis and zeep refuse to send a null otherwise. The rpc
	// flavours can't say so, since a part of a message always is.
	Optional []string
	// ResponseName is the answer's element; empty means Name + "Response". Only the document flavours can say another.
	ResponseName string
	// Wrapper is the element that holds the response parts inside the operation's own ("return"); empty for none.
	Wrapper string
}

// Params is what a description says.
type Params struct {
	Location   string // absolute URL that callers post to
	Namespace  string // of the wrappers and of the description itself
	Operations []Operation
	// Qualified says that parts are in Namespace too. Only the document flavours can say so.
	Qualified bool
	// TypedFault declares the fault detail, which SAP's fault mapping needs.
	TypedFault bool
}

// FaultElement is the fault detail that Params.TypedFault declares: one element in the service's namespace.
const FaultElement = "bridgeFault"

// FaultParts are its unqualified children, all strings, in this order.
var FaultParts = []string{"code", "message", "ref"}

//go:embed templates
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{"xml": escape}).ParseFS(files, "templates/*.wsdl"))

// Render writes the description of one flavour. It fails on an unknown flavour and on names that can't be XML names.
func Render(name string, p Params) ([]byte, error) {
	for _, f := range flavours {
		if f.name != name {
			continue
		}
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("render WSDL: %w", err)
		}
		if err := p.checkRPC(); err != nil && f.rpc() {
			return nil, fmt.Errorf("WSDL flavour %s: %w", name, err)
		}
		var b bytes.Buffer
		if err := templates.ExecuteTemplate(&b, f.template, page{Params: p, flavour: f}); err != nil {
			return nil, fmt.Errorf("render WSDL: %w", err)
		}
		return b.Bytes(), nil
	}
	return nil, fmt.Errorf("unknown WSDL flavour %q; there are %s", name, strings.Join(Flavours(), ", "))
}

// ResponseElement is the answer's element.
func (op Operation) ResponseElement() string {
	if op.ResponseName != "" {
		return op.ResponseName
	}
	return op.Name + "Response"
}

// MayLack tells whether a request may come without this part.
func (op Operation) MayLack(part string) bool { return slices.Contains(op.Optional, part) }

// page is what the templates see.
type page struct {
	Params
	flavour
}

// Form is the elementFormDefault of the parts.
func (p page) Form() string {
	if p.Qualified {
		return "qualified"
	}
	return "unqualified"
}

// Particle is the XSD group of requests and responses: both or neither are unwrapped by Java's generators.
func (p page) Particle() string {
	if p.All {
		return "all"
	}
	return "sequence"
}

// NeedsTypes says whether an rpc flavour has anything that is no plain string.
func (p page) NeedsTypes() bool {
	for _, op := range p.Operations {
		if op.Wrapper != "" {
			return true
		}
	}
	return p.TypedFault
}

// FaultElement names the typed detail.
func (page) FaultElement() string { return FaultElement }

// FaultParts names its children.
func (page) FaultParts() []string { return FaultParts }

func escape(s string) (string, error) {
	var b strings.Builder
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}
