package soap

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// reference is an element under Body with an id, the other half of a multi-reference value (SOAP 1.1 §5.4.1).
type reference struct {
	id      string
	text    string
	nil     bool
	simple  bool // neither elements in it nor a further reference
	used    bool
	content span
}

// pendingRef is a parameter whose value stands elsewhere.
type pendingRef struct {
	param int
	id    string
}

// readParam reads one child of the operation's element, which has just been opened.
func (r *reading) readParam() *Fault {
	name := r.scan.name
	i, guessed, ok := 0, false, false
	if r.d.ours(name.space) || name.space == r.name.space {
		i, guessed, ok = r.op.find(name.local, r.d.Strict)
	}
	if !ok {
		if r.d.Strict {
			return badArguments("Unknown parameter at byte %d", r.scan.start)
		}
		r.note("an unknown parameter was ignored")
		return r.skipHidden() // it may be a misspelled secret
	}
	if guessed {
		r.note("parameter '" + r.op.Request[i].Name + "' was spelled in another letter case")
	}
	return r.readKnown(i)
}

func (r *reading) readKnown(i int) *Fault {
	p, name := &r.params[i], r.op.Request[i].Name
	if p.State != Absent {
		return badArguments("Parameter '%s' occurs twice", name)
	}
	isNil, fault := r.isNil()
	if fault != nil {
		return fault
	}
	href, refers := r.href()
	text, content, simple, fault := r.leaf()
	switch {
	case fault != nil:
		return fault
	case !simple:
		return badArguments("Parameter '%s' must not hold elements", name)
	case (isNil || refers) && text != "":
		return badArguments("Parameter '%s' is nil or a reference and has a value too", name)
	case refers:
		p.State = Empty // so that a second one is seen; resolve sets it
		r.pending = append(r.pending, pendingRef{i, href})
		return nil
	}
	return r.set(i, text, isNil, content)
}

// set gives a parameter its value.
func (r *reading) set(i int, text string, isNil bool, content span) *Fault {
	p := &r.params[i]
	switch p.Slot {
	case SlotAccessToken, SlotPassword, SlotClientSecret: // whatever the contract calls them
		r.scan.hidden.add(content.start, content.end, true)
	}
	if most := r.d.Limits.ParamChars; len(text) > most && utf8.RuneCountInString(text) > most {
		return exceeded("param_chars", most, content.start)
	}
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
	for _, a := range r.scan.attrs {
		if (a.local != "nil" && a.local != "null") || !schemaInstance(a.space) {
			continue
		}
		switch strings.Trim(a.value, " \t\r\n") {
		case "1", "true":
			return true, nil
		case "0", "false":
			return false, nil
		}
		return false, badArguments("xsi:nil must be true or false, at byte %d", r.scan.start)
	}
	return false, nil
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
func (r *reading) referable() (reference, bool) {
	id, ok := r.scan.attr("", "id")
	if !ok {
		id, ok = r.scan.attr(ns12Encoding, "id")
	}
	root, _ := r.scan.attr(ns11Encoding, "root")
	return reference{id: id}, ok && (r.op != nil || root == "0")
}

func (r *reading) readReference(ref *reference) (fault *Fault) {
	if ref.nil, fault = r.isNil(); fault != nil {
		return fault
	}
	_, further := r.href()
	ref.text, ref.content, ref.simple, fault = r.leaf()
	ref.simple = ref.simple && !further && !(ref.nil && ref.text != "")
	return fault
}

// resolve gives every referring parameter its value, once: a reference to a reference is refused, and so is anything
// that isn't in this message.
func (r *reading) resolve(refs []reference) *Fault {
	for _, p := range r.pending {
		i := slices.IndexFunc(refs, func(ref reference) bool { return "#"+ref.id == p.id })
		if i < 0 || !refs[i].simple {
			return badArguments("Parameter '%s' refers to no simple value in this message", r.op.Request[p.param].Name)
		}
		ref := &refs[i]
		ref.used = true
		if fault := r.set(p.param, ref.text, ref.nil, ref.content); fault != nil {
			return fault
		}
	}
	for _, ref := range refs {
		if !ref.used {
			r.scan.hidden.add(ref.content.start, ref.content.end, false)
		}
	}
	return nil
}
