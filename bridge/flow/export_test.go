package flow

import "einvoice-bridge/bridge"

// CheckIRP holds a request against the rules of an IRN's authority and tells whether it is in order.
func CheckIRP(r bridge.Request) bool {
	_, refusal := check(&r, irpRules)
	return refusal == nil
}

// BeginSpan is for the test that it costs nothing.
var BeginSpan = beginSpan
