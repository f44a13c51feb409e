// Package journaltest says in tests what any implementation of [bridge.Journal] and [bridge.Budget] must do: [Conform].
// Its [Model] is one in memory, for several instances on one record, on which stories can be played fast.
//
// conform.go is long because it is one list of promises, each a function of its own, and model.go because it is one record
// with one lock: neither has a place where it could be cut and both halves still be read alone.
package journaltest
