// Package journal is the durable record behind the bridge: what every caller asked for, every send and lookup, how it
// ended and what each caller was told; and with it what instances share: issued tokens, leases, rate budgets and
// closed gates. It implements [bridge.Journal], [bridge.Tokens] and [bridge.Budget], and lets operators read and settle.
//
// [Open] is where to start; a Journal is an SQLite file ("sqlite:bridge.db") for one instance, or a PostgreSQL
// database ("postgres://…") for several. [OpenReader] and [OpenBeside] are for operators' commands while it serves.
//
// What it promises:
//
//   - a write that returned survives a power cut (SQLite synchronous=FULL on a local disk; PostgreSQL
//     synchronous_commit=on, which survives a failover only with a synchronous standby);
//   - concurrent writes share an fsync, and none waits for a timer;
//   - late truth wins: evidence is only ever appended, and an entry that is Cancelled stays so;
//   - of all instances at most one may send for a document, and nobody who takes a document over finds it sendable
//     while somebody else's send may still be under way.
//
// What it does not do: decide anything about a cancellation. That is package bridge.
//
// How to read it: writer.go turns writes into transactions, with one kind of connection per engine (tx.go has
// SQLite's, whose log checkpoint.go copies; pipeline.go PostgreSQL's); everything else is written once for both,
// against tx. begin.go, attempt.go, finish.go and due.go follow an entry's life; lease.go and shared.go say who may
// send; list.go, show.go, operate.go and prune.go are the operators'. The tables are in migrations.
package journal
