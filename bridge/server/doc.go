// Package server is the bridge's SOAP side on the wire: HTTP in, SOAP answers and faults out.
//
// Start with [Desk.answer] in answer.go, the path of one call: decode, find out who calls, hand over to the
// [Canceller], encode. It knows nothing of the HTTP engine. Everything that does is in http.go (Fiber, and the
// fasthttp below it), so that the engine can be changed there alone.
//
// What callers can rely on:
//
//   - Whatever arrives, the answer is well-formed XML in the SOAP version of the request: a reply, or a fault with the
//     HTTP status that fits. Texts are fixed; of a request they hold the names of elements, headers, namespaces and
//     labels that were not what they had to be, never a value.
//   - A request that two parties could read differently (two lengths, folded headers, …) is refused before it is read
//     as SOAP, see framing.go.
//   - A body over the limit is answered with 413 unread, and so that a client who is still sending can read it: he is
//     listened to for 10 s more, see wire.go. Header lines that end in LF alone are answered at once.
//   - What a caller is forgiven is logged once for each caller, by name. What can't be read is told by what came, never as a
//     wrong token that was not there.
//   - A cancellation goes to the Canceller only for a known caller and a taxpayer that he may act for.
//   - A call that is turned away as busy hears what is on record for it, if anything is. For that it must be read, so
//     beyond in_flight half of it on top is looked at, see turned.go; a flood is answered unread.
//   - Nobody takes all: places are shared out by caller, by upstream and for what nobody has logged in for, see places.go;
//     connections are bounded by number and by what unfinished requests hold, see crowd.go. Who is put out is told so.
//   - A balancer may ask at /healthz whether calls are taken here; asking costs next to nothing, see health.go.
//   - A client certificate is what the connection itself showed and the listener's client CA vouches for. No header
//     stands for one, whoever sends it.
//   - The WSDL tells the configured public address, never what a Host header says.
//
// All but the listeners can be replaced while calls are answered: what one configuration makes is a [Desk], and
// [Server.Open] puts another one in its place.
//
// The Service behind the Canceller logs each call that reaches it. This package logs what never does: denials, faults
// before SOAP, and issued tokens. One line each, without bodies, tokens or passwords.
package server
