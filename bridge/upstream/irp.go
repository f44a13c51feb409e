package upstream

import (
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// The zones of the authorities' clocks. Neither has daylight saving, so no zone database is needed.
var (
	IST = time.FixedZone("IST", 19800)
	MYT = time.FixedZone("MYT", 28800)
)

// IRPSpace is the document space of all of India's IRNs, whoever carries them.
const IRPSpace = "irp"

// IRPClass sorts the error codes of India's Invoice Registration Portal. Whoever carries an IRN meets them, the
// gateways in front of NIC included.
type IRPClass byte

// The classes. NIC's generation-only codes are business refusals here.
const (
	IRPToken     IRPClass = 'T' // token refused: the call was stopped at the gate
	IRPConfig    IRPClass = 'K' // credentials or configuration
	IRPPayload   IRPClass = 'C' // the payload is wrong: our fault or the caller's
	IRPBusiness  IRPClass = 'B' // business refusal
	IRPTemporary IRPClass = 'R' // temporary; whether the call was carried out is open
	IRPAlready   IRPClass = 'A' // already cancelled
	IRPAmbiguous IRPClass = '?' // several entries that contradict each other
)

// Gateway is what a class means for a cancel behind a gateway that keeps the session with NIC itself.
func (c IRPClass) Gateway() bridge.Class {
	switch c {
	case IRPToken:
		return bridge.NotApplied
	case IRPConfig:
		return bridge.Misconfigured
	case IRPPayload, IRPBusiness:
		return bridge.Refused
	case IRPAlready:
		return bridge.AlreadyCancelled
	}
	return bridge.Unknown
}

// IRPError is one entry of an error list, code and text as the authority wrote them, blanks around them removed.
type IRPError struct{ Code, Text string }

// IRPErrors is what one reply lists.
type IRPErrors []IRPError

// Class is that of the whole list: T before K before C before B before R. "Already cancelled" together with another
// code is ambiguous. unclassified is set when a code is not in the authority's lists; such a one counts as B.
func (l IRPErrors) Class() (class IRPClass, unclassified bool) {
	const precedence = "TKCBR"
	best, already := len(precedence)-1, 0
	for _, e := range l {
		c, listed := e.class()
		unclassified = unclassified || !listed
		if c == IRPAlready {
			already++
			continue
		}
		best = min(best, strings.IndexByte(precedence, byte(c)))
	}
	switch {
	case len(l) == 0:
		return IRPAmbiguous, true
	case already == len(l):
		return IRPAlready, false
	case already > 0:
		return IRPAmbiguous, unclassified
	}
	return IRPClass(precedence[best]), unclassified
}

// class of one entry; listed is false for a code that no official list has.
func (e IRPError) class() (class IRPClass, listed bool) {
	text := strings.ToLower(e.Text)
	switch {
	case e.Code == "9999": // a catch-all number outside the lists
		if strings.Contains(text, "not active") {
			return IRPAlready, true
		}
		return IRPBusiness, true
	case e.Code == "5002": // one number for two things
		if strings.HasPrefix(text, "the field") || strings.Contains(text, "must be") || strings.Contains(text, "too large") {
			return IRPPayload, true
		}
		return IRPTemporary, strings.HasPrefix(text, "application error")
	case strings.HasPrefix(e.Code, "GSP"): // a gateway's own code, never NIC's
		for _, sign := range []string{"down", "timeout", "timed out", "reset", "no route"} {
			if strings.Contains(text, sign) {
				return IRPTemporary, true
			}
		}
		return IRPConfig, true
	}
	if known, ok := irpCodes[e.Code]; ok {
		return known.class, true
	}
	return IRPBusiness, len(e.Code) == 4 && e.Code[0] == '4' // the e-way-bill side's 4xxx
}

// Message is what the caller reads: "CODE: text", several joined by "; ". A code without a text gets the official one.
func (l IRPErrors) Message() string {
	parts := make([]string, 0, len(l))
	for _, e := range l {
		text := e.Text
		if text == "" {
			text = irpCodes[e.Code].text
		}
		switch {
		case e.Code == "":
			parts = append(parts, text)
		case text == "":
			parts = append(parts, e.Code)
		default:
			parts = append(parts, e.Code+": "+text)
		}
	}
	return strings.Join(parts, "; ")
}

// Codes joins the codes by ",".
func (l IRPErrors) Codes() string {
	var codes []string
	for _, e := range l {
		if e.Code != "" && !slices.Contains(codes, e.Code) {
			codes = append(codes, e.Code)
		}
	}
	return strings.Join(codes, ",")
}

// Has tells whether the list holds one of the codes.
func (l IRPErrors) Has(codes ...string) bool {
	return slices.ContainsFunc(l, func(e IRPError) bool { return slices.Contains(codes, e.Code) })
}

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
