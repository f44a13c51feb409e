package bridge

import (
	"context"
	"time"
)

// Session is an upstream's session as a journal keeps it.
type Session struct {
	Generation int64     // counts a credential's sessions; 0: there was none yet
	Until      time.Time // from then on it is not used any more
	Renew      time.Time // from when on another one is worth asking for; zero: never
	Sealed     []byte    // encrypted: whoever reads the journal can't use it
}

// Sessions keeps upstream sessions by the digests of their credentials, for all instances on one journal. A session is
// replaced, and never changed: of two that replace the same one, the second finds that it came too late.
type Sessions interface {
	// Session is the one that was kept last, expired or not; the zero Session when there was none.
	Session(ctx context.Context, credential string) (Session, error)
	// LogIn gives who, a name for itself, the turn to replace the session of that generation. It is false while
	// somebody else has the turn, and when that session was replaced already. The turn ends with Keep, with Yield, or
	// after LoginTurn.
	LogIn(ctx context.Context, credential, who string, generation int64) (bool, error)
	// Keep puts s in the place of the session of the generation before; false when that was replaced already.
	Keep(ctx context.Context, credential string, s Session) (bool, error)
	// Yield gives back the turn of a login that brought nothing.
	Yield(ctx context.Context, credential, who string) error
}

// LoginTurn is how long others wait for a login that nothing is heard of: longer than any takes (NIC: two tries, each with
// a look whether the host is there), for else its instance has died. A missing heartbeat or a lost connection would say so
// sooner, but not for sure: an instance that is cut off from the database may still be at the authority, where two logins
// at once cost an account its session, or count towards its lock.
const LoginTurn = 45 * time.Second
