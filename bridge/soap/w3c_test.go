package soap_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"einvoice-bridge/bridge/soap"
)

const soap12NS = "http://www.w3.org/2003/05/soap-envelope"

// collectionTest is one assertion; want is 0 when the request must be carried out.
type collectionTest struct {
	id, asserts, request string
	want                 soap.Code
}

// The assertions of the W3C SOAP 1.2 test collection (https://www.w3.org/TR/soap12-testcollection) that bear on a
// request/response receiver, by the collection's numbers and in our own words: our operation stands in the Body, "known"
// is a header block that the receiver is configured to know, "unknown" one that it isn't. Left out are SOAP encoding and
// RPC arrays (T27, T28, T41 to T61, T76, T77) and T63, which needs a header handler of its own.
func soap12Collection() []collectionTest {
	const (
		next     = soap12NS + "/role/next"
		ultimate = soap12NS + "/role/ultimateReceiver"
		none     = soap12NS + "/role/none"
		other    = "http://example.org/ts-tests/B"
	)
	block := func(name, role, must string) string {
		attrs := ""
		if role != "" {
			attrs += ` env:role="` + role + `"`
		}
		if must != "" {
			attrs += ` env:mustUnderstand="` + must + `"`
		}
		return `<t:` + name + ` xmlns:t="http://example.org/ts-tests"` + attrs + `>foo</t:` + name + `>`
	}
	body := func(op string) string { return "<env:Body>" + op + "</env:Body>" }
	const ours = `<s:eInvoiceCancel xmlns:s="urn:server"><irn>1e6a</irn></s:eInvoiceCancel>`
	env := func(inside string) string {
		return "<?xml version='1.0' ?>\n<env:Envelope xmlns:env=\"" + soap12NS + "\"> \n" + inside + "</env:Envelope>"
	}
	message := func(blocks ...string) string {
		return env("<env:Header>" + strings.Join(blocks, "\n") + "</env:Header>" + body(ours))
	}
	const ok = 0
	return []collectionTest{
		{"T1", "a known block for the next role is processed", message(block("known", next, "")), ok},
		{"T2", "a block for a role that the node may play", message(block("known", "http://example.org/ts-tests/C", "")), ok},
		{"T3", "a block without role is for the ultimate receiver", message(block("known", "", "")), ok},
		{"T4", "a known block for the ultimate receiver", message(block("known", ultimate, "")), ok},
		{"T5", "a block for another role is left alone", message(block("known", other, "")), ok},
		{"T10", "an unknown block that is not mandatory is ignored", message(block("unknown", ultimate, "")), ok},
		{"T11", "mustUnderstand=false is not mandatory", message(block("unknown", ultimate, "false")), ok},
		{"T12", "mustUnderstand=1", message(block("unknown", ultimate, "1")), soap.MustUnderstand},
		{"T13", "mustUnderstand=true", message(block("unknown", ultimate, "true")), soap.MustUnderstand},
		{"T14", "mustUnderstand that is no boolean", message(block("known", ultimate, "wrong")), soap.Client},
		{"T15", "a mandatory block for another role is left alone", message(block("unknown", other, "1")), ok},
		{"T19", "role none is nobody's", message(block("known", none, "true")), ok},
		{"T22", "a known mandatory block is understood", message(block("known", "", "1")), ok},
		{"T23", "the syntax of all blocks comes before MustUnderstand", message(block("unknown", "", "1"), block("known", "", "wrong")), soap.Client},
		{"T24", "an unknown envelope namespace", strings.ReplaceAll(message(), soap12NS, "http://wrong-version/"), soap.VersionMismatch},
		{"T25", "a DTD", strings.Replace(message(), "<env:Env", `<!DOCTYPE env:Envelope SYSTEM "env.dtd"[]><env:Env`, 1), soap.Client},
		{"T26", "a processing instruction may be refused or skipped; the original skips it, Siebel and XSLT send them", env(`<?xml-stylesheet href="sub.xsl"?>` + body(ours)), ok},
		{"T29", "a role of any length", message(block("known", other+strings.Repeat("z", 2000), "")), ok},
		{"T30", "the SOAP 1.1 namespace without its final slash (VersionMismatch in the collection; the original serves it, copies of tutorials send it)", strings.ReplaceAll(message(), soap12NS, "http://schemas.xmlsoap.org/soap/envelope"), ok},
		{"T31", "a call without parameters", env(body("<s:eInvoiceCancel xmlns:s=\"urn:server\">\n</s:eInvoiceCancel>")), ok},
		{"T32", "a mandatory block that the operation needs", message(block("known", "", "true")), ok},
		{"T33", "an operation that does not exist", env(body(`<s:DoesNotExist xmlns:s="urn:server"> </s:DoesNotExist>`)), soap.Client},
		{"T34", "mustUnderstand of another envelope namespace means nothing", message(`<t:unknown xmlns:t="http://example.org/ts-tests" xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" e:mustUnderstand="true">foo</t:unknown>`), ok},
		{"T35", "a mandatory block without role", message(block("unknown", "", "1")), soap.MustUnderstand},
		{"T36", "the order of attributes means nothing", message(`<t:unknown xmlns:t="http://example.org/ts-tests" env:mustUnderstand="1" env:role="` + ultimate + `">foo</t:unknown>`), soap.MustUnderstand},
		{"T37", "an unknown block for the ultimate receiver", message(block("unknown", ultimate, "")), ok},
		{"T38", "two blocks, both spellings of false", message(block("unknown", next, "false"), block("known", next, "0")), ok},
		{"T39", "mustUnderstand=9", message(block("unknown", "", "9")), soap.Client},
		{"T40", "a namespace name with an IPv6 address", message(`<t:unknown xmlns:t="http://[FEDC:BA98:7654:3210:FEDC:BA98:7654:3210]/ts-tests" env:role="` + ultimate + `" env:mustUnderstand="false">foo</t:unknown>`), ok},
		{"T64", "a DTD with a notation", strings.Replace(message(), "<env:Env", "<!DOCTYPE DOC [\n<!NOTATION x SYSTEM 'http://example.org/x'>\n]>\n<env:Env", 1), soap.Client},
		{"T65", "a DTD with element declarations", strings.Replace(message(), "<env:Env", "<!DOCTYPE DOC [\n<!ELEMENT Envelope (Body) >\n]>\n<env:Env", 1), soap.Client},
		{"T66", "the encoding name UTF8", strings.Replace(message(block("known", next, "")), "'1.0'", "'1.0' encoding='UTF8'", 1), ok},
		{"T67", "standalone=yes", strings.Replace(message(block("known", next, "")), "'1.0'", "'1.0' standalone='yes'", 1), ok},
		{"T68", "white space everywhere", "<env:Envelope xmlns:env=\"" + soap12NS + "\">\n\n\n <env:Header           >\n\n  " + block("known", next, "") + "\n </env:Header>\n <env:Body>\n\n" + ours + "\n </env:Body>\n\n\n\n</env:Envelope>", ok},
		{"T69", "no Body", env("<env:Header>" + block("known", "", "") + "</env:Header>"), soap.Client},
		{"T70", "an element after Body", env(body(ours) + "<Trailer>\n</Trailer>"), soap.Client},
		{"T71", "an Envelope attribute without namespace", strings.Replace(message(), "\"> \n", "\" attr1=\"a-value\">", 1), soap.Client},
		{"T72", "encodingStyle on Envelope (refused when strict; LuaSOAP and SOAP::Lite send it)", strings.Replace(message(), "\"> \n", "\" env:encodingStyle=\"http://www.w3.org/2003/05/soap-encoding\">", 1), soap.Client},
		{"T73", "encodingStyle on the wrapper and on a parameter", env(body(`<s:eInvoiceCancel xmlns:s="urn:server" env:encodingStyle="http://www.w3.org/2003/05/soap-encoding"><irn env:encodingStyle="http://www.w3.org/2003/05/soap-encoding">1e6a</irn></s:eInvoiceCancel>`)), ok},
		{"T74", "mustUnderstand inside a block means nothing", message(block("known", next, ""), `<t:unknown xmlns:t="http://example.org/ts-tests"><t:in env:mustUnderstand="1" env:role="`+next+`"/></t:unknown>`), ok},
		{"T75", "a block with xml:base and xlink:href", message(`<t:known xmlns:t="http://example.org/ts-tests" env:role="` + next + `" env:mustUnderstand="1"><t:r xml:base="http://example.org/" xlink:href="new.xml" xmlns:xlink="http://www.w3.org/1999/xlink"/></t:known>`), ok},
		{"T78", "a known block for the ultimate receiver, without mustUnderstand", message(block("known", ultimate, "")), ok},
		{"T80", "an unknown encodingStyle on the wrapper", env(body(`<s:eInvoiceCancel xmlns:s="urn:server" env:encodingStyle="http://example.org/PoisonEncoding"/>`)), soap.DataEncodingUnknown},
	}
}

