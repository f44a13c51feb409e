package bridge

import "time"

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
