package server_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"

	"einvoice-bridge/fixtures/original/nusoap"
)

// call is a request in the making. Its fields are changed by features.
type call struct {
	declaration, envelope, header, children, wrapper, namespace string
	names                                                       []string
	values                                                      []string
	order                                                       []int
	childPrefix, childAttrs, between                            string
	bodyBefore, bodyAfter, before, after, headerAfter           string
	declare, contentType, charset, action, more, httpVersion    string
	encode                                                      func(string) string
}

const (
	soap11Envelope = "http://schemas.xmlsoap.org/soap/envelope/"
	unnamed        = "" // the wrapper has no prefix and no namespace
)

func plainCall() *call {
	return &call{
		envelope: soap11Envelope, wrapper: "ns:eInvoiceCancel", namespace: ` xmlns:ns="urn:server"`,
		names:       []string{"access_token", "user_gstin", "irn", "cancel_reason", "cancel_remarks"},
		values:      []string{token, gstin, irn, "1", "Wrong entry"},
		order:       []int{0, 1, 2, 3, 4},
		contentType: "text/xml", charset: "; charset=utf-8", action: "SOAPAction: \"urn:server#eInvoiceCancel\"\r\n", httpVersion: "1.1",
		encode: func(s string) string { return s },
	}
}

func (c *call) raw() string {
	var kids strings.Builder
	for i, n := range c.names {
		if i < len(c.order) {
			fmt.Fprintf(&kids, "<%s%s%s>%s</%[1]s%[2]s>%[5]s", c.childPrefix, n, c.childAttrs, c.values[c.order[i]], c.between)
		}
	}
	name, _, _ := strings.Cut(c.wrapper, " ")
	body := c.declaration + c.before + `<e:Envelope xmlns:e="` + c.envelope + `"` + c.declare + `>` + c.header + `<e:Body>` + c.bodyBefore +
		`<` + c.wrapper + c.namespace + `>` + c.between + kids.String() + c.children + `</` + name + `>` + c.bodyAfter + `</e:Body>` + c.headerAfter + `</e:Envelope>` + c.after
	body = c.encode(body)
	return fmt.Sprintf("POST %s HTTP/%s\r\nHost: bridge\r\nConnection: close\r\nContent-Type: %s%s\r\n%s%sContent-Length: %d\r\n\r\n%s",
		nusoap.Path, c.httpVersion, c.contentType, c.charset, c.action, c.more, len(body), body)
}

// feature is one way in which callers differ.
type feature struct {
	name string
	set  func(*call)
}

func latin(s string) string {
	b, err := encoding.ReplaceUnsupported(charmap.Windows1252.NewEncoder()).String(s)
	if err != nil {
		panic(err)
	}
	return b
}

func named(names ...string) func(*call) { return func(c *call) { c.names = slices.Clone(names) } }

func labelled(header, declaration, remarks string, encode func(string) string) func(*call) {
	return func(c *call) {
		c.charset, c.values[4] = header, remarks
		if declaration != "" {
			c.declaration = `<?xml version="1.0" encoding="` + declaration + `"?>`
		}
		if encode != nil {
			c.encode = encode
		}
	}
}

func block(xml string) func(*call) {
	return func(c *call) { c.header = "<e:Header>" + xml + "</e:Header>" }
}

