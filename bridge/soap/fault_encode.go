package soap

import (
	"encoding/xml"
	"strconv"
)

// EncodeFault returns the envelope of a fault. ref, the request's id, follows the text as " [ref …]"; "" leaves it out.
// a may be nil. The stable beginning of the text is what callers may match on.
func (c *Contract) EncodeFault(v Version, a *Addressing, f *Fault, ref string) []byte {
	if v == SOAP12 {
		return c.encodeFault12(a, f, ref)
	}
	return c.encodeFault11(a, f, ref)
}

func faultText(f *Fault, ref string) string {
	text := oneLine(f.Text, maxMessage)
	if ref != "" {
		text += " [ref " + ref + "]"
	}
	return text
}

// The four children are always there, unqualified and in schema order: without detail a .NET proxy throws
// SoapHeaderException, text in it breaks Axis 1.4, and its children break Mono's WCF client.
func (c *Contract) encodeFault11(a *Addressing, f *Fault, ref string) []byte {
	b := c.appendOpen(make([]byte, 0, 768), SOAP11, "")
	if a != nil {
		b = append(b, "<SOAP-ENV:Header>"...)
		b = appendAddressing(b, a, a.Namespace+"/fault")
		b = append(b, "</SOAP-ENV:Header>"...)
	}
	b = append(b, "<SOAP-ENV:Body><SOAP-ENV:Fault>"...)
	b = appendElement(b, "faultcode", "SOAP-ENV:"+f.Code.local(SOAP11))
	b = appendElement(b, "faultstring", faultText(f, ref))
	b = append(b, "<faultactor></faultactor><detail>"...)
	b = c.appendDetail(b, f, ref)
	return append(b, "</detail></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"...)
}

func (c *Contract) encodeFault12(a *Addressing, f *Fault, ref string) []byte {
	b := c.appendDeclaration(make([]byte, 0, 768))
	b = append(b, `<env:Envelope xmlns:env="`+ns12Envelope+`">`...)
	b = appendFaultHeader12(b, a, f)
	b = append(b, "<env:Body><env:Fault><env:Code>"...)
	b = appendElement(b, "env:Value", "env:"+f.Code.local(SOAP12))
	if s := f.Subcode; s.Local != "" {
		b = append(append(append(b, "<env:Subcode><env:Value xmlns:"...), s.Prefix...), `="`...)
		b = append(append(append(b, s.Namespace...), `">`...), s.Prefix...)
		b = append(append(append(b, ':'), s.Local...), "</env:Value></env:Subcode>"...)
	}
	b = append(b, `</env:Code><env:Reason><env:Text xml:lang="en">`...)
	b = append(appendText(b, faultText(f, ref)), "</env:Text></env:Reason>"...)
	if c.Faults.TypedDetail {
		b = append(c.appendDetail(append(b, "<env:Detail>"...), f, ref), "</env:Detail>"...)
	}
	return append(b, "</env:Fault></env:Body></env:Envelope>"...)
}

// appendFaultHeader12 writes what SOAP 1.2 wants beside a fault: the versions understood (part 1 §5.4.7) or the blocks
// not understood (§5.4.8), and the WS-Addressing headers.
func appendFaultHeader12(b []byte, a *Addressing, f *Fault) []byte {
	if a == nil && f.Code != VersionMismatch && len(f.NotUnderstood) == 0 {
		return b
	}
	b = append(b, "<env:Header>"...)
	if f.Code == VersionMismatch {
		b = append(b, `<env:Upgrade><env:SupportedEnvelope qname="ns1:Envelope" xmlns:ns1="`+ns12Envelope+`"/>`+
			`<env:SupportedEnvelope qname="ns2:Envelope" xmlns:ns2="`+ns11Envelope+`"/></env:Upgrade>`...)
	}
	for i, name := range f.NotUnderstood {
		b = appendNotUnderstood(b, name, "h"+strconv.Itoa(i+1))
	}
	if a != nil {
		b = appendAddressing(b, a, a.Namespace+"/fault")
	}
	return append(b, "</env:Header>"...)
}

// appendDetail appends the typed detail, where it is wanted.
func (c *Contract) appendDetail(b []byte, f *Fault, ref string) []byte {
	if !c.Faults.TypedDetail {
		return b
	}
	prefix := ""
	if c.Qualified {
		prefix = "f:"
	}
	b = append(appendText(append(b, `<f:bridgeFault xmlns:f="`...), c.Namespace), `">`...)
	b = appendElement(b, prefix+"code", f.Code.String())
	b = appendElement(b, prefix+"message", oneLine(f.Text, maxMessage))
	b = appendElement(b, prefix+"ref", ref)
	return append(b, "</f:bridgeFault>"...)
}

func appendNotUnderstood(b []byte, name xml.Name, prefix string) []byte {
	b = append(b, `<env:NotUnderstood qname="`...)
	if name.Space == "" {
		return append(appendText(b, name.Local), `"/>`...)
	}
	b = append(append(b, prefix...), ':')
	b = append(append(appendText(b, name.Local), `" xmlns:`...), prefix...)
	return append(appendText(append(b, `="`...), name.Space), `"/>`...)
}
