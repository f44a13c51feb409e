// Package invx carries cancellations to Vayana InvX: PATCH /invx/apis/v1/orgs/{org}/edocuments/bulk.
//
// Start with [New] and [Adapter.Cancel]. What is particular to InvX:
//
//   - it knows a document by its own docId, so an IRN is first searched for (call.go). The list that comes back is
//     not trusted to be filtered: exactly one entry must have the IRN and the seller, or nothing is sent. That none has is
//     no last word, since reads lag writes;
//   - it cancels in bulk, and one bad item fails the whole bulk: always exactly one item is sent;
//   - tokens come from theodore, Vayana's sign-on service: one token serves all organisations of a user, at most ten
//     may be active, so a token is refreshed rather than replaced, and given back by [Adapter.Close];
//   - a verdict of the tax authority comes on HTTP 502 or 400, inside an error object: the body is read first;
//   - the cancel date sits in JSON that is itself written into a string (irnResponse).
//
// Sources: Vayana InvX API, Cancel Invoice Bulk, Get Document by Document Params, Get Document by DocId; Vayana enriched
// API, Integrating (theodore) and Error Payloads.
package invx
