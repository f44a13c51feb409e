package irpcode

import (
	"unicode/utf16"

	"einvoice-bridge/bridge"
)

// MaxRemarks is how long cancel remarks may be (NIC e-invoice API, Cancel IRN: CnlRem), counted as NIC's .NET counts,
// in UTF-16 units.
const MaxRemarks = 100

// RemarksRule is the validator tag of MaxRemarks, for bridge.Rules.
const RemarksRule = "utf16max=100"

// Refusal words a broken rule of a SOAP parameter as NIC would, naming the parameter and the rule behind it.
func Refusal(field, rule string) (code, message string) {
	code, text := "2142", "Incomplete request parameters"
	if field == "irn" {
		code, text = "2145", "IRN is not valid"
	}
	return code, code + ": " + text + " (" + field + " " + rule + ")"
}

// Remarks are what goes into the remarks field: the caller's, at most MaxRemarks long, or the reason in words when
// there are none, which satisfies providers that demand a value.
func Remarks(c bridge.Cancellation) string {
	if c.Remarks == "" {
		return c.Reason.Label()
	}
	units := 0
	for i, r := range c.Remarks {
		if units += utf16.RuneLen(r); units > MaxRemarks {
			return c.Remarks[:i]
		}
	}
	return c.Remarks
}
