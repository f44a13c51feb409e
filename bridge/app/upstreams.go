package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/cleartax"
	"einvoice-bridge/bridge/upstream/invx"
	"einvoice-bridge/bridge/upstream/mastersindia"
	"einvoice-bridge/bridge/upstream/myinvois"
	"einvoice-bridge/bridge/upstream/nic"
)

// Kinds are the e-invoice APIs that an upstream can be, by name; FileKinds is what the file has to know of them.
var Kinds, FileKinds = byName(nic.Kind, myinvois.Kind, cleartax.MalaysiaKind, cleartax.IndiaKind, invx.Kind, mastersindia.Kind)

func byName(all ...upstream.Kind) (map[string]upstream.Kind, config.Kinds) {
	kinds, known := map[string]upstream.Kind{}, config.Kinds{}
	for _, k := range all {
		kinds[k.Name], known[k.Name] = k, config.Kind{New: k.Settings, Check: upstream.Check}
	}
	return kinds, known
}

// buildUpstreams makes every taxpayer's adapter. What an adapter refuses is a problem of the configuration, with the
// line of its taxpayer; all of them come at once.
func buildUpstreams(f *config.File, shared *upstream.Shared) (ups map[string]bridge.Upstream, warnings, problems config.Problems) {
	ups = make(map[string]bridge.Upstream, len(f.Taxpayers))
	for _, taxpayer := range slices.Sorted(maps.Keys(f.Taxpayers)) {
		t := f.Taxpayers[taxpayer]
		at := func(text string) config.Problem {
			return config.Problem{Line: f.Line("taxpayers." + taxpayer), Text: fmt.Sprintf("taxpayer %s (upstream %s): %s", taxpayer, t.Upstream, text)}
		}
		up, err := Kinds[f.Upstreams[t.Upstream].Kind].New(t.Upstream, taxpayer, t.Settings, shared)
		if err != nil {
			problems = append(problems, at(err.Error()))
			continue
		}
		if w, ok := up.(interface{ Warnings() []string }); ok {
			for _, text := range w.Warnings() {
				warnings = append(warnings, at(text))
			}
		}
		ups[taxpayer] = up
	}
	return ups, warnings, problems
}

// logOut ends the sessions that an API counts (InvX allows ten per user), so that restarts don't use them up.
func logOut(ctx context.Context, ups map[string]bridge.Upstream, log *slog.Logger) {
	for taxpayer, up := range ups {
		c, ok := up.(interface{ Close(context.Context) error })
		if !ok {
			continue
		}
		if err := c.Close(ctx); err != nil {
			log.Warn("logging out: "+err.Error(), "upstream", up.Profile().Name, "taxpayer", taxpayer)
		}
	}
}
