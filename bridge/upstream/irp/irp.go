package irp

import (
	"fmt"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// Space is the document space of all of India's IRNs in one environment, whoever carries them.
func Space(s upstream.Settings) string {
	return upstream.Space("irp", upstream.Environment(s.Environment, s.BaseURL))
}

// Keys are what every kind for India takes beside upstream.Settings.
type Keys struct {
	RemarksTooLong string `yaml:"remarks_too_long" validate:"oneof=refuse truncate" default:"refuse" doc:"What becomes of remarks over 100 characters."`
}

// Truncate is the value of RemarksTooLong with which the adapter cuts them.
const Truncate = "truncate"

// MaxRemarks is how long CnlRem may be, in UTF-16 units: NIC's side counts as .NET does, and so do those before it.
const MaxRemarks = 100

// Profile is what the adapters that carry IRNs to NIC say of themselves alike: all but their rates.
func Profile(s upstream.Settings, k Keys, kind, credential string) bridge.Profile {
	return bridge.Profile{
		Name:          s.Name,
		Kind:          kind,
		Space:         Space(s),
		Zone:          upstream.IST,
		Credential:    credential,
		LookupWindow:  48 * time.Hour, // GET by IRN answers 2283 two to three days after the IRN's generation
		CallTimeout:   s.CallTimeout.D(),
		LookupTimeout: s.LookupTimeout.D(),
		Rules:         k.Rules(fmt.Sprintf("utf16max=%d", MaxRemarks)),
	}
}

// Rules are the rules of an IRN's cancellation; remarks is the validator tag that bounds what isn't cut. A broken rule is
// worded as NIC would, with the parameter and the rule behind it.
func (k Keys) Rules(remarks string) bridge.Rules {
	if k.RemarksTooLong == Truncate {
		remarks = ""
	}
	return bridge.Rules{
		Document: "irn",
		Remarks:  remarks,
		Normal:   strings.ToLower,
		Refusal: func(field, rule string) (code, message string) {
			code = "2142"
			if field == "irn" {
				code = "2145"
			}
			return code, code + ": " + codes[code].text + " (" + field + " " + rule + ")"
		},
	}
}

// Remarks is CnlRem: the remarks, or the reason's label when there are none, as several upstreams demand a value.
func Remarks(c bridge.Cancellation) string {
	if c.Remarks == "" {
		return c.Reason.Label()
	}
	return c.Remarks
}

// State is what the status says that the portal shows beside an IRN.
func State(status string) bridge.DocumentState {
	s := bridge.DocumentState{Text: strings.TrimSpace(status)}
	switch strings.ToUpper(s.Text) {
	case "ACT":
		s.Status = bridge.StatusActive
	case "CNL":
		s.Status = bridge.StatusCancelled
	case "REJ":
		s.Status = bridge.StatusOther
	}
	return s
}
