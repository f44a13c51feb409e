package app

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/console"
	"einvoice-bridge/bridge/journal"
	"einvoice-bridge/bridge/upstream"
)

// health tells how each configured upstream does, from the hosts, gates and sessions that its taxpayers' adapters share.
type health struct {
	*plan
	journal *journal.Journal
}

// all is the state of every upstream now, by name.
func (h *health) all(ctx context.Context) (list []console.Upstream) {
	taxpayers, rates := map[string]int{}, map[string]bridge.Rate{}
	for taxpayer, t := range h.file.Taxpayers {
		taxpayers[t.Upstream]++
		if r := h.ups[taxpayer].Profile().Cancels; r.Limit > 0 && r.Key > rates[t.Upstream].Key {
			rates[t.Upstream] = r // of several accounts always the same one
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.file.Upstreams)) {
		c, own := h.file.Upstreams[name], h.shared.For(name)
		u := console.Upstream{Name: name, Kind: c.Kind, Environment: upstream.Environment(c.Environment, upstream.Common(c.Settings).BaseURL), Taxpayers: taxpayers[name], Rate: rates[name]}
		for _, host := range own.Hosts() {
			addHost(&u, host)
		}
		for _, credential := range own.Credentials() {
			if gate, shut, err := h.journal.Gate(ctx, credential); err == nil && shut {
				u.Gates = append(u.Gates, gate)
			}
		}
		for _, s := range own.Sessions() {
			addSession(&u, s)
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

// held are the upstreams with logins that are held back, and until when the last of them is.
func (h *health) held() map[string]time.Time {
	all := map[string]time.Time{}
	for name := range h.file.Upstreams {
		for _, s := range h.shared.For(name).Sessions() {
			if s.Held.After(all[name]) {
				all[name] = s.Held
			}
		}
	}
	return all
}

// notes is held for /readyz.
func (h *health) notes() map[string]string {
	var all []string
	for name, until := range h.held() {
		all = append(all, name+" until "+until.UTC().Format(time.RFC3339))
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	return map[string]string{"logins_held": strings.Join(all, ", ")}
}

func addHost(u *console.Upstream, host upstream.HostInfo) {
	u.Hosts, u.Trips = u.Hosts+1, u.Trips+host.Trips
	switch host.Breaker {
	case "open":
		u.Open++
	case "half-open":
		u.HalfOpen++
	}
}

func addSession(u *console.Upstream, s upstream.SessionInfo) {
	u.Logins, u.LoginsFailed = u.Logins+s.Logins, u.LoginsFailed+uint64(s.Failed)
	u.SessionsSpoilt += s.Spoilt
	if s.Held.After(u.LoginsHeld) {
		u.LoginsHeld = s.Held
	}
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
