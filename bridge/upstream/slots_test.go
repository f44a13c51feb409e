package upstream

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlotsBoundTheCallsOfOneAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newShared()
		var mu sync.Mutex
		running, most := 0, 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			running += n
			most = max(most, running)
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				free, err := shared.Slots("org", 5).Take(t.Context(), time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				defer free()
				count(1)
				time.Sleep(time.Second)
				count(-1)
			})
		}
		wg.Wait()
		if most != 5 {
			t.Errorf("%d ran at once, want 5", most)
		}
	})
}

func TestSlotsTurnAwayWhoWaitsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newShared()
		free, err := shared.Slots("a", 1).Take(t.Context(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := shared.Slots("a", 1).Take(t.Context(), time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second of one place got %v", err)
		}
		if _, err := shared.Slots("b", 1).Take(t.Context(), time.Second); err != nil {
			t.Errorf("another account has places of its own: %v", err)
		}
		free()
		if _, err := shared.Slots("a", 1).Take(t.Context(), time.Second); err != nil {
			t.Errorf("a place given back is not free: %v", err)
		}
	})
}
