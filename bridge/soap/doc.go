// Package soap turns the bytes of a SOAP call into an operation with its parameters, and answers into bytes. It is pure:
// no I/O, no clock, no logging, no state. The one call that most readers need is [Decoder.Decode]; Example shows a
// whole round.
//
// # In
//
// A call is read in stages, one file each, every one of which can refuse it with a [Fault]:
//
//	payload/        a package of its own: one layer of gzip or deflate, capped while it inflates; the root part of an MTOM
//	                or SwA request; the character set. From here on everything is UTF-8
//	scan.go tag.go  strict XML and its namespaces, and all limits, with byte offsets
//	envelope.go     SOAP 1.1 or 1.2, Header and Body
//	header.go       mustUnderstand, addressing.go, security.go: the only place that needs a document tree
//	body.go         the operation by its element's name, never by SOAPAction
//	param.go        its parameters: any order, prefix and namespace style, aliases, nil, multi-reference values
//
// The original reads more loosely than SOAP allows, and what it serves is served here unless that is unsafe: names by
// their local parts, parameters by place where their names are the caller's own, any namespace for the operation,
// prefixes that nobody declared, labels that the bytes belie. fixtures/original is the original, and a test in package
// server holds the two to each other.
//
// The order of checks is SOAP's: VersionMismatch, header syntax, MustUnderstand, then everything that is the client's
// fault. An operation that the contract doesn't know is refused as soon as its name is read, however large or broken
// what follows: [Fault.UnknownOperation] then tells that the call may be relayed. What is tolerated is written in
// fixtures/soap/accept, one file per oddity, what is refused in fixtures/soap/refuse. Where leniency was needed,
// Request.Notes says so; [Accept] is what must be asked for.
//
// # Out
//
// A [Contract] holds all names, their order and the fixed words; its methods encode replies and faults. Package saved makes
// one of a WSDL that the operator has kept. Answers go out
// in the version and the namespace of the request, as ASCII on one line, every part always there: each of these rules breaks a measured
// client when violated. fixtures/soap/replies has every form. No reply is ever built from a template: all text goes
// through one escaping writer.
//
// # What it promises
//
//   - One reading of a document: what it accepts libxml2 accepts too, but for prefixes that nobody declared, with the
//     same values (a test asks it).
//   - No secret in a masked copy ([Request.Masked]) and no values of a request in a fault: names of elements,
//     namespaces and labels alone, so that whoever reads it knows what was meant.
//   - Nothing is fetched or followed: no entity, schema, attachment, reference or reply address.
//   - A refusal costs no more than 50 ms and 16 MiB whatever is sent.
//
// It doesn't verify signatures, decrypt, or decide who may do what.
package soap
