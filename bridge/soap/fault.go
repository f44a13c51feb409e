package soap

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
)

// Code says who is at fault, in SOAP 1.1 terms; SOAP 1.2 calls Client Sender and Server Receiver.
type Code int

// The fault codes of SOAP 1.1 §4.4.1 and SOAP 1.2 part 1 §5.4.6.
const (
	// Client: the request can't be carried out as it is; sending it again unchanged is pointless.
	Client Code = iota + 1
	// Server: the request is good, the bridge or what is behind it is not; sending it again is safe.
	Server
	// VersionMismatch: the root element is no SOAP 1.1 or 1.2 Envelope.
	VersionMismatch
	// MustUnderstand: a header block insists on being understood and is not; Fault.NotUnderstood lists them.
	MustUnderstand
	// DataEncodingUnknown (SOAP 1.2 only): the operation's element carries an unknown encodingStyle.
	DataEncodingUnknown
)

// Subcode narrows a fault down; it is written in SOAP 1.2 only, where it is a qualified name.
type Subcode struct{ Prefix, Namespace, Local string }

// The subcodes that Decode gives (SOAP 1.2 part 2 §4.4; the WS-Addressing one is bound to the request's own version).
var (
	ProcedureNotPresent = Subcode{"rpc", nsRPC, "ProcedureNotPresent"}
	BadArguments        = Subcode{"rpc", nsRPC, "BadArguments"}
)

// Fault is a SOAP fault, and the only kind of error that this package's decoding gives. Text is for the caller's
// eyes: of the request it holds names of elements, headers, namespaces and labels at most, and no inner detail.
type Fault struct {
	Code    Code
	Subcode Subcode
	Text    string
	// HTTPStatus is set for what went wrong before SOAP (413, 415, …); 0 stands for what Status says.
	HTTPStatus int
	// NotUnderstood names the header blocks of a MustUnderstand fault.
	NotUnderstood []xml.Name

	// What Decode knew of the request when it gave up. Version is the one to answer in: the envelope's, or a guess by
	// Content-Type. Operation is the body's element once that was read, known to the contract or not.
	Version    Version
	Operation  string
	Addressing *Addressing
	// Found is what came where something else was wanted: names of elements, headers, namespaces and labels, never a
	// value. It is a stranger's text and may be anything.
	Found   string
	foreign bool
}

// came tells, in the answer and for the log, what was found where something else was wanted. The stable beginning of the
// text stays.
func (f *Fault) came(what string) *Fault {
	f.Found = what
	f.Text += "; it is " + clipped(what, 128)
	return f
}

// clipped is a name as a text may hold it.
func clipped(name string, most int) string {
	if len(name) > most {
		return string(cut([]byte(name), most)) + "..."
	}
	return name
}

// shown names an element or header block for people.
func shown(name qname) string {
	if name.space == "" {
		return "'" + name.local + "' in no namespace"
	}
	return "'" + name.local + "' in namespace '" + name.space + "'"
}

// Error returns the text with the code before it.
func (f *Fault) Error() string { return fmt.Sprintf("soap %s fault: %s", f.Code, f.Text) }

// UnknownOperation reports whether the request calls an operation that isn't ours: Operation then names it, whatever
// else is wrong with the request, and it may be relayed to whoever defines it. It is false when anything in the request
// names one of our own operations, be it in a foreign namespace, another letter case or the SOAPAction: the provider's
// server dispatches more loosely than we do, and would carry out a cancellation that we refused.
func (f *Fault) UnknownOperation() bool { return f.foreign }

// AsFault returns the Fault in err. Any other error is an inner one and becomes a Server fault that tells nothing of it.
func AsFault(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return &Fault{Code: Server, Text: "Internal error"}
}

// ClientFault returns a fault that blames the request.
func ClientFault(text string) *Fault { return &Fault{Code: Client, Text: text} }

// ServerFault returns a fault that blames the bridge or what is behind it.
func ServerFault(text string) *Fault { return &Fault{Code: Server, Text: text} }

// HTTPFault returns a fault for what HTTP itself has a status for (404, 405, 413, 415, 431, …).
func HTTPFault(status int, text string) *Fault {
	code := Client
	if status >= 500 {
		code = Server
	}
	return &Fault{Code: code, Text: text, HTTPStatus: status}
}

// clientf stays out of the stack frames of all who may find fault, so that a request that has none is read on a small stack.
//
//go:noinline
func clientf(format string, args ...any) *Fault { return ClientFault(fmt.Sprintf(format, args...)) }

func badArguments(format string, args ...any) *Fault {
	f := clientf(format, args...)
	f.Subcode = BadArguments
	return f
}

// String returns the name of the code, in SOAP 1.1 where both versions have it.
func (c Code) String() string {
	if c == DataEncodingUnknown {
		return c.local(SOAP12)
	}
	return c.local(SOAP11)
}

// local is the code's name inside the envelope namespace of a version.
func (c Code) local(v Version) string {
	switch {
	case c == VersionMismatch:
		return "VersionMismatch"
	case c == MustUnderstand:
		return "MustUnderstand"
	case c == DataEncodingUnknown && v == SOAP12:
		return "DataEncodingUnknown"
	case c == Server && v == SOAP12:
		return "Receiver"
	case c == Server:
		return "Server"
	case v == SOAP12:
		return "Sender"
	}
	return "Client"
}

// FaultStatus returns the HTTP status to send a fault with: its own where it has one, else 500. The SOAP 1.2 HTTP
// binding (part 2 §7.5.2.2, table 20) asks for 400 on Sender faults, but WCF reads faults only from 2xx and 500, so
// that is a switch.
func (c *Contract) FaultStatus(v Version, f *Fault) int {
	switch {
	case f.HTTPStatus != 0:
		return f.HTTPStatus
	case c.Faults.SpecStatus && v == SOAP12 && f.Code == Client:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}
