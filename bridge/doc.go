// Package bridge is the vocabulary of einvoice-bridge, and the contracts between its parts. It does nothing by itself and
// imports the standard library only; every other package imports it, and it imports none of them.
//
//   - a [Request] is one call of eInvoiceCancel; a [Cancellation] is what it asks of an authority: cancel this document of
//     this taxpayer, for this reason;
//   - an [Upstream] carries cancellations to one e-invoice API and ends each send in one [Outcome], of one of seven
//     classes, which bind every adapter. It says what was said of the send, and concludes nothing for the document;
//   - an [Entry] is a document's record for one taxpayer, an [Attempt] one send or lookup in it, and a [Journal] writes
//     each down before it matters: the attempt before its first byte leaves, the outcome before the caller hears it;
//   - a [Budget] holds rates and closed gates, which every send must pass;
//   - an [Answer] is what the caller is told: a business reply (200 or 204) or a fault, each truthful;
//   - an [Observer] hears what happens;
//   - a [Secret] and a [Duration] are what the configuration holds and an upstream is made of.
//
// Who puts them together is package flow: start there to see what becomes of a call.
package bridge
