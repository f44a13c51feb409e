package invx

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

const (
	// tokenMinutes is the longest life that theodore gives a token.
	tokenMinutes = 360
	// hardLife is how long a token can be refreshed: six times its duration after the login.
	hardLife = 6 * tokenMinutes * time.Minute
	// unknownLife is theodore's default duration, for a reply whose expiry can't be read.
	unknownLife = 20 * time.Minute
	// tokenLimitHold: with ten tokens active, another login only makes it worse; one of them must expire or be given back.
	tokenLimitHold = 5 * time.Minute
)

// token is a user's session at theodore.
type token struct {
	value string
	orgs  []string      // that the user belongs to; nil when theodore doesn't say
	dies  time.Time     // from then on it can't be refreshed
	dead  atomic.Bool   // refused as invalid: refreshing it is no use
	mask  upstream.Mask // that hides it, too
}

// kept is what a token is made from, as it is sealed.
type kept struct {
	Token string    `json:"token"`
	Orgs  []string  `json:"orgs"`
	Dies  time.Time `json:"dies"`
}

func (a *Adapter) form() upstream.Form[*token] {
	return upstream.Form[*token]{
		Write: func(t *token) ([]byte, error) { return json.Marshal(kept{t.value, t.orgs, t.dies}) },
		Read: func(b []byte) (*token, error) {
			var k kept
			err := json.Unmarshal(b, &k)
			return &token{value: k.Token, orgs: k.Orgs, dies: k.Dies, mask: a.mask.With(k.Token)}, err
		},
	}
}

// serves tells whether the user of the token belongs to the organisation, as far as theodore has said.
func (t *token) serves(org string) bool {
	return t.orgs == nil || slices.ContainsFunc(t.orgs, func(o string) bool { return strings.EqualFold(o, org) })
}

func bearer(t *token) http.Header {
	h := jsonHeader()
	h["Authorization"] = []string{"Bearer " + t.value}
	return h
}

// login refreshes the last token while that can work, and logs in otherwise: each login makes one more active token.
func (a *Adapter) login(ctx context.Context, _ upstream.Why, last *token) (upstream.Lease[*token], []bridge.Exchange, error) {
	if err := a.loginGuard.Admit(ctx); err != nil {
		return upstream.Lease[*token]{}, nil, err
	}
	var trail []bridge.Exchange
	if last != nil && last.dead.Load() { // refused, but perhaps still counted as active
		reply := a.logout(ctx, last)
		trail = append(trail, reply.Exchange(last.mask, nil, reply.Body))
	}
	if last != nil && !last.dead.Load() && time.Now().Before(last.dies) {
		lease, exchange, refused := a.sign(ctx, http.MethodPut, bearer(last), nil, last)
		trail = append(trail, exchange)
		if refused == nil {
			return lease, trail, nil
		}
		if !replaceable(*refused) {
			return lease, nil, a.refused(ctx, *refused, trail)
		}
	}
	body, _ := json.Marshal(loginRequest{a.cfg.Username, a.cfg.Password.Reveal(), "email", tokenMinutes}) // plain texts can't fail
	lease, exchange, refused := a.sign(ctx, http.MethodPost, jsonHeader(), body, nil)
	trail = append(trail, exchange)
	if refused != nil {
		return lease, nil, a.refused(ctx, *refused, trail)
	}
	return lease, trail, nil
}

// sign makes one call for a token. last is the token that is refreshed, if any.
func (a *Adapter) sign(ctx context.Context, method string, h http.Header, body []byte, last *token) (
	upstream.Lease[*token], bridge.Exchange, *bridge.Outcome) {
	reply := a.theodore.Do(ctx, &upstream.Request{
		Purpose: upstream.ForLogin, Method: method, Path: "/authtokens", Header: h, Body: body, Timeout: a.cfg.LoginTimeout.D(),
	})
	mask := a.mask
	if last != nil {
		mask = last.mask
	}
	exchange := reply.Exchange(mask, body, reply.Body)
	data, refused := readToken(reply)
	if refused != nil {
		return upstream.Lease[*token]{}, exchange, refused
	}
	t := &token{value: data.Token, orgs: data.orgs(), dies: time.Now().Add(hardLife), mask: a.mask.With(data.Token)}
	if last != nil {
		t.dies = last.dies
		if t.orgs == nil {
			t.orgs = last.orgs
		}
	}
	return lease(t, millis(data.Expiry), reply), exchange, nil
}

