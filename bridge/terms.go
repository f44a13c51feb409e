package bridge

// Terms are what a changed configuration changes while the Service works. A call ends under the terms it began under.
type Terms struct {
	Config
	// Route finds a taxpayer's upstream.
	Route func(taxpayer string) (Upstream, bool)
}

// Change sets the terms of background work and of calls that bring none.
func (s *Service) Change(t *Terms) { s.terms.Store(t) }

// Under is the Service for calls that come in under certain terms: who let a call in, and where it goes, are of one
// configuration.
type Under struct {
	Service *Service
	Terms   *Terms
}

// Cancel is Service.Cancel.
func (u Under) Cancel(r Request) Answer { return u.Service.cancel(r, u.Terms) }
