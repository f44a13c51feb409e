package soap_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"einvoice-bridge/bridge/soap"
)

const soap11NS = "http://schemas.xmlsoap.org/soap/envelope/"

// answer is one SOAP 1.1 answer as a tree.
type answer struct {
	name string
	raw  []byte
	root *etree.Element
}

func (a answer) body() *etree.Element { return a.root.SelectElement("Body") }

func (a answer) fault() *etree.Element { return a.body().SelectElement("Fault") }

// answers are all SOAP 1.1 answers but those that mimic what the profile forbids.
func answers(t *testing.T) []answer {
	t.Helper()
	var all []answer
	for _, g := range goldens() {
		raw := g.make(soap.DefaultContract())
		if strings.HasSuffix(g.name, "-soap12") || !bytes.Contains(raw, []byte(soap11NS)) || g.name == "cancel-mimic-encoding-style" {
			continue
		}
		doc := etree.NewDocument()
		doc.ReadSettings.CharsetReader = passThrough
		if err := doc.ReadFromBytes(raw); err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		all = append(all, answer{g.name, raw, doc.Root()})
	}
	return all
}

// answerRule is a rule on answers; broken reports that one breaks it.
type answerRule struct {
	id, says string
	broken   func(a answer) bool
}

// The rules of WS-I Basic Profile 1.1 (ISO/IEC 29361:2008) and the Simple SOAP Binding Profile 1.0 (S) that bear on our
// answers, each over every kind of answer.
func answerRules() []answerRule {
	return []answerRule{
		{"R9980", "Envelope holds an optional Header and one Body", func(a answer) bool {
			names := tags(a.root.ChildElements())
			return a.root.Tag != "Envelope" || a.root.NamespaceURI() != soap11NS || (names != "Body" && names != "Header Body")
		}},
		{"R9981", "Body holds one child at most", func(a answer) bool { return len(a.body().ChildElements()) > 1 }},
		{"R1014", "the child of Body is in a namespace", func(a answer) bool {
			return slices.ContainsFunc(a.body().ChildElements(), func(e *etree.Element) bool { return e.NamespaceURI() == "" })
		}},
		{"R1011", "nothing stands after Body", func(a answer) bool { return a.root.ChildElements()[len(a.root.ChildElements())-1] != a.body() }},
		{"R1005 R1006 R1007", "no encodingStyle", func(a answer) bool { return bytes.Contains(a.raw, []byte("encodingStyle")) }},
		{"R1032", "no attributes of the envelope namespace on Envelope, Header, Body", func(a answer) bool {
			return slices.ContainsFunc(append(a.root.ChildElements(), a.root), func(e *etree.Element) bool {
				return slices.ContainsFunc(e.Attr, func(at etree.Attr) bool { return at.Space == "SOAP-ENV" })
			})
		}},
		{"R1008", "no document type declaration", func(a answer) bool { return bytes.Contains(a.raw, []byte("<!")) }},
		{"R1009", "no processing instruction", func(a answer) bool { return bytes.Count(a.raw, []byte("<?")) != 1 }},
		{"R1033", "no xmlns:xml", func(a answer) bool { return bytes.Contains(a.raw, []byte("xmlns:xml=")) }},
		{"R1013", "mustUnderstand is 0 or 1; we send none", func(a answer) bool { return bytes.Contains(a.raw, []byte("mustUnderstand=")) }},
		{"R1017", "no xsi:type is needed; we send none", func(a answer) bool { return bytes.Contains(a.raw, []byte("xsi:type")) }},
		{"R2211", "no xsi:nil", func(a answer) bool { return bytes.Contains(a.raw, []byte("xsi:nil")) }},
		{"R1000 R1001", "Fault has faultcode, faultstring, faultactor, detail in this order, unqualified", func(a answer) bool {
			if a.fault() == nil {
				return false
			}
			children := a.fault().ChildElements()
			return tags(children) != "faultcode faultstring faultactor detail" ||
				slices.ContainsFunc(children, func(e *etree.Element) bool { return e.NamespaceURI() != "" || len(e.Attr) > 0 })
		}},
		{"R1004 R1031", "faultcode is a standard one, without dots", func(a answer) bool {
			if a.fault() == nil {
				return false
			}
			code := a.fault().SelectElement("faultcode").Text()
			return !slices.Contains([]string{"SOAP-ENV:Client", "SOAP-ENV:Server", "SOAP-ENV:VersionMismatch", "SOAP-ENV:MustUnderstand"}, code)
		}},
		{"R1029", "a fault stands alone", func(a answer) bool { return a.fault() != nil && len(a.body().ChildElements()) != 1 }},
		{"R2729 R2712", "the wrapper is the operation's name and Response, in the contract's namespace", func(a answer) bool {
			if a.fault() != nil || a.name == "cancel-qualified" { // named by configuration
				return false
			}
			e := a.body().ChildElements()[0]
			return e.NamespaceURI() != "urn:server" || (e.Tag != "eInvoiceCancelResponse" && e.Tag != "access_new_tokenResponse")
		}},
		{"R2735", "part accessors are in no namespace", func(a answer) bool {
			return a.fault() == nil && a.name != "cancel-qualified" &&
				slices.ContainsFunc(a.body().ChildElements()[0].ChildElements(), func(e *etree.Element) bool { return e.NamespaceURI() != "" })
		}},
		{"R2212 R2755 R2301", "each part once, named and ordered as in the contract", func(a answer) bool {
			if a.fault() != nil {
				return false
			}
			e := a.body().ChildElements()[0]
			if len(e.ChildElements()) == 1 {
				e = e.ChildElements()[0] // the configured wrapper
			}
			got := strings.Replace(tags(e.ChildElements()), " InfoDtls", "", 1)
			return got != "Irn CancelDate error errorMessage status code" && got != "access_token expires_in token_type error_description"
		}},
		{"R4001 S, R1010 S", "UTF-8 by the declaration and by the bytes, without byte order mark", func(a answer) bool {
			utf8 := bytes.HasPrefix(a.raw, []byte(`<?xml version="1.0" encoding="utf-8"?><`))
			return (!utf8 && a.name != "cancel-mimic-latin-1") || slices.ContainsFunc(a.raw, func(b byte) bool { return b >= 0x80 })
		}},
	}
}

