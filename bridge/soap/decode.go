package soap

import "encoding/xml"

// Decoder reads requests. Make it with NewDecoder, adjust its fields before first use; then it is safe for
// concurrent use.
type Decoder struct {
	Limits Limits
	// Strict refuses what is otherwise read and noted: unknown parameters, parameter names in another letter case, a
	// SOAPAction that names another operation, an envelope whose version doesn't go with its Content-Type.
	Strict bool
	// RefuseMultipart answers MTOM and SwA requests with 415 instead of reading their root part.
	RefuseMultipart bool
	// Security says what a WS-Security header block is worth.
	Security SecurityPolicy
	// Understood lists further header blocks that may say mustUnderstand and are ignored.
	Understood []xml.Name
	// BareParams accepts parameters right under Body when SOAPAction names the operation (SOAP::WSDL with rpc).
	BareParams bool
	// ActionDispatch lets a SOAPAction that names an operation stand for an unknown body element, as NuSOAP does.
	ActionDispatch bool

	contract *Contract
	ops      []*opTable
}

// NewDecoder returns a lenient decoder for a contract, with the default limits.
func NewDecoder(c *Contract) *Decoder {
	return &Decoder{
		Limits:   DefaultLimits(),
		contract: c,
		ops:      []*opTable{newOpTable(&c.Cancel), newOpTable(&c.Token)},
	}
}

// Decode reads one request. Its error is always a *Fault, with what is known of the request filled in.
//
// The stages, each able to refuse: content encoding, multipart, character set, strict XML, envelope, header, body.
func (d *Decoder) Decode(h Header, body []byte) (*Request, error) {
	r := &reading{d: d, header: h, media: parseMediaType(h.ContentType)}
	r.version = r.media.version()
	if fault := r.read(body); fault != nil {
		return nil, r.complete(fault)
	}
	return r.request(), nil
}
