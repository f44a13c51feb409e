package server

import "net"

// FramingOf is framingOf, for tests.
var FramingOf = framingOf

// Addrs are the bound addresses, in the order of Options.Listeners.
func (s *Server) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, ln := range s.bound {
		addrs = append(addrs, ln.Addr())
	}
	return addrs
}
