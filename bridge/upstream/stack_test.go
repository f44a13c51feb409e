//go:build unix && !race

package upstream_test

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

// A call that waits keeps its goroutine's stack, which doubles when it is too small: 8 KB are enough for all that a cancel
// calls, below the 1.7 KB of the Service.
func TestACancelNeedsAStackOf8KB(t *testing.T) {
	for _, k := range carriers {
		t.Run(k.kind, func(t *testing.T) {
			a, err := k.make(upstream.Settings{Name: k.kind, Taxpayer: k.taxpayer, CancelsPerMinute: 1e9},
				func(h http.Handler) string { return upstreamtest.Repeat(t, h) },
				upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler)))
			if err != nil {
				t.Fatal(err)
			}
			c := bridge.Cancellation{Taxpayer: k.taxpayer, Document: k.document, Reason: bridge.DataEntry, Remarks: "Wrong entry", Ref: "ref"}
			if o := a.Cancel(t.Context(), c, upstreamtest.Free); o.Class != bridge.Cancelled {
				t.Fatalf("%+v", o)
			}
			once := func() int {
				const n = 100
				var there, gone sync.WaitGroup
				there.Add(n)
				runtime.GC()
				before, leave := stacks(), make(chan struct{})
				for range n {
					gone.Go(func() {
						below(func() {
							a.Cancel(t.Context(), c, upstreamtest.Free)
							asked := 0
							a.Cancel(t.Context(), c, func(context.Context) error {
								if asked++; asked == 2 { // its connection is there
									there.Done()
									<-leave
								}
								return nil
							})
						})
					})
				}
				there.Wait()
				defer gone.Wait()
				defer close(leave)
				return (stacks() - before) / n
			}
			once() // opens the connections, which takes more
			if each := once(); each > 12<<10 {
				t.Errorf("%d bytes each", each)
			}
		})
	}
}

// below calls f as deep in the stack as the Service does.
//
//go:noinline
func below(f func()) byte {
	var frames [1700]byte
	f()
	return frames[len(frames)-1]
}

func stacks() int {
	all := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(all)
	return int(all[0].Value.Uint64())
}
