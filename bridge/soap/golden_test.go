package soap_test

import (
	"encoding/xml"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge/soap"
)

var update = flag.Bool("update", false, "rewrite the golden replies in fixtures/soap/replies")

// golden is one reply that is kept byte for byte.
type golden struct {
	name string
	make func(c *soap.Contract) []byte
}

var (
	sampleIRN = "1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae"
	success   = soap.CancelReply{IRN: sampleIRN, CancelDate: "2021-06-01 20:30:00"}
	failure   = soap.CancelReply{Failed: true, Message: "2143: Invoice does not belongs to the user GSTIN"}
	issued    = soap.TokenReply{AccessToken: "b29cee2156282be62f51b24fe8b3f07f01c9bff1", ExpiresIn: 14400, TokenType: "bearer"}
	denied    = soap.TokenReply{ErrorDescription: "The client credentials are invalid"}
	nosuch    = &soap.Fault{Code: soap.Client, Subcode: soap.ProcedureNotPresent, Text: "Operation 'nosuch' is not defined in the WSDL for this service"}
	unknown   = soap.ServerFault("Outcome unknown; the invoice may have been cancelled. Sending the same request again is safe.")
	mandatory = &soap.Fault{
		Code: soap.MustUnderstand, Text: "A mandatory header block is not understood",
		NotUnderstood: []xml.Name{{Space: "urn:tracing", Local: "Trace"}, {Local: "Bare"}, {Space: "urn:a&b", Local: "Größe"}},
	}
	mismatch = &soap.Fault{Code: soap.VersionMismatch, Text: "The root element is not a SOAP 1.1 or SOAP 1.2 Envelope"}
	wsa      = &soap.Addressing{Namespace: "http://www.w3.org/2005/08/addressing", MessageID: "urn:uuid:1&2", ReplyID: "urn:uuid:3"}
	wsa2004  = &soap.Addressing{Namespace: "http://schemas.xmlsoap.org/ws/2004/08/addressing", MessageID: "urn:uuid:1", ReplyID: "urn:uuid:3"}
)

