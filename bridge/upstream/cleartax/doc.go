// Package cleartax cancels e-invoices through ClearTax (Clear), in Malaysia and in India. These are two products of one
// vendor with hosts, bodies and rules of their own, so there are two adapters: [Malaysia] and [India], each file with India first and Malaysia after. What they share
// is the way in (session.go): a static token from the vendor's console. The bridge never asks for a new one, because
// that would revoke the token that is in use.
//
// Malaysia: a document is on record by LHDN's UUID, a cancel names it by ClearTax's own document id, and callers may use
// either ([Malaysia.Resolve]). A document id can come to name a new document after a cancel, so before each cancel it must
// have been seen to name the document that is meant, and a success must name that one. Refusals come as HTTP 200 with
// Success false; the only code of its own that the vendor publishes is 2272, already cancelled.
//
// India: two routes, fixed by configuration and never tried one after the other. The government-compatible one answers
// with a cancel date, v2 answers in arrays and has none (its AckDt is the invoice's). Refusals of the portal carry its
// own codes and the source GOVT, those of ClearTax the source CLEARTAX; some of the latter leave open whether the
// cancel was carried out.
//
// Sources: ClearTax E-Invoicing Malaysia API, Cancel E-Invoice and Get Document via UUID; ClearTax E-Invoicing API,
// govt-compatible APIs (Cancel IRN, Get Invoice by IRN), E-Invoicing APIs v2 (Cancel IRN, Get E-Invoice by IRN), Error
// Codes.
//
// classify.go is long because it reads two products, India's answers first and then Malaysia's; a file each would give this adapter
// another list of files than the others have.
package cleartax
