package soap

import (
	"cmp"
	"strconv"
)

// CancelReply is the answer to eInvoiceCancel. For a success IRN (as the caller sent it) and CancelDate are set; for a
// failure Failed and Message.
type CancelReply struct {
	// Namespace is that of the request's element; the answer's follows it.
	Namespace  string
	IRN        string
	CancelDate string
	Failed     bool
	Message    string
	// Code is the last part; "" stands for the contract's success or failure code.
	Code string
}

// TokenReply is the answer to access_new_token: a token, or an ErrorDescription and nothing else.
type TokenReply struct {
	Namespace        string // as in CancelReply
	AccessToken      string
	ExpiresIn        int // seconds
	TokenType        string
	ErrorDescription string
}

// Callers keep the message in fixed fields; the original never wrote a longer one.
const maxMessage = 1000

// ContentType returns the Content-Type of an answer, in the one spelling that WCF accepts.
func (c *Contract) ContentType(v Version) string {
	if c.latin1() {
		return v.mediaType() + "; charset=ISO-8859-1"
	}
	return v.mediaType() + "; charset=utf-8"
}

// EncodeCancel returns the envelope that answers eInvoiceCancel. a may be nil.
func (c *Contract) EncodeCancel(v Version, a *Addressing, r CancelReply) []byte {
	flag, status, code := c.Values.SuccessFlag, c.Values.SuccessStatus, c.Values.SuccessCode
	if r.Failed {
		flag, status, code = c.Values.FailedFlag, c.Values.FailedStatus, c.Values.FailedCode
	}
	return c.encodeReply(v, a, &c.Cancel, r.Namespace, map[string]string{
		SlotIRN: r.IRN, SlotCancelDate: r.CancelDate, SlotErrorFlag: flag, SlotErrorMessage: r.Message,
		SlotStatus: status, SlotCode: cmp.Or(r.Code, code),
	})
}

// EncodeToken returns the envelope that answers access_new_token. a may be nil. A failed call says 0 seconds: int-typed
// proxies throw on an empty element.
func (c *Contract) EncodeToken(v Version, a *Addressing, r TokenReply) []byte {
	return c.encodeReply(v, a, &c.Token, r.Namespace, map[string]string{
		SlotAccessToken: r.AccessToken, SlotExpiresIn: strconv.Itoa(r.ExpiresIn), SlotTokenType: r.TokenType,
		SlotErrorDescription: r.ErrorDescription,
	})
}

func (c *Contract) encodeReply(v Version, a *Addressing, op *Operation, namespace string, values map[string]string) []byte {
	style := op.EncodingStyle
	if style == "" && c.Mimic.EncodingStyle {
		style = op.Description
	}
	b := c.appendOpen(make([]byte, 0, 1024), v, style)
	if a != nil {
		b = append(b, "<SOAP-ENV:Header>"...)
		b = appendAddressing(b, a, op.SOAPAction+"Response")
		b = append(b, "</SOAP-ENV:Header>"...)
	}
	b = append(b, "<SOAP-ENV:Body>"...)
	name := "ns1:" + op.responseName()
	b = append(append(append(b, '<'), name...), ` xmlns:ns1="`...)
	if namespace == "" || namespace == op.Namespace {
		namespace = c.Namespace
	}
	b = append(appendText(b, namespace), `">`...)
	b = c.appendParts(b, op, values)
	b = append(append(append(b, "</"...), name...), '>')
	return append(b, "</SOAP-ENV:Body></SOAP-ENV:Envelope>"...)
}

// appendParts appends all parts, always, in the contract's order: a missing or misplaced one means wrong values in the
// rpc proxies of Mono, silent loss in WCF and an error in zeep.
func (c *Contract) appendParts(b []byte, op *Operation, values map[string]string) []byte {
	prefix := ""
	if c.Qualified {
		prefix = "ns1:"
	}
	if op.ResponseWrapper != "" {
		b = append(append(append(append(b, '<'), prefix...), op.ResponseWrapper...), '>')
	}
	for _, p := range op.Response {
		text := p.Const
		if p.Slot != SlotConst {
			text = oneLine(values[p.Slot], maxMessage)
		}
		b = appendPart(b, prefix+p.Name, p.Type, text)
	}
	if op.ResponseWrapper != "" {
		b = append(append(append(append(b, "</"...), prefix...), op.ResponseWrapper...), '>')
	}
	return b
}

// appendPart appends a part with the type that rpc/encoded callers go by, if there is one.
func appendPart(b []byte, name, typ, text string) []byte {
	if typ == "" {
		return appendElement(b, name, text)
	}
	b = append(append(append(b, '<'), name...), ` xsi:type="xsd:`...)
	b = append(append(b, typ...), `">`...)
	return append(append(append(appendText(b, text), "</"...), name...), '>')
}

// appendOpen appends the XML declaration and the start tag of an Envelope with the SOAP-ENV prefix.
func (c *Contract) appendOpen(b []byte, v Version, encodingStyle string) []byte {
	b = c.appendDeclaration(b)
	b = append(b, "<SOAP-ENV:Envelope"...)
	if encodingStyle != "" {
		b = append(appendText(append(b, ` SOAP-ENV:encodingStyle="`...), encodingStyle), '"')
	}
	b = append(append(append(b, ` xmlns:SOAP-ENV="`...), v.namespace()...), '"')
	b = append(b, ` xmlns:xsd="`+nsXSD+`" xmlns:xsi="`+nsXSI+`" xmlns:SOAP-ENC="`...)
	if v == SOAP12 {
		return append(b, ns12Encoding+`">`...)
	}
	return append(b, ns11Encoding+`">`...)
}

func (c *Contract) appendDeclaration(b []byte) []byte {
	if c.Mimic.NoDeclaration {
		return b
	}
	if c.latin1() {
		return append(b, `<?xml version="1.0" encoding="ISO-8859-1"?>`...)
	}
	return append(b, `<?xml version="1.0" encoding="utf-8"?>`...)
}

func (c *Contract) latin1() bool { return c.Mimic.ResponseCharset == "iso-8859-1" }
