package flow

import (
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/go-playground/validator/v10"

	"einvoice-bridge/bridge"
)

// validate is the process's one validator: it caches tags and is safe for concurrent use.
var validate = newValidator()

func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	for tag, rule := range map[string]func(validator.FieldLevel) bool{
		// "hexadecimal" would accept a 0x prefix; an IRN is a bare SHA-256 (NIC e-invoice API, Cancel IRN).
		"irn":      func(f validator.FieldLevel) bool { return isIRN(f.Field().String()) },
		"utf16max": func(f validator.FieldLevel) bool { return utf16Len(f.Field().String()) <= atoi(f.Param()) },
		"pathsafe": func(f validator.FieldLevel) bool { return isPathSafe(f.Field().String()) },
		"printing": func(f validator.FieldLevel) bool { return !hasControl(f.Field().String()) },
	} {
		if err := v.RegisterValidation(tag, rule); err != nil {
			panic(err) // a misspelt tag of our own
		}
	}
	return v
}

// check holds a request against the rules of its taxpayer's upstream and puts it into the upstream's normal form. A
// broken rule comes back as the refusal that the caller is told: it names the parameter and the rule.
func check(r *bridge.Request, rules bridge.Rules) (bridge.Cancellation, *bridge.Outcome) {
	c := bridge.Cancellation{
		Taxpayer: r.Taxpayer,
		Document: rules.Normal(r.IRN),
		Reason:   bridge.Reason(r.Reason),
		Remarks:  oneBlank(r.Remarks),
		Ref:      r.Ref,
	}
	for _, f := range [...]struct{ name, value, tag string }{
		{"irn", r.IRN, "required," + rules.Document},
		{"cancel_reason", r.Reason, "required,oneof=1 2 3 4"},
		{"cancel_remarks", c.Remarks, join("omitempty,printing", rules.Remarks)},
	} {
		if rule := breach(f.value, f.tag); rule != "" {
			code, message := rules.Refusal(f.name, rule)
			return c, &bridge.Outcome{Class: bridge.Refused, Code: code, Message: message}
		}
	}
	return c, nil
}

func join(tag, more string) string {
	if more == "" {
		return tag
	}
	return tag + "," + more
}

// breach names the rule that value breaks in plain words, or is empty.
func breach(value, tag string) string {
	err := validate.Var(value, tag)
	if err == nil {
		return ""
	}
	errs, ok := err.(validator.ValidationErrors)
	if !ok || len(errs) == 0 {
		return "is not valid"
	}
	return sentence(errs[0].Tag(), errs[0].Param())
}

func sentence(tag, param string) string {
	switch tag {
	case "required":
		return "is missing"
	case "irn":
		return "must be 64 hexadecimal characters"
	case "oneof":
		return "must be one of " + strings.ReplaceAll(param, " ", ", ")
	case "max", "utf16max":
		return fmt.Sprintf("may have at most %s characters", param)
	case "len":
		return fmt.Sprintf("must have exactly %s characters", param)
	case "alphanum":
		return "may have letters and digits only"
	case "pathsafe":
		return "may not have slashes, dots in a row or control characters"
	case "printing":
		return "may not have control characters"
	}
	return "is not valid"
}

func isIRN(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isPathSafe keeps a document id from leaving its path segment, escaped or not.
func isPathSafe(s string) bool {
	return !strings.ContainsAny(s, `/\`) && !strings.Contains(s, "..") && !hasControl(s)
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r <= 0x9f })
}

// oneBlank trims remarks and turns line breaks and tabs, with the blanks around them, into one blank; legacy callers
// send multi-line text fields, the authorities take one line.
func oneBlank(s string) string {
	s = strings.TrimSpace(s)
	if !strings.ContainsAny(s, "\r\n\t") {
		return s
	}
	var b strings.Builder
	for i, line := range strings.FieldsFunc(s, func(r rune) bool { return r == '\r' || r == '\n' || r == '\t' }) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(line)
	}
	return b.String()
}

// utf16Len counts as .NET and Java do; NIC's limit is counted by such a system.
func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

func atoi(s string) int {
	n := 0
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}
