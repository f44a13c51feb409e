package soap

import "fmt"

// Limits bound what a request may cost. Each must be at least 1: a limit may be raised, never switched off.
type Limits struct {
	BodyBytes       int // as received
	InflatedBytes   int // after Content-Encoding
	InflateRatio    int // output bytes per input byte
	TranscodedBytes int // as UTF-8
	Depth           int // nested elements
	Elements        int
	Attributes      int // of one element, without namespace declarations
	TotalAttributes int
	Namespaces      int // declared on one element
	TotalNamespaces int
	NameBytes       int // of a prefix or local name
	AttributeBytes  int // of one attribute value
	TextBytes       int // of one run of text
	ParamChars      int // of one parameter's value
	Comments        int // and processing instructions
	CDATASections   int
	HeaderBlocks    int
	MIMEParts       int
	MIMEHeaderBytes int // of one part of a multipart body
}

const headerBlocks = 16

// DefaultLimits returns limits that a real call stays an order of magnitude below.
func DefaultLimits() Limits {
	return Limits{
		BodyBytes: 64 << 10, InflatedBytes: 64 << 10, InflateRatio: 100, TranscodedBytes: 128 << 10,
		Depth: 32, Elements: 1000,
		Attributes: 32, TotalAttributes: 1000, Namespaces: 32, TotalNamespaces: 256,
		NameBytes: 256, AttributeBytes: 8 << 10, TextBytes: 64 << 10, ParamChars: 1024,
		Comments: 100, CDATASections: 100, HeaderBlocks: headerBlocks, MIMEParts: 8, MIMEHeaderBytes: 64 << 10,
	}
}

// Check returns one problem for each limit that is not positive.
func (l Limits) Check() []error {
	var errs []error
	for _, e := range []struct {
		name  string
		value int
	}{
		{"body_bytes", l.BodyBytes}, {"inflated_bytes", l.InflatedBytes}, {"inflate_ratio", l.InflateRatio},
		{"transcoded_bytes", l.TranscodedBytes}, {"depth", l.Depth}, {"elements", l.Elements},
		{"attributes", l.Attributes}, {"total_attributes", l.TotalAttributes}, {"namespaces", l.Namespaces},
		{"total_namespaces", l.TotalNamespaces}, {"name_bytes", l.NameBytes}, {"attribute_bytes", l.AttributeBytes},
		{"text_bytes", l.TextBytes}, {"param_chars", l.ParamChars}, {"comments", l.Comments},
		{"cdata_sections", l.CDATASections}, {"header_blocks", l.HeaderBlocks}, {"mime_parts", l.MIMEParts},
		{"mime_header_bytes", l.MIMEHeaderBytes},
	} {
		if e.value < 1 {
			errs = append(errs, fmt.Errorf("limit max_%s is %d, must be at least 1", e.name, e.value))
		}
	}
	return errs
}

// exceeded is the fault of a limit, in the form that DataPower's logs made familiar. Offsets count bytes of the
// document at the stage where the limit applies: as inflated, as transcoded.
func exceeded(limit string, value, offset int) *Fault {
	return clientf("Limit max_%s (%d) exceeded at byte %d", limit, value, offset)
}
