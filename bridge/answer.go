package bridge

import (
	"strings"
	"time"
)

// Answer is what a caller is told: a six-part business reply, or a fault when Fault is set.
type Answer struct {
	// Class is None for trouble on our own side before anything was sent, or while the cancellation waits its turn.
	Class Class
	// IRN, CancelDate and Message are the parts of a business reply (Class Cancelled or Refused).
	IRN, CancelDate, Message string
	// Fault is the stable text of a fault; empty for a business reply.
	Fault      string
	RetryAfter time.Duration // 0: not known
	Ref        string
	// Why is for operators, never for the caller: what was in the way of an answer that ends in trouble.
	Why string
}

// The fault texts. Callers match on them: they never change, and " [ref …]" follows on the wire.
const (
	FaultWaiting       = "Accepted; waiting its turn at the authority. Sending the same request again is safe."
	FaultBusy          = "The bridge is busy; nothing was sent for this call. Retry later."
	FaultNotApplied    = "Upstream temporarily unavailable; the invoice was not cancelled. Retry later."
	FaultUnknown       = "Outcome unknown; the invoice may have been cancelled. Sending the same request again is safe."
	FaultMisconfigured = "The bridge is not configured correctly for this taxpayer; contact the operator."
)

// Code is the answer's code part: 200 cancelled, 204 refused, 503 for every fault (only said aloud to callers with
// trouble_as: reply).
func (a Answer) Code() int {
	switch {
	case a.Fault != "":
		return 503
	case a.Class == Cancelled:
		return 200
	default:
		return 204
	}
}

// OneLine makes authority text fit for errorMessage: control characters and runs of blanks become one blank, and at
// most n characters stay.
func OneLine(s string, n int) string {
	var b strings.Builder
	blank, count := false, 0
	for _, r := range s {
		if r <= ' ' || r >= 0x7f && r <= 0x9f || r == '\u2028' || r == '\u2029' || r == '\ufffe' || r == '\uffff' {
			blank = b.Len() > 0
			continue
		}
		if blank {
			b.WriteByte(' ')
			count, blank = count+1, false
		}
		if count >= n {
			break
		}
		b.WriteRune(r)
		count++
	}
	return b.String()
}
