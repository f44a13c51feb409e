package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

// healthPath is where balancers ask that can't reach the console. They need no log-in, and so anybody can ask: that takes
// no place of a call, and its connection counts as a stranger's.
const healthPath = "/healthz"

const (
	healthEvery = 2 * time.Second // between two looks, whoever asks: a look may write to the journal
	healthTime  = 2 * time.Second // that one may take
)

// health is what was last seen.
type health struct {
	mu   sync.Mutex
	seen time.Time
	err  error
}

// look asks ready, or tells what it said less than healthEvery ago. Who comes meanwhile waits for the same answer.
func (h *health) look(ready func(context.Context) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.seen) >= healthEvery {
		ctx, cancel := context.WithTimeout(context.Background(), healthTime)
		defer cancel()
		h.err = ready(ctx)
		h.seen = time.Now()
	}
	return h.err
}

// healthz answers GET, HEAD and OPTIONS: 200 while cancellations can be taken here, else 503. What is wrong is for the
// operator, on the console.
func (s *Desk) healthz(c *fiber.Ctx) error {
	c.Set("Cache-Control", "no-store")
	r := reply{status: http.StatusOK, contentType: "application/json", body: []byte(`{"status":"ready"}`)}
	if s.draining.Load() || s.opt.Ready != nil && s.health.look(s.opt.Ready) != nil {
		r.status, r.body = http.StatusServiceUnavailable, []byte(`{"status":"not ready"}`)
	}
	return s.send(c, r)
}
