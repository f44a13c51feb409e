package soap

import (
	"errors"
	"strconv"
	"strings"

	"einvoice-bridge/bridge/soap/payload"
)

// EncodeRequest returns the envelope of a call, as an rpc/literal proxy would send it: every parameter, in the
// contract's order, from values by slot.
func (c *Contract) EncodeRequest(v Version, op *Operation, values map[string]string) []byte {
	b := append(make([]byte, 0, 1024), `<?xml version="1.0" encoding="utf-8"?><soapenv:Envelope xmlns:soapenv="`...)
	b = append(append(b, v.namespace()...), `" xmlns:urn="`...)
	b = append(appendText(b, c.Namespace), `"><soapenv:Body>`...)
	name := "urn:" + op.Name
	b = append(append(append(b, '<'), name...), '>')
	for _, p := range op.Request {
		b = appendElement(b, p.Name, values[p.Slot])
	}
	b = append(append(append(b, "</"...), name...), '>')
	return append(b, "</soapenv:Body></soapenv:Envelope>"...)
}

// RequestHeader returns what to send with EncodeRequest: SOAP 1.1 has a SOAPAction header, quoted (WS-I BP 1.1 R2744),
// SOAP 1.2 a parameter of Content-Type.
func (c *Contract) RequestHeader(v Version, op *Operation) Header {
	action := strconv.Quote(op.SOAPAction)
	if v == SOAP12 {
		return Header{ContentType: v.mediaType() + "; charset=utf-8; action=" + action}
	}
	return Header{ContentType: v.mediaType() + "; charset=utf-8", SOAPAction: action}
}

// Reply is an answer read back. Fault is nil unless the answer is one; else Operation tells which of the others is set.
type Reply struct {
	Version   Version
	Operation string
	Cancel    CancelReply
	Token     TokenReply
	Fault     *Fault
	Ref       string // the reference at the end of a fault's text
}

// DecodeReply reads an answer, and holds it to the contract: every part, in order, none besides.
func (d *Decoder) DecodeReply(h Header, body []byte) (*Reply, error) {
	r := &reading{d: d, header: h, media: payload.ParseMedia(h.ContentType), reply: &Reply{}}
	if fault := r.read(body); fault != nil {
		return nil, errors.New(strings.Replace(fault.Text, "The request", "the answer", 1))
	}
	r.reply.Version = r.spoken
	return r.reply, nil
}

// readReply reads the one element that an answer's Body holds.
func (r *reading) readReply() *Fault {
	t, fault := r.element("Body")
	switch {
	case fault != nil:
		return fault
	case t == tokEnd:
		return clientf("the answer's Body is empty")
	case r.scan.name == qname{r.spoken.namespace(), "Fault"}:
		fault = r.readFault()
	default:
		fault = r.readParts()
	}
	if fault != nil {
		return fault
	}
	if t, fault = r.element("Body"); fault == nil && t != tokEnd {
		return clientf("the answer's Body holds a second element")
	}
	return fault
}

// readParts reads a business answer.
func (r *reading) readParts() *Fault {
	c := r.d.contract
	space := r.scan.name.space // the original answers in the request's
	var op *Operation
	for _, t := range r.d.ops {
		if r.scan.name.local == t.responseName() {
			op = t.Operation
		}
	}
	if op == nil {
		return clientf("the answer's element is that of no operation in the contract")
	}
	if op.ResponseWrapper != "" {
		if fault := r.expect(space, op.ResponseWrapper); fault != nil {
			return fault
		}
	}
	values := make(map[string]string, len(op.Response))
	for _, p := range op.Response {
		if fault := r.expect(space, p.Name); fault != nil {
			return fault
		}
		text, _, simple, fault := r.leaf()
		if fault != nil {
			return fault
		}
		if !simple {
			return clientf("the answer's part %s holds elements", p.Name)
		}
		values[p.Slot] = text
	}
	if op.ResponseWrapper != "" {
		if fault := r.expectEnd(op.ResponseWrapper); fault != nil {
			return fault
		}
	}
	if fault := r.expectEnd(op.responseName()); fault != nil {
		return fault
	}
	return r.reply.fill(c, op, values)
}

