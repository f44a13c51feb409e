package soap

import (
	"maps"
	"slices"
	"strings"
)

// spellings are the names under which the answers' parts may go, beside their slots', folded: lower case, no "_".
var spellings = map[string][]string{
	SlotErrorFlag:        {"error", "iserror", "haserror"},
	SlotErrorMessage:     {"message", "errordetails", "errormsg", "errordescription"},
	SlotCode:             {"statuscode", "responsecode"},
	SlotStatus:           {"statusmessage", "responsestatus"},
	SlotErrorDescription: {"error", "message", "errormessage"},
	SlotCancelDate:       {"cancellationdate", "canceldt"},
	SlotUsername:         {"user", "userid"},
	SlotPassword:         {"passwd", "pwd"},
	SlotUserGSTIN:        {"gstin"},
	SlotCancelRemarks:    {"remarks", "cancelremark"},
	SlotCancelReason:     {"reason"},
}

// requestParts gives every request child its slot. A child that means nothing to us is what callers may send and the
// decoder ignores.
func (w *wsdlReader) requestParts(s *shape, op *Operation, slots []string) []Part {
	assigned := assign(s.children, slots)
	var parts []Part
	for i, f := range s.children {
		if slot := assigned[i]; slot != "" {
			parts = append(parts, Part{Slot: slot, Name: f.name})
		}
	}
	w.complain(s, slots, parts)
	for _, alias := range slices.Collect(maps.Keys(op.Aliases)) {
		if slices.ContainsFunc(parts, func(p Part) bool { return p.Name == alias }) {
			delete(op.Aliases, alias)
		}
	}
	return parts
}

// responseParts gives every response child its slot. One that means nothing to us is written with a constant: callers'
// proxies want every declared part.
func (w *wsdlReader) responseParts(s *shape, slots []string) (parts []Part, wrapper string) {
	children := s.children
	if len(children) == 1 && children[0].complex != nil {
		wrapper = children[0].name
		w.form(children[0])
		children = w.fields(children[0].complex)
	}
	assigned := assign(children, slots)
	for i, f := range children {
		w.form(f)
		p := Part{Slot: assigned[i], Name: f.name, Type: f.typ}
		if p.Slot == "" {
			p.Slot = SlotConst
			if numeric(f.typ) {
				p.Const = "0"
			}
		}
		if p.Slot == SlotCancelDate && (f.typ == "dateTime" || f.typ == "date") {
			w.missing.add("%s/%s has type xsd:%s, but the answer's date is written YYYY-MM-DD HH:MM:SS", s.name, f.name, f.typ)
		}
		parts = append(parts, p)
	}
	w.complain(&shape{name: s.name, children: children}, slots, parts)
	return parts, wrapper
}

// assign matches children to slots: names that say exactly a slot first, then other spellings.
func assign(children []field, slots []string) []string {
	assigned := make([]string, len(children))
	taken := map[string]bool{}
	match := func(accept func(slot, folded string) bool) {
		for i, f := range children {
			for _, slot := range slots {
				if assigned[i] == "" && !taken[slot] && f.complex == nil && accept(slot, fold(f.name)) {
					assigned[i], taken[slot] = slot, true
				}
			}
		}
	}
	match(func(slot, folded string) bool { return folded == fold(slot) })
	match(func(slot, folded string) bool { return slices.Contains(spellings[slot], folded) })
	return assigned
}

func (w *wsdlReader) complain(s *shape, slots []string, parts []Part) {
	var names []string
	for _, f := range s.children {
		names = append(names, f.name)
	}
	for _, slot := range slots {
		if !slices.ContainsFunc(parts, func(p Part) bool { return p.Slot == slot }) {
			w.unnamed.add("%s has no element for %s among: %s", s.name, slot, strings.Join(names, ", "))
		}
	}
}

func (w *wsdlReader) form(f field) {
	if f.qualified {
		w.qualified = true
	} else {
		w.unqualified = true
	}
}

func fold(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "") }

func numeric(typ string) bool {
	switch typ {
	case "int", "integer", "long", "short", "decimal", "double", "float", "boolean", "byte", "unsignedInt",
		"nonNegativeInteger", "positiveInteger", "unsignedShort", "unsignedByte", "unsignedLong":
		return true
	}
	return false
}
