package soap

import (
	"encoding/xml"
	"slices"

	"einvoice-bridge/bridge/soap/payload"
)

// Decoder reads requests. Make it with NewDecoder, adjust its fields before first use; then it is safe for
// concurrent use.
type Decoder struct {
	Limits Limits
	// Strict refuses what is otherwise read and noted: an operation in another namespace or letter case, unknown
	// parameters, parameter names in another letter case, a SOAPAction that names another operation, an envelope whose
	// version doesn't go with its Content-Type.
	Strict bool
	// WholeTokens refuses a malformed UsernameToken, which is otherwise ignored, for a server that checks them.
	WholeTokens bool
	// Accept is what is read beyond that.
	Accept

	contract *Contract
	ops      []*opTable
}

// Accept is what the original reads and a decoder doesn't, unless it is told to: each lets something pass that may have
// been meant otherwise.
type Accept struct {
	// Understood lists further header blocks that may say mustUnderstand and are ignored: NAME, of whatever namespace, or
	// {NAMESPACE}NAME. UnderstoodAny ignores all.
	Understood    []string
	UnderstoodAny bool
	// BareParams accepts parameters right under Body when SOAPAction names the operation (SOAP::WSDL with rpc).
	BareParams bool
	// ActionDispatch lets a SOAPAction that names an operation stand for any body element.
	ActionDispatch bool
	// XML11 reads a document that declares XML 1.1 as if it were 1.0.
	XML11 bool
	// HeaderBlocks raises how many there may be; 0 leaves it.
	HeaderBlocks int
}

// With returns a copy of the decoder that accepts this.
func (d *Decoder) With(a Accept) *Decoder {
	wide := *d
	wide.Accept = a
	return &wide
}

func (d *Decoder) understands(name xml.Name) bool {
	return d.UnderstoodAny || slices.Contains(d.Understood, name.Local) ||
		slices.Contains(d.Understood, "{"+name.Space+"}"+name.Local)
}

// NewDecoder returns a lenient decoder for a contract, with the default limits.
func NewDecoder(c *Contract) *Decoder {
	return &Decoder{
		Limits:   Limits{BodyBytes: 64 << 10, InflatedBytes: 64 << 10, TranscodedBytes: 128 << 10},
		contract: c,
		ops:      []*opTable{newOpTable(&c.Cancel), newOpTable(&c.Token)},
	}
}

// Decode reads one request. Its error is always a *Fault, with what is known of the request filled in.
//
// The stages, each able to refuse: content encoding, multipart, character set, strict XML, envelope, header, body.
func (d *Decoder) Decode(h Header, body []byte) (*Request, error) {
	r := &reading{d: d, header: h, media: payload.ParseMedia(h.ContentType)}
	r.version = versionIn(r.media)
	if fault := r.read(body); fault != nil {
		return nil, r.complete(fault)
	}
	return r.request(), nil
}