func goldens() []golden {
	cancel := func(v soap.Version, a *soap.Addressing, r soap.CancelReply, adjust func(*soap.Contract)) func(*soap.Contract) []byte {
		return func(c *soap.Contract) []byte {
			if adjust != nil {
				adjust(c)
			}
			return c.EncodeCancel(v, a, r)
		}
	}
	token := func(v soap.Version, r soap.TokenReply) func(*soap.Contract) []byte {
		return func(c *soap.Contract) []byte { return c.EncodeToken(v, nil, r) }
	}
	fault := func(v soap.Version, a *soap.Addressing, f *soap.Fault) func(*soap.Contract) []byte {
		return func(c *soap.Contract) []byte { return c.EncodeFault(v, a, f, "7f3a") }
	}
	typed := func(v soap.Version) func(*soap.Contract) []byte {
		return func(c *soap.Contract) []byte {
			c.Faults.TypedDetail = true
			return c.EncodeFault(v, nil, unknown, "7f3a")
		}
	}
	hostile := soap.CancelReply{Failed: true, Message: "</errorMessage><code>200</code> \"it's\" \x08\x00 a & b\r\n\tGröße ₹ 😀 \uFFFE"}
	return []golden{
		{"cancel-success", cancel(soap.SOAP11, nil, success, nil)},
		{"cancel-failure", cancel(soap.SOAP11, nil, failure, nil)},
		{"cancel-hostile-text", cancel(soap.SOAP11, nil, hostile, nil)},
		{"cancel-trouble-as-reply", cancel(soap.SOAP11, nil, soap.CancelReply{Failed: true, Message: unknown.Text, Code: "503"}, nil)},
		{"cancel-success-soap12", cancel(soap.SOAP12, nil, success, nil)},
		{"cancel-failure-soap12", cancel(soap.SOAP12, nil, failure, nil)},
		{"cancel-addressed", cancel(soap.SOAP12, wsa, success, nil)},
		{"cancel-addressed-2004", cancel(soap.SOAP11, wsa2004, success, nil)},
		{"cancel-mimic-encoding-style", cancel(soap.SOAP11, nil, failure, func(c *soap.Contract) { c.Mimic.EncodingStyle = true })},
		{"cancel-mimic-latin-1", cancel(soap.SOAP11, nil, success, func(c *soap.Contract) { c.Mimic.ResponseCharset = "iso-8859-1" })},
		{"cancel-wrapper", cancel(soap.SOAP11, nil, success, func(c *soap.Contract) { c.Cancel.ResponseWrapper = "return" })},
		{"cancel-qualified", cancel(soap.SOAP11, nil, success, func(c *soap.Contract) {
			c.Qualified, c.Cancel.ResponseWrapper, c.Cancel.ResponseName = true, "result", "CancelResult"
		})},
		{"cancel-constant-part", cancel(soap.SOAP11, nil, success, func(c *soap.Contract) {
			c.Cancel.Response = append(c.Cancel.Response[:4:4], append([]soap.Part{{Slot: soap.SlotConst, Name: "InfoDtls"}}, c.Cancel.Response[4:]...)...)
		})},
		{"token-issued", token(soap.SOAP11, issued)},
		{"token-denied", token(soap.SOAP11, denied)},
		{"token-issued-soap12", token(soap.SOAP12, issued)},
		{"fault-client", fault(soap.SOAP11, nil, nosuch)},
		{"fault-server", fault(soap.SOAP11, nil, unknown)},
		{"fault-version-mismatch", fault(soap.SOAP11, nil, mismatch)},
		{"fault-must-understand", fault(soap.SOAP11, nil, mandatory)},
		{"fault-addressed", fault(soap.SOAP11, wsa, unknown)},
		{"fault-typed", typed(soap.SOAP11)},
		{"fault-client-soap12", fault(soap.SOAP12, nil, nosuch)},
		{"fault-server-soap12", fault(soap.SOAP12, nil, unknown)},
		{"fault-version-mismatch-soap12", fault(soap.SOAP12, nil, mismatch)},
		{"fault-must-understand-soap12", fault(soap.SOAP12, nil, mandatory)},
		{"fault-addressed-soap12", fault(soap.SOAP12, wsa, mandatory)},
		{"fault-encoding-unknown-soap12", fault(soap.SOAP12, nil, &soap.Fault{Code: soap.DataEncodingUnknown, Text: "The encodingStyle of the operation is not known"})},
		{"fault-typed-soap12", typed(soap.SOAP12)},
	}
}

func (g golden) path() string { return "../../fixtures/soap/replies/" + g.name + ".xml" }

