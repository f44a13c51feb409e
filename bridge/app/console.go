package app

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"
	_ "time/tzdata" // the console shows times in TZ, also in an image without zone files

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/console"
)

// consoleOptions hand the console what it shows and may ask.
func (a *App) consoleOptions(c config.Console) (console.Options, error) {
	signIn, err := signIn(c)
	if err != nil {
		return console.Options{}, err
	}
	return console.Options{
		Metrics: a.metrics, Ready: a.ready, Version: a.Version, Records: a.journal, SignIn: signIn, Log: a.Log,
		Upstreams: func(ctx context.Context) []console.Upstream { return (&health{a.plan.Load(), a.journal}).all(ctx) },
		Notes:     func() map[string]string { return (&health{a.plan.Load(), a.journal}).notes() },
		Callers:   func() []console.Caller { return consoleCallers(a.plan.Load().file) },
		Settings:  a.settings, Reload: a.Reload, Rehearsal: a.rehearsal,
		NewToken: func() (string, string) {
			token := access.NewToken()
			return token, access.HashToken(token)
		},
	}, nil
}

// signIn lets the console's one operator in as package access lets callers in: slowing down whoever guesses. nil when
// no log-in is configured.
func signIn(c config.Console) (console.SignIn, error) {
	if c.Password == "" {
		return nil, nil
	}
	door, err := access.New(access.Config{Callers: []access.CallerConfig{{
		Name: "console", Within: time.Minute, AllTaxpayers: true, WSSE: access.WSSECheck,
		Login: &access.LoginConfig{Username: c.Username, Password: c.Password.Reveal(), ClientID: "console", ClientSecret: c.Password.Reveal()},
	}}}, nil)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, username, password string, from netip.Addr) (bool, time.Duration) {
		_, err := door.UsernameToken(ctx, username, password, false, access.Origin{Addr: from})
		var slow *access.SlowDownError
		if errors.As(err, &slow) {
			return false, slow.RetryAfter
		}
		return err == nil, 0
	}, nil
}

func consoleCallers(f *config.File) (all []console.Caller) {
	for _, name := range slices.Sorted(maps.Keys(f.Callers)) {
		c := f.Callers[name]
		all = append(all, console.Caller{
			Name: name, AllTaxpayers: c.Taxpayers.All, Taxpayers: c.Taxpayers.List, Tokens: len(c.Tokens), Login: c.Login != nil,
			Addresses: c.Addresses, Certificates: len(c.Certificates), InFlight: c.InFlight, PerMinute: c.PerMinute,
		})
	}
	return all
}
