// Package bridge is the domain of einvoice-bridge: what a cancellation is, how it can end, and the one flow that
// carries it from a caller's SOAP request to a tax authority's API and back.
//
// Start with [Service.Cancel] in service.go: it reads top to bottom as the path of one call. The words it uses:
//
//   - a [Cancellation] is what a caller asks for: cancel this document of this taxpayer, for this reason;
//   - an [Upstream] carries it to one e-invoice API and ends it in exactly one [Outcome] out of six classes;
//   - a [Journal] writes down every step before it matters: the attempt before its first byte leaves, the outcome
//     before the caller hears it;
//   - an [Answer] is what the caller is told: a business reply (200 or 204) or a fault, each truthful.
//
// What the package promises: a cancellation is durable before it leaves, at most one is in flight for a document,
// and every repeat of a cancelled document gets the same answer without asking the authority again.
// What it does not do: speak SOAP, HTTP, SQL or any authority's protocol. Those packages import this one, never the
// other way round.
package bridge