func TestGoldenReplies(t *testing.T) {
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			got := g.make(soap.DefaultContract())
			if *update {
				if err := os.WriteFile(g.path(), got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(g.path())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The bytes that the contract prints, typed from it and not from the program.
func TestPublishedBytes(t *testing.T) {
	c := soap.DefaultContract()
	const open = `<?xml version="1.0" encoding="utf-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/"><SOAP-ENV:Body>`
	const shut = `</SOAP-ENV:Body></SOAP-ENV:Envelope>`
	for _, tc := range []struct{ name, got, want string }{
		{"success", string(c.EncodeCancel(soap.SOAP11, nil, success)), open + `<ns1:eInvoiceCancelResponse xmlns:ns1="urn:server"><Irn>1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae</Irn><CancelDate>2021-06-01 20:30:00</CancelDate><error>0</error><errorMessage></errorMessage><status>Success</status><code>200</code></ns1:eInvoiceCancelResponse>` + shut},
		{"failure", string(c.EncodeCancel(soap.SOAP11, nil, failure)), open + `<ns1:eInvoiceCancelResponse xmlns:ns1="urn:server"><Irn></Irn><CancelDate></CancelDate><error>1</error><errorMessage>2143: Invoice does not belongs to the user GSTIN</errorMessage><status>Failed</status><code>204</code></ns1:eInvoiceCancelResponse>` + shut},
		{"token", string(c.EncodeToken(soap.SOAP11, nil, issued)), open + `<ns1:access_new_tokenResponse xmlns:ns1="urn:server"><access_token>b29cee2156282be62f51b24fe8b3f07f01c9bff1</access_token><expires_in>14400</expires_in><token_type>bearer</token_type><error_description></error_description></ns1:access_new_tokenResponse>` + shut},
		{"no token", string(c.EncodeToken(soap.SOAP11, nil, denied)), open + `<ns1:access_new_tokenResponse xmlns:ns1="urn:server"><access_token></access_token><expires_in>0</expires_in><token_type></token_type><error_description>The client credentials are invalid</error_description></ns1:access_new_tokenResponse>` + shut},
		{"fault", string(c.EncodeFault(soap.SOAP11, nil, nosuch, "7f3a")), open + `<SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>Operation &apos;nosuch&apos; is not defined in the WSDL for this service [ref 7f3a]</faultstring><faultactor></faultactor><detail></detail></SOAP-ENV:Fault>` + shut},
		{"fault 1.2", string(c.EncodeFault(soap.SOAP12, nil, nosuch, "")), `<?xml version="1.0" encoding="utf-8"?><env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"><env:Body>` +
			`<env:Fault><env:Code><env:Value>env:Sender</env:Value><env:Subcode><env:Value xmlns:rpc="http://www.w3.org/2003/05/soap-rpc">rpc:ProcedureNotPresent</env:Value></env:Subcode></env:Code><env:Reason><env:Text xml:lang="en">Operation &apos;nosuch&apos; is not defined in the WSDL for this service</env:Text></env:Reason></env:Fault>` +
			`</env:Body></env:Envelope>`},
	} {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestContentType(t *testing.T) {
	c := soap.DefaultContract()
	latin1 := soap.DefaultContract()
	latin1.Mimic.ResponseCharset = "iso-8859-1"
	for got, want := range map[string]string{
		c.ContentType(0):                "text/xml; charset=utf-8",
		c.ContentType(soap.SOAP11):      "text/xml; charset=utf-8",
		c.ContentType(soap.SOAP12):      "application/soap+xml; charset=utf-8",
		latin1.ContentType(soap.SOAP11): "text/xml; charset=ISO-8859-1",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestFaultStatus(t *testing.T) {
	usual, spec := soap.DefaultContract(), soap.DefaultContract()
	spec.Faults.SpecStatus = true
	for _, tc := range []struct {
		c    *soap.Contract
		v    soap.Version
		f    *soap.Fault
		want int
	}{
		{usual, soap.SOAP11, soap.ClientFault("x"), 500},
		{usual, soap.SOAP12, soap.ClientFault("x"), 500},
		{usual, soap.SOAP12, soap.ServerFault("x"), 500},
		{usual, soap.SOAP11, soap.HTTPFault(413, "x"), 413},
		{spec, soap.SOAP11, soap.ClientFault("x"), 500},
		{spec, soap.SOAP12, soap.ClientFault("x"), 400},
		{spec, soap.SOAP12, &soap.Fault{Code: soap.DataEncodingUnknown}, 500},
		{spec, soap.SOAP12, &soap.Fault{Code: soap.MustUnderstand}, 500},
		{spec, soap.SOAP12, soap.ServerFault("x"), 500},
		{spec, soap.SOAP12, soap.HTTPFault(415, "x"), 415},
	} {
		if got := tc.c.FaultStatus(tc.v, tc.f); got != tc.want {
			t.Errorf("SOAP %s %v: status %d, want %d", tc.v, tc.f, got, tc.want)
		}
	}
}
