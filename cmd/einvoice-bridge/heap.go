package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// floor is never touched, so it takes no memory, but the collector counts it as alive. With it a heap may grow by 9 MiB
// and a seventh of what lives before a collection comes. What lives in most bridges is 3 MiB: Go's own rule, as much
// again, would collect every 200 calls; and where ten thousand taxpayers live, or as many connections, it would take
// twice their memory.
var floor = make([]byte, 60<<20)

const growth = 15 // percent of what lives, floor included

// boundHeap sets the collector's rule, unless GOGC does. It comes before the configuration is read, whose tree is the
// most that a bridge ever holds.
func boundHeap() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(growth)
	}
}

// tidy gives back what starting took, so that calls begin with a small heap.
func tidy() {
	runtime.GC() // what pools hold survives the first
	debug.FreeOSMemory()
	runtime.KeepAlive(floor)
}
