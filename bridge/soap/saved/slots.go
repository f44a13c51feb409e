package saved

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"einvoice-bridge/bridge/soap"
)

// spellings are the names under which the answers' parts may go, beside their slots', folded: lower case, no "_".
var spellings = map[string][]string{
	soap.SlotErrorFlag:        {"error", "iserror", "haserror"},
	soap.SlotErrorMessage:     {"message", "errordetails", "errormsg", "errordescription"},
	soap.SlotCode:             {"statuscode", "responsecode"},
	soap.SlotStatus:           {"statusmessage", "responsestatus"},
	soap.SlotErrorDescription: {"error", "message", "errormessage"},
	soap.SlotCancelDate:       {"cancellationdate", "canceldt"},
	soap.SlotUsername:         {"user", "userid"},
	soap.SlotPassword:         {"passwd", "pwd"},
	soap.SlotUserGSTIN:        {"gstin"},
	soap.SlotCancelRemarks:    {"remarks", "cancelremark"},
	soap.SlotCancelReason:     {"reason"},
}

// requestParts gives every request child its slot. A child that means nothing to us is what callers may send and the
// decoder ignores.
func (w *reader) requestParts(s *shape, op *soap.Operation) []soap.Part {
	slots := slotsOf(op.Request)
	assigned := assign(s.children, slots)
	var parts []soap.Part
	for i, f := range s.children {
		if slot := assigned[i]; slot != "" {
			parts = append(parts, soap.Part{Slot: slot, Name: f.name})
		}
	}
	w.complain(s, slots, parts)
	for _, alias := range slices.Collect(maps.Keys(op.Aliases)) {
		if slices.ContainsFunc(parts, func(p soap.Part) bool { return p.Name == alias }) {
			delete(op.Aliases, alias)
		}
	}
	return parts
}

// responseParts gives every response child its slot. One that means nothing to us is written with a constant: callers'
// proxies want every declared part.
func (w *reader) responseParts(s *shape, op *soap.Operation) (parts []soap.Part, wrapper string) {
	slots, children := slotsOf(op.Response), s.children
	if len(children) == 1 && children[0].complex != nil {
		wrapper = children[0].name
		w.form(children[0])
		children = w.fields(children[0].complex)
	}
	assigned := assign(children, slots)
	for i, f := range children {
		w.form(f)
		p := soap.Part{Slot: assigned[i], Name: f.name, Type: f.typ}
		if p.Slot == "" {
			p.Slot = soap.SlotConst
			if numeric(f.typ) {
				p.Const = "0"
			}
		}
		if p.Slot == soap.SlotCancelDate && (f.typ == "dateTime" || f.typ == "date") {
			w.lacks("%s/%s has type xsd:%s, but the answer's date is written YYYY-MM-DD HH:MM:SS", s.name, f.name, f.typ)
		}
		parts = append(parts, p)
	}
	w.complain(&shape{name: s.name, children: children}, slots, parts)
	return parts, wrapper
}

func slotsOf(parts []soap.Part) (slots []string) {
	for _, p := range parts {
		slots = append(slots, p.Slot)
	}
	return slots
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

// Slots tells by their names alone what the parts of an answer to an operation mean: a slot for each name, "" for one that
// says nothing.
func Slots(op *soap.Operation, names []string) []string {
	children := make([]field, len(names))
	for i, name := range names {
		children[i].name = name
	}
	return assign(children, slotsOf(op.Response))
}

func (w *reader) complain(s *shape, slots []string, parts []soap.Part) {
	var names []string
	for _, f := range s.children {
		names = append(names, f.name)
	}
	for _, slot := range slots {
		if !slices.ContainsFunc(parts, func(p soap.Part) bool { return p.Slot == slot }) {
			w.unknown = append(w.unknown, fmt.Errorf("%s has no element for %s among: %s", s.name, slot, strings.Join(names, ", ")))
		}
	}
}

func (w *reader) form(f field) {
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