// expect reads the start tag of the next part.
func (r *reading) expect(space, name string) *Fault {
	t, fault := r.element("the answer")
	if fault != nil {
		return fault
	}
	if !r.d.contract.Qualified {
		space = ""
	}
	if t != tokStart || (r.scan.name != qname{space, name}) {
		return clientf("the answer lacks part %s, or has it out of place", name)
	}
	return nil
}

func (r *reading) expectEnd(name string) *Fault {
	if t, fault := r.element("the answer"); fault != nil || t == tokEnd {
		return fault
	}
	return clientf("the answer's %s holds more parts than the contract names", name)
}

func (reply *Reply) fill(c *Contract, op *Operation, values map[string]string) *Fault {
	reply.Operation = op.Name
	if op == &c.Cancel {
		reply.Cancel = CancelReply{
			IRN: values[SlotIRN], CancelDate: values[SlotCancelDate], Message: values[SlotErrorMessage],
			Failed: c.Values.tellFailure(values), Code: values[SlotCode],
		}
		return nil
	}
	seconds, err := strconv.Atoi(values[SlotExpiresIn])
	if _, ok := values[SlotExpiresIn]; ok && err != nil {
		return clientf("the answer's part for %s is not a number", SlotExpiresIn)
	}
	reply.Token = TokenReply{
		AccessToken: values[SlotAccessToken], ExpiresIn: seconds, TokenType: values[SlotTokenType],
		ErrorDescription: values[SlotErrorDescription],
	}
	return nil
}

// tellFailure goes by the first of the words that an answer has.
func (v *Values) tellFailure(values map[string]string) bool {
	for _, w := range []struct{ slot, success string }{{SlotStatus, v.SuccessStatus}, {SlotCode, v.SuccessCode}, {SlotErrorFlag, v.SuccessFlag}} {
		if text, ok := values[w.slot]; ok {
			return text != w.success
		}
	}
	return true
}

// readFault reads a fault of either version.
func (r *reading) readFault() *Fault {
	texts, fault := r.texts()
	if fault != nil {
		return fault
	}
	f := &Fault{Version: r.spoken, Code: codeOf(texts["faultcode"]), Text: texts["faultstring"]}
	if r.spoken == SOAP12 {
		f.Code, f.Text = codeOf(texts["Code/Value"]), texts["Reason/Text"]
		f.Subcode = subcodeOf(texts["Code/Subcode/Value"])
	}
	const mark = " [ref "
	if i := strings.LastIndex(f.Text, mark); i >= 0 && strings.HasSuffix(f.Text, "]") {
		f.Text, r.reply.Ref = f.Text[:i], strings.TrimSuffix(f.Text[i+len(mark):], "]")
	}
	r.reply.Fault = f
	return nil
}

// texts reads to the end of the element just opened and returns the text of every element in it by its path.
func (r *reading) texts() (map[string]string, *Fault) {
	found := map[string]string{}
	var path []string
	r.buf = r.buf[:0]
	for {
		t, fault := r.scan.next()
		switch {
		case fault != nil:
			return nil, fault
		case t == tokInstruction:
			return nil, r.noInstruction()
		case t == tokStart:
			path, r.buf = append(path, r.scan.name.local), r.buf[:0]
		case t == tokText:
			r.buf = append(r.buf, r.scan.text...)
		case len(path) == 0:
			return found, nil
		default:
			if key := strings.Join(path, "/"); found[key] == "" {
				found[key] = trimXML(string(r.buf))
			}
			path, r.buf = path[:len(path)-1], r.buf[:0]
		}
	}
}

func local(qname string) string { return qname[strings.LastIndexByte(qname, ':')+1:] }

// codeOf reads a fault code; the dotted refinements of SOAP 1.1 §4.4.1 are cut off. What is unknown is not our fault.
func codeOf(value string) Code {
	name, _, _ := strings.Cut(local(value), ".")
	for _, c := range []Code{Client, VersionMismatch, MustUnderstand, DataEncodingUnknown} {
		if name == c.local(SOAP11) || name == c.local(SOAP12) {
			return c
		}
	}
	return Server
}

func subcodeOf(value string) Subcode {
	name := local(value)
	for _, s := range []Subcode{ProcedureNotPresent, BadArguments, invalidSecurity} {
		if name == s.Local {
			return s
		}
	}
	return Subcode{Local: name}
}
