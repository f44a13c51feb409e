package soap_test

import (
	"bytes"
	"strings"
	"testing"

	"einvoice-bridge/bridge/soap"
)

func TestEncodeRequest(t *testing.T) {
	c := soap.DefaultContract()
	got := string(c.EncodeRequest(soap.SOAP11, &c.Cancel, map[string]string{
		"access_token": "b29c", "user_gstin": "09AAAPG7885R002", "irn": "1e6a", "cancel_reason": "1", "cancel_remarks": "Wrong <entry>",
	}))
	want := `<?xml version="1.0" encoding="utf-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:urn="urn:server"><soapenv:Body>` +
		`<urn:eInvoiceCancel><access_token>b29c</access_token><user_gstin>09AAAPG7885R002</user_gstin><irn>1e6a</irn><cancel_reason>1</cancel_reason>` +
		`<cancel_remarks>Wrong &lt;entry&gt;</cancel_remarks></urn:eInvoiceCancel></soapenv:Body></soapenv:Envelope>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRequestHeader(t *testing.T) {
	c := soap.DefaultContract()
	if got, want := c.RequestHeader(soap.SOAP11, &c.Cancel), (soap.Header{ContentType: "text/xml; charset=utf-8", SOAPAction: `"urn:server#eInvoiceCancel"`}); got != want {
		t.Errorf("SOAP 1.1: %+v", got)
	}
	if got, want := c.RequestHeader(soap.SOAP12, &c.Cancel), (soap.Header{ContentType: `application/soap+xml; charset=utf-8; action="urn:server#eInvoiceCancel"`}); got != want {
		t.Errorf("SOAP 1.2: %+v", got)
	}
}

// An answer that departs from the contract is told apart, with what is wrong: a migration is settled by such a line.
func TestDecodeReplyHoldsToTheContract(t *testing.T) {
	c := soap.DefaultContract()
	good := string(c.EncodeCancel(soap.SOAP11, nil, success))
	token := string(c.EncodeToken(soap.SOAP11, nil, issued))
	cut := func(s, from, to string) string { // without what stands between the two
		before, rest, _ := strings.Cut(s, from)
		_, after, _ := strings.Cut(rest, to)
		return before + to + after
	}
	for _, tc := range []struct{ name, body, want string }{
		{"a part missing", cut(good, "<CancelDate>", "<error>"), "the answer lacks part CancelDate, or has it out of place"},
		{"parts out of order", strings.NewReplacer("<error>0</error>", "", "<status>", "<error>0</error><status>").Replace(good), "the answer lacks part error, or has it out of place"},
		{"a part more", strings.Replace(good, "</code>", "</code><more/>", 1), "the answer's eInvoiceCancelResponse holds more parts than the contract names"},
		{"a part that holds elements", strings.Replace(good, "Success", "<b/>", 1), "the answer's part status holds elements"},
		{"another operation", strings.ReplaceAll(good, "eInvoiceCancelResponse", "eInvoiceGetResponse"), "the answer's element is that of no operation in the contract"},
		{"an empty Body", cut(good, "<ns1:", "</SOAP-ENV:Body>"), "the answer's Body is empty"},
		{"a second element", strings.Replace(good, "</SOAP-ENV:Body>", "<a/></SOAP-ENV:Body>", 1), "the answer's Body holds a second element"},
		{"a token life in words", strings.Replace(token, "14400", "soon", 1), "the answer's part for expires_in is not a number"},
		{"HTML", "<html></html>", "The root element is not a SOAP 1.1 or SOAP 1.2 Envelope; it is 'html' in no namespace"},
		{"broken off", good[:len(good)-20], "the answer is not well-formed XML: it ends inside an element, at byte 589"},
		{"nothing", "", "the answer body is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reply, err := soap.NewDecoder(c).DecodeReply(soap.Header{ContentType: "text/xml"}, []byte(tc.body))
			if err == nil {
				t.Fatalf("was accepted: %+v", reply)
			}
			if err.Error() != tc.want {
				t.Errorf("got %q, want %q", err, tc.want)
			}
		})
	}
}

// The answers of other servers: their own prefixes, header blocks, dotted fault codes.
func TestDecodeForeignFaults(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		code       soap.Code
		text, ref  string
	}{
		{"NuSOAP", `<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><SOAP-ENV:Body><SOAP-ENV:Fault><faultcode xsi:type="xsd:string">SOAP-ENV:Client</faultcode><faultactor xsi:type="xsd:string"></faultactor><faultstring xsi:type="xsd:string">Operation &apos;&apos; is not defined</faultstring><detail xsi:type="xsd:string"></detail></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>`,
			soap.Client, "Operation '' is not defined", ""},
		{"dotted code, mandatory header", `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header><x:h xmlns:x="urn:x" s:mustUnderstand="1"/></s:Header><s:Body><s:Fault><faultcode>Client.Authentication</faultcode><faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>`,
			soap.Client, "no", ""},
		{"unknown code", `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>a:Boom</faultcode><faultstring>x [ref 1</faultstring></s:Fault></s:Body></s:Envelope>`,
			soap.Server, "x [ref 1", ""},
		{"WCF 1.2", `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:a="urn:a">a:ActionNotSupported</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">no such action [ref 9]</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>`,
			soap.Client, "no such action", "9"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reply, err := soap.NewDecoder(soap.DefaultContract()).DecodeReply(soap.Header{}, []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if reply.Fault == nil || reply.Fault.Code != tc.code || reply.Fault.Text != tc.text || reply.Ref != tc.ref {
				t.Errorf("got %v, ref %q", reply.Fault, reply.Ref)
			}
		})
	}
}

// Without a prescribed one, every answer gets a MessageID of its own.
func TestAddressedAnswersGetNewIDs(t *testing.T) {
	c := soap.DefaultContract()
	a := &soap.Addressing{Namespace: "http://www.w3.org/2005/08/addressing", MessageID: "urn:uuid:1"}
	one, two := c.EncodeCancel(soap.SOAP12, a, success), c.EncodeCancel(soap.SOAP12, a, success)
	if bytes.Equal(one, two) || !bytes.Contains(one, []byte(`>urn:uuid:1</wsa:RelatesTo>`)) || !bytes.Contains(one, []byte(`addressing">urn:uuid:`)) {
		t.Errorf("got %s\nand %s", one, two)
	}
}
