package bridge

import (
	"context"
	"time"
)

// Reason is the caller's cancel_reason: "1" to "4", as India's e-invoice system numbers them.
type Reason string

// The four reasons that every upstream understands, by number or by label.
const (
	Duplicate      Reason = "1"
	DataEntry      Reason = "2"
	OrderCancelled Reason = "3"
	Others         Reason = "4"
)

// Label is the reason in words. Upstreams that want free text get it, and so do those that demand remarks when the
// caller sent none. It is empty for a value that is no reason.
func (r Reason) Label() string {
	switch r {
	case Duplicate:
		return "Duplicate"
	case DataEntry:
		return "Data entry mistake"
	case OrderCancelled:
		return "Order cancelled"
	case Others:
		return "Others"
	}
	return ""
}

// Cancellation is one document that one taxpayer wants cancelled, as an upstream gets it: checked against the
// upstream's rules, values trimmed.
type Cancellation struct {
	Taxpayer string // key in the configuration: a GSTIN or TIN, trimmed and upper-cased
	Document string // document id in the authority's normal spelling, see Rules.Normal
	Reason   Reason
	Remarks  string // one line, trimmed; may be empty
	Ref      string // request id of the call that caused it, for the authority's and our own logs
}

// Request is one call of eInvoiceCancel by a caller who has been let in.
type Request struct {
	Ref      string // request id, unique per call
	Caller   string // name in the configuration
	Taxpayer string // user_gstin, trimmed and upper-cased
	IRN      string // as the caller spelt it, trimmed; echoed in the answer
	Reason   string // trimmed, unchecked
	Remarks  string // trimmed, unchecked
	Received time.Time

	// Until is when the caller must have an answer, whatever becomes of the work.
	Until time.Time
	// SOAPIn is the caller's envelope with every secret masked, for the journal; may be nil.
	SOAPIn []byte
	// Render turns the answer into the bytes that are sent, so that the journal keeps what was really said; may be nil.
	Render func(Answer) []byte
	// Carried is told when the call begins work that may outlast it, and returns what is to be told when that has ended;
	// may be nil.
	Carried func() (ended func())
	// Context carries the call's trace and nothing else: no deadline, no end. Nil without traces.
	Context context.Context
}
