package rehearsal

import (
	"cmp"
	"slices"
	"strings"

	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/bridge/soap/saved"
)

// contract is the base with everything that the provider's answers show put in.
func (s *study) contract() *soap.Contract {
	c := *s.base
	if space := cmp.Or(s.spaces.top(), s.own.top()); space != "" {
		c.Namespace = space
	}
	for _, op := range []*soap.Operation{&c.Cancel, &c.Token} {
		if o := s.ops[op.Name]; o != nil {
			o.shape(&c, op)
		}
	}
	if len(s.charsets) > 0 {
		c.Mimic.ResponseCharset = ""
		if charset := s.charsets.top(); charset == "iso-8859-1" || charset == "latin1" {
			c.Mimic.ResponseCharset = "iso-8859-1"
		}
		c.Mimic.NoDeclaration = s.declared.top() == "none"
	}
	return &c
}

// common is the form that most answers have.
func (o *opStudy) common() (best *formCount) {
	for _, key := range slices.Sorted(keys(o.forms)) {
		if f := o.forms[key]; best == nil || f.calls > best.calls {
			best = f
		}
	}
	return best
}

// shape gives an operation the form that most answers have.
func (o *opStudy) shape(c *soap.Contract, op *soap.Operation) {
	n := o.common()
	f := n.form
	if f.Element != cmp.Or(op.ResponseName, op.Name+"Response") {
		op.ResponseName = f.Element
	}
	op.ResponseWrapper, op.EncodingStyle = f.Wrapper, f.EncodingStyle
	if f.EncodingStyle == "" || f.EncodingStyle == op.Description && c.Mimic.EncodingStyle {
		op.EncodingStyle = ""
	}
	c.Mimic.EncodingStyle = c.Mimic.EncodingStyle && f.EncodingStyle == op.Description
	c.Qualified = len(f.Parts) > 0 && f.Parts[0].Namespace != ""
	op.Namespace = o.foreign.top()
	slots := assign(op, n)
	op.Response = nil
	for i, p := range f.Parts {
		part := soap.Part{Slot: slots[i], Name: p.Name, Type: p.Type}
		if part.Slot == soap.SlotConst && len(n.parts[i].texts) == 1 {
			part.Const = n.parts[i].texts.top()
		}
		op.Response = append(op.Response, part)
	}
	o.ask(op)
	if slices.ContainsFunc(op.Response, func(p soap.Part) bool { return p.Slot == soap.SlotCode }) {
		o.words(c, n, slots)
	}
}

// ask takes over the names of the parameters, if all calls have the same and none of the documented.
func (o *opStudy) ask(op *soap.Operation) {
	names := strings.Split(o.asked.top(), " ")
	if len(o.asked) != 1 || len(names) != len(op.Request) || slices.Contains(names, "") {
		return
	}
	request := slices.Clone(op.Request)
	for i, name := range names {
		if request[i].Name = name; strings.ContainsAny(name, "-") || isGenerated(name) {
			return // a name that a stack without a description made up
		}
	}
	op.Request = request
}

// isGenerated tells names like param0, arg0 and __numeric_0.
func isGenerated(name string) bool {
	return name != "" && name[len(name)-1] >= '0' && name[len(name)-1] <= '9'
}

// words takes the fixed words from the part that they stand in.
func (o *opStudy) words(c *soap.Contract, n *formCount, slots []string) {
	v := &c.Values
	for i, slot := range slots {
		var good, bad *string
		switch slot {
		case soap.SlotStatus:
			good, bad = &v.SuccessStatus, &v.FailedStatus
		case soap.SlotCode:
			good, bad = &v.SuccessCode, &v.FailedCode
		case soap.SlotErrorFlag:
			good, bad = &v.SuccessFlag, &v.FailedFlag
		default:
			continue
		}
		if text := n.parts[i].good.top(); text != "" {
			*good = text
		}
		if text := n.parts[i].bad.top(); text != "" && text != *good {
			*bad = text
		}
	}
}

// assign says what each part means: by what stands in it and by its name. What means nothing to us is a constant.
func assign(op *soap.Operation, n *formCount) []string {
	usual := soap.DefaultContract().Operation(op.Name) // has every slot there is
	if usual == nil {
		usual = op
	}
	names := make([]string, len(n.form.Parts))
	for i, p := range n.form.Parts {
		names[i] = p.Name
	}
	named := saved.Slots(usual, names)
	for i, name := range names {
		for _, p := range op.Response {
			if p.Name == name && p.Slot != soap.SlotConst {
				named[i] = p.Slot
			}
		}
	}
	slots := make([]string, len(names))
	taken := map[string]bool{}
	for {
		best, at, is := 0, -1, ""
		for i, p := range n.parts {
			for _, part := range usual.Response {
				slot := part.Slot
				score := p.fits(slot)
				if named[i] == slot {
					score += 4
				}
				if slots[i] == "" && !taken[slot] && score > best {
					best, at, is = score, i, slot
				}
			}
		}
		if at < 0 {
			break
		}
		slots[at], taken[is] = is, true
	}
	for i, slot := range slots {
		if slot == "" {
			slots[i] = soap.SlotConst
		}
	}
	return slots
}

// fits says how well what stood in a part fits a slot's meaning; below zero it can't be it.
func (p *partStudy) fits(slot string) int {
	some := p.calls - p.empty
	all := func(n int) bool { return some > 0 && n == some }
	score := func(holds bool, good int) int {
		switch {
		case holds:
			return good
		case some > 0:
			return -6
		}
		return 0
	}
	switch slot {
	case soap.SlotIRN:
		return score(p.echo > 0, 8)
	case soap.SlotCancelDate:
		return score(all(p.date), 7)
	case soap.SlotCode:
		return score(all(p.code), 6)
	case soap.SlotErrorFlag:
		return score(all(p.flag), 5)
	case soap.SlotStatus:
		return score(all(p.word), 3)
	case soap.SlotErrorMessage, soap.SlotErrorDescription:
		if some == 0 {
			return 1
		}
		return score(p.sentence > 0 && p.date == 0, 3)
	case soap.SlotAccessToken:
		return score(p.masked > 0, 8)
	case soap.SlotExpiresIn:
		return score(all(p.seconds), 6)
	case soap.SlotTokenType:
		return score(all(p.word), 3)
	}
	return 0
}
