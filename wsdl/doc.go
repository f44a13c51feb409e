// Package wsdl writes the service descriptions (WSDL 1.1) that SOAP tools generate their callers from.
//
// Start with [Render]. All flavours describe the same bytes on the wire, for tools that dislike each other's style:
//
//   - document: document/literal wrapped, messages as xsd:all. The one that every WSDL-driven tool handles. Plain
//     wsimport stops at xsd:sequence with "duplicate parameter name" and Axis writes code that does not compile,
//     because both unwrap messages that hold irn in and Irn out; xsd:all is not unwrapped by them. Requests are
//     xsd:all too: Axis unwraps one side alone, and then sends the parameters without their operation. The order on
//     the wire is the documented one all the same: generators write what they read.
//   - document-sequence: the same with xsd:sequence, for tools that dislike xsd:all.
//   - rpc-literal: closest to the provider's own.
//   - rpc-encoded: what a NuSOAP server publishes, for .NET 1.x/2.0, Delphi, soap4r and Tcl.
//   - document-soap12: document with a second port that speaks SOAP 1.2. Only this one declares the soap12 prefix:
//     gSOAP speaks SOAP 1.2 as soon as it is declared.
//
// The names serverPortType, serverBinding, server and serverPort are the provider's, so that regenerated proxies keep
// their class names. [Readdress] serves an operator's own saved description instead.
//
// The package knows no operation by itself: the same table that the wire is written from is passed in.
package wsdl
