package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
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

// How much that nothing lives in may stay with the process, and how often that is looked at. Beside the floor the runtime
// itself would keep what a flood of requests has once taken.
const (
	spare     = 24 << 20
	spareLook = 5 * time.Second
)

// giveBack returns memory to the system that was needed once, until ctx ends.
func giveBack(ctx context.Context) {
	free := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}}
	tick := time.NewTicker(spareLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if metrics.Read(free); free[0].Value.Uint64() > spare {
			debug.FreeOSMemory()
		}
	}
}
