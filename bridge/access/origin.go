package access

import (
	"crypto/x509"
	"net/netip"
	"slices"
)

// Origin is where a call comes from. A caller may be bound to addresses and to certificates; its token or password is
// worth nothing from elsewhere.
type Origin struct {
	Addr netip.Addr
	// Certificate is what the connection showed, proven by its key and vouched for by an authority of the listener;
	// nil: none.
	Certificate *x509.Certificate
	// Room is asked before a name and its secrets must wait to be looked at, and before a token is written down for the
	// caller that it names; nil: there always is some.
	Room func(caller string) bool
}

func (o Origin) room(caller string) bool { return o.Room == nil || o.Room(caller) }

// OriginError refuses a caller whose token or password is good, but not from there. The caller is told the same as
// with ErrInvalid; what stands here is for the log.
type OriginError struct{ Caller, Why string }

func (e *OriginError) Error() string { return e.Why }

// at returns the caller if its calls may come from there, else an *OriginError.
func (c *Caller) at(o Origin) (*Caller, error) {
	holds := func(p netip.Prefix) bool { return p.Contains(o.Addr.Unmap()) }
	if len(c.from) > 0 && !slices.ContainsFunc(c.from, holds) {
		return nil, &OriginError{c.Name, "caller may not call from this address"}
	}
	if len(c.certificates) == 0 {
		return c, nil
	}
	shown := o.Certificate
	switch {
	case shown == nil:
		return nil, &OriginError{c.Name, "caller must show a certificate, and its connection shows none"}
	case !slices.ContainsFunc(c.certificates, func(is pattern) bool { return is(shown) }):
		return nil, &OriginError{c.Name, "the connection shows a certificate that is not the caller's"}
	case c.now().After(shown.NotAfter): // a connection may outlive what it showed
		return nil, &OriginError{c.Name, "the caller's certificate has expired"}
	}
	return c, nil
}
