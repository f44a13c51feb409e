// Package console is the operator's side of einvoice-bridge, on a listener of its own so that callers never reach it:
// pages for people, metrics, health and readiness. [New] makes the handler; [Metrics] is the bridge.Observer behind
// /metrics.
//
// The pages answer one question first: what happened to this invoice. They are rendered on the server, work without
// script (with it, what changes is refreshed), load nothing from elsewhere, and show no secret: what they read of the
// journal is masked there already. What they change (a token, an outcome by hand) needs a form token, and the journal
// or the log says who did it.
//
// Metrics and health need no log-in, so that they can listen off loopback. They hold no secret, no document id and no
// taxpayer. Without a log-in the pages answer only to an address or localhost in the URL, so that no web site's name
// can be made to lead to them.
//
// What it does not do: decide anything, or know SQL. It reads [Records], which the journal implements.
package console
