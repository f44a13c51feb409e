package soap

// Limits bound what a request may cost, where that may be configured. Each must be at least 1: a limit may be raised, never
// switched off. They are those that a real call stays an order of magnitude below.
type Limits struct {
	BodyBytes       int // as received
	InflatedBytes   int // after Content-Encoding
	TranscodedBytes int // as UTF-8
}

const (
	maxInflateRatio    = 100 // output bytes per input byte
	maxDepth           = 32  // nested elements
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
	maxMIMEParts       = 8
	maxMIMEHeaderBytes = 64 << 10 // of one part of a multipart body
)

// exceeded is the fault of a limit, in the form that DataPower's logs made familiar. Offsets count bytes of the
// document at the stage where the limit applies: as inflated, as transcoded.
func exceeded(limit string, value, offset int) *Fault {
	return clientf("Limit max_%s (%d) exceeded at byte %d", limit, value, offset)
}
