package invx

import (
	"encoding/json"
	"strings"

	"einvoice-bridge/bridge/upstream"
)

// faults is what stands under "error" and "itemErrors": null, a text, an object, or an array of those. Only null was
// ever documented for itemErrors.
type faults []fault

// fault is one error: InvX's own, by name, or what the tax authority said.
type fault struct {
	name string // err-incorrect-update-action
	kind string // ClientError, Authorization, Irp
	text string
	nic  upstream.IRPErrors
}

func (fs *faults) UnmarshalJSON(raw []byte) error {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	*fs = nil
	for _, one := range list {
		if f := readFault(one); f.name != "" || f.text != "" || len(f.nic) > 0 {
			*fs = append(*fs, f)
		}
	}
	return nil
}

func readFault(raw []byte) fault {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		errs := upstream.IRPErrorsInText(text)
		if len(errs) == 0 || len(errs) == 1 && errs[0].Code == "" {
			return fault{text: strings.TrimSpace(text)}
		}
		return fault{nic: errs}
	}
	var o struct {
		Message upstream.Scalar `json:"message"`
		Type    upstream.Scalar `json:"type"`
		Args    args            `json:"args"`
		nicError
	}
	if json.Unmarshal(raw, &o) != nil {
		return fault{text: "an error that can't be read"}
	}
	f := fault{name: string(o.Message), kind: string(o.Type), text: o.Args.text, nic: o.Args.nic}
	if o.Code != "" {
		f.nic = append(f.nic, upstream.IRPError{Code: string(o.Code), Text: string(o.Text)})
	}
	return f
}

// nicError is the tax authority's error as InvX hands it on; its keys come in both letter cases.
type nicError struct {
	Code upstream.Scalar `json:"ErrorCode"`
	Text upstream.Scalar `json:"ErrorMessage"`
}

// args is the part of an error that says more. Nothing in it is certain, so what can't be read is left out.
type args struct {
	text string
	nic  upstream.IRPErrors
}

func (a *args) UnmarshalJSON(raw []byte) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	for _, key := range []string{"message", "parameter-name"} {
		var text upstream.Scalar
		if json.Unmarshal(fields[key], &text) == nil && text != "" {
			a.text = strings.TrimSuffix(string(text), ".kotlin")
			break
		}
	}
	a.nic = details(fields["details"])
	var irp struct {
		Details json.RawMessage `json:"details"`
	}
	if json.Unmarshal(fields["irp-err"], &irp) == nil {
		a.nic = append(a.nic, details(irp.Details)...)
	}
	return nil
}

// details is the tax authority's list of errors, or a single one.
func details(raw json.RawMessage) upstream.IRPErrors {
	var list []nicError
	if json.Unmarshal(raw, &list) != nil {
		var one nicError
		if json.Unmarshal(raw, &one) != nil {
			return nil
		}
		list = []nicError{one}
	}
	var errs upstream.IRPErrors
	for _, e := range list {
		if e.Code != "" || e.Text != "" {
			errs = append(errs, upstream.IRPError{Code: string(e.Code), Text: string(e.Text)})
		}
	}
	return errs
}

// nic gathers what the tax authority said.
func (fs faults) nic() upstream.IRPErrors {
	var all upstream.IRPErrors
	for _, f := range fs {
		all = append(all, f.nic...)
	}
	return all
}

// list is the errors for the shared code that words them: the tax authority's words where there are any, else InvX's.
func (fs faults) list() upstream.IRPErrors {
	var all upstream.IRPErrors
	for _, f := range fs {
		if len(f.nic) > 0 {
			all = append(all, f.nic...)
		} else {
			all = append(all, upstream.IRPError{Code: f.name, Text: f.words()})
		}
	}
	return all
}

// words are the text, with the name of the state that it speaks of.
func (f fault) words() string {
	if name, ok := stateNames[f.state()]; ok {
		return f.text + " (" + name + ")"
	}
	return f.text
}

func (f fault) String() string { return faults{f}.list().Message() }
