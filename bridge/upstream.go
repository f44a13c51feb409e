package bridge

import (
	"context"
	"errors"
	"math"
	"time"
)

// Upstream carries the cancellations of one taxpayer to one e-invoice API.
//
// Implementations are safe for concurrent use. Both calls honour ctx, which bounds the upstream call itself and is
// never the caller's deadline. Neither panics, whatever the other side sends.
type Upstream interface {
	// Profile is fixed for the life of the value.
	Profile() *Profile
	// Cancel sends one cancellation once and classifies what came back. Only what was certainly stopped at the gate
	// (an expired session) is replayed, once, inside the call. It never returns class None, and AlreadyCancelled
	// only as the authority says it: whether it was us is the journal's business. It says what became of this send, and
	// concludes nothing for the document. fence is asked right before the first byte of the cancel.
	Cancel(ctx context.Context, c Cancellation, fence Fence) Outcome
	// Lookup tells what the authority holds for the document. It changes nothing and may be repeated. An error means
	// that the question could not be asked; ErrUnavailable (wrapped) that it was not even tried.
	Lookup(ctx context.Context, c Cancellation) (DocumentState, error)
	// Probe logs in, afresh if need be, and says in words what is wrong with the credentials or the way there.
	Probe(ctx context.Context) error
}

// Fence is the last question before a cancel's first byte leaves: may this process still send it? On an error nothing
// is written and the outcome is NotApplied. Without a fence nothing is written either.
type Fence func(context.Context) error

// Resolver is an Upstream whose callers may name a document otherwise than the authority does.
type Resolver interface {
	// Resolve is the authority's own id of what a caller names (in Rules.Normal spelling), so that one document never
	// has two entries. An Outcome with a class other than None ends the call: there is no such document (Refused), or
	// it could not be asked (NotApplied, Misconfigured); nothing was sent for it.
	Resolve(ctx context.Context, document string) (id string, o Outcome)
}

// ErrUnavailable marks a lookup that was not tried because the upstream's breaker is open. It counts as no try.
var ErrUnavailable = errors.New("upstream unavailable")

// Profile is what the Service must know of an upstream without asking it.
type Profile struct {
	Name string // in the configuration, for logs and metrics
	Kind string // "nic", "myinvois", …
	// Space is the set of documents that share ids: "irp" for all of India's IRNs, whoever carries them. Environments
	// other than production are spaces of their own ("irp/sandbox").
	Space string
	// Zone is where the authority's clocks stand (IST, MYT); dates are told in it.
	Zone *time.Location
	// Credential is a digest of the effective credentials and base URL. Gates and budgets hang on it. No secret.
	Credential string
	// Cancels is how many cancels the API takes; zero Limit means no limit known.
	Cancels Rate
	// LookupWindow is how long after the first attempt the authority still answers lookups.
	LookupWindow time.Duration
	// CallTimeout bounds one cancel, 30 s by default; LookupTimeout one lookup, 10 s.
	CallTimeout, LookupTimeout time.Duration
	Rules                      Rules
}

// Rules are what an upstream demands of a cancellation's fields. They are validator tags, so that each rule stands
// once and the message to the caller can name it.
type Rules struct {
	Document string // e.g. "irn" (64 hexadecimal characters)
	Remarks  string // e.g. "max=100"; empty means the adapter cuts what is too long
	// Normal puts a document id into the authority's normal spelling; it is the journal's key.
	Normal func(irn string) string
	// Refusal words a broken rule as the authority would: field is the SOAP parameter, rule a plain sentence.
	Refusal func(field, rule string) (code, message string)
}

// Rate is a budget: at most Limit sends in any Per, counted under Key. Two upstreams with the same Key share it.
type Rate struct {
	Key   string
	Limit int
	Per   time.Duration
}

// Last is the turn behind all others.
const Last = math.MaxInt64

// Gate is a closed door in front of a credential: it refused us, or asked us to wait.
type Gate struct {
	Class Class // Misconfigured (credentials refused) or NotApplied (429, maintenance)
	Until time.Time
	Text  string // for the operator; no secret
}

// Budget holds what every send must ask first: rates per credential and closed gates. Implementations are safe for
// concurrent use and, when several instances share a journal, shared by them.
type Budget interface {
	// Take books one send under r if it fits into the sliding window now and nobody with a lower turn waits for r, on
	// whatever instance: then wait is 0, and booked names the booking. Otherwise it books nothing and returns how long to
	// wait before asking again. turn is the waiting entry's ID, Last for a send that would rather not wait. A zero Limit
	// always fits and books nothing.
	Take(ctx context.Context, r Rate, turn int64) (booked time.Time, wait time.Duration, err error)
	// Return gives back a booking under which nothing was sent.
	Return(ctx context.Context, r Rate, booked time.Time) error
	// Shut closes the gate of a credential until g.Until. A gate that is shut for longer stays as it is.
	Shut(ctx context.Context, credential string, g Gate) error
	// Gate returns the closed gate of a credential; ok is false when it is open.
	Gate(ctx context.Context, credential string) (g Gate, ok bool, err error)
}
