package upstream

import (
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// What those who carry cancellations to Malaysia's LHDN have in common is this, and too little for a package like irp.

// LHDNRefusal words a broken rule as LHDN words such errors (MyInvois SDK, Standard Error Response).
func LHDNRefusal(field, rule string) (code, message string) {
	code, text := "BadArgument", "invalid argument"
	if field == "irn" {
		code, text = "NotFound", "unknown document"
	}
	return code, code + ": " + text + " (" + field + " " + rule + ")"
}

// LHDNReason is the label with the remarks, in one line, cut at LHDN's 300 characters (MyInvois SDK, Cancel Document). It is
// never empty.
func LHDNReason(c bridge.Cancellation) string {
	text := c.Reason.Label()
	if c.Remarks != "" {
		text += ": " + c.Remarks
	}
	return strings.TrimSpace(bridge.OneLine(text, 300))
}

// PerMinute is a rate whose window is wider than a minute, since the authority's does not begin when ours does.
func PerMinute(key string, limit int) bridge.Rate {
	return bridge.Rate{Key: key, Limit: limit, Per: time.Minute + 2*time.Second}
}
