package main

import (
	"cmp"
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

// builders make one taxpayer's adapter, by the upstream's kind.
var builders = map[string]func(name, taxpayer string, c config.Upstream, s upstream.Settings, shared *upstream.Shared) (bridge.Upstream, error){
	"nic":          buildNIC,
	"myinvois":     buildMyInvois,
	"cleartax-my":  buildClearTaxMalaysia,
	"cleartax-in":  buildClearTaxIndia,
	"invx":         buildInvX,
	"mastersindia": buildMastersIndia,
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
		up, err := buildUpstream(t.Upstream, taxpayer, t.Settings, shared)
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

func buildUpstream(name, taxpayer string, c config.Upstream, shared *upstream.Shared) (bridge.Upstream, error) {
	return builders[c.Kind](name, taxpayer, c, upstream.Settings{
		Environment: c.Environment, BaseURL: c.BaseURL, Headers: c.Headers, Proxy: c.Proxy,
		CA: []byte(c.CA), Certificate: []byte(c.ClientCertificate), Key: []byte(c.ClientKey.Reveal()),
	}, shared.For(name))
}

func buildNIC(name, taxpayer string, c config.Upstream, s upstream.Settings, shared *upstream.Shared) (bridge.Upstream, error) {
	return nic.New(nic.Config{
		Name: name, Settings: s,
		ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), GSTIN: taxpayer,
		Username: c.Username, Password: c.Password.Reveal(), PublicKey: []byte(c.PublicKey),
		HeaderStyle: c.HeaderStyle, AuthVersion: c.AuthVersion, IRP: c.IRP, SupGSTIN: c.SupGSTIN,
		RemarksTooLong: c.RemarksTooLong, AuthPath: c.AuthPath, CancelPath: c.CancelPath, GetPath: c.LookupPath,
		CancelsPerMinute: c.CancelsPerMinute, CallTimeout: c.Timeout.D(), LookupTimeout: c.LookupTimeout.D(),
	}, shared)
}

func buildMyInvois(name, taxpayer string, c config.Upstream, s upstream.Settings, shared *upstream.Shared) (bridge.Upstream, error) {
	return myinvois.New(myinvois.Config{
		Name: name, Settings: s, IdentityURL: c.IdentityURL, ClientID: c.ClientID,
		ClientSecret: c.ClientSecret.Reveal(), SpareSecret: c.SpareSecret.Reveal(), OnBehalfOf: c.OnBehalfOf,
		IRNMap: c.IRNMap, FetchCancelDate: c.FetchCancelDate, CancelsPerMinute: c.CancelsPerMinute,
		LoginsPerMinute: c.LoginsPerMinute, LookupsPerMinute: c.LookupsPerMinute,
		CallTimeout: c.Timeout.D(), LookupTimeout: c.LookupTimeout.D(),
	}, shared)
}

func buildClearTaxMalaysia(name, taxpayer string, c config.Upstream, s upstream.Settings, shared *upstream.Shared) (bridge.Upstream, error) {
	return cleartax.NewMalaysia(cleartax.MalaysiaConfig{
		Name: name, Settings: s, Token: c.Token.Reveal(), TokenHeader: c.TokenHeader,
		TIN: cmp.Or(c.TIN, taxpayer), Branch: c.Branch, InvoiceType: c.InvoiceType, Account: c.Account,
		CancelsPerMinute: c.CancelsPerMinute, LookupsPerMinute: c.LookupsPerMinute,
		CallTimeout: c.Timeout.D(), LookupTimeout: c.LookupTimeout.D(),
	}, shared)
}

func buildClearTaxIndia(name, taxpayer string, c config.Upstream, s upstream.Settings, shared *upstream.Shared) (bridge.Upstream, error) {
	return cleartax.NewIndia(cleartax.IndiaConfig{
		Name: name, Settings: s, Token: c.Token.Reveal(), TokenHeader: c.TokenHeader,
		GSTIN: taxpayer, Branch: c.Branch, Route: c.Route, RemarksTooLong: c.RemarksTooLong,
		CancelsPerMinute: c.CancelsPerMinute, CallTimeout: c.Timeout.D(), LookupTimeout: c.LookupTimeout.D(),
	}, shared)
}

func buildInvX(name, taxpayer string, c config.Upstream, s upstream.Settings, shared *upstream.Shared) (bridge.Upstream, error) {
	return invx.New(invx.Config{
		Name: name, GSTIN: taxpayer, Settings: s, AuthURL: c.AuthURL, OrgID: c.OrgID,
		Username: c.Username, Password: c.Password.Reveal(), CallHeaders: c.CallHeaders, Query: c.Query, Parallel: c.Parallel,
		RemarksTooLong: c.RemarksTooLong, CancelsPerMinute: c.CancelsPerMinute,
		CallTimeout: c.Timeout.D(), LookupTimeout: c.LookupTimeout.D(),
	}, shared)
}

func buildMastersIndia(name, taxpayer string, c config.Upstream, s upstream.Settings, shared *upstream.Shared) (bridge.Upstream, error) {
	return mastersindia.New(mastersindia.Config{
		Name: name, GSTIN: taxpayer, Settings: s, API: c.API, Username: c.Username, Password: c.Password.Reveal(),
		ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), APIKey: c.APIKey.Reveal(), RemarksTooLong: c.RemarksTooLong,
		CancelsPerMinute: c.CancelsPerMinute, CallTimeout: c.Timeout.D(), LookupTimeout: c.LookupTimeout.D(),
	}, shared)
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
