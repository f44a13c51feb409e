package console

import (
	"context"
	"iter"
	"net/http"
	"net/netip"
	"time"

	"einvoice-bridge/bridge"
)

// Records is what the console reads of the journal, and the little that it changes in it.
type Records interface {
	// List gives a page of entries without their exchanges, Export all of them; newest first.
	List(ctx context.Context, f bridge.Filter) ([]bridge.Entry, error)
	Export(ctx context.Context, f bridge.Filter) iter.Seq2[bridge.Entry, error]
	// Fitting counts the entries that a filter lets through, up to most.
	Fitting(ctx context.Context, f bridge.Filter, most int) (int, error)
	// Show finds stories by an entry's id, a document's or a call's reference; bridge.ErrNoEntry when there is none.
	Show(ctx context.Context, what string) ([]bridge.Story, error)
	Stats(ctx context.Context) (bridge.Stats, error)
	Counts(ctx context.Context, since, until time.Time, step time.Duration) ([]bridge.Count, error)

	// Calls gives answered calls, newest first.
	Calls(ctx context.Context, f bridge.CallFilter) ([]bridge.Call, error)
	// Rejected gives calls that were turned away before they were cancellations, newest first.
	Rejected(ctx context.Context, f bridge.RejectedFilter) ([]bridge.Rejected, error)

	// Resolve ends an entry with an operator's word; force lets it contradict what is on record.
	Resolve(ctx context.Context, id int64, o bridge.Outcome, by, why string, force bool) (bridge.Entry, error)
	Withdraw(ctx context.Context, id int64, by string) (bridge.Entry, error)
	// LookUpSoon has a doubtful entry looked up within seconds, by whichever instance comes to it.
	LookUpSoon(ctx context.Context, id int64) error

	// Deeds gives what operators did, newest first; Did adds to it what the journal does not hear of.
	Deeds(ctx context.Context, before int64, limit int) ([]bridge.Deed, error)
	Did(ctx context.Context, d bridge.Deed) error

	Issue(ctx context.Context, t bridge.Token) error
	Issued(ctx context.Context) ([]bridge.Token, error)
	Revoke(ctx context.Context, hash, by string) error

	// Commits counts transactions, the writes that shared them and the time they took, since the start.
	Commits() (commits, writes int64, busy time.Duration)
}

// Upstream is the state of one configured upstream in this process, all its credentials together.
type Upstream struct {
	Name, Kind, Environment string
	Taxpayers               int
	Hosts                   int // that it calls, each watched by a breaker
	Open, HalfOpen, Trips   int // of these breakers
	Sessions                int // held now
	SessionUntil            time.Time
	Logins, LoginsFailed    uint64
	LoginsHeld              time.Time     // until when logins that are needed are held back; zero: none is
	SessionsSpoilt          int           // sealed ones in the journal that were tampered with and ignored
	LoginError              string        // of the last login that failed; no secret
	Gates                   []bridge.Gate // shut ones
	Rate                    bridge.Rate   // of cancels; zero Limit: none
	Left                    int           // sends that Rate has room for now
}

// Expiry is when something ends that somebody must renew.
type Expiry struct {
	What string
	At   time.Time
}

// Left is how long there is until then.
func (e Expiry) Left() string {
	if d := time.Until(e.At); d > 0 {
		return untilText(d)
	}
	return "ended " + agoText(time.Since(e.At))
}

// Soon tells whether it is time to do so.
func (e Expiry) Soon() bool { return time.Until(e.At) < 30*24*time.Hour }

// Caller is one configured caller.
type Caller struct {
	Name         string
	AllTaxpayers bool
	Taxpayers    []string
	Tokens       int // in the configuration
	Login        bool
	Addresses    []string
	Certificates int // of which its connections must show one; 0: none
	InFlight     int
	PerMinute    int
}

// Settings is the configuration that works now, and its file as it is now.
type Settings struct {
	Running []bridge.Setting
	Since   time.Time
	Path    string
	// Check is what the check command says of the file, line by line; Good that it is in order.
	Check []string
	Good  bool
	// Changes are what the file says otherwise than what works; Restart names those that only a restart takes up.
	Changes []bridge.Change
	Restart []string
	Last    *Reload // since the start; nil: none
}

// Takes tells whether a reload would change something.
func (s Settings) Takes() bool { return s.Good && len(s.Changes) > 0 && len(s.Restart) == 0 }

// Reload is how taking up the changed file went.
type Reload struct {
	At       time.Time
	By       string
	Changes  []bridge.Change
	Problems []string // why nothing was changed
}

// Good tells whether it went well.
func (r Reload) Good() bool { return len(r.Problems) == 0 }

// SignIn looks at a user name and password; the role is empty when they are wrong. wait is set when too many were wrong and
// this one wasn't looked at.
type SignIn func(ctx context.Context, username, password string, from netip.Addr) (role Role, wait time.Duration)

// SignedIn tells whom a proxy in front has signed in; ok is false when it is no such proxy's request. A name without a role is
// nobody's here.
type SignedIn func(r *http.Request) (name string, role Role, ok bool)
