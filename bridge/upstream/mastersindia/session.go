package mastersindia

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// token is an account's session; with the account's key there is none, and it is empty.
type token string

// login always starts anew: v1 speaks of refresh tokens but gives none, legacy has none.
func (a *Adapter) login(ctx context.Context, _ upstream.Why, _ token) (upstream.Lease[token], []bridge.Exchange, error) {
	var none upstream.Lease[token]
	if err := a.loginGuard.Admit(ctx); err != nil {
		return none, nil, err
	}
	q := post(upstream.ForLogin, a.dialect.loginPath, a.dialect.login(a.cfg))
	q.Timeout = a.cfg.LoginTimeout.D()
	reply := a.visits.Client.Do(ctx, q)
	b := read(reply)
	value, life := a.dialect.token(b, reply.Date())
	trail := []bridge.Exchange{reply.Exchange(a.mask.With(value), q.Body, reply.Body)}
	if !tokenIn(reply, b, value) {
		o := noToken(reply, b)
		o.Exchanges = trail
		return none, nil, a.loginGuard.Fail(ctx, a.mask.Outcome(o))
	}
	return upstream.LeaseOf(token(value), life), trail, nil
}

// tokenIn tells whether the reply to a login gives a token that can be used.
func tokenIn(reply *upstream.Reply, b *body, value string) bool {
	return reply.Err == nil && reply.Status == http.StatusOK && b.Error == "" && value != "" && upstream.IsVisible(value) // it writes prose where a token belongs
}

// noToken says why a login brought no token. HTTP 206 is how v1 refuses credentials.
func noToken(reply *upstream.Reply, b *body) bridge.Outcome {
	complaint := b.reason()
	class, _ := b.errors().Class()
	o := reply.Verdict()
	refused := signOnErrors[string(b.Error)] || reply.Status == http.StatusPartialContent || complaint != "" && reply.Status/100 == 2
	switch {
	case reply.Err != nil:
		return o
	case b.gateway && class != irp.Token, class == irp.Temporary, class == irp.Wait:
		o = upstream.BeforeCancel(b.refused(reply))
	case refused, o.Class == bridge.None && reply.Status/100 > 2:
		o = reply.Outcome(bridge.Misconfigured, fmt.Sprintf("the login was refused: HTTP %d %s", reply.Status, complaint))
		o.Message = strings.TrimSpace(o.Message)
		if signOnErrors[string(b.Error)] {
			o.Code = string(b.Error)
		}
		o.Alarm = o.Message + ": check base_url, api, username, password, client_id and client_secret"
	case o.Class == bridge.None:
		o = reply.Outcome(bridge.NotApplied, fmt.Sprintf("the login's reply (HTTP %d) holds no token", reply.Status))
	}
	return o
}

// legacyToken: the documentation shows lives of 3600 and of 14400 s, so the value received counts.
func legacyToken(b *body, _ time.Time) (string, time.Duration) {
	seconds, err := strconv.ParseFloat(string(b.ExpiresIn), 64)
	if err != nil || seconds <= 0 || seconds > 1e7 {
		return string(b.AccessToken), 50 * time.Minute
	}
	return string(b.AccessToken), time.Duration(seconds) * time.Second
}

// v1Token: a JWT lives 24 h; 23 are used, or less when it says so itself.
func v1Token(b *body, now time.Time) (string, time.Duration) {
	life := 23 * time.Hour
	if left := expiry(string(b.Token)).Sub(now); left > 0 && left < life {
		life = left
	}
	return string(b.Token), life
}

// expiry reads the exp claim of a JWT (RFC 7519 §4.1.4); zero when there is none.
func expiry(jwt string) time.Time {
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if !upstream.Claims(jwt, &claims) || claims.Exp <= 0 || claims.Exp > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0)
}
