package soap

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"einvoice-bridge/bridge/soap/payload"
)

// reference is an element under Body with an id, the other half of a multi-reference value (SOAP 1.1 §5.4.1).
type reference struct {
	value
	id   string
	used bool
}

// pendingRef is a parameter whose value stands elsewhere.
type pendingRef struct {
	param int
	id    string
}

// value is what one child of the operation holds.
type value struct {
	name    string // as it was sent
	text    string
	content span
	simple  bool // no elements in it
	nil     bool
	href    string // where it stands instead
	refers  bool
	fault   *Fault // of its xsi:nil
	place   int
}

// readParam reads one child of the operation's element, which has just been opened. Its namespace doesn't matter: some
// callers qualify children, some by a namespace of their own, some by SOAP's.
func (r *reading) readParam() *Fault {
	name, start, place := r.scan.name, r.scan.start, r.places
	r.places++
	i, guessed, ok := r.op.find(name.local, r.d.Strict)
	if r.d.Strict && (!ok || !r.d.ours(name.space) && name.space != r.name.space) {
		return badArguments("Unknown parameter at byte %d", start).came(r.scan.shown())
	}
	v := value{place: place}
	if fault := r.readValue(&v); fault != nil {
		return fault
	}
	if !ok {
		r.strays = append(r.strays, v)
		return nil
	}
	if !r.d.ours(name.space) && name.space != r.name.space {
		r.note("parameters are in a namespace of the caller's own")
	}
	if guessed {
		r.note("parameter '" + r.op.Request[i].Name + "' was spelled in another letter case")
	}
	r.moved = r.moved || place != i
	return r.take(i, &v)
}

func (r *reading) readValue(v *value) (fault *Fault) {
	v.name = r.scan.name.local
	v.nil, v.fault = r.isNil()
	v.href, v.refers = r.href()
	binary := r.isBinary()
	if v.text, v.content, v.simple, fault = r.leaf(); fault == nil && binary {
		v.text, fault = r.fromBinary(v.text, v.content)
	}
	return fault
}

// isBinary tells whether a value says that it is base64, by the type's name in any namespace, as the original reads it.
// SOAP::Lite writes every text so that has a letter beyond ASCII.
func (r *reading) isBinary() bool {
	for i := range r.scan.attrs {
		if a := &r.scan.attrs[i]; a.local == "type" && schemaInstance(a.space) {
			return local(a.value) == "base64Binary" || local(a.value) == "base64"
		}
	}
	return false
}

// fromBinary is the text behind base64; what is none stays as it is. It may hold what no XML can carry, and then nothing
// behind this package would keep it either.
func (r *reading) fromBinary(text string, content span) (string, *Fault) {
	raw, err := base64.StdEncoding.DecodeString(strings.Map(func(c rune) rune {
		if strings.ContainsRune(xmlSpace, c) {
			return -1
		}
		return c
	}, text))
	if err != nil {
		return text, nil
	}
	if !utf8.Valid(raw) {
		raw = payload.Windows1252(raw)
	}
	if payload.CheckChars(raw, false) != nil {
		return "", badArguments("A base64Binary value holds a character that XML can't carry, at byte %d", content.start)
	}
	r.note("a base64Binary value was read as the text in it")
	return trimXML(string(raw)), nil
}

// take gives a parameter what a child holds.
func (r *reading) take(i int, v *value) *Fault {
	p, name := &r.params[i], r.op.Request[i].Name
	switch {
	case p.State != Absent:
		return badArguments("Parameter '%s' occurs twice", name)
	case v.fault != nil:
		return v.fault
	case !v.simple:
		return badArguments("Parameter '%s' must not hold elements", name)
	case (v.nil || v.refers) && v.text != "":
		return badArguments("Parameter '%s' is nil or a reference and has a value too", name)
	case v.refers:
		p.State = Empty // so that a second one is seen; resolve sets it
		r.pending = append(r.pending, pendingRef{i, v.href})
		return nil
	}
	return r.set(i, v.text, v.nil, v.content)
}

// place gives the children with other names their meaning by where they stand. The original reads all of them so, and
// whoever calls it without its WSDL (PHP, Perl, Ruby, Axis) calls them param0 or c-gensym3. It is done only where there
// is no doubt: as many children as documented, each that has a documented name in its place, and no name twice.
func (r *reading) place() *Fault {
	if len(r.strays) == 0 {
		return nil
	}
	names := map[string]bool{}
	for _, s := range r.strays {
		names[s.name] = true
	}
	if r.places == len(r.params) && !r.moved && len(names) == len(r.strays) {
		r.note("parameters with names of the caller's own were read by their place")
		for i := range r.strays {
			s := &r.strays[i]
			if fault := r.take(s.place, s); fault != nil {
				return fault
			}
			r.params[s.place].Element = strings.Clone(s.name)
		}
		return nil
	}
	for _, s := range r.strays {
		r.scan.hidden.add(s.content.start, s.content.end, false) // it may be a misspelled secret
		r.unplaced = append(r.unplaced, strings.Clone(s.name))
	}
	if !slices.ContainsFunc(r.params, func(p Param) bool { return p.State == Absent }) {
		r.note("an unknown parameter was ignored")
	}
	return nil
}

