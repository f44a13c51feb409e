package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"time"
	_ "time/tzdata" // the console shows times in TZ, also in an image without zone files

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/console"
	"einvoice-bridge/bridge/observe"
	"einvoice-bridge/bridge/upstream"
)

// consoleOptions hand the console what it shows and may ask.
func (a *App) consoleOptions(c config.Console) (console.Options, error) {
	signIn, err := signIn(c)
	if err != nil {
		return console.Options{}, err
	}
	zone, err := c.Location()
	if err != nil {
		return console.Options{}, err
	}
	return console.Options{
		Zone:    zone,
		Metrics: a.metrics, Ready: a.ready, Version: a.Version, Records: a.journal, SignIn: signIn, Log: a.Log,
		Upstreams: func(ctx context.Context) []console.Upstream { return (&health{a.plan.Load(), a.journal}).all(ctx) },
		Notes:     func() map[string]string { return (&health{a.plan.Load(), a.journal}).notes() },
		Expiries:  a.expiries, TestAlarm: a.testAlarm,
		Environments: func() []string { return environmentsOf(a.plan.Load().file) },
		Callers:      func() []console.Caller { return consoleCallers(a.plan.Load().file) },
		Settings:     a.settings, Reload: a.Reload, Rehearsal: a.rehearsal, SignedIn: a.signedIn(c),
		NewToken: func() (string, string) {
			token := access.NewToken()
			return token, access.HashToken(token)
		},
	}, nil
}

// signIn lets people in as package access lets callers in: slowing down whoever guesses. nil when nobody has a password.
func signIn(c config.Console) (console.SignIn, error) {
	roles, cfg := map[string]console.Role{}, access.Config{}
	for name, u := range users(c) {
		if u.Password == "" {
			continue
		}
		roles[name] = console.Role(u.Role)
		cfg.Callers = append(cfg.Callers, access.CallerConfig{
			Name: name, Within: time.Minute, AllTaxpayers: true, WSSE: access.WSSECheck,
			Login: &access.LoginConfig{Username: name, Password: u.Password.Reveal(), ClientID: name, ClientSecret: u.Password.Reveal()},
		})
	}
	if len(roles) == 0 {
		return nil, nil
	}
	door, err := access.New(cfg, nil)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, username, password string, from netip.Addr) (console.Role, time.Duration) {
		_, err := door.UsernameToken(ctx, username, password, false, access.Origin{Addr: from})
		var slow *access.SlowDownError
		switch {
		case errors.As(err, &slow):
			return "", slow.RetryAfter
		case err != nil:
			return "", 0
		}
		return roles[username], 0
	}, nil
}

// users are the people who may open the console; one operator's name and password stand for such.
func users(c config.Console) map[string]config.User {
	if c.Password != "" {
		return map[string]config.User{c.Username: {Password: c.Password, Role: string(console.Operator)}}
	}
	return c.Users
}

// signedIn is single sign-on: a proxy that the configuration trusts says in a header whom it has let in. From anybody else the
// header is worth nothing. nil when there is none.
func (a *App) signedIn(c config.Console) console.SignedIn {
	if c.SignInHeader == "" {
		return nil
	}
	return func(r *http.Request) (name string, role console.Role, ok bool) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		proxies, wrong := access.Prefixes(a.plan.Load().file.TrustedProxies)
		names := r.Header.Values(c.SignInHeader)
		if err != nil || wrong != nil || len(names) != 1 || names[0] == "" ||
			!slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) }) {
			return "", "", false
		}
		return names[0], console.Role(c.Users[names[0]].Role), true
	}
}

// testAlarm posts an alarm that is none, and puts on the list who did.
func (a *App) testAlarm(by string) error {
	err := a.webhook.Try(testAlarm(by))
	about := "the webhook has taken it"
	if err != nil {
		about = err.Error()
	}
	a.did(bridge.Deed{Who: by, What: bridge.DidTestAlarm, About: about})
	return err
}

func testAlarm(by string) bridge.Alarm {
	return bridge.Alarm{Kind: bridge.AlarmTest, Text: "a test by " + by + ": nothing is wrong"}
}

// TestAlarm posts an alarm that is none to the webhook of a configuration, without a running bridge.
func TestAlarm(f *config.File, by string, log *slog.Logger) error {
	w := observe.NewWebhook(f.Alarms.Webhook.Reveal(), log)
	defer w.Close(0)
	w.LinkTo(f.Console.PublicURL)
	return w.Try(testAlarm(by))
}

// environmentsOf are those of the upstreams, each once.
func environmentsOf(f *config.File) []string {
	var all []string
	for _, w := range destinations(f) {
		all = append(all, upstream.Environment(w.Environment, w.BaseURL))
	}
	slices.Sort(all)
	return slices.Compact(all)
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
