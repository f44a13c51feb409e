package invx

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// loginRequest is theodore's POST /authtokens.
type loginRequest struct {
	Handle       string `json:"handle"`
	Password     string `json:"password"`
	HandleType   string `json:"handleType"`
	DurationMins int    `json:"tokenDurationInMins"`
}

// tokenReply is the data of theodore's reply.
type tokenReply struct {
	Token  string          `json:"token"`
	Expiry upstream.Scalar `json:"expiry"` // epoch milliseconds
	Orgs   []struct {
		Organisation struct {
			ID string `json:"id"`
		} `json:"organisation"`
	} `json:"associatedOrgs"`
}

// orgs is nil when the reply has no list.
func (r tokenReply) orgs() []string {
	if r.Orgs == nil {
		return nil
	}
	ids := make([]string, 0, len(r.Orgs))
	for _, o := range r.Orgs {
		ids = append(ids, o.Organisation.ID)
	}
	return ids
}

// cancelItem is the one item of PATCH edocuments/bulk.
type cancelItem struct {
	DocID    string `json:"docId"`
	Comments string `json:"comments"`
	Reason   string `json:"cancelReason"`
	Action   string `json:"action"`
}

// body is every reply of InvX and theodore.
type body struct {
	Status upstream.Scalar `json:"status"` // "1" done, "0" failed; missing in error replies
	Data   json.RawMessage `json:"data"`
	Error  faults          `json:"error"`
	Mark   irp.Mark        `json:"status_cd"`

	readable bool // it was a JSON object

	gateway  bool       // it is the envelope of a gateway before InvX
	envelope irp.Errors // what that says

	list  []item // what items has read, if it has
	asked bool
}

func read(reply *upstream.Reply) *body {
	b := new(body)
	if reply.Err != nil || json.Unmarshal(reply.Body, b) != nil || !upstream.IsObject(reply.Body) {
		return new(body)
	}
	b.readable = true
	if b.Mark.Gateway() {
		if b.envelope, b.gateway = irp.GSPErrors(reply.Body); b.gateway {
			b.Error = nil
		}
	}
	return b
}

// items are the data of a search or a bulk reply; ok is false when they can't be read.
func (b *body) items() (list []item, ok bool) {
	if !b.asked {
		b.asked = true
		if !isArray(b.Data) || json.Unmarshal(b.Data, &b.list) != nil {
			b.list = nil
		}
		for i := range b.list {
			b.list[i].Data.readDate()
		}
	}
	return b.list, b.list != nil
}

// document is the data of a get by docId.
func (b *body) document() (d document, ok bool) {
	if !upstream.IsObject(b.Data) || json.Unmarshal(b.Data, &d) != nil {
		return document{}, false
	}
	d.readDate()
	return d, true
}

type item struct {
	Status upstream.Scalar `json:"itemStatus"`
	Data   document        `json:"itemData"`
	Errors faults          `json:"itemErrors"`
}

// document is an e-document as far as it matters here.
type document struct {
	ID          string          `json:"id"`
	IRN         string          `json:"irn"`
	Seller      string          `json:"sellerGstin"`
	State       upstream.Scalar `json:"status"`
	Updated     upstream.Scalar `json:"lastUpdated"` // epoch milliseconds
	IRNResponse json.RawMessage `json:"irnResponse"`

	date string // in IRNResponse
}

// is tells whether this is the seller's document with that IRN.
func (d document) is(irn, seller string) bool {
	return strings.EqualFold(d.IRN, irn) && strings.EqualFold(d.Seller, seller)
}

// cancelDate is the authority's own date, else the time of the document's last change, which was the cancel.
func (d document) cancelDate() string {
	if date := upstream.CancelDate(d.date); date != "" {
		return date
	}
	if t := millis(d.Updated); !t.IsZero() {
		return t.In(upstream.IST).Format(time.DateTime)
	}
	return ""
}

// readDate reads irnResponse: the authority's JSON, written into a string. Before a cancel it holds other things, or null;
// one that can't be read says nothing, since the document itself names state and IRN.
func (d *document) readDate() {
	raw, text := []byte(d.IRNResponse), ""
	if json.Unmarshal(raw, &text) == nil {
		raw = []byte(text)
	}
	var inner struct {
		CancelDate upstream.Scalar `json:"CancelDate"`
	}
	if upstream.IsObject(raw) && json.Unmarshal(raw, &inner) == nil {
		d.date = string(inner.CancelDate)
	}
}

func isArray(b []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("[")) }

// faults is what stands under "error" and "itemErrors": null, a text, an object, or an array of those. Only null was
// ever documented for itemErrors.
type faults []fault

// fault is one error: InvX's own, by name, or what the tax authority said.
type fault struct {
	name string // err-incorrect-update-action
	kind string // ClientError, Authorization, Irp
	text string
	nic  irp.Errors
}

func (fs *faults) UnmarshalJSON(raw []byte) error {
	if *fs = nil; string(raw) == "null" {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
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
		errs := irp.ErrorsInText(text)
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
		f.nic = append(f.nic, irp.Error{Code: string(o.Code), Text: string(o.Text)})
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
	nic  irp.Errors
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
func details(raw json.RawMessage) irp.Errors {
	var list []nicError
	if json.Unmarshal(raw, &list) != nil {
		var one nicError
		if json.Unmarshal(raw, &one) != nil {
			return nil
		}
		list = []nicError{one}
	}
	var errs irp.Errors
	for _, e := range list {
		if e.Code != "" || e.Text != "" {
			errs = append(errs, irp.Error{Code: string(e.Code), Text: string(e.Text)})
		}
	}
	return errs
}

// nic gathers what the tax authority said.
func (fs faults) nic() irp.Errors {
	var all irp.Errors
	for _, f := range fs {
		all = append(all, f.nic...)
	}
	return all
}

// list is the errors for the shared code that words them: the tax authority's words where there are any, else InvX's.
func (fs faults) list() irp.Errors {
	var all irp.Errors
	for _, f := range fs {
		if len(f.nic) > 0 {
			all = append(all, f.nic...)
		} else {
			all = append(all, irp.Error{Code: f.name, Text: f.words()})
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
