package upstream

// End forgets the token and returns it, for an adapter that logs out at an orderly shutdown; ok is false when none is
// held. A login that is under way is not waited for. A session that outlives the process is not ended: the next start and
// other instances go on with it.
func (s *Session[T]) End() (token T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.valid || s.kept != 0 {
		return token, false
	}
	token, s.valid = s.lease.Token, false
	s.lease = Lease[T]{}
	return token, true
}