func TestSOAP12TestCollection(t *testing.T) {
	for _, tc := range soap12Collection() {
		t.Run(tc.id, func(t *testing.T) {
			d := soap.NewDecoder(soap.DefaultContract())
			d.Understood = []string{"{http://example.org/ts-tests}known"}
			d.Strict = tc.id == "T72"
			_, err := d.Decode(soap.Header{ContentType: "application/soap+xml; charset=utf-8"}, []byte(tc.request))
			var got soap.Code
			if err != nil {
				got = soap.AsFault(err).Code
			}
			if got != tc.want {
				t.Errorf("%s: got %v, want code %d", tc.asserts, err, tc.want)
			}
		})
	}
}

// What the collection expects of the faults themselves (SOAP 1.2 part 1 §5.4).
func TestSOAP12FaultStructure(t *testing.T) {
	c := soap.DefaultContract()
	for name, f := range map[string]*soap.Fault{
		"Sender": nosuch, "Receiver": unknown, "VersionMismatch": mismatch, "MustUnderstand": mandatory,
		"DataEncodingUnknown": {Code: soap.DataEncodingUnknown, Text: "x"},
	} {
		var env struct {
			Header *struct {
				Upgrade       []struct{} `xml:"Upgrade"`
				NotUnderstood []struct {
					QName string `xml:"qname,attr"`
				} `xml:"NotUnderstood"`
			} `xml:"http://www.w3.org/2003/05/soap-envelope Header"`
			Fault struct {
				Children []struct{ XMLName xml.Name } `xml:",any"`
				Value    string                       `xml:"Code>Value"`
				Text     struct {
					Lang string `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
				} `xml:"Reason>Text"`
			} `xml:"http://www.w3.org/2003/05/soap-envelope Body>Fault"`
		}
		if err := xml.Unmarshal(c.EncodeFault(soap.SOAP12, nil, f, ""), &env); err != nil {
			t.Fatal(err)
		}
		if env.Fault.Value != "env:"+name || env.Fault.Text.Lang != "en" {
			t.Errorf("%s: code %s, xml:lang %q", name, env.Fault.Value, env.Fault.Text.Lang)
		}
		upgrade := env.Header != nil && len(env.Header.Upgrade) == 1
		if upgrade != (f.Code == soap.VersionMismatch) {
			t.Errorf("%s: Upgrade header %v", name, upgrade)
		}
		if f.Code == soap.MustUnderstand && (env.Header == nil || len(env.Header.NotUnderstood) != len(f.NotUnderstood)) {
			t.Errorf("%s: not one NotUnderstood header per block", name)
		}
	}
}
