package bridge

import (
	"context"
	"time"
)

// Observer hears what happens, for logs, metrics and alarms. Methods are called from many goroutines and must not
// block. None of what they get holds a secret or remarks.
type Observer interface {
	// Answered is called once for every caller that was answered. The report is not changed afterwards, by anybody.
	Answered(*CallReport)
	// Attempted is called after each send and each lookup.
	Attempted(AttemptReport)
	// Alarm is called when an operator must act.
	Alarm(Alarm)
}

// CallReport is one answered call.
type CallReport struct {
	Ref, Caller, Taxpayer, Upstream string
	Key                             Key
	Answer                          Answer
	How                             How
	Code                            string     // the authority's, when it gave one
	DateSource                      DateSource // of the cancel date told
	UpstreamRef                     string
	Unclassified                    bool
	Sends, Lookups                  int             // of the flight, up to the answer; a cancel that never left is no send
	Took                            time.Duration   // from receipt to answer
	Journal                         time.Duration   // of that, waiting for the disk
	Wire                            time.Duration   // of that, waiting for the authority
	Queue                           time.Duration   // of that, waiting its turn
	Context                         context.Context // carries the call's trace; nil without traces
}

// AttemptReport is one send or lookup.
type AttemptReport struct {
	Ref, Upstream, Kind string
	Attempt             AttemptKind
	Class               Class
	Sent                bool // whether a byte of it may have left; true for every lookup
	HTTPStatus          int
	Took                time.Duration
}

// AlarmKind is a closed set, fit for a metric label.
type AlarmKind string

// What an operator must look at.
const (
	AlarmMisconfigured AlarmKind = "misconfigured"  // credentials or rights refused
	AlarmOpen          AlarmKind = "open"           // doubtful for over an hour
	AlarmToldOtherwise AlarmKind = "told_otherwise" // truth differs from what a caller was told
	AlarmJournal       AlarmKind = "journal"        // a write failed
	AlarmUpstream      AlarmKind = "upstream"       // an adapter asks for attention
	AlarmExpired       AlarmKind = "expired"        // not carried out within carry_out_within
	AlarmLoginsHeld    AlarmKind = "logins_held"    // no session, and the authority allows no login for now
	AlarmStray         AlarmKind = "stray"          // unsettled, and its taxpayer's upstream can't be asked about it
)

// AlarmTest is nothing to look at: an operator tries whether alarms reach somebody. It is not counted.
const AlarmTest AlarmKind = "test"

// AlarmKinds are all of them that are counted.
var AlarmKinds = []AlarmKind{AlarmMisconfigured, AlarmOpen, AlarmToldOtherwise, AlarmJournal, AlarmUpstream, AlarmExpired, AlarmLoginsHeld, AlarmStray}

// Alarm is one thing to look at, in words: what, on which document and upstream, what to do.
type Alarm struct {
	Kind               AlarmKind
	Upstream, Taxpayer string
	Key                Key
	Ref                string
	Text               string
}

// PoolKind is who places of the SOAP side are shared out among: a closed set, fit for a metric label.
type PoolKind string

// The pools.
const (
	PoolArriving PoolKind = "arriving" // being read, and nobody knows yet whose it is
	PoolCaller   PoolKind = "caller"   // a caller's cancellations
	PoolUpstream PoolKind = "upstream" // cancellations that go to one upstream
	PoolLogin    PoolKind = "login"    // access_new_token
	PoolRelay    PoolKind = "relay"    // calls for the provider
	PoolWaiting  PoolKind = "waiting"  // accepted cancellations that wait their turn at one upstream, and their callers have gone
	PoolRecall   PoolKind = "recall"   // turned away, and the record is being asked
)

// Pool is what one of them holds.
type Pool struct {
	Kind PoolKind
	Name string // of the caller or the upstream
	Held int
	Most int    // that it may hold while nobody else comes or goes
	Full uint64 // how often it was full
}

// Crowd is who is connected to the SOAP side.
type Crowd struct {
	Callers    int // connections on which a caller was let in
	Strangers  int // all others
	Unfinished int64
	PutOut     map[PutOut]uint64
}

// PutOut is why a connection was put out: a closed set, fit for a metric label.
type PutOut string

// The reasons.
const (
	PutOutUnfinished PutOut = "unfinished"  // unfinished requests held too much
	PutOutStranger   PutOut = "strangers"   // too many on which nobody was let in
	PutOutConnection PutOut = "connections" // too many in all
)

// PutOuts are all of them.
var PutOuts = []PutOut{PutOutUnfinished, PutOutStranger, PutOutConnection}

// Load is how much the Service has in hand: documents in flight, and of these those that wait their turn.
type Load struct{ InFlight, Waiting int }
