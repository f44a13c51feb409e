package soap

// Header is what the HTTP request says about its body, each value as received, "" when absent.
type Header struct {
	ContentType     string
	ContentEncoding string
	// SOAPAction never decides anything by default; a mismatch with the body is noted.
	SOAPAction string
}

// Request is one call, read from its envelope. Its strings are copies; only Masked still reads the body.
type Request struct {
	Version Version
	// Operation is the name of the operation in the contract, Namespace that of the element as it was sent.
	Operation string
	Namespace string
	// Params are the operation's parameters in the contract's order, absent ones included.
	Params []Param
	// Addressing is set when the request carries a WS-Addressing MessageID; hand it to the encoder of the answer.
	Addressing *Addressing
	// UsernameToken is set when a WS-Security header carries one. Nothing about it has been checked.
	UsernameToken *UsernameToken
	// Notes tell which leniencies were needed to read the request, for the log. They hold no request content.
	Notes []string
	// Unplaced names the children that are no parameter, by name or by place: where a parameter is missing, one of them
	// was meant for it. They are the caller's text.
	Unplaced []string
	// Moved: parameters stand elsewhere than documented, or among others, so that whoever reads them by their place, as the
	// original does, reads something else.
	Moved bool

	doc  []byte // the transcoded envelope; may share memory with the body given to Decode
	hide []span
}

// State tells how a parameter was sent.
type State int

// The three ways to send no value, all meaning the same, and the one to send some.
const (
	Absent State = iota
	Nil          // xsi:nil="true"
	Empty        // nothing, or only white space
	Text
)

// Param is one parameter of a request, with XML white space trimmed at both ends. Name is what the contract calls it,
// Element what the caller called the one that was read by its place; "" when it went by its name.
type Param struct {
	Slot    string
	Name    string
	Element string
	State   State
	Text    string
}

// Param returns the parameter of a slot; an unknown slot is Absent.
func (r *Request) Param(slot string) Param {
	for _, p := range r.Params {
		if p.Slot == slot {
			return p
		}
	}
	return Param{Slot: slot}
}

// Missing lists the parameters that were not sent at all, where something came that can't be told what it is. Who just
// leaves parameters out means it, and gets none.
func (r *Request) Missing() []Param {
	var missing []Param
	for _, p := range r.Params {
		if p.State == Absent && len(r.Unplaced) > 0 {
			missing = append(missing, p)
		}
	}
	return missing
}

// Text returns the value of a slot, "" when it was absent, nil or empty.
func (r *Request) Text(slot string) string { return r.Param(slot).Text }

// Addressing is what an answer needs of the request's WS-Addressing headers.
type Addressing struct {
	// Namespace is that of the request's headers: WS-Addressing 1.0 or the 2004/08 submission.
	Namespace string
	MessageID string
	// ReplyID is the MessageID of the answer; "" lets the encoder make one.
	ReplyID string
}

// UsernameToken is the user name and password of a WS-Security header (UsernameToken Profile 1.0).
type UsernameToken struct {
	Username string
	// Password is the password itself or, when Digest is set, Base64(SHA-1(nonce + created + password)).
	Password       string
	Digest         bool
	Nonce, Created string
}
