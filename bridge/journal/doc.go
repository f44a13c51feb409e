// Package journal is the durable record behind the bridge: what every caller asked for, every send and lookup, how it
// ended and what each caller was told; and with it what instances share: issued tokens, leases, rate budgets,
// closed gates and sealed sessions. It implements [bridge.Journal], [bridge.Tokens], [bridge.Budget] and
// [bridge.Sessions], and lets operators read and settle.
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
//   - an operator's word is kept and told as his, and what contradicts the record needs insisting;
//   - of all instances at most one may send for a document, and nobody who takes a document over finds it sendable
//     while somebody else's send may still be under way;
//   - what waits for a rate goes in the order of the entries, whichever instances wait with them;
//   - what a caller did not hear of is taken back where it would do harm: an entry is ended unsent, a booking and a
//     lease are given back;
//   - one process serves with an SQLite file, by whatever name it is reached, and writes nothing more into one that has been
//     deleted, moved or replaced;
//   - every method ends with its context, whatever the disk, a lock or the network does;
//   - a time that a clock which was ahead has written is believed for as long as it could be right, and not longer; a clock
//     that is set while the bridge runs moves what the file holds along with it.
//
// What it does not do: decide anything about a cancellation. That is package flow.
//
// How to read it: the package engine turns writes into transactions and reads beside them, one kind of connection per engine;
// sqlite.go and postgres.go open it, by way of the packages place (the file on this machine) and postgres (the server),
// probe.go tries one for check; everything else is written once for both. rows.go has what is in a row, read.go reads it; begin.go, attempt.go, finish.go
// and due.go follow an entry's life; lease.go and shared.go say who may send, budget.go when, sessions.go who may log in, clock.go by which clock;
// list.go, show.go, operate.go and prune.go are the operators'. The tables are in migrations.
//
// A call on the straight way inserts two rows and updates none: the entry with its first send, before the send, and in the
// table ends how it ended, how the entry stands then, what its first caller is told, and the bodies. Whatever else befalls an
// entry is rare, and updates its row in ends: it waits its turn, is sent again, looked up, settled by hand. Later attempts and
// later callers have tables of their own, attempts and asks; all that there are of an entry is read from both. An entry without
// a row in ends is being sent, or was cut off in that; ended.go has where to look for those.
//
// What any journal must do stands as tests in journaltest.
package journal
