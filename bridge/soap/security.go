package soap

// SecurityPolicy says what a WS-Security header block is worth.
type SecurityPolicy int

const (
	// SecurityIgnore understands a block of UsernameToken and Timestamp and leaves it at that.
	SecurityIgnore SecurityPolicy = iota
	// SecurityCheck understands the same and insists on a well-formed UsernameToken, for a server that checks it.
	SecurityCheck
	// SecurityRefuse understands none: a block that says mustUnderstand is refused.
	SecurityRefuse
)
