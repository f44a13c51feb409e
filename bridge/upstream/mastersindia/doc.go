// Package mastersindia carries cancellations to the REST APIs of Masters India, the provider whose SOAP service the
// bridge stands in for: the same fields, the same texts.
//
// Start with [New] and [Adapter.Cancel]. There are two generations, told apart by their dialects (wire.go): legacy
// ("vanila"), whose token travels in the body and on a get in the query, and v1, with a JWT in a header. What both have
// in common:
//
//   - success and failure are written in the body (status and code), whatever the HTTP status; message is an object
//     on success and a text on failure;
//   - HTTP 204, and 206 on a login, are failures: only the positive marker with the same IRN is a success;
//   - a refused token comes as HTTP 401, as a 403 that speaks of it, or as a text in an ordinary failure;
//   - what its own libraries and the gateways before NIC say ("Connection reset") comes as an ordinary failure, too, also
//     of a cancel that was carried out: it is trouble, not a refusal;
//   - a redirect is never followed: a POST without its slash would lose its body.
//
// Sources: Masters India E Invoicing API (Access Token Vanila, Cancel E-invoice Vanila, Get E-invoice Vanila) and
// EInvoicing (Access Tokens, Cancel IRN).
package mastersindia
