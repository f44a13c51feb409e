package mastersindia

import (
	"context"
	"errors"
	"fmt"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// Adapter is Masters India as one taxpayer's upstream. It implements bridge.Upstream.
type Adapter struct {
	cfg      Config
	profile  bridge.Profile
	dialect  dialect
	client   *upstream.Client
	guard    *upstream.Guard // in front of this taxpayer's calls
	desk     *upstream.Guard // in front of the account's logins
	session  *upstream.Session[*token]
	mask     upstream.Mask
	warnings []string
}

var _ bridge.Upstream = (*Adapter)(nil)

// New checks the configuration and makes an adapter; it calls nobody. Adapters of one account share its session. The
// error names every setting that is wrong, and no secret.
func New(cfg Config, shared *upstream.Shared) (*Adapter, error) {
	cfg = cfg.withDefaults()
	client, err := shared.Client(cfg.Settings)
	if err = errors.Join(cfg.check(), err); err != nil {
		return nil, fmt.Errorf("mastersindia %s: %w", cfg.Name, err)
	}
	a := &Adapter{
		cfg:     cfg,
		profile: cfg.profile(),
		dialect: dialects[cfg.API],
		client:  client,
		desk:    shared.Guard(cfg.account(), hold),
		mask: upstream.NewMask("access_token", "token", "password", "client_secret", "api_key", "signedinvoice", "signedqrcode").
			With(cfg.Password, cfg.ClientSecret, cfg.APIKey),
		warnings: cfg.warnings(),
	}
	a.guard = shared.Guard(a.profile.Credential, hold)
	a.session = upstream.SessionFor(shared, cfg.account(), a.login, a.form())
	return a, nil
}

// Profile implements bridge.Upstream.
func (a *Adapter) Profile() *bridge.Profile { return &a.profile }

// Warnings are what looks wrong in the configuration but may be meant, for people at start and in check.
func (a *Adapter) Warnings() []string { return a.warnings }

// Cancel implements bridge.Upstream.
func (a *Adapter) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	return a.guard.Cancel(ctx, func(ctx context.Context) bridge.Outcome {
		v := visit{Adapter: a, mask: a.mask}
		return v.ended(v.cancel(ctx, c, fence))
	})
}

// Lookup implements bridge.Upstream. The provider names no cancel date.
func (a *Adapter) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return a.guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) {
		v := visit{Adapter: a, mask: a.mask}
		state, err := v.lookup(ctx, c)
		if err != nil {
			return bridge.DocumentState{}, a.guard.Fail(ctx, v.ended(upstream.NotSent(err)))
		}
		state.Text, state.Exchanges = v.mask.Text(state.Text), v.trail
		return state, nil
	})
}

// Probe implements bridge.Upstream. It only logs in: every call for a document is one at the tax authority, too. With a
// key there is no login, and only a call for a document could try it.
func (a *Adapter) Probe(ctx context.Context) error {
	if a.cfg.APIKey != "" {
		return a.client.Reach(ctx)
	}
	_, _, err := a.session.Get(ctx)
	return err
}
