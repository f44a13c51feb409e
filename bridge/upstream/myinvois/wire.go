package myinvois

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"strings"

	"einvoice-bridge/bridge/upstream"
)

// cancelRequest is the body of a cancel; the status is lower-case (MyInvois SDK, Cancel Document).
type cancelRequest struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// object is a JSON object as it came. It is read by name and not into a struct: nothing odd in a reply may keep the
// rest of it from being read, an error's code least of all.
type object map[string]any

// readObject is a reply's body, nil unless it is one JSON object and complete.
func readObject(r *upstream.Reply) object {
	if r.Err != nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(r.Body))
	d.UseNumber()
	var o object
	if d.Decode(&o) != nil {
		return nil
	}
	if _, err := d.Token(); err != io.EOF {
		return nil
	}
	return o
}

// get is the value of a field. The exact spelling wins over other letter case: the SDK's own pages differ.
func (o object) get(name string) any {
	if v, ok := o[name]; ok {
		return v
	}
	found := ""
	for key := range o {
		if strings.EqualFold(key, name) && (found == "" || key < found) {
			found = key
		}
	}
	return o[found]
}

// text is the first of the fields that holds a text or a number.
func (o object) text(names ...string) string {
	for _, name := range names {
		if s := text(o.get(name)); s != "" {
			return s
		}
	}
	return ""
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return v.String()
	}
	return ""
}

// problem is one error of a reply.
type problem struct {
	code, text, target string
	// leaf: it holds no other, so it is the most specific of its branch. Where it is silent itself, it has the code
	// and the text of the error that holds it.
	leaf bool
	// word: it came as one word, as a login's error does. On a cancel it is whoever's: {"error":"Forbidden"} is what many
	// frameworks say by themselves.
	word bool
}

// maxDepth of nested errors; deeper ones add nothing that a caller could use.
const maxDepth = 8

// problems are the errors that the reply reports, each after those that it holds.
func (o object) problems() []problem {
	all := flatten(o.get("error"), problem{}, 0)
	// An error that is one word is the login's shape (RFC 6749 §5.2).
	if word, ok := o.get("error").(string); ok && len(all) == 1 && all[0].code == strings.TrimSpace(word) {
		all[0].text = o.text("error_description")
	}
	return all
}

// flatten reads an error in the documented shape (errorCode, error, innerError), in that on the wire (code, message,
// details), or a word.
func flatten(v any, above problem, depth int) []problem {
	var all []problem
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			all = append(all, flatten(one, above, depth)...)
		}
	case map[string]any:
		o := object(v)
		p := problem{
			code:   cmp.Or(o.text("errorCode", "code"), above.code),
			text:   cmp.Or(o.text("message", "error"), above.text),
			target: cmp.Or(o.text("target", "propertyPath"), above.target),
		}
		if depth < maxDepth {
			all = append(flatten(o.get("details"), p, depth+1), flatten(o.get("innerError"), p, depth+1)...)
		}
		p.leaf = len(all) == 0
		if p.code != "" || p.text != "" {
			all = append(all, p)
		}
	default:
		if word := text(v); word != "" {
			all = append(all, problem{code: word, leaf: true, word: depth == 0})
		}
	}
	return all
}
