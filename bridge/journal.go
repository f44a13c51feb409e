package bridge

import (
	"context"
	"errors"
	"time"
)

// State is where an Entry stands on disk.
type State string

// The states. An Entry moves accepted → sending → (open →) final; a repeat may take a final one back to sending.
const (
	// Accepted: written down, nothing sent. After a crash it is queued again.
	Accepted State = "accepted"
	// Sending: an attempt is durable and may have left. After a crash its outcome is Unknown.
	Sending State = "sending"
	// Open: sent, outcome not known yet. Looked up until it is.
	Open State = "open"
	// Final: has an outcome. Later evidence may still correct it.
	Final State = "final"
)

// Key identifies a document: the space that its id is unique in, and the id in normal spelling.
type Key struct{ Space, Document string }

// Entry is the journal's record of one taxpayer's wish to cancel one document.
type Entry struct {
	ID       int64 // grows with time: the order in which waiting entries are carried out
	Key      Key
	Taxpayer string
	Upstream string // name at the time of the last attempt

	// The request that is, or was last, carried out.
	Ref, Caller, IRN string
	Reason           Reason
	Remarks          string

	State   State
	Outcome Outcome // class None until known; without Exchanges
	Created time.Time
	Updated time.Time
	Expires time.Time // when an accepted entry is given up as NotApplied (carry_out_within)

	// Attempts are all sends and lookups, oldest first, without their exchanges.
	Attempts []Attempt
	// NextLookup is when the background looks the document up; zero when it needn't.
	NextLookup time.Time
}

// FirstSend is when this taxpayer's first cancel of the document started; zero when none was sent.
func (e Entry) FirstSend() time.Time {
	for _, a := range e.Attempts {
		if a.Kind == SendCancel {
			return a.Start
		}
	}
	return time.Time{}
}

// ByHand is the operator's word that a final entry's outcome rests on; nil when it rests on the authority's.
func (e Entry) ByHand() *Attempt {
	for i := len(e.Attempts) - 1; i >= 0 && e.State == Final; i-- {
		switch a := &e.Attempts[i]; {
		case (a.Kind == ResolveHand || a.Kind == TakeBack) && a.Outcome.Class == e.Outcome.Class:
			return a
		case a.Outcome.Class == Cancelled, a.Kind == SendCancel && a.Outcome.Class == e.Outcome.Class:
			return nil // the authority said it after him
		}
	}
	return nil
}

// AttemptKind tells sends from questions.
type AttemptKind string

// The kinds of attempt. ResolveHand is an operator's own evidence; TakeBack is his wish that what waits is not sent (any
// more), and no word on the document.
const (
	SendCancel  AttemptKind = "cancel"
	AskState    AttemptKind = "lookup"
	ResolveHand AttemptKind = "resolve"
	TakeBack    AttemptKind = "withdraw"
)

// Attempt is one send of the cancel, one lookup, or one piece of evidence by hand. It is written before it starts (a
// send) and completed when it ends; nothing overwrites it.
type Attempt struct {
	ID       int64
	Kind     AttemptKind
	Start    time.Time
	End      time.Time // zero while it runs, or when the process died in it
	Outcome  Outcome   // of this attempt alone; class None while it runs
	By       string    // instance, or operator for ResolveHand and TakeBack
	Upstream string
}

// Ask is one caller's call and what it was told.
type Ask struct {
	Ref, Caller, Taxpayer string
	Key                   Key
	IRN                   string
	Reason, Remarks       string
	Entry                 int64 // 0 when the bridge refused it itself
	Received              time.Time
	Told                  Answer
	ToldAt                time.Time
	How                   How
	SOAPIn, SOAPOut       []byte // masked; pruned after retain_exchanges
}

// How tells where an answer came from.
type How string

// Where an answer can come from.
const (
	FromUpstream How = "upstream" // this call carried it out
	FromJournal  How = "journal"  // answered from the record (replayed)
	FromJoin     How = "joined"   // another call was carrying it out
	FromCheck    How = "check"    // refused by a local rule
)

// Errors that a Journal returns, wrapped or not.
var (
	// ErrNoEntry: nothing is written down under that key and taxpayer.
	ErrNoEntry = errors.New("no journal entry")
	// ErrBusy: another instance holds the document's lease. Wait and ask again.
	ErrBusy = errors.New("document is in flight on another instance")
	// ErrLostLease: this instance may not send for the entry any more. What it learns is still recorded.
	ErrLostLease = errors.New("lease lost")
	// ErrNotWaiting: the entry has ended, or is not in a state in which it could be withdrawn.
	ErrNotWaiting = errors.New("entry is not waiting")
)

