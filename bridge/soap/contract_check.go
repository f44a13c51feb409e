package soap

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Check returns every problem that would make an answer unreadable or a parameter unreachable.
func (c *Contract) Check() []error {
	var p problems
	if c.Namespace == "" {
		p.add("contract.namespace must not be empty")
	}
	if strings.ContainsAny(c.Namespace, " \t\r\n") {
		p.add("contract namespace %q holds white space", c.Namespace)
	}
	usual := DefaultContract() // has every slot there is
	p.operation(&c.Cancel, &usual.Cancel)
	p.operation(&c.Token, &usual.Token)
	if c.Cancel.Name == c.Token.Name {
		p.add("contract.operations: both are called %q", c.Cancel.Name)
	}
	p.values(&c.Values)
	switch c.Mimic.ResponseCharset {
	case "", "utf-8", "iso-8859-1":
	default:
		p.add("mimic.response_charset is %q, must be utf-8 or iso-8859-1", c.Mimic.ResponseCharset)
	}
	return p
}

type problems []error

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

func (p *problems) operation(op, usual *Operation) {
	at := "contract.operations." + op.Name
	if !isNCName(op.Name) {
		p.add("contract.operations: %q is not an XML name without colon", op.Name)
	}
	for _, name := range []string{op.ResponseName, op.ResponseWrapper} {
		if name != "" && !isNCName(name) {
			p.add("%s: %q is not an XML name without colon", at, name)
		}
	}
	for i, part := range op.Response {
		if part.Type != "" && !isNCName(part.Type) {
			p.add("%s.response[%d].type: %q is not the name of an XSD type, such as string", at, i, part.Type)
		}
	}
	p.parts(at+".request", op.Request, usual.Request, false)
	p.parts(at+".response", op.Response, usual.Response, true)
	for _, alias := range slices.Sorted(maps.Keys(op.Aliases)) {
		p.alias(at+".aliases", op, alias)
	}
}

// parts holds a message to one element per slot and no name twice. A request has all slots. An answer may lack some, since
// providers' do, but what a caller goes by must be there: the token, or one of the words that tell a success.
func (p *problems) parts(at string, parts, usual []Part, reply bool) {
	var slots []string
	for _, part := range usual {
		slots = append(slots, part.Slot)
	}
	names, filled := map[string]bool{}, map[string]bool{}
	for i, part := range parts {
		where := fmt.Sprintf("%s[%d]", at, i)
		if !isNCName(part.Name) {
			p.add("%s.name: %q is not an XML name without colon", where, part.Name)
		}
		if names[part.Name] {
			p.add("%s.name: %q is used twice", where, part.Name)
		}
		names[part.Name] = true
		switch {
		case reply && part.Slot == SlotConst:
			continue
		case !slices.Contains(slots, part.Slot):
			p.add("%s.slot: %q is none of %s", where, part.Slot, strings.Join(slots, ", "))
		case filled[part.Slot]:
			p.add("%s.slot: %q is used twice", where, part.Slot)
		}
		filled[part.Slot] = true
	}
	tells := !reply || filled[SlotAccessToken] || filled[SlotStatus] || filled[SlotCode] || filled[SlotErrorFlag]
	for _, slot := range slots {
		if !filled[slot] && (!reply || !tells) {
			p.add("%s: no element for %s", at, slot)
		}
	}
}

func (p *problems) alias(at string, op *Operation, alias string) {
	slot := op.Aliases[alias]
	if !isNCName(alias) {
		p.add("%s: %q is not an XML name without colon", at, alias)
	}
	if !slices.ContainsFunc(op.Request, func(part Part) bool { return part.Slot == slot }) {
		p.add("%s.%s: %q is no slot of the request", at, alias, slot)
	}
	for _, part := range op.Request {
		if part.Name == alias && part.Slot != slot {
			p.add("%s.%s: is the name of %s already", at, alias, part.Slot)
		}
	}
}

// values insists on a word where callers' proxies may have integers: those throw on an empty element.
func (p *problems) values(v *Values) {
	for _, e := range []struct{ name, value string }{
		{"success_code", v.SuccessCode}, {"failed_code", v.FailedCode}, {"auth_code", v.AuthCode},
		{"success_flag", v.SuccessFlag}, {"failed_flag", v.FailedFlag},
	} {
		if e.value == "" || strings.ContainsAny(e.value, " \t\r\n") {
			p.add("contract.values.%s is %q, must be one word", e.name, e.value)
		}
	}
	for _, e := range []struct{ name, value string }{
		{"success_status", v.SuccessStatus}, {"failed_status", v.FailedStatus},
		{"token_expired", v.TokenExpired}, {"token_invalid", v.TokenInvalid}, {"not_yours", v.NotYours},
	} {
		if strings.TrimSpace(e.value) == "" {
			p.add("contract.values.%s must not be empty", e.name)
		}
	}
	if v.SuccessStatus == v.FailedStatus || v.SuccessCode == v.FailedCode {
		p.add("contract.values: success and failure must differ in status and code")
	}
}
