// Package flow carries cancellations from callers to upstreams: each is written down before it leaves, is in flight at
// most once, and ends in one truthful answer that its callers can have as often as they ask.
//
// [Service.Cancel] is the one way in; loop.go is the way of one call, top to bottom: read what is on record, ask next
// what to do, do that one thing, write it down, ask again. next.go decides, alone, and touches nothing. The words:
//
//   - a flight is one document being worked on, and the asks of all who wait for it; a second call joins it;
//   - an entry is the document's record, an attempt one send or lookup in it; weigh.go says what attempts amount to;
//   - doubt: some send of ours may have been carried out. Only proof ends it: the authority's "cancelled", two looks that
//     saw the document not cancelled, far enough apart, or an operator's word;
//   - a turn is a place in the queue before an authority's rate (turns.go);
//   - the background settles what callers have left behind (settle.go). It looks; what was sent, it never sends again.
//
// What the package does not do: speak SOAP, HTTP, SQL or any authority's protocol. It knows those who do by the
// interfaces of package bridge.
package flow