// Begin is what Journal.Begin writes for a new cancellation.
type Begin struct {
	Entry   Entry // Key, Taxpayer, Upstream, Ref, Caller, IRN, Reason, Remarks, Created, Expires
	SendNow bool  // write the first attempt in the same commit: nothing has to wait
}

// Finish is what one attempt brought to light, and what follows for its entry.
type Finish struct {
	Entry   int64
	Attempt int64   // 0 when the entry ends without one (gate shut, carry_out_within over)
	Result  Outcome // of the attempt alone, exchanges included
	State   State   // of the entry from now on
	Outcome Outcome // of the entry; ignored while State is Sending or Accepted
	// NextLookup is set when State is Open.
	NextLookup time.Time
	// Look is a lookup that has ended, appended as evidence: Kind, Start, End, Outcome and Upstream are filled in. It was
	// not written before: a question changes nothing.
	Look    *Attempt
	At      time.Time
	Asks    []Ask // callers that are told this outcome, in the same commit
	Release bool  // give the document's lease back
}

// Journal is the durable record. Every method that writes returns only when the write would survive a power cut;
// concurrent writes share an fsync. Methods are safe for concurrent use.
//
// Late truth wins: evidence is always appended, and an entry whose outcome is Cancelled never gets another one.
type Journal interface {
	// Now is the clock by which the record goes, on which all who share it agree. It may be set back.
	Now() time.Time
	// Find reads the entry of a taxpayer's document, or ErrNoEntry.
	Find(ctx context.Context, k Key, taxpayer string) (Entry, error)
	// Begin writes the entry down and takes the document's lease, in one commit. When the taxpayer has an entry for
	// the document already, nothing is written but the lease, and that entry comes back with created false. ErrBusy
	// when another instance holds the lease.
	Begin(ctx context.Context, b Begin) (e Entry, created bool, err error)
	// Requeue puts an entry that has ended, other than Cancelled, back to Accepted with the request and the Expires of e:
	// a repeat that must wait its turn waits as durably as a new one. ErrNotWaiting when the entry has not ended.
	Requeue(ctx context.Context, e Entry) (Entry, error)
	// Attempt makes a send durable before its first byte, puts the entry's request (Ref, Caller, IRN, Reason, Remarks,
	// Upstream) up to date and the entry into Sending. ErrLostLease when this instance may not send; ErrNotWaiting when
	// the entry has ended since e was read (withdrawn, resolved by hand).
	Attempt(ctx context.Context, e Entry, start time.Time) (Attempt, error)
	// MaySend re-checks the lease by the wall clock right before the first byte.
	MaySend(ctx context.Context, e *Entry) error
	// Finish records evidence and gives back the entry as it now stands: evidence never turns Cancelled into
	// something else. f may be changed once it has returned.
	Finish(ctx context.Context, f *Finish) (Entry, error)
	// Tell records what callers were told apart from a Finish: replays, local refusals, deadlines.
	Tell(ctx context.Context, asks ...Ask) error
	// Release gives the document's lease back without evidence.
	Release(ctx context.Context, e Entry) error
	// AwaitRelease waits until another instance may have released the document, or ctx is over.
	AwaitRelease(ctx context.Context, k Key)
	// Due claims open entries whose lookup is due, taking their leases; at most n.
	Due(ctx context.Context, now time.Time, n int) ([]Entry, error)
	// Orphans claims accepted entries that no living instance carries, in order, and turns sending ones whose
	// instance is gone into open ones with a lookup due. What it has claimed comes back beside an error, too: the
	// leases are the caller's. So it is with Due.
	Orphans(ctx context.Context, now time.Time) ([]Entry, error)
}

// Token is an access token that access_new_token issued, by its hash.
type Token struct {
	Hash    string // SHA-256, hex
	Caller  string
	Issued  time.Time
	Expires time.Time // zero: until revoked
	Revoked time.Time // zero: not revoked
	Used    time.Time // last use, to the minute; zero: never
	Label   string
	By      string // the operator who issues it; not kept with the token, but in the list of what operators did
}

// Tokens keeps issued tokens, shared by all instances on one journal. A revocation works everywhere within 5 s.
type Tokens interface {
	// Now is the clock by which tokens are issued and expire, on which all instances agree.
	Now() time.Time
	Issue(ctx context.Context, t Token) error
	// Token finds an issued token by hash; ErrNoEntry when there is none. Expired and revoked ones are returned.
	Token(ctx context.Context, hash string) (Token, error)
}
