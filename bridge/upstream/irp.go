package upstream

import (
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// The zones of the authorities' clocks. Neither has daylight saving, so no zone database is needed.
var (
	IST = time.FixedZone("IST", 19800)
	MYT = time.FixedZone("MYT", 28800)
)

// IRPSpace is the document space of all of India's IRNs in one environment, whoever carries them.
func IRPSpace(s Settings) string { return Space("irp", Environment(s.Environment, s.BaseURL)) }

// IRPRules are the rules of an IRN's cancellation; remarks is the validator tag that bounds them, empty when the
// adapter cuts what is too long. A broken rule is worded as NIC would, with the parameter and the rule behind it.
func IRPRules(remarks string) bridge.Rules {
	return bridge.Rules{
		Document: "irn",
		Remarks:  remarks,
		Normal:   strings.ToLower,
		Refusal: func(field, rule string) (code, message string) {
			code = "2142"
			if field == "irn" {
				code = "2145"
			}
			return code, code + ": " + irpCodes[code].text + " (" + field + " " + rule + ")"
		},
	}
}

// IRPRemarks is CnlRem: the remarks, or the reason's label when there are none, as several upstreams demand a value.
func IRPRemarks(c bridge.Cancellation) string {
	if c.Remarks == "" {
		return c.Reason.Label()
	}
	return c.Remarks
}

// IRPDate checks a CancelDate as the authority writes it. One that can't be read as a date is still passed on when it
// is 19 printable characters; anything else is empty.
func IRPDate(s string) string {
	s = strings.TrimSpace(s)
	printable := func(r rune) bool { return r >= ' ' && r <= '~' }
	if len(s) != len(time.DateTime) || strings.IndexFunc(s, func(r rune) bool { return !printable(r) }) >= 0 {
		return ""
	}
	return s
}
