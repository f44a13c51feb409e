package soap

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"einvoice-bridge/bridge/soap/payload"
)

// Form is how an answer looks, whoever gave it: what a Contract decides, read back from the bytes. It is for holding
// another server's answers to ours.
type Form struct {
	Version       Version
	Charset       string // that Content-Type names, in lower case
	Declaration   string // encoding that the XML declaration names, in lower case; "none" without a declaration
	EncodingStyle string // of Envelope
	Blocks        int    // header blocks
	Fault         bool
	Element       string // in Body
	Namespace     string // of that
	Wrapper       string // the one element around all parts; "" for none
	Parts         []PartForm

	read *Request // of which only the masked copy is of use
}

// PartForm is one element of an answer.
type PartForm struct {
	Name      string
	Namespace string
	Type      string // of xsi:type: the name alone of one of XSD's, else {namespace}name
	Nil       bool
	Text      string
	Parts     []PartForm
}

// ReadForm reads an answer. Every text in an answer that issues tokens may be one, whatever its element is called:
// tokens hides all that look like it in the masked copy.
func ReadForm(h Header, body []byte, tokens bool) (*Form, error) {
	r := &reading{d: NewDecoder(DefaultContract()), header: h, media: payload.ParseMedia(h.ContentType)}
	f := &Form{Charset: strings.ToLower(r.media.Charset())}
	if fault := r.form(f, body, tokens); fault != nil {
		return nil, errors.New(strings.Replace(fault.Text, "The request", "the answer", 1))
	}
	hide := slices.DeleteFunc(r.scan.hidden.spans, r.scan.holdsElements)
	slices.SortFunc(hide, func(a, b span) int { return a.start - b.start })
	f.read = &Request{doc: r.scan.doc, hide: hide}
	return f, nil
}

// Masked returns the answer as UTF-8 text with every secret in it replaced by ***, as Request.Masked does.
func (f *Form) Masked(max int) []byte { return f.read.Masked(max) }

func (r *reading) form(f *Form, body []byte, tokens bool) *Fault {
	if fault := r.open(body); fault != nil {
		return fault
	}
	f.Declaration = "none"
	if d := payload.ParseDeclaration(r.scan.doc); d.Length > 0 {
		f.Declaration = strings.ToLower(d.Encoding)
	}
	if _, fault := r.element("the document"); fault != nil {
		return fault
	}
	if f.Version = versionOf(r.scan.name.space); f.Version == 0 || r.scan.name.local != "Envelope" {
		return clientf("the root element is no SOAP Envelope")
	}
	f.EncodingStyle, _ = r.scan.attr(r.scan.name.space, "encodingStyle")
	envelope, fault := r.partForm(tokens, false)
	if fault != nil {
		return fault
	}
	if _, fault = r.element("the document"); fault != nil {
		return fault
	}
	return f.take(envelope.Parts)
}

// take finds its way from Envelope's children to the parts.
func (f *Form) take(envelope []PartForm) *Fault {
	i := slices.IndexFunc(envelope, func(p PartForm) bool { return p.Name == "Body" })
	if i < 0 || len(envelope[i].Parts) != 1 {
		return clientf("the answer's Body does not hold one element")
	}
	if i > 0 {
		f.Blocks = len(envelope[0].Parts)
	}
	e := envelope[i].Parts[0]
	f.Element, f.Namespace, f.Parts = e.Name, e.Namespace, e.Parts
	f.Fault = e.Name == "Fault" && versionOf(e.Namespace) == f.Version
	if !f.Fault && len(e.Parts) == 1 && len(e.Parts[0].Parts) > 0 {
		f.Wrapper, f.Parts = e.Parts[0].Name, e.Parts[0].Parts
	}
	return nil
}

// holdsElements tells of a hidden span whether there are elements in it. Those of answers are hidden one by one, since
// access_new_tokenResponse is called like a secret and holds what must be seen.
func (s *scanner) holdsElements(hidden span) bool {
	return bytes.IndexByte(s.doc[hidden.start:hidden.end], '<') >= 0 && !bytes.HasSuffix(s.doc[:hidden.start], []byte(openComment)) && !hidden.value
}

// partForm reads the element that has just been opened, in a secret or not.
func (r *reading) partForm(tokens, secret bool) (PartForm, *Fault) {
	secret = secret || len(r.scan.open) > 3 && secretName(r.scan.name.local) // beyond Envelope, Body and the operation
	p := PartForm{Name: strings.Clone(r.scan.name.local), Namespace: strings.Clone(r.scan.name.space), Type: r.typeName()}
	var fault *Fault
	if p.Nil, fault = r.isNil(); fault != nil {
		return p, fault
	}
	start := r.scan.end
	var text strings.Builder
	for {
		t, fault := r.scan.next()
		switch {
		case fault != nil:
			return p, fault
		case t == tokInstruction:
			return p, r.noInstruction()
		case t == tokText:
			text.WriteString(r.scan.text)
		case t == tokStart:
			child, fault := r.partForm(tokens, secret)
			if fault != nil {
				return p, fault
			}
			p.Parts = append(p.Parts, child)
		default:
			p.Text = trimXML(text.String())
			if p.Parts == nil && p.Text != "" && (secret || tokens && mayBeToken(p.Text)) {
				r.scan.hidden.add(start, r.scan.start, true)
			}
			return p, nil
		}
	}
}

// typeName is the element's xsi:type.
func (r *reading) typeName() string {
	for _, a := range r.scan.attrs {
		if a.local != "type" || !schemaInstance(a.space) {
			continue
		}
		prefix, name, ok := strings.Cut(a.value, ":")
		if !ok {
			prefix, name = "", a.value
		}
		switch space, _ := r.scan.lookup(prefix); space {
		case nsXSD, "http://www.w3.org/1999/XMLSchema":
			return strings.Clone(name)
		default:
			return "{" + space + "}" + name
		}
	}
	return ""
}

// mayBeToken errs on the side of hiding: a description has words without digits, a lifetime or "bearer" is short.
func mayBeToken(text string) bool {
	words := strings.Fields(text)
	return slices.ContainsFunc(words, func(w string) bool {
		return len(w) >= 8 && (len(words) == 1 || len(w) >= 16 || strings.ContainsFunc(w, unicode.IsDigit))
	})
}

// Issued is the token in an answer to the operation, and for how many seconds it is good; "" when there is none. Where
// the names of the parts say nothing, it is the one text that can't be anything else.
func (op *Operation) Issued(f *Form) (token string, seconds int) {
	const unsaid = 3600
	seconds = unsaid
	guess := ""
	for _, p := range f.Parts {
		slot, text := op.meaning(p.Name), p.Text
		n, err := strconv.Atoi(text)
		switch {
		case slot == SlotAccessToken:
			token = text
		case err == nil && n > 0 && (slot == SlotExpiresIn || slot == "" && n >= 60 && n <= 366*24*3600):
			seconds = n
		case slot == "" && len(text) >= 16 && len(text) > len(guess) && !strings.ContainsAny(text, " \t\n"):
			guess = text
		}
	}
	if token == "" {
		token = guess
	}
	return token, seconds
}

// meaning is the slot of an answer's part by its name, which may be the contract's or, but for letter case and "_", the
// slot's own; "" for any other.
func (op *Operation) meaning(name string) string {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	for _, p := range op.Response {
		if p.Name == name || plain(p.Slot) == plain(name) {
			return p.Slot
		}
	}
	return ""
}
