package main

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/nic"
)

// builders make one taxpayer's adapter, by the upstream's kind.
var builders = map[string]func(name, taxpayer string, c config.Upstream, s upstream.Settings, shared *upstream.Shared) (bridge.Upstream, error){
	"nic": buildNIC,
}

// buildUpstreams makes every taxpayer's adapter. What an adapter refuses is a problem of the configuration, with the
// line of its taxpayer; all of them come at once.
func buildUpstreams(f *config.File, shared *upstream.Shared, log *slog.Logger) (map[string]bridge.Upstream, config.Problems) {
	ups := make(map[string]bridge.Upstream, len(f.Taxpayers))
	var problems config.Problems
	for _, taxpayer := range slices.Sorted(maps.Keys(f.Taxpayers)) {
		t := f.Taxpayers[taxpayer]
		up, err := buildUpstream(t.Upstream, taxpayer, t.Settings, shared)
		if err != nil {
			problems = append(problems, config.Problem{
				Line: f.Line("taxpayers." + taxpayer),
				Text: fmt.Sprintf("taxpayer %s (upstream %s): %v", taxpayer, t.Upstream, err),
			})
			continue
		}
		if w, ok := up.(interface{ Warnings() []string }); ok {
			for _, text := range w.Warnings() {
				log.Warn(text, "taxpayer", taxpayer, "upstream", t.Upstream)
			}
		}
		ups[taxpayer] = up
	}
	return ups, problems
}

func buildUpstream(name, taxpayer string, c config.Upstream, shared *upstream.Shared) (bridge.Upstream, error) {
	return builders[c.Kind](name, taxpayer, c, upstream.Settings{
		BaseURL: c.BaseURL, Headers: c.Headers, Proxy: c.Proxy,
		CA: []byte(c.CA), Certificate: []byte(c.ClientCertificate), Key: []byte(c.ClientKey.Reveal()),
	}, shared)
}

func buildNIC(name, taxpayer string, c config.Upstream, s upstream.Settings, shared *upstream.Shared) (bridge.Upstream, error) {
	return nic.New(nic.Config{
		Name: name, Environment: c.Environment, Settings: s,
		ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), GSTIN: taxpayer,
		Username: c.Username, Password: c.Password.Reveal(), PublicKey: []byte(c.PublicKey),
		HeaderStyle: c.HeaderStyle, AuthVersion: c.AuthVersion, IRP: c.IRP, SupGSTIN: c.SupGSTIN,
		RemarksTooLong: c.RemarksTooLong, AuthPath: c.AuthPath, CancelPath: c.CancelPath, GetPath: c.LookupPath,
		CallTimeout: c.Timeout.D(), LookupTimeout: c.LookupTimeout.D(),
	}, shared)
}