// set gives a parameter its value.
func (r *reading) set(i int, text string, isNil bool, content span) *Fault {
	p := &r.params[i]
	switch p.Slot {
	case SlotAccessToken, SlotPassword, SlotClientSecret: // whatever the contract calls them
		r.scan.hidden.add(content.start, content.end, true)
	}
	if most := maxParamChars; len(text) > most && utf8.RuneCountInString(text) > most {
		return exceeded("param_chars", most, content.start)
	}
	text = r.tidied(p.Slot, text)
	switch {
	case isNil:
		p.State = Nil
	case text == "":
		p.State = Empty
	default:
		p.State, p.Text = Text, text
	}
	return nil
}

// tidied is a value as the original's PHP would have understood it, where text alone would be refused by an authority.
func (r *reading) tidied(slot, text string) string {
	switch slot {
	case SlotCancelReason: // an integer to VB and COBOL, which pad it
		if short := strings.TrimLeft(text, "0"); short != text && short != "" && strings.Trim(short, "0123456789") == "" {
			r.note("leading zeros of the cancel reason were dropped")
			return short
		}
	case SlotCancelRemarks:
		if strings.ContainsFunc(text, c1) {
			r.note("control characters in the remarks were read as windows-1252")
			return trimXML(strings.Map(windowsRune, text))
		}
	}
	return text
}

// c1 reports whether r is DEL or one of the control characters that nobody means: they are windows-1252 under a label
// of ISO-8859-1.
func c1(r rune) bool { return r >= 0x7F && r <= 0x9F }

func windowsRune(r rune) rune {
	if !c1(r) {
		return r
	}
	if meant := charmap.Windows1252.DecodeByte(byte(r)); !c1(meant) && meant != utf8.RuneError {
		return meant
	}
	return ' '
}

// leaf reads the content of the element just opened: its text, with comments skipped, CDATA and references resolved
// and white space trimmed. It isn't simple when it holds elements.
func (r *reading) leaf() (text string, content span, simple bool, fault *Fault) {
	content.start, simple = r.scan.end, true
	var more strings.Builder // where comments and CDATA sections cut the text into pieces
	for {
		t, fault := r.scan.next()
		switch {
		case fault != nil:
			return "", content, false, fault
		case t == tokInstruction:
			return "", content, false, r.noInstruction()
		case t == tokText && text == "":
			text = r.scan.text
		case t == tokText:
			if more.Len() == 0 {
				more.WriteString(text)
			}
			more.WriteString(r.scan.text)
		case t == tokStart:
			simple = false
			if fault := r.skip(); fault != nil {
				return "", content, false, fault
			}
		case t == tokEnd:
			content.end = r.scan.start
			if more.Len() > 0 {
				text = more.String()
			}
			return strings.Clone(trimXML(text)), content, simple, nil
		}
	}
}

// isNil reads xsi:nil, which the schema drafts called null.
func (r *reading) isNil() (bool, *Fault) {
	for i := range r.scan.attrs {
		a := &r.scan.attrs[i]
		if (a.local != "nil" && a.local != "null") || !schemaInstance(a.space) {
			continue
		}
		isNil, ok := boolean(a.value)
		if !ok {
			return false, badArguments("xsi:nil must be true or false, at byte %d", r.scan.start)
		}
		return isNil, nil
	}
	return false, nil
}

// boolean reads an xsd:boolean.
func boolean(s string) (value, ok bool) {
	s = trimXML(s)
	value = s == "1" || s == "true"
	return value, value || s == "0" || s == "false"
}

func schemaInstance(space string) bool {
	switch space {
	case nsXSI, "http://www.w3.org/1999/XMLSchema-instance", "http://www.w3.org/2000/10/XMLSchema-instance":
		return true
	}
	return false
}

// href returns the reference that stands in place of a value: href="#id" in SOAP 1.1, enc:ref="id" in SOAP 1.2.
func (r *reading) href() (string, bool) {
	if v, ok := r.scan.attr("", "href"); ok {
		return v, true
	}
	if v, ok := r.scan.attr(ns12Encoding, "ref"); ok {
		return "#" + v, true
	}
	return "", false
}

// referable reports whether the child of Body just opened is there to be referred to: it has an id, and either comes
// after the operation or says that it is no root.
func (r *reading) referable() (id string, ok bool) {
	id, ok = r.scan.attr("", "id")
	if !ok {
		id, ok = r.scan.attr(ns12Encoding, "id")
	}
	root, _ := r.scan.attr(ns11Encoding, "root")
	return id, ok && (r.op != nil || root == "0")
}

func (r *reading) readReference(id string) *Fault {
	if slices.ContainsFunc(r.refs, func(other *reference) bool { return other.id == id }) {
		return clientf("Two elements have the same id, the second at byte %d", r.scan.start)
	}
	ref := &reference{id: id}
	fault := r.readValue(&ref.value)
	if ref.fault != nil {
		fault = ref.fault
	}
	r.refs = append(r.refs, ref)
	return fault
}

// resolve gives every referring parameter its value, once: a reference to a reference is refused, and so is anything
// that isn't in this message.
func (r *reading) resolve() *Fault {
	for _, p := range r.pending {
		i := slices.IndexFunc(r.refs, func(ref *reference) bool { return "#"+ref.id == p.id })
		if i < 0 || !r.refs[i].simple || r.refs[i].refers || r.refs[i].nil && r.refs[i].text != "" {
			return badArguments("Parameter '%s' refers to no simple value in this message", r.op.Request[p.param].Name)
		}
		ref := r.refs[i]
		ref.used = true
		if fault := r.set(p.param, ref.text, ref.nil, ref.content); fault != nil {
			return fault
		}
	}
	for _, ref := range r.refs {
		if !ref.used {
			r.scan.hidden.add(ref.content.start, ref.content.end, false)
		}
	}
	return nil
}
