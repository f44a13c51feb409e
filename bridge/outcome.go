package bridge

import (
	"fmt"
	"time"
)

// Class is how a cancellation ended. Every upstream signal is exactly one of these; the SOAP side knows only these.
type Class uint8

// The seven classes, and None for "has not ended". Their meaning binds every adapter.
const (
	// None: no outcome yet. Never leaves an adapter.
	None Class = iota
	// Cancelled: the authority confirmed it, by this request or an earlier one of ours. Never sent again.
	Cancelled
	// Refused: the authority (or a local check) said no to this send, with a code or text that the adapter lists as such
	// a no. What an earlier send of ours did is another question.
	Refused
	// AlreadyCancelled: the document is cancelled, by whom is open. The journal decides whether it was us.
	AlreadyCancelled
	// NotApplied: certainly not carried out: nothing was written, or it was stopped at the gate. May be sent again.
	NotApplied
	// Unknown: it may have been carried out. Look up before anything else.
	Unknown
	// Misconfigured: our credentials, keys, URL or rights are wrong. An operator must act.
	Misconfigured
	// Unclear: the authority answered with a code or text that is in no list. The document's state decides; never an
	// entry's outcome.
	Unclear
)

var classNames = [...]string{"none", "cancelled", "refused", "already_cancelled", "not_applied", "unknown", "misconfigured", "unclear"}

// String is the class's name in the journal, logs, metrics and exports: lower case with underscores.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// ParseClass is the inverse of String. An unknown name is an error.
func ParseClass(s string) (Class, error) {
	for i, n := range classNames {
		if n == s {
			return Class(i), nil
		}
	}
	return None, fmt.Errorf("unknown outcome class %q", s)
}

// DateSource says where a cancel date came from.
type DateSource string

// The sources of a cancel date, best first.
const (
	DateUpstream  DateSource = "upstream"  // the authority's reply or lookup named it
	DateReply     DateSource = "reply"     // time of the reply: the authority gives no date
	DateEstimated DateSource = "estimated" // start of the first attempt: settled by a lookup without a date
	DateOperator  DateSource = "operator"  // an operator's word, see Attempt.By
)

// Outcome is the end of one cancellation as an upstream reports it and the journal keeps it.
type Outcome struct {
	Class Class
	// Code is the authority's own code ("2143"), several joined by ",", for metrics and search. May be empty.
	Code string
	// Message is what the caller reads in errorMessage when the class is Refused, Unclear or AlreadyCancelled: "CODE:
	// text" verbatim, several joined by "; ". For the classes of trouble it says what was in the way, for operators only.
	Message string
	// Date is the cancel date as the authority writes it, "2006-01-02 15:04:05" in its own zone; empty when its
	// reply has none, then the Service fills it in.
	Date       string
	DateSource DateSource
	// RetryAfter is how long the authority asks to wait; 0 when it did not say.
	RetryAfter time.Duration
	// Alarm is a sentence for the operator when somebody must act; never shown to a caller, never with a secret.
	Alarm string
	// Unclassified marks a code that the upstream's table does not list.
	Unclassified bool
	// HTTPStatus of the deciding reply, 0 when there was none.
	HTTPStatus int
	// UpstreamRef is the authority's own correlation id, when it sent one.
	UpstreamRef string
	// Sent tells whether a byte of the cancel may have left this machine.
	Sent bool
	// ByState marks a Refused whose meaning hangs on the document's state: it is cancelled already, or can't be
	// cancelled (MyInvois' IncorrectState). It is looked up before anybody is told.
	ByState bool
	// Claimed marks an Unknown in which the authority did say that it cancelled, unreadably otherwise. A lookup that
	// gets no answer leaves it at that: Cancelled.
	Claimed bool
	// Proof marks a lookup that closed the doubt about the sends before it: the document was seen not cancelled, long
	// enough after it had been seen so before that nothing of ours can still come to light.
	Proof bool
	// Exchanges are the HTTP exchanges behind this outcome in order, secrets masked.
	Exchanges []Exchange
}

// Exchange is one HTTP request and its reply, as kept in the journal: decrypted where it was encrypted, with every
// token, password, key and secret masked.
type Exchange struct {
	Purpose  string        `json:"purpose"` // "login", "cancel", "lookup"
	Method   string        `json:"method"`
	URL      string        `json:"url"`
	Request  string        `json:"request,omitempty"`
	Status   int           `json:"status,omitempty"` // 0 when no reply came
	Response string        `json:"response,omitempty"`
	Err      string        `json:"err,omitempty"`
	Start    time.Time     `json:"start"`
	Took     time.Duration `json:"took"` // nanoseconds
}

// DocumentStatus is what an authority holds for a document.
type DocumentStatus uint8

// What a lookup can tell.
const (
	StatusUnknown   DocumentStatus = iota // the lookup proves nothing (not found, other portal, too old)
	StatusActive                          // not cancelled
	StatusCancelled                       // cancelled, by whom is open
	StatusOther                           // another final state: it can't be cancelled any more
)

// DocumentState is the result of a lookup that got through.
type DocumentState struct {
	Status    DocumentStatus
	Date      string // cancel date in the authority's zone, when the lookup has one
	Text      string // the state in the authority's words ("Invalid"), for StatusOther and StatusUnknown
	Exchanges []Exchange
}
