package flow

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestBound(t *testing.T) {
	above, cancel := context.WithCancel(context.Background())
	b := within(above, time.Hour)
	if b.Err() != nil {
		t.Error(b.Err())
	}
	cancel()
	<-b.Done()
	if !errors.Is(b.Err(), context.Canceled) {
		t.Error(b.Err())
	}

	b = within(context.Background(), 10*time.Millisecond)
	below, cancel := context.WithCancel(b)
	defer cancel()
	<-below.Done()
	if !errors.Is(below.Err(), context.DeadlineExceeded) || !errors.Is(b.Err(), context.DeadlineExceeded) {
		t.Error(below.Err(), b.Err())
	}

	b = within(context.Background(), time.Hour)
	b.release() // nobody waited: there is nothing to give back
	done := b.Done()
	b.release()
	<-done
}
