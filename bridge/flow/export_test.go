package flow

import (
	"time"

	"einvoice-bridge/bridge"
)

// CheckIRP holds a request against the rules of an IRN's authority and tells whether it is in order.
func CheckIRP(r bridge.Request) bool {
	_, refusal := check(r, irpRules)
	return refusal == nil
}

// BeginSpan is for the test that it costs nothing.
var BeginSpan = beginSpan

// SetWall gives a service that has not started another wall clock.
func (s *Service) SetWall(wall func() time.Time) { s.clock = steady(wall) }
