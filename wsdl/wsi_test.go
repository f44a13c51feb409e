package wsdl_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	nsWSDL   = "http://schemas.xmlsoap.org/wsdl/"
	nsSOAP   = "http://schemas.xmlsoap.org/wsdl/soap/"
	nsSOAP12 = "http://schemas.xmlsoap.org/wsdl/soap12/"
	nsXSD    = "http://www.w3.org/2001/XMLSchema"
)

// node is an element as read, names resolved.
type node struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Nodes   []*node    `xml:",any"`
}

func (n *node) attr(name string) string { return n.attrNS("", name) }

func (n *node) attrNS(space, name string) string {
	for _, a := range n.Attrs {
		if a.Name.Space == space && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (n *node) has(name string) bool {
	return slices.ContainsFunc(n.Attrs, func(a xml.Attr) bool { return a.Name.Space == "" && a.Name.Local == name })
}

// all finds every descendant of that name.
func (n *node) all(space, local string) []*node {
	var found []*node
	for _, c := range n.Nodes {
		if c.XMLName.Space == space && c.XMLName.Local == local {
			found = append(found, c)
		}
		found = append(found, c.all(space, local)...)
	}
	return found
}

// only finds the one descendant of that name.
func (n *node) only(t *testing.T, space, local string) *node {
	t.Helper()
	found := n.all(space, local)
	if len(found) != 1 {
		t.Fatalf("%d %s elements, want 1", len(found), local)
	}
	return found[0]
}

// qname resolves a QName value; every prefix is declared on the root.
func (n *node) qname(t *testing.T, value string) xml.Name {
	t.Helper()
	prefix, local, ok := strings.Cut(value, ":")
	if !ok {
		t.Fatalf("QName %q has no prefix", value)
	}
	space := n.attrNS("xmlns", prefix)
	if space == "" {
		t.Fatalf("prefix of %q is not declared", value)
	}
	return xml.Name{Space: space, Local: local}
}

func parse(t *testing.T, doc []byte) *node {
	t.Helper()
	var root node
	if err := xml.Unmarshal(doc, &root); err != nil {
		t.Fatal(err)
	}
	return &root
}

// eachFlavour runs a check over every flavour, typed faults and response wrappers included.
func eachFlavour(t *testing.T, check func(t *testing.T, name string, doc *node)) {
	docs := variants(t)
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		t.Run(name, func(t *testing.T) { check(t, name, parse(t, docs[name])) })
	}
}

func isRPC(name string) bool { return strings.HasPrefix(name, "rpc") }

// Rules of WS-I Basic Profile 1.1, and of the Simple SOAP Binding Profile 1.0 where the number says S. One test per
// group of rules. rpc-encoded breaks R2706 and document-soap12 R2401 on purpose; nothing else is broken.

func TestR2001_R2007_R2101_R2102_R2105_NothingToImport(t *testing.T) {
	eachFlavour(t, func(t *testing.T, _ string, doc *node) {
		for _, what := range []xml.Name{{Space: nsWSDL, Local: "import"}, {Space: nsXSD, Local: "import"}, {Space: nsXSD, Local: "include"}} {
			if len(doc.all(what.Space, what.Local)) != 0 {
				t.Errorf("has %s", what.Local)
			}
		}
		for _, s := range doc.all(nsXSD, "schema") {
			if s.attr("targetNamespace") == "" {
				t.Error("R2105: schema without targetNamespace")
			}
		}
		everyQNameResolves(t, doc)
	})
}

func everyQNameResolves(t *testing.T, doc *node) {
	defined := map[xml.Name]bool{{Space: nsXSD, Local: "string"}: true}
	tns := doc.attr("targetNamespace")
	for _, kind := range []string{"message", "portType", "binding"} {
		for _, n := range doc.all(nsWSDL, kind) {
			defined[xml.Name{Space: tns, Local: n.attr("name")}] = true
		}
	}
	for _, s := range doc.all(nsXSD, "schema") {
		for _, n := range s.Nodes {
			defined[xml.Name{Space: s.attr("targetNamespace"), Local: n.attr("name")}] = true
		}
	}
	var walk func(n *node)
	walk = func(n *node) {
		for _, a := range n.Attrs {
			ref := n.XMLName.Space == nsWSDL && slices.Contains([]string{"element", "message", "binding"}, a.Name.Local) || a.Name.Local == "type"
			if ref && !defined[doc.qname(t, a.Value)] {
				t.Errorf("%s of %s: %q is defined nowhere", a.Name.Local, n.XMLName.Local, a.Value)
			}
		}
		for _, c := range n.Nodes {
			walk(c)
		}
	}
	walk(doc)
}

func TestR2022_R2023_R2024_R2026_Order(t *testing.T) {
	order := []string{"documentation", "types", "message", "portType", "binding", "service"}
	eachFlavour(t, func(t *testing.T, _ string, doc *node) {
		last := 0
		for _, n := range doc.Nodes {
			at := slices.Index(order, n.XMLName.Local)
			if at < last {
				t.Errorf("%s stands after %s", n.XMLName.Local, order[last])
			}
			last = at
			if n.attrNS(nsWSDL, "required") != "" {
				t.Errorf("R2026: %s has wsdl:required", n.XMLName.Local)
			}
		}
	})
}

func TestR2110_R2111_R2112_R2113_NoArrays(t *testing.T) {
	for name, doc := range variants(t) {
		if m := regexp.MustCompile(`soapenc|arrayType|ArrayOf`).Find(doc); m != nil {
			t.Errorf("%s: has %s", name, m)
		}
	}
}

func TestR2201_R2204_R2210_R2306_DocumentParts(t *testing.T) {
	eachFlavour(t, func(t *testing.T, name string, doc *node) {
		for _, m := range doc.all(nsWSDL, "message") {
			for _, p := range m.Nodes {
				if p.has("type") == p.has("element") {
					t.Errorf("R2306: part %s of %s needs exactly one of type and element", p.attr("name"), m.attr("name"))
				}
				if !isRPC(name) && !p.has("element") {
					t.Errorf("R2204: part %s of %s has no element", p.attr("name"), m.attr("name"))
				}
			}
			if !isRPC(name) && len(m.Nodes) != 1 {
				t.Errorf("R2201, R2210: message %s has %d parts", m.attr("name"), len(m.Nodes))
			}
		}
	})
}

func TestR2203_R2717_R2726_RPCParts(t *testing.T) {
	eachFlavour(t, func(t *testing.T, name string, doc *node) {
		if !isRPC(name) {
			return
		}
		for _, m := range doc.all(nsWSDL, "message") {
			for _, p := range m.Nodes {
				if m.attr("name") != "bridgeFault" && !p.has("type") {
					t.Errorf("R2203: part %s of %s has no type", p.attr("name"), m.attr("name"))
				}
			}
		}
		for _, b := range doc.all(nsSOAP, "body") {
			if u, err := url.Parse(b.attr("namespace")); err != nil || !u.IsAbs() {
				t.Errorf("R2717: namespace %q of soap:body is not absolute", b.attr("namespace"))
			}
		}
		for _, f := range doc.all(nsSOAP, "fault") {
			if f.has("namespace") {
				t.Error("R2726: soap:fault has a namespace")
			}
		}
	})
}

func TestR2716_DocumentBodyHasNoNamespace(t *testing.T) {
	eachFlavour(t, func(t *testing.T, name string, doc *node) {
		for _, local := range []string{"body", "fault", "header", "headerfault"} {
			for _, b := range append(doc.all(nsSOAP, local), doc.all(nsSOAP12, local)...) {
				if !isRPC(name) && b.has("namespace") {
					t.Errorf("soap:%s has a namespace", local)
				}
			}
		}
	})
}

func TestR2303_R2304_R2710_R2718_Operations(t *testing.T) {
	eachFlavour(t, func(t *testing.T, name string, doc *node) {
		declared := map[string]bool{}
		signatures := map[string]bool{}
		for _, op := range doc.only(t, nsWSDL, "portType").Nodes {
			if declared[op.attr("name")] {
				t.Errorf("R2304: operation %s is overloaded", op.attr("name"))
			}
			declared[op.attr("name")] = true
			if got := shape(op); got != "input output" && got != "documentation input output" {
				t.Errorf("R2303: operation %s is %s", op.attr("name"), got)
			}
			signatures[signature(t, doc, name, op)] = true
		}
		if len(signatures) != len(declared) {
			t.Errorf("R2710: %d operations, %d wire signatures", len(declared), len(signatures))
		}
		for _, b := range doc.all(nsWSDL, "binding") {
			bound := map[string]bool{}
			for _, op := range b.all(nsWSDL, "operation") {
				bound[op.attr("name")] = true
			}
			if !maps.Equal(bound, declared) {
				t.Errorf("R2718: binding %s has operations %v, port type %v", b.attr("name"), bound, declared)
			}
		}
	})
}

// shape lists the children of a port type's operation, faults left out.
func shape(op *node) string {
	var kinds []string
	for _, c := range op.Nodes {
		if c.XMLName.Local != "fault" {
			kinds = append(kinds, c.XMLName.Local)
		}
	}
	return strings.Join(kinds, " ")
}

// signature is the name of the Body child that calls the operation.
func signature(t *testing.T, doc *node, name string, op *node) string {
	if isRPC(name) {
		return op.attr("name")
	}
	message := doc.qname(t, op.all(nsWSDL, "input")[0].attr("message")).Local
	for _, m := range doc.all(nsWSDL, "message") {
		if m.attr("name") == message {
			return doc.qname(t, m.Nodes[0].attr("element")).Local
		}
	}
	return ""
}

func TestR2401_R9802S_OnlyTheSOAP11Binding(t *testing.T) {
	for name, doc := range variants(t) {
		root := parse(t, doc)
		soap12 := strings.HasPrefix(name, "document-soap12")
		if got := bytes.Contains(doc, []byte(nsSOAP12)); got != soap12 {
			t.Errorf("%s: mentions SOAP 1.2: %v, want %v", name, got, soap12)
		}
		want := 1
		if soap12 {
			want = 2
		}
		for _, kind := range []string{"binding", "port"} {
			if got := len(root.all(nsWSDL, kind)); got != want {
				t.Errorf("%s: %d %s elements, want %d", name, got, kind, want)
			}
		}
		if first := root.all(nsWSDL, "port")[0]; first.attr("name") != "serverPort" || len(first.all(nsSOAP, "address")) != 1 {
			t.Errorf("%s: the SOAP 1.1 port does not come first", name)
		}
	}
}

func TestR2701_R2702_R2705_R2706_Binding(t *testing.T) {
	eachFlavour(t, func(t *testing.T, name string, doc *node) {
		style := "document"
		if isRPC(name) {
			style = "rpc"
		}
		for _, space := range []string{nsSOAP, nsSOAP12} {
			for _, b := range doc.all(space, "binding") {
				if b.attr("transport") != "http://schemas.xmlsoap.org/soap/http" {
					t.Errorf("R2701, R2702: transport %q", b.attr("transport"))
				}
				if b.attr("style") != style {
					t.Errorf("R2705: binding style %q", b.attr("style"))
				}
			}
			for _, op := range doc.all(space, "operation") {
				if op.attr("style") != style {
					t.Errorf("R2705: operation style %q", op.attr("style"))
				}
			}
			for _, b := range append(doc.all(space, "body"), doc.all(space, "fault")...) {
				encoded := strings.HasPrefix(name, "rpc-encoded") && b.XMLName.Local == "body"
				switch {
				case encoded && b.attr("encodingStyle") != "http://schemas.xmlsoap.org/soap/encoding/":
					t.Errorf("encoded body with encodingStyle %q", b.attr("encodingStyle")) // PHP refuses any other
				case !encoded && b.attr("use") != "literal":
					t.Errorf("R2706: use %q", b.attr("use"))
				}
			}
		}
	})
}

func TestR2720_R2721_R2754_FaultNames(t *testing.T) {
	eachFlavour(t, func(t *testing.T, name string, doc *node) {
		typed := strings.HasSuffix(name, "+fault")
		count := 0
		for _, op := range doc.all(nsWSDL, "operation") {
			for _, f := range op.all(nsWSDL, "fault") {
				for _, s := range f.Nodes {
					count++
					if s.attr("name") != f.attr("name") {
						t.Errorf("R2721, R2754: soap:fault %q in wsdl:fault %q", s.attr("name"), f.attr("name"))
					}
				}
			}
		}
		if typed != (count > 0) {
			t.Errorf("%d bound faults", count)
		}
		for _, b := range append(doc.all(nsSOAP, "body"), doc.all(nsSOAP12, "body")...) {
			if b.has("parts") || b.has("part") {
				t.Error("R2720: the part is not named by a message")
			}
		}
	})
}

func TestR2744_SOAPActionIsTheDeclaredOne(t *testing.T) {
	eachFlavour(t, func(t *testing.T, _ string, doc *node) {
		for _, b := range doc.all(nsWSDL, "binding") {
			for _, op := range b.all(nsWSDL, "operation") {
				want := "urn:server#" + op.attr("name")
				if got := op.Nodes[0].attr("soapAction"); got != want {
					t.Errorf("soapAction %q, want %q", got, want)
				}
			}
		}
	})
}

// R2301, R2735, R2211: the parts stand in the declared order, unqualified, never nillable.
func TestR2301_R2735_R2211_PartsAsOnTheWire(t *testing.T) {
	want := map[string][]string{}
	for _, op := range provider().Operations {
		want[op.Name], want[op.Name+"Response"] = op.Request, op.Response
	}
	eachFlavour(t, func(t *testing.T, name string, doc *node) {
		for _, s := range doc.all(nsXSD, "schema") {
			if s.attr("elementFormDefault") != "unqualified" {
				t.Errorf("elementFormDefault %q", s.attr("elementFormDefault"))
			}
		}
		for element, parts := range want {
			if got := partsOf(doc, name, element); !slices.Equal(got, parts) {
				t.Errorf("%s has parts %v, want %v", element, got, parts)
			}
		}
		for _, e := range doc.all(nsXSD, "element") {
			optional := e.attr("name") == "cancel_remarks" && e.attr("minOccurs") == "0" // or Axis and zeep can't send a null
			if e.has("nillable") || e.has("minOccurs") != optional || e.has("maxOccurs") {
				t.Errorf("%s is not exactly once and never nil", e.attr("name"))
			}
		}
	})
}

// partsOf lists the parts of a message, through a response wrapper if there is one.
func partsOf(doc *node, name, element string) []string {
	var parts []string
	collect := func(n *node, kind, space string) {
		for _, p := range n.all(space, kind) {
			if p.attr("name") != "return" {
				parts = append(parts, p.attr("name"))
			}
		}
	}
	for _, s := range doc.all(nsXSD, "schema") {
		for _, n := range s.Nodes {
			op, isResponse := strings.CutSuffix(element, "Response")
			if n.attr("name") == element || isResponse && n.attr("name") == op+"Result" {
				collect(n, "element", nsXSD)
			}
		}
	}
	for _, m := range doc.all(nsWSDL, "message") {
		if isRPC(name) && strings.TrimSuffix(m.attr("name"), "Request") == element {
			collect(m, "part", nsWSDL)
		}
	}
	return parts
}

func TestR1008_R1009_R1033_NoDTDNoPI(t *testing.T) {
	for name, doc := range variants(t) {
		d := xml.NewDecoder(bytes.NewReader(doc))
		for {
			tok, err := d.RawToken()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch tok := tok.(type) {
			case xml.Directive:
				t.Errorf("%s: DTD", name)
			case xml.ProcInst:
				if tok.Target != "xml" {
					t.Errorf("%s: processing instruction %s", name, tok.Target)
				}
			case xml.StartElement:
				for _, a := range tok.Attr {
					if a.Name.Space == "xmlns" && a.Name.Local == "xml" {
						t.Errorf("%s: xmlns:xml", name)
					}
				}
			}
		}
	}
}

func TestR5001_AddressIsTheConfiguredOne(t *testing.T) {
	eachFlavour(t, func(t *testing.T, _ string, doc *node) {
		for _, a := range append(doc.all(nsSOAP, "address"), doc.all(nsSOAP12, "address")...) {
			if a.attr("location") != provider().Location {
				t.Errorf("address %q", a.attr("location"))
			}
		}
	})
}

// SAP shortens names to about 30 characters before it makes them unique; longer ones would collide.
func TestNamesAreShortEnoughForSAP(t *testing.T) {
	eachFlavour(t, func(t *testing.T, _ string, doc *node) {
		for _, kind := range []string{"message", "portType", "operation", "binding", "service", "port"} {
			for _, n := range doc.all(nsWSDL, kind) {
				if len(n.attr("name")) > 30 {
					t.Errorf("%s %s is longer than 30 characters", kind, n.attr("name"))
				}
			}
		}
	})
}