func TestBasicProfileAnswers(t *testing.T) {
	all := answers(t)
	if len(all) < 15 {
		t.Fatalf("only %d answers", len(all))
	}
	for _, rule := range answerRules() {
		t.Run(rule.id, func(t *testing.T) {
			for _, a := range all {
				if rule.broken(a) {
					t.Errorf("%s breaks %s (%s): %s", a.name, rule.id, rule.says, a.raw)
				}
			}
		})
	}
}

func tags(elements []*etree.Element) string {
	var names []string
	for _, e := range elements {
		names = append(names, e.Tag)
	}
	return strings.Join(names, " ")
}

// The same profile's rules on what a receiver must do with a request; the vectors of fixtures/soap carry the details.
func TestBasicProfileRequests(t *testing.T) {
	env := func(inside string) string {
		return `<e:Envelope xmlns:e="` + soap11NS + `">` + inside + `</e:Envelope>`
	}
	const call = `<e:Body><eInvoiceCancel xmlns="urn:server"><irn xmlns="">1</irn></eInvoiceCancel></e:Body>`
	const must = `<e:Header><x:a xmlns:x="urn:x" e:mustUnderstand="1"/></e:Header>`
	const ok = 0
	for _, tc := range []struct {
		id, says string
		header   soap.Header
		body     string
		want     soap.Code
	}{
		{"R1015", "an envelope that is none of SOAP's gets a fault", soap.Header{}, "<Envelope><Body/></Envelope>", soap.VersionMismatch},
		{"R1027", "a mandatory block that is not understood gets MustUnderstand", soap.Header{}, env(must + call), soap.MustUnderstand},
		{"R1025", "mandatory blocks are checked before the body is processed", soap.Header{}, env(must + `<e:Body><nosuch/></e:Body>`), soap.MustUnderstand},
		{"R2725", "VersionMismatch comes before MustUnderstand", soap.Header{}, strings.Replace(env(must+call), soap11NS, "urn:other", 1), soap.VersionMismatch},
		{"R2724", "a message that goes with no operation gets a Client fault", soap.Header{}, env(`<e:Body><nosuch xmlns="urn:server"/></e:Body>`), soap.Client},
		{"R1009", "a processing instruction is forbidden to senders; Siebel and XSLT send them all the same, the original skips them", soap.Header{}, env(`<?a b?>` + call), ok},
		{"R1008", "a document type declaration is refused", soap.Header{}, `<!DOCTYPE a>` + env(call), soap.Client},
		{"R1011", "an element after Body is refused", soap.Header{}, env(call + `<x:a xmlns:x="urn:x"/>`), soap.Client},
		{"R1017", "xsi:type is not required", soap.Header{}, env(call), ok},
		{"R1012 S", "UTF-8 and UTF-16 are accepted, with and without declaration", soap.Header{}, "\uFEFF<?xml version=\"1.0\" encoding=\"utf-8\"?>" + env(call), ok},
		{"R1018 S R1019 S", "the media type is text/xml, the HTTP charset beats the declaration",
			soap.Header{ContentType: "text/xml; charset=utf-8"}, "<?xml version=\"1.0\" encoding=\"shift_jis\"?>" + env(call), ok},
		{"R1109 R1119", "SOAPAction may be quoted or not", soap.Header{SOAPAction: "urn:server#eInvoiceCancel"}, env(call), ok},
		{"R1127", "a receiver does not rely on SOAPAction", soap.Header{SOAPAction: `"urn:server#access_new_token"`}, env(call), ok},
		{"R2744", "a SOAPAction as in the WSDL is accepted", soap.Header{SOAPAction: `"urn:server#eInvoiceCancel"`}, env(call), ok},
		{"R2745", "so is an empty one", soap.Header{SOAPAction: `""`}, env(call), ok},
		{"R1016", "xml:lang does not matter", soap.Header{}, strings.Replace(env(call), "<irn", `<irn xml:lang="en"`, 1), ok},
	} {
		t.Run(tc.id, func(t *testing.T) {
			_, err := soap.NewDecoder(soap.DefaultContract()).Decode(tc.header, []byte(tc.body))
			var got soap.Code
			if err != nil {
				got = soap.AsFault(err).Code
			}
			if got != tc.want {
				t.Errorf("%s: got %v, want code %d", tc.says, err, tc.want)
			}
		})
	}
}

// R1107 R1124 R1111 R1126: a business answer goes with 200, whatever it says, a fault with 500.
func TestBasicProfileStatus(t *testing.T) {
	c := soap.DefaultContract()
	for _, f := range []*soap.Fault{nosuch, unknown, mismatch, mandatory} {
		if got := c.FaultStatus(soap.SOAP11, f); got != 500 {
			t.Errorf("%v has status %d", f, got)
		}
	}
}
