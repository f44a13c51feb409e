package flow

import (
	"time"

	"go.opentelemetry.io/otel/trace"

	"einvoice-bridge/bridge"
)

// Terms are what a configuration says about the flow. A call ends under the terms that it began under; work that no call
// stands behind goes by the last ones.
type Terms struct {
	CarryOutWithin      time.Duration // how long an accepted cancellation may wait its turn
	RepeatRefusalsAfter time.Duration // a refusal is answered from the record for so long
	// AlreadyCancelled is the policy for documents that somebody else has cancelled.
	AlreadyCancelled AlreadyPolicy
	AlreadyMessage   string       // "nic": NICAlready for every upstream; else the upstream's own text
	Tracer           trace.Tracer // of what no caller waits for; nil: no traces
	// Route finds a taxpayer's upstream.
	Route func(taxpayer string) (bridge.Upstream, bool)
}

// AlreadyPolicy says what "already cancelled" counts as while no send of ours may have done it.
type AlreadyPolicy string

// The policies for already_cancelled.
const (
	AlreadyByJournal AlreadyPolicy = "journal" // Refused, with the authority's text
	AlreadySuccess   AlreadyPolicy = "success" // Cancelled
	AlreadyRefuse    AlreadyPolicy = "refuse"  // Refused
)

// NICAlready is the text that the legacy service answered for a document that is not active any more. Callers match
// on it; already_message: nic gives it for every upstream.
const NICAlready = "9999: Invoice is not active"
