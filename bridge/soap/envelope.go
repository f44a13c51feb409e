package soap

import (
	"net/http"
	"slices"
	"strings"

	"einvoice-bridge/bridge/soap/payload"
)

// reading is one Decode or DecodeReply under way.
type reading struct {
	d      *Decoder
	header Header
	media  payload.Media // header.ContentType
	scan   scanner

	spoken  Version // the envelope's
	version Version // to answer in
	op      *opTable
	name    qname // of the operation's element
	params  []Param
	pending []pendingRef
	refs    []*reference
	buf     []byte

	places   int     // children of the operation, so far
	moved    bool    // one that is known by its name stands elsewhere than documented
	strays   []value // children whose names are no parameter's
	unplaced []string
	// unwrapped tells that the parameters stand right under Body.
	unwrapped bool

	addressing *Addressing
	token      *UsernameToken
	// reply is set when an answer is read instead of a request.
	reply *Reply
	// refused is what the header is refused for. It is told as soon as the operation's name is known, so that a server
	// may still relay an operation that isn't ours.
	refused *Fault
}

func (r *reading) note(text string) { r.scan.note(text) }

func (r *reading) read(body []byte) *Fault {
	if fault := r.open(body); fault != nil {
		return fault
	}
	return r.envelope()
}

// open gets the scanner to the beginning of the text.
func (r *reading) open(body []byte) *Fault {
	doc, refusal := payload.Open(r.media, r.header.ContentEncoding, body, r.d.Limits, r.note)
	if refusal != nil {
		f := &Fault{Code: Client, Text: refusal.Text, HTTPStatus: refusal.Status}
		if refusal.Found != "" {
			f.came(refusal.Found)
		}
		return f
	}
	if len(doc) == 0 {
		return clientf("The request body is empty")
	}
	return r.scan.init(doc, r.d.XML11)
}

// complete fills in what is known of the request, for the answer.
func (r *reading) complete(f *Fault) *Fault {
	if r.refused != nil {
		f = r.refused
	}
	f.Version, f.Operation, f.Addressing = r.version, r.name.local, r.addressing
	f.foreign = f.Operation != "" && r.d.foreign(f.Operation, r.action())
	return f
}

func (r *reading) request() *Request {
	hide := r.scan.hidden.spans
	slices.SortFunc(hide, func(a, b span) int { return a.start - b.start })
	return &Request{
		Version: r.version, Operation: r.op.Name, Namespace: r.name.space, Params: r.params,
		Addressing: r.addressing, UsernameToken: r.token, Notes: r.scan.notes, Unplaced: r.unplaced, Moved: r.moved || len(r.unplaced) > 0,
		doc: r.scan.doc, hide: hide,
	}
}

func (r *reading) envelope() *Fault {
	if _, fault := r.element("the document"); fault != nil {
		return fault
	}
	version := versionOf(r.scan.name.space)
	if version == 0 || r.scan.name.local != "Envelope" {
		return (&Fault{Code: VersionMismatch, Text: "The root element is not a SOAP 1.1 or SOAP 1.2 Envelope"}).came(r.scan.shown())
	}
	if fault := r.setVersion(version); fault != nil {
		return fault
	}
	return r.envelopeChildren()
}

func (r *reading) envelopeChildren() *Fault {
	header, body := false, false
	fault := r.children("Envelope", func() *Fault {
		switch r.scan.name {
		case qname{r.spoken.namespace(), "Header"}:
			if header || body {
				return clientf("A second or misplaced Header at byte %d", r.scan.start)
			}
			header = true
			return r.readHeader()
		case qname{r.spoken.namespace(), "Body"}:
			if body {
				return clientf("A second Body at byte %d", r.scan.start)
			}
			body = true
			if r.reply != nil {
				return r.readReply()
			}
			return r.readBody()
		}
		return clientf("Envelope may only hold Header and Body, found something else at byte %d", r.scan.start)
	})
	if fault != nil {
		return fault
	}
	if !body {
		return clientf("The Envelope has no Body")
	}
	_, fault = r.element("the document")
	return fault
}

func (r *reading) setVersion(v Version) *Fault {
	told := r.media.Name
	r.spoken, r.version = v, v
	if (told == "text/xml" && v == SOAP12) || (told == "application/soap+xml" && v == SOAP11) {
		if r.d.Strict {
			return HTTPFault(http.StatusUnsupportedMediaType, "The Content-Type does not go with the version of the SOAP envelope")
		}
		r.note("the Content-Type does not go with the version of the SOAP envelope")
		r.version = SOAP11 // whoever says text/xml reads text/xml; the original answers so
	}
	if v == SOAP12 {
		return r.checkEnvelope12()
	}
	return nil
}

// checkEnvelope12 refuses what SOAP 1.2 part 1 §5.1 and §5.1.1 don't allow on Envelope, but for the encodingStyle that
// LuaSOAP and SOAP::Lite send.
func (r *reading) checkEnvelope12() *Fault {
	for _, a := range r.scan.attrs {
		if a.space == "" {
			return clientf("Attributes of Envelope must be in a namespace, one at byte %d is not", r.scan.start)
		}
	}
	if _, ok := r.scan.attr(ns12Envelope, "encodingStyle"); ok && r.d.Strict {
		return clientf("Envelope must not carry encodingStyle, found it at byte %d", r.scan.start)
	}
	return nil
}

// children reads to the end of the element just opened, with one call of read for each of its children, which has just been
// opened then.
func (r *reading) children(of string, read func() *Fault) *Fault {
	for {
		t, fault := r.element(of)
		if fault != nil || t == tokEnd {
			return fault
		}
		if fault := read(); fault != nil {
			return fault
		}
	}
}

// element reads the next tag inside an element that must hold no text of its own. Processing instructions (Siebel's,
// InfoPath's) and the no-break spaces of a page that was copied mean nothing there.
func (r *reading) element(inside string) (token, *Fault) {
	for {
		t, fault := r.scan.next()
		switch {
		case fault != nil:
			return 0, fault
		case t == tokInstruction:
			r.note("a processing instruction was skipped")
		case t != tokText:
			return t, nil
		case blank(r.scan.text):
		case strings.Trim(r.scan.text, xmlSpace+"\u00a0") == "":
			r.note("no-break spaces between elements were skipped")
		default:
			return 0, clientf("%s must not hold text, found some at byte %d", inside, r.scan.start)
		}
	}
}

// noInstruction refuses what would cut a value into pieces that different readers put together differently.
func (r *reading) noInstruction() *Fault {
	return clientf("Processing instructions are not allowed inside a value, found one at byte %d", r.scan.start)
}

// skip reads to the end of the element that was just opened.
func (r *reading) skip() *Fault {
	for depth := 1; depth > 0; {
		t, fault := r.scan.next()
		switch {
		case fault != nil:
			return fault
		case t == tokInstruction:
			return r.noInstruction()
		case t == tokStart:
			depth++
		case t == tokEnd:
			depth--
		}
	}
	return nil
}
