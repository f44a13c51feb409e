// Package journal is the durable record behind the bridge: what every caller asked for, every send and lookup, how it
// ended and what each caller was told; and with it what instances share: issued tokens, leases, rate budgets and
// closed gates. It implements [bridge.Journal], [bridge.Tokens] and [bridge.Budget].
//
// [Open] is where to start; a Journal is an SQLite file ("sqlite:bridge.db") or a PostgreSQL database
// ("postgres://…"). [OpenReader] is for looking at it from another process while the service runs.
//
// What it promises: a write that returned survives a power cut (SQLite synchronous=FULL, PostgreSQL
// synchronous_commit=on); concurrent writes share an fsync, see writer.go; late truth wins: evidence is only ever
// appended, and an entry that is Cancelled stays so, see merge in finish.go.
// What it does not do: decide anything about a cancellation. That is package bridge.
package journal
