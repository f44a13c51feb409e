// Package console is the operator's side of einvoice-bridge, on a listener of its own so that callers never reach it:
// metrics, health and readiness. [New] makes the handler; [Metrics] is the bridge.Observer behind /metrics.
//
// Metrics and health need no log-in, so that they can listen off loopback. They hold no secret, no document id and no
// taxpayer.
package console
