package soap

import (
	"slices"
	"strings"
)

// opTable finds an operation's parameters by the names that callers use.
type opTable struct {
	*Operation
	exact  map[string]int // names and aliases
	folded map[string]int // the same in lower case; ambiguous ones are left out
}

func newOpTable(op *Operation) *opTable {
	t := &opTable{Operation: op, exact: map[string]int{}, folded: map[string]int{}}
	for i, p := range op.Request {
		t.exact[p.Name] = i
		for alias, slot := range op.Aliases {
			if slot == p.Slot {
				t.exact[alias] = i
			}
		}
	}
	ambiguous := map[string]bool{}
	for name, i := range t.exact {
		key := strings.ToLower(name)
		if other, ok := t.folded[key]; ok && other != i {
			ambiguous[key] = true
		}
		t.folded[key] = i
	}
	for key := range ambiguous {
		delete(t.folded, key)
	}
	return t
}

// find returns the index of a parameter; guessed tells that only the letter case was wrong.
func (t *opTable) find(local string, strict bool) (index int, guessed, ok bool) {
	if i, ok := t.exact[local]; ok {
		return i, false, true
	}
	if strict {
		return 0, false, false
	}
	i, ok := t.folded[strings.ToLower(local)]
	return i, true, ok
}

// operation decides which operation the body element just read is. Its namespace doesn't matter, as it doesn't to the
// original: contracts made without its WSDL (WCF's tempuri.org, PHP, Axis) have one of their own.
func (r *reading) operation() (*opTable, *Fault) {
	name := r.scan.name
	for _, t := range r.d.ops {
		if t.Name != name.local || r.d.Strict && !r.d.ours(name.space) {
			continue
		}
		if !r.d.ours(name.space) {
			r.note("the operation is in a namespace of the caller's own; so is the answer")
		}
		return t, r.checkAction(t)
	}
	t := r.d.named(r.action())
	switch {
	case t == nil || r.d.Strict:
	case strings.EqualFold(name.local, t.Name), strings.EqualFold(name.local, t.Name+"Request"):
		r.note("the operation's element was spelled in another way; SOAPAction names it")
		return t, nil
	case r.d.ActionDispatch:
		r.note("the body element names no operation; SOAPAction was used")
		return t, nil
	}
	f := unknownOperation(name)
	if r.d.resembles(name.local) {
		f.came(f.Found) // its name alone would not tell what is wrong with it
	}
	return nil, f
}

// resembles reports whether a name is one of our operations' but for its letter case or a WSDL's way to call its message.
func (d *Decoder) resembles(local string) bool {
	return slices.ContainsFunc(d.ops, func(t *opTable) bool {
		return strings.EqualFold(local, t.Name) || strings.EqualFold(local, t.Name+"Request")
	})
}

// unknownOperation is the fault that PHP NuSOAP gives.
func unknownOperation(name qname) *Fault {
	f := clientf("Operation '%s' is not defined in the WSDL for this service", clipped(name.local, 64))
	f.Subcode, f.Found = ProcedureNotPresent, shown(name)
	return f
}

// ours reports whether an element in this namespace is in the contract's, or in none.
func (d *Decoder) ours(space string) bool {
	return space == "" || space == d.contract.Namespace ||
		slices.ContainsFunc(d.ops, func(t *opTable) bool { return t.Namespace == space })
}

// action returns the request's SOAPAction or the action of its Content-Type, unquoted.
func (r *reading) action() string {
	if a := strings.Trim(r.header.SOAPAction, " \t\""); a != "" {
		return a
	}
	return r.media.Param("action")
}

// lastPiece returns what of a SOAPAction names an operation. The provider's own may end in "Server".
func lastPiece(action string) string {
	return strings.TrimSuffix(action[strings.LastIndexAny(action, "#/:")+1:], "Server")
}

// named returns the operation that a SOAPAction names, in full or by its last piece.
func (d *Decoder) named(action string) *opTable {
	last := lastPiece(action)
	for _, t := range d.ops {
		if action != "" && (action == t.SOAPAction || last == t.Name) {
			return t
		}
	}
	return nil
}

// foreign reports whether neither an operation nor a SOAPAction could mean one of ours to a less careful server.
// An action that goes with the operation adds no doubt.
func (d *Decoder) foreign(operation, action string) bool {
	last := lastPiece(action)
	for _, t := range d.ops {
		mentioned := strings.Contains(strings.ToLower(action), strings.ToLower(t.Name))
		if mentioned && last != operation {
			return false
		}
	}
	return !d.resembles(operation)
}

// checkAction compares the action with the body, which decides in any case (WS-I BP 1.1 R1127). Servers have given the
// actions all kinds of forms, so any that holds the operation's name goes with it.
func (r *reading) checkAction(t *opTable) *Fault {
	action := r.action()
	if action == "" || action == t.SOAPAction || strings.Contains(strings.ToLower(action), strings.ToLower(t.Name)) {
		return nil
	}
	if r.d.Strict {
		return clientf("SOAPAction does not name the operation in the Body")
	}
	r.note("SOAPAction does not name the operation in the Body")
	return nil
}
