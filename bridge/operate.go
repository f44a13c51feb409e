package bridge

import (
	"strings"
	"time"
)

// What operators read of the journal. The journal fills these types, the console and the commands show them.

// Filter narrows a list of entries; zero fields don't narrow.
type Filter struct {
	Document string // prefix of the document id, in normal spelling
	Caller   string // of the request that was carried out last
	Taxpayer string
	Upstream string
	Class    Class // of the entry's outcome
	// Open keeps doubtful ones, Waiting accepted ones, ToldOtherwise those whose truth differs from what some caller
	// was told.
	Open, Waiting, ToldOtherwise bool
	Since, Until                 time.Time // Created, from Since up to but without Until
	Before                       int64     // paging: only entries with a lower ID; 0: from the newest
	Limit                        int       // 0: 100
}

// Story is everything that the journal knows of one entry, for the question "what happened to this invoice".
type Story struct {
	Entry Entry // its attempts come with their exchanges
	Asks  []Ask // everyone who asked for the document for this taxpayer, oldest first
}

// Stats is the state of the journal in numbers.
type Stats struct {
	Open       int       // doubtful entries
	OldestOpen time.Time // first send of the oldest of them; zero: none
	Waiting    int       // accepted entries
	NextExpiry time.Time // of the waiting one that is given up first; zero: none
	// ToldOtherwise counts entries whose truth differs from what some caller was told.
	ToldOtherwise int
	Instances     []Instance
}

// Instance is one process on the journal.
type Instance struct {
	Name          string
	Started, Seen time.Time
}

// Count is how many calls of one class were answered in a stretch of time.
type Count struct {
	From  time.Time
	Class Class
	Calls int
}

// Rejected is a call that was turned away before it was a cancellation: nothing was sent for it, and no entry tells of it.
// It holds no value that came, but names and labels.
type Rejected struct {
	ID     int64
	Ref    string
	At     time.Time
	From   string // address
	Caller string // empty: nobody made itself known
	Kind   string // of a closed set, as metrics count it
	Why    string
	Came   []Fact
}

// Fact is one thing about what came: where to, which headers, which elements.
type Fact struct{ Name, Text string }

// RejectedFilter narrows a list of rejected calls; zero fields don't narrow.
type RejectedFilter struct {
	Ref, From, Caller, Kind string
	Since, Until            time.Time
	Before                  int64 // paging: only those with a lower ID; 0: from the newest
	Limit                   int   // 0: 100
}

// Ref is the reference in what somebody copied from an answer, which has it as [ref …]; anything else stays as it is.
func Ref(s string) string {
	s = strings.TrimSpace(s)
	if _, after, ok := strings.Cut(s, "[ref "); ok {
		s, _, _ = strings.Cut(after, "]")
	} else if after, ok := strings.CutPrefix(s, "ref "); ok {
		s = after
	}
	return strings.TrimSpace(s)
}

// Call is an answered call beside where its cancellation stands now.
type Call struct {
	Ask         // without its envelopes
	State State // of its entry; empty when it has none
	Now   Class // how its entry ended
}

// CallFilter narrows a list of calls, by what they were told.
type CallFilter struct {
	Since, Until time.Time // when they were told, from Since up to but without Until
	Classes      []Class   // none: all
	Caller       string
	Limit        int // 0: 100
}

// Deed is what an operator did, for whoever asks later.
type Deed struct {
	ID    int64
	At    time.Time
	Who   string
	What  DeedKind
	Entry int64 // 0: it was about none
	About string
}

// DeedKind is a closed set.
type DeedKind string

// What operators do.
const (
	DidResolve   DeedKind = "resolve"
	DidWithdraw  DeedKind = "withdraw"
	DidIssue     DeedKind = "issue"
	DidRevoke    DeedKind = "revoke"
	DidReload    DeedKind = "reload"
	DidTestAlarm DeedKind = "test_alarm"
)
