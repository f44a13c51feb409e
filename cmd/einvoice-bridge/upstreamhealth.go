package main

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/console"
	"einvoice-bridge/bridge/journal"
	"einvoice-bridge/bridge/upstream"
)

// health tells how each configured upstream does, from the guards and sessions that its taxpayers' adapters share.
type health struct {
	file    *config.File
	shared  *upstream.Shared
	journal *journal.Journal

	once        sync.Once
	credentials map[string]map[string]bool // by upstream's name: of its guards and sessions
	rates       map[string]bridge.Rate
}

// learn finds out which guards and sessions belong to which upstream, by building each one's adapters once more and
// alone: an adapter may have several, and what it has depends on its credentials only.
func (h *health) learn() {
	h.credentials, h.rates = map[string]map[string]bool{}, map[string]bridge.Rate{}
	alone := map[string]*upstream.Shared{}
	for taxpayer, t := range h.file.Taxpayers {
		if alone[t.Upstream] == nil {
			alone[t.Upstream] = upstream.NewShared(noBudget{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		}
		up, err := buildUpstream(t.Upstream, taxpayer, t.Settings, alone[t.Upstream])
		if err != nil {
			continue // it was built at start
		}
		if r := up.Profile().Cancels; r.Limit > 0 {
			h.rates[t.Upstream] = r
		}
	}
	for name, s := range alone {
		own := map[string]bool{}
		for _, g := range s.Guards() {
			own[g.Credential] = true
		}
		for _, i := range s.Sessions() {
			own[i.Credential] = true
		}
		h.credentials[name] = own
	}
}

// all is the state of every upstream now, by name.
func (h *health) all(ctx context.Context) (list []console.Upstream) {
	h.once.Do(h.learn)
	guards, sessions := h.shared.Guards(), h.shared.Sessions()
	taxpayers := map[string]int{}
	for _, t := range h.file.Taxpayers {
		taxpayers[t.Upstream]++
	}
	for _, name := range slices.Sorted(maps.Keys(h.file.Upstreams)) {
		c, own := h.file.Upstreams[name], h.credentials[name]
		u := console.Upstream{Name: name, Kind: c.Kind, Environment: c.Environment, Taxpayers: taxpayers[name], Rate: h.rates[name]}
		for _, g := range guards {
			if own[g.Credential] {
				h.addGuard(ctx, &u, g)
			}
		}
		for _, s := range sessions {
			if own[s.Credential] {
				addSession(&u, s)
			}
		}
		if u.Rate.Limit > 0 {
			if left, err := h.journal.Room(ctx, u.Rate); err == nil {
				u.Left = left
			}
		}
		list = append(list, u)
	}
	return list
}

func (h *health) addGuard(ctx context.Context, u *console.Upstream, g upstream.GuardInfo) {
	u.Guards, u.Trips = u.Guards+1, u.Trips+g.Trips
	switch g.Breaker {
	case "open":
		u.Open++
	case "half-open":
		u.HalfOpen++
	}
	if gate, shut, err := h.journal.Gate(ctx, g.Credential); err == nil && shut {
		u.Gates = append(u.Gates, gate)
	}
}

func addSession(u *console.Upstream, s upstream.SessionInfo) {
	u.Logins, u.LoginsFailed = u.Logins+s.Logins, u.LoginsFailed+uint64(s.Failed)
	if s.LastError != "" {
		u.LoginError = s.LastError
	}
	if !time.Now().Before(s.Until) {
		return
	}
	if u.Sessions++; u.SessionUntil.IsZero() || s.Until.Before(u.SessionUntil) {
		u.SessionUntil = s.Until
	}
}
