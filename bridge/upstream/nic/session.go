package nic

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

const (
	maxLife     = 6 * time.Hour    // of a token, whatever its expiry says
	unknownLife = 55 * time.Minute // of a token whose expiry can't be read
	margin      = time.Minute      // a token is used while more than this remains
	renewBelow  = 10 * time.Minute // NIC gives a new token only in a token's last ten minutes
)

// pauses follow the first, second and further logins in a row that NIC's trouble ended. Without them the few logins
// that are allowed would be gone in seconds.
var pauses = [...]time.Duration{10 * time.Second, time.Minute, 5 * time.Minute}

// session is a token with everything that calls under it need, made once.
type session struct {
	token  string
	sek    [32]byte
	block  cipher.Block // AES with the SEK
	expiry time.Time    // by NIC's clock; zero when it could not be read
	header http.Header  // of every call; never changed
	mask   upstream.Mask
}

// login is the upstream.Login of this adapter (NIC e-invoice API, "Authentication" and "Best Practices").
func (a *Adapter) login(ctx context.Context, why upstream.Why, prev *session) (upstream.Lease[*session], []bridge.Exchange, error) {
	lease, trail, err := a.auth(ctx, why, why == upstream.Renewal)
	if err != nil {
		return lease, trail, err
	}
	s := lease.Token
	switch {
	case why == upstream.Renewal && !s.expiry.After(prev.expiry):
		return lease, trail, errors.New("a forced refresh did not prolong the session")
	case why == upstream.Rejected && prev != nil && s.token == prev.token && s.sek == prev.sek:
		// NIC gave the token again that it refuses: one forced refresh, and no more.
		forced, exchanges, err := a.auth(ctx, why, true)
		return forced, append(trail, exchanges...), err
	case why != upstream.Renewal && !lease.Until.After(time.Now()):
		// A dying token. Without force NIC hands it out to its last second.
		if forced, exchanges, err := a.auth(ctx, why, true); err == nil && forced.Until.After(time.Now()) {
			return forced, append(trail, exchanges...), nil
		}
		lease.Until, lease.Renew = lease.Until.Add(margin), time.Time{}
	}
	return lease, trail, nil
}

// auth makes one login call. A failed one is a *upstream.Failure with the exchange in it.
func (a *Adapter) auth(ctx context.Context, why upstream.Why, force bool) (lease upstream.Lease[*session], trail []bridge.Exchange, err error) {
	q := &upstream.Request{
		Purpose: upstream.ForLogin, Method: http.MethodPost, Path: a.cfg.AuthPath, Header: a.authHeader, Timeout: a.cfg.LoginTimeout.D(),
	}
	if r, is := a.visits.Client.Unreachable(ctx, q); is {
		o := r.Verdict()
		o.Exchanges = []bridge.Exchange{r.Exchange(a.mask, nil, nil)}
		return lease, nil, a.visits.Guard.Fail(ctx, o)
	}
	if err := a.visits.Guard.Admit(ctx, a.logins); err != nil {
		return lease, nil, err
	}
	appKey := make([]byte, 32)
	rand.Read(appKey)
	plain, body, err := a.authBody(appKey, force)
	if err != nil {
		return lease, nil, fmt.Errorf("encrypt login: %w", err)
	}
	q.Body = body
	r := a.visits.Client.Do(ctx, q)
	mask := a.mask.With(base64.StdEncoding.EncodeToString(appKey))
	trail = []bridge.Exchange{r.Exchange(mask, plain, r.Body)}
	data, o := readAuth(r)
	if o.Class == bridge.None {
		if lease.Token, err = a.newSession(data, appKey, mask); err == nil {
			a.troubles.Store(0)
			return a.lease(lease.Token, r.Date()), trail, nil
		}
		o = r.Outcome(bridge.NotApplied, "NIC accepted the login, but its reply can't be used: "+err.Error())
		o.Alarm = o.Message
	}
	o = mask.Outcome(o)
	o.Exchanges = trail
	if o.Class == bridge.NotApplied && why != upstream.Renewal { // while a renewal fails the old token is still good
		a.pause(ctx, &o)
	}
	return lease, nil, a.visits.Guard.Fail(ctx, o)
}

// pause holds everybody back for a while after NIC's trouble with a login.
func (a *Adapter) pause(ctx context.Context, o *bridge.Outcome) {
	n := int(a.troubles.Add(1))
	o.RetryAfter = max(o.RetryAfter, pauses[min(n, len(pauses))-1])
	a.visits.Guard.Shut(ctx, bridge.Gate{Class: o.Class, Until: time.Now().Add(o.RetryAfter), Text: o.Message})
}

