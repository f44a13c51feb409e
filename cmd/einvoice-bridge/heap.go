package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// floor is never touched, so it takes no memory, but the collector counts it as alive. With it a heap may grow by 10 MiB
// and a quarter of what lives before a collection comes. What lives in most bridges is 3 MiB: Go's own rule, as much
// again, would collect every 200 calls; and where ten thousand taxpayers live, or as many connections, it would take
// twice their memory.
var floor = make([]byte, 40<<20)

const growth = 25 // percent of what lives, floor included

// tidy sets the collector's rule, unless GOGC does, and gives back what starting took, the migrations' buffers above
// all, so that calls begin with a small heap.
func tidy() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(growth)
	}
	runtime.GC() // what pools hold survives the first
	debug.FreeOSMemory()
	runtime.KeepAlive(floor)
}
