// Package soap turns the bytes of a SOAP call into an operation, and answers into bytes. It does no I/O and keeps no
// state: a Decoder reads a request (SOAP 1.1 and 1.2, any character set and spelling that real clients use, nothing
// that XML forbids), a Contract names what is on the wire and encodes replies and faults.
package soap
