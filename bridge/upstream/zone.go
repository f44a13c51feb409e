package upstream

import "time"

// The zones of the authorities' clocks. Neither has daylight saving, so no zone database is needed.
var (
	IST = time.FixedZone("IST", 19800)
	MYT = time.FixedZone("MYT", 28800)
)