// authBody is the login's body, and the same in clear for the (masked) record.
func (a *Adapter) authBody(appKey []byte, force bool) (plain, body []byte, err error) {
	plain = credentials(a.cfg.Username, a.cfg.Password.Reveal(), base64.StdEncoding.EncodeToString(appKey), force)
	if a.cfg.AuthVersion == Auth103 {
		password, err := encryptRSA(a.key, []byte(a.cfg.Password.Reveal()))
		if err != nil {
			return nil, nil, err
		}
		wrapped, err := encryptRSA(a.key, appKey)
		if err != nil {
			return nil, nil, err
		}
		return plain, upstream.JSON(legacyRequest{authRequest{a.cfg.Username, password, wrapped, force}}), nil
	}
	// What is encrypted is the base64 text of the JSON, not the JSON.
	sealed, err := encryptRSA(a.key, []byte(base64.StdEncoding.EncodeToString(plain)))
	if err != nil {
		return nil, nil, err
	}
	return plain, upstream.JSON(sealedRequest{sealed}), nil
}

func (a *Adapter) newSession(data authReply, appKey []byte, mask upstream.Mask) (*session, error) {
	if data.AuthToken == "" || upstream.HasControl(data.AuthToken) {
		return nil, errors.New("no AuthToken in it")
	}
	wrapper, err := aes.NewCipher(appKey)
	if err != nil {
		return nil, err
	}
	sek, err := unseal64(wrapper, []byte(data.Sek))
	if err != nil || len(sek) != 32 {
		return nil, errors.New("its Sek is not a 32-byte key wrapped with our AppKey")
	}
	expiry, err := time.ParseInLocation(time.DateTime, data.TokenExpiry, upstream.IST)
	if err != nil {
		expiry = time.Time{}
	}
	return a.sessionOf(kept{data.AuthToken, sek, expiry}, mask)
}

// kept is what a session is made from, as it is sealed.
type kept struct {
	Token  string    `json:"token"`
	SEK    []byte    `json:"sek"`
	Expiry time.Time `json:"expiry"`
}

func (a *Adapter) sessionOf(k kept, mask upstream.Mask) (*session, error) {
	if len(k.SEK) != 32 {
		return nil, errors.New("the session's key is not one of 32 bytes")
	}
	block, err := aes.NewCipher(k.SEK)
	if err != nil {
		return nil, err
	}
	return &session{
		token: k.Token, sek: [32]byte(k.SEK), block: block, expiry: k.Expiry,
		header: a.cfg.sessionHeader(k.Token), mask: mask.With(k.Token),
	}, nil
}

func (a *Adapter) form() upstream.Form[*session] {
	return upstream.Form[*session]{
		Write: func(s *session) ([]byte, error) { return json.Marshal(kept{s.token, s.sek[:], s.expiry}) },
		Read: func(b []byte) (*session, error) {
			var k kept
			if err := json.Unmarshal(b, &k); err != nil {
				return nil, err
			}
			return a.sessionOf(k, a.mask)
		},
	}
}

// lease counts the token's life by NIC's own clock, so that a wrong local clock or zone does no harm.
func (a *Adapter) lease(s *session, date time.Time) upstream.Lease[*session] {
	now, left := time.Now(), s.expiry.Sub(date)
	if s.expiry.IsZero() || left <= 0 { // a token that was just given out is not expired: its expiry can't be right
		return upstream.Lease[*session]{Token: s, Until: now.Add(unknownLife)}
	}
	end := now.Add(min(left, maxLife))
	return upstream.Lease[*session]{Token: s, Until: end.Add(-margin), Renew: end.Add(-renewBelow)}
}

// readAuth classifies the reply to a login. A class other than None is how the login failed.
func readAuth(r *upstream.Reply) (authReply, bridge.Outcome) {
	e, err := decode(r.Body)
	if r.Err != nil || err != nil {
		return authReply{}, unreadableAuth(r)
	}
	if e.status == "1" {
		var data authReply
		if json.Unmarshal(e.data, &data) != nil { // in clear here, an object
			return authReply{}, r.Outcome(bridge.NotApplied, "the login's reply has no readable Data")
		}
		return data, bridge.Outcome{}
	}
	class, _ := e.errors.Class()
	o := upstream.BeforeCancel(e.errors.Outcome(r, "NIC"))
	switch {
	case len(e.errors) == 0:
		o.Message = "NIC refused the login without a reason"
	case class == irp.Wait, class == irp.Temporary, class == irp.Ambiguous:
	case class == irp.Unlisted && (r.Status == http.StatusTooManyRequests || r.Status >= 500):
	default:
		o.Class = bridge.Misconfigured
		if !e.errors.Has("GEN5005") { // that has an alarm of its own
			o.Alarm = "NIC refused the login: " + o.Message + hint(e.errors)
		}
	}
	return authReply{}, o
}

func unreadableAuth(r *upstream.Reply) bridge.Outcome {
	switch r.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return notLetIn(r)
	}
	if o := r.Verdict(); o.Class != bridge.None {
		return upstream.BeforeCancel(o)
	}
	if o := notLetIn(r); o.Class != bridge.None {
		return o
	}
	return r.Outcome(bridge.NotApplied, fmt.Sprintf("HTTP %d to the login without an answer that can be read", r.Status))
}