func (a *Adapter) logout(ctx context.Context, t *token) *upstream.Reply {
	return a.theodore.Do(ctx, &upstream.Request{
		Purpose: upstream.ForLogin, Method: http.MethodPost, Path: "/logout", Header: bearer(t), Timeout: a.cfg.LoginTimeout.D(),
	})
}

func (a *Adapter) refused(ctx context.Context, o bridge.Outcome, trail []bridge.Exchange) error {
	o.Exchanges = trail
	return a.loginGuard.Fail(ctx, a.mask.Outcome(o))
}

// replaceable tells whether a login may follow a refresh that failed: not while theodore can't be reached or asks to
// wait, and never when the user has too many tokens already.
func replaceable(o bridge.Outcome) bool {
	return o.Code != tokenLimit && (o.Class == bridge.Misconfigured || o.HTTPStatus/100 == 2)
}

// lease measures the token's life on the authority's clock.
func lease(t *token, expiry time.Time, reply *upstream.Reply) upstream.Lease[*token] {
	life := expiry.Sub(reply.Date())
	if expiry.IsZero() || life <= 0 { // a token that was just given out is not expired: its expiry can't be right
		life = unknownLife
	}
	return upstream.LeaseOf(t, life)
}

// readToken reads theodore's reply to a login or refresh; the outcome says why there is no token in it.
func readToken(reply *upstream.Reply) (tokenReply, *bridge.Outcome) {
	b := read(reply)
	var data tokenReply
	if reply.Err == nil && reply.Status/100 == 2 && len(b.Error) == 0 && json.Unmarshal(b.Data, &data) == nil &&
		data.Token != "" && !upstream.HasControl(data.Token) {
		return data, nil
	}
	o := reply.Verdict()
	switch named := b.Error.outcome(reply); {
	case reply.Err != nil:
	case b.gateway:
		o = upstream.BeforeCancel(b.envelope.GSPOutcome(reply, who))
	case named.Class == bridge.Misconfigured && !named.Unclassified:
		o = named
	case named.Class == bridge.Unknown && !named.Unclassified: // listed trouble
		o = upstream.BeforeCancel(named)
	case o.Class != bridge.None:
	case reply.Status/100 == 2:
		o = reply.Outcome(bridge.NotApplied, "theodore's reply holds no token")
	default:
		o = reply.Outcome(bridge.Misconfigured, fmt.Sprintf("theodore refused the login: HTTP %d %s", reply.Status, b.Error.list().Message()))
		o.Message = strings.TrimSpace(o.Message)
		o.Alarm = o.Message + ": check auth_url, username and password"
	}
	return tokenReply{}, &o
}

// millis reads epoch milliseconds; zero when there are none.
func millis(s upstream.Scalar) time.Time {
	ms, err := strconv.ParseFloat(string(s), 64)
	if err != nil || ms <= 0 || ms > 1e14 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}

// Close gives the user's token back, since theodore refuses logins while ten are active, unless the next start will use
// it. It is for an orderly shutdown, when nothing is in flight any more; of several adapters with one user the first logs
// out for all.
func (a *Adapter) Close(ctx context.Context) error {
	t, held := a.visits.Session.End()
	if !held {
		return nil
	}
	if reply := a.logout(ctx, t); reply.Status/100 != 2 {
		return fmt.Errorf("invx %s: logout at theodore failed (HTTP %d); the token counts as active until it expires",
			a.cfg.Name, reply.Status)
	}
	return nil
}
