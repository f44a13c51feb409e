// Package myinvois cancels e-invoices at MyInvois, the e-invoice system of Malaysia's Inland Revenue Board (LHDN).
//
// Start with [New]: one [Adapter] per taxpayer. Its Cancel reads top to bottom in call.go: a bearer token from the
// session, one PUT of the document's state, and what the reply means (classify.go). What is special to MyInvois:
//
//   - An intermediary logs in once per taxpayer it represents: the login's onbehalfof header names the taxpayer and
//     the token carries it. Tokens are never shared between taxpayers.
//   - Rates are counted per client id, whatever the taxpayer: 12 cancels, 12 logins and 125 reads a minute. A 429 holds
//     every taxpayer of the client id back.
//   - There is no code for "already cancelled": IncorrectState is also what a rejected or invalid document gets. It is
//     reported as a refusal whose meaning hangs on the document's state (ByState), which the flow looks up.
//   - Details show an intermediary only what it submitted itself: 403 and 404 say nothing about the document.
//   - The reply to a cancel has no date. It comes from the document's details when fetch_cancel_date is set, else it
//     is the time of the reply.
//   - Errors come in two shapes, the documented one and the one on the wire; the most specific code decides.
//
// Sources: MyInvois SDK, pages Cancel Document, Get Document Details, Login as Taxpayer System, Login as Intermediary
// System, Standard Error Response, Standard Header Parameters, Integration Practices, FAQ.
package myinvois