// dimensions are the ways of one kind; the first of each is the plain one.
var dimensions = map[string][]feature{
	"namespace": {
		{"own", func(*call) {}},
		{"tempuri/", func(c *call) { c.namespace = ` xmlns:ns="http://tempuri.org/"` }},
		{"tempuri", func(c *call) { c.namespace = ` xmlns:ns="http://tempuri.org"` }},
		{"any", func(c *call) { c.namespace = ` xmlns:ns="urn:x?a=1"` }},
		{"none", func(c *call) { c.wrapper, c.namespace = strings.TrimPrefix(c.wrapper, "ns:"), unnamed }},
		{"undeclared", func(c *call) { c.namespace = "" }},
		{"blanks", func(c *call) { c.namespace = ` xmlns:ns=" urn:server "` }},
		{"default", func(c *call) {
			c.wrapper, c.namespace = strings.TrimPrefix(c.wrapper, "ns:"), ` xmlns="urn:server"`
		}},
		{"soap's", func(c *call) { c.wrapper, c.namespace = "e:"+strings.TrimPrefix(c.wrapper, "ns:"), "" }},
	},
	"names": {
		{"documented", func(*call) {}},
		{"PHP", named("param0", "param1", "param2", "param3", "param4")},
		{"Axis", named("arg0", "arg1", "arg2", "arg3", "arg4")},
		{"SOAP::Lite", named("c-gensym3", "c-gensym5", "c-gensym7", "c-gensym9", "c-gensym11")},
		{"NuSOAP", named("__numeric_0", "__numeric_1", "__numeric_2", "__numeric_3", "__numeric_4")},
		{"Savon", named("accessToken", "userGstin", "irn", "cancelReason", "cancelRemarks")},
		{"by hand", named("token", "gstin", "irn", "CnlRsn", "CnlRem")},
		{"cancel_remark", named("access_token", "user_gstin", "irn", "cancel_reason", "cancel_remark")},
		{"letter case", named("Access_Token", "User_GSTIN", "IRN", "Cancel_Reason", "Cancel_Remarks")},
		{"own words", named("schlüssel", "firma", "beleg", "grund", "text")},
	},
	"order": {
		{"documented", func(*call) {}},
		{"reversed", func(c *call) { c.order = []int{4, 3, 2, 1, 0}; slices.Reverse(c.names) }},
		{"last first", func(c *call) {
			c.order = []int{4, 0, 1, 2, 3}
			c.names = append(c.names[4:5:5], c.names[:4]...)
		}},
	},
	"prefix": {
		{"none", func(*call) {}},
		{"the wrapper's", func(c *call) { c.declare += ` xmlns:k="urn:server"`; c.childPrefix = "k:" }},
		{"another", func(c *call) { c.declare += ` xmlns:k="urn:kids"`; c.childPrefix = "k:" }},
		{"soap's", func(c *call) { c.childPrefix = "e:" }},
		{"undeclared", func(c *call) { c.childPrefix = "k:" }},
	},
	"charset": {
		{"utf-8", func(*call) {}},
		{"utf-8 thrice", labelled("; charset=utf-8", "utf-8", "Rückgabe ₹", nil)},
		{"utf-8 quoted", labelled(`; charset="UTF-8"`, "UTF-8", "Rückgabe", nil)},
		{"latin-1 thrice", labelled("; charset=ISO-8859-1", "ISO-8859-1", "Rückgabe", latin)},
		{"latin-1 over declared utf-8", labelled("; charset=ISO-8859-1", "utf-8", "Rückgabe ₹", nil)},
		{"latin-1 over utf-8", labelled("; charset=ISO-8859-1", "", "Rückgabe", nil)},
		{"windows-1252 as latin-1", labelled("; charset=ISO-8859-1", "ISO-8859-1", "“Rückgabe” – 5 €", latin)},
		{"no label", labelled("", "", "plain", nil)},
		{"no label over declared utf-8", labelled("", "UTF-8", "Rückgabe", nil)},
		{"ascii over utf-8", labelled("; charset=us-ascii", "", "Rückgabe", nil)},
		{"unknown over ascii", labelled("; charset=x-sap-ascii", "", "plain", nil)},
		{"no-break C1", labelled("; charset=utf-8", "", "\u0093Wrong\u0094 \u0096 entry", nil)},
	},
	"media": {
		{"text/xml", func(*call) {}},
		{"no semicolon", func(c *call) { c.charset = strings.TrimPrefix(c.charset, ";") }},
		{"joined twice", func(c *call) { c.contentType = "text/xml, text/xml" }},
		{"action", func(c *call) { c.charset += `; action="urn:server#eInvoiceCancel"` }},
		{"encoding is a charset", func(c *call) { c.more += "Content-Encoding: UTF-8\r\n" }},
		{"encoding is a media type", func(c *call) { c.more += "Content-Encoding: text/xml\r\n" }},
		{"soap+xml", func(c *call) { c.contentType = "application/soap+xml" }},
		{"plain", func(c *call) { c.contentType = "text/plain" }},
		{"json", func(c *call) { c.contentType = "application/json" }},
	},
	"block": {
		{"none", func(*call) {}},
		{"empty", block("")},
		{"optional", block(`<t:Trace xmlns:t="urn:tracing">x</t:Trace>`)},
		{"mandatory", block(`<t:Trace xmlns:t="urn:tracing" e:mustUnderstand="1">x</t:Trace>`)},
		{"other actor", block(`<t:Trace xmlns:t="urn:tracing" e:actor="urn:other" e:mustUnderstand="1">x</t:Trace>`)},
		{"undeclared", block(`<t:Trace>x</t:Trace>`)},
		{"reply elsewhere", block(`<a:MessageID xmlns:a="http://www.w3.org/2005/08/addressing">urn:1</a:MessageID><a:ReplyTo xmlns:a="http://www.w3.org/2005/08/addressing"><a:Address>http://10.0.0.1/</a:Address></a:ReplyTo>`)},
		{"empty security", block(`<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" e:mustUnderstand="1"/>`)},
		{"many", block(strings.Repeat(`<t:Trace xmlns:t="urn:tracing">x</t:Trace>`, 17))},
	},
	"envelope": {
		{"1.1", func(*call) {}},
		{"no slash", func(c *call) { c.envelope = strings.TrimSuffix(soap11Envelope, "/") }},
		{"https", func(c *call) { c.envelope = strings.Replace(soap11Envelope, "http:", "https:", 1) }},
		{"W3Schools", func(c *call) { c.envelope = "http://www.w3.org/2001/12/soap-envelope" }},
		{"blanks", func(c *call) { c.envelope = " " + soap11Envelope + "\n" }},
		{"1.2", func(c *call) { c.envelope = soap12 }},
		{"1.2 and a slash", func(c *call) { c.envelope = soap12 + "/" }},
		{"nonsense namespace", func(c *call) { c.envelope = "urn:nonsense" }},
	},
	"action": {
		{"quoted", func(*call) {}},
		{"bare", func(c *call) { c.action = strings.ReplaceAll(c.action, `"`, "") }},
		{"empty", func(c *call) { c.action = "SOAPAction: \"\"\r\n" }},
		{"absent", func(c *call) { c.action = "" }},
		{"another's", func(c *call) { c.action = "SOAPAction: \"urn:server#access_new_token\"\r\n" }},
		{"any", func(c *call) { c.action = "soapaction: http://tempuri.org/IServer/eInvoiceCancel\r\n" }},
	},
	"types": {
		{"none", func(*call) {}},
		{"xsi:type", func(c *call) {
			c.declare += ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"`
			c.childAttrs = ` xsi:type="xsd:string"`
		}},
		{"undeclared", func(c *call) { c.childAttrs = ` xsi:type="xsd:string"` }},
		{"encodingStyle", func(c *call) { c.wrapper += ` e:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"` }},
		{"undeclared encodingStyle", func(c *call) { c.wrapper += ` soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"` }},
		{"padded reason", func(c *call) { c.values[3] = "01" }},
	},
	"oddity": {
		{"none", func(*call) {}},
		{"indented", func(c *call) { c.between = "\r\n    " }},
		{"no-break spaces", func(c *call) { c.between = "&#160;\n" }},
		{"comment", func(c *call) { c.between = "<!-- x -->" }},
		{"siebel", func(c *call) { c.before = `<?Siebel-Property-Set EscapeNames="false"?>` }},
		{"instruction in Body", func(c *call) { c.bodyBefore, c.between = `<?x y?>`, `<?mso-x y?>` }},
		{"instruction after", func(c *call) { c.after = `<?x y?>` }},
		{"instruction in a value", func(c *call) { c.values[4] = "Wrong<?x y?> entry" }},
		{"blanks in values", func(c *call) { c.values[2] = "\n  " + irn + "  \n" }},
		{"CDATA", func(c *call) { c.values[4] = "<![CDATA[Wrong <entry>]]>" }},
		{"references", func(c *call) { c.values[4] = "Wrong &#101;ntry &amp; more &#xE9;" }},
		{"dtd", func(c *call) { c.before = "<!DOCTYPE e>" }},
		{"second operation", func(c *call) { c.bodyAfter = `<eInvoiceCancel xmlns="urn:server"/>` }},
		{"beside the operation", func(c *call) { c.bodyAfter = `<x/>` }},
		{"header after body", func(c *call) { c.headerAfter = `<e:Header/>` }},
		{"child repeated", func(c *call) { c.children = `<cancel_remarks>x</cancel_remarks>` }},
		{"child nested", func(c *call) { c.values[4] = "<a>Wrong</a>" }},
		{"xml 1.1", func(c *call) { c.declaration = `<?xml version="1.1"?>` }},
		{"text after", func(c *call) { c.after = "x" }},
		{"lone &", func(c *call) { c.values[4] = "a & b" }},
		{"cut off", func(c *call) { c.encode = func(s string) string { return s[:len(s)-30] } }},
		{"bom", func(c *call) { c.declaration = "\uFEFF" + c.declaration }},
		{"leading line", func(c *call) { c.declaration, c.before = "", "\n" }},
	},
	"wrapper": {
		{"documented", func(*call) {}},
		{"lower case", func(c *call) { c.wrapper = strings.Replace(c.wrapper, "eInvoiceCancel", "einvoicecancel", 1) }},
		{"Request", func(c *call) { c.wrapper = strings.Replace(c.wrapper, "eInvoiceCancel", "eInvoiceCancelRequest", 1) }},
		{"any", func(c *call) { c.wrapper = strings.Replace(c.wrapper, "eInvoiceCancel", "Cancel", 1) }},
	},
	"http": {
		{"1.1", func(*call) {}},
		{"1.0", func(c *call) { c.httpVersion = "1.0" }},
		{"SOAPAction twice", func(c *call) { c.more += "SOAPAction: \"\"\r\n" }},
	},
}

var kinds = []string{"wrapper", "namespace", "names", "order", "prefix", "charset", "media", "block", "envelope", "action", "types", "oddity", "http"}

// variations are the plain call with each single feature, and then with several drawn at a time, always the same.
func variations() (all []probe) {
	add := func(chosen map[string]feature) {
		c, name := plainCall(), "call"
		for _, kind := range kinds { // in this order: some build upon others
			if f, ok := chosen[kind]; ok {
				f.set(c)
				name += " " + kind + "=" + f.name
			}
		}
		all = append(all, probe{name, c.raw()})
	}
	for _, kind := range kinds {
		for _, f := range dimensions[kind] {
			add(map[string]feature{kind: f})
		}
	}
	rnd := rand.New(rand.NewPCG(16, 541))
	for range 600 {
		chosen := map[string]feature{}
		for range 2 + rnd.IntN(4) {
			kind := kinds[rnd.IntN(len(kinds))]
			chosen[kind] = dimensions[kind][rnd.IntN(len(dimensions[kind]))]
		}
		add(chosen)
	}
	return all
}
