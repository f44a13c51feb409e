// Package journaltest says in tests what any implementation of [bridge.Journal] and [bridge.Budget] must do: [Conform].
// Its [Model] is one in memory, for several instances on one record, on which stories can be played fast.
package journaltest
