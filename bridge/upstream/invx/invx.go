package invx

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// Adapter is InvX as one taxpayer's upstream. It implements bridge.Upstream.
type Adapter struct {
	cfg     Config
	profile bridge.Profile
	shared  *upstream.Shared

	client   *upstream.Client // InvX
	guard    *upstream.Guard  // in front of this taxpayer's calls
	slots    upstream.Slots   // of the organisation
	theodore *upstream.Client
	desk     *upstream.Guard // in front of the user's logins, whatever organisation they are for
	session  *upstream.Session[*token]
	mask     upstream.Mask
	ids      docIDs
}

var _ bridge.Upstream = (*Adapter)(nil)

// New checks the configuration and makes an adapter; it calls nobody. Adapters of one user share its session, adapters
// of one organisation its calls at once. The error names every setting that is wrong, and no secret.
func New(cfg Config, shared *upstream.Shared) (*Adapter, error) {
	cfg = cfg.withDefaults()
	err := cfg.check()
	client, clientErr := shared.Client(cfg.Settings)
	way := cfg.Settings
	way.BaseURL = cfg.AuthURL
	theodore, authErr := shared.Client(way)
	if authErr != nil {
		authErr = errors.New("auth_url: " + authErr.Error())
	}
	if err = errors.Join(err, clientErr, authErr); err != nil {
		return nil, fmt.Errorf("invx %s: %w", cfg.Name, err)
	}
	a := &Adapter{
		cfg:      cfg,
		profile:  cfg.profile(),
		shared:   shared,
		client:   client,
		slots:    shared.Slots(cfg.org(), cfg.Parallel),
		theodore: theodore,
		desk:     shared.Guard(cfg.user(), hold),
		mask:     upstream.NewMask("token", "password").With(cfg.Password),
	}
	a.guard = shared.Guard(a.profile.Credential, hold)
	a.session = upstream.SessionFor(shared, cfg.user(), a.login, a.form())
	return a, nil
}

// Profile implements bridge.Upstream.
func (a *Adapter) Profile() *bridge.Profile { return &a.profile }

// Cancel implements bridge.Upstream. A document that InvX shows in a final state is not sent a cancel.
func (a *Adapter) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	return a.guard.Cancel(ctx, func(ctx context.Context) bridge.Outcome {
		v := visit{Adapter: a, mask: a.mask}
		return v.ended(v.cancel(ctx, c, fence))
	})
}

// Lookup implements bridge.Upstream.
func (a *Adapter) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return a.guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) {
		v := visit{Adapter: a, mask: a.mask}
		state, err := v.lookup(ctx, c)
		if err != nil {
			return bridge.DocumentState{}, a.guard.Fail(ctx, v.ended(upstream.NotSent(err)))
		}
		state.Exchanges = v.trail
		return state, nil
	})
}

// Probe implements bridge.Upstream: it logs in and searches for an IRN that can't exist, so that the organisation and
// InvX's own address are tried, too.
func (a *Adapter) Probe(ctx context.Context) error {
	v := visit{Adapter: a, mask: a.mask}
	if _, err := v.find(ctx, bridge.Cancellation{Taxpayer: a.cfg.GSTIN, Document: strings.Repeat("0", 64)}); err != nil {
		return &upstream.Failure{Outcome: v.ended(upstream.NotSent(err))}
	}
	return nil
}

// Close gives the user's token back, since theodore refuses logins while ten are active, unless the next start will use
// it. It is for an orderly shutdown, when nothing is in flight any more; of several adapters with one user the first logs
// out for all.
func (a *Adapter) Close(ctx context.Context) error {
	t, held := a.session.End()
	if !held {
		return nil
	}
	if reply := a.logout(ctx, t); reply.Status/100 != 2 {
		return fmt.Errorf("invx %s: logout at theodore failed (HTTP %d); the token counts as active until it expires",
			a.cfg.Name, reply.Status)
	}
	return nil
}
