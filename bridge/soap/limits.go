package soap

import "einvoice-bridge/bridge/soap/payload"

// Limits bound what a request may cost, where that may be configured.
type Limits = payload.Limits

// The limits that nobody needs to configure. A real call stays an order of magnitude below them.
const (
	maxDepth           = 32 // nested elements
	maxElements        = 1000
	maxAttributes      = 32 // of one element, without namespace declarations
	maxTotalAttributes = 1000
	maxNamespaces      = 32 // declared on one element
	maxTotalNamespaces = 256
	maxNameBytes       = 256      // of a prefix or local name
	maxAttributeBytes  = 8 << 10  // of one attribute value
	maxTextBytes       = 64 << 10 // of one run of text
	maxParamChars      = 1024     // of one parameter's value
	maxComments        = 100      // and processing instructions
	maxCDATASections   = 100
	maxHeaderBlocks    = 16
)

// exceeded is the fault of a limit, in the form that DataPower's logs made familiar. Offsets count bytes of the
// document at the stage where the limit applies: as inflated, as transcoded.
func exceeded(limit string, value, offset int) *Fault {
	return clientf("Limit max_%s (%d) exceeded at byte %d", limit, value, offset)
}
