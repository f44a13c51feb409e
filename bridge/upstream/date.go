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

// Cancelled is the outcome of a cancel that the reply confirms: with the date that the authority gives, else with the time
// of the reply in its zone.
func (r *Reply) Cancelled(date string, zone *time.Location) bridge.Outcome {
	o := r.Outcome(bridge.Cancelled, "")
	if o.Date, o.DateSource = CancelDate(date), bridge.DateUpstream; o.Date == "" {
		o.Date, o.DateSource = r.Date().In(zone).Format(time.DateTime), bridge.DateReply
	}
	return o
}

// CancelDate checks a date as the authority writes it. One that can't be read as a date is still passed on when it is 19
// printable characters; anything else is empty.
func CancelDate(s string) string {
	s = strings.TrimSpace(s)
	printable := func(r rune) bool { return r >= ' ' && r <= '~' }
	if len(s) != len(time.DateTime) || strings.IndexFunc(s, func(r rune) bool { return !printable(r) }) >= 0 {
		return ""
	}
	return s
}
