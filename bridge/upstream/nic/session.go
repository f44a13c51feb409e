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
)

const (
	maxLife     = 6 * time.Hour    // of a token, whatever its expiry says
	unknownLife = 55 * time.Minute // of a token whose expiry can't be read
	margin      = time.Minute      // a token is used while more than this remains
	renewBelow  = 10 * time.Minute // NIC gives a new token only in a token's last ten minutes
)

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
	s, lease, exchange, err := a.auth(ctx, why == upstream.Renewal)
	trail := exchange
	if err != nil {
		return lease, trail, err
	}
	switch {
	case why == upstream.Renewal && !s.expiry.After(prev.expiry):
		return lease, trail, errors.New("a forced refresh did not prolong the session")
	case why == upstream.Rejected && prev != nil && s.token == prev.token && s.sek == prev.sek:
		// NIC gave the token again that it refuses: one forced refresh, and no more.
		s, lease, exchange, err = a.auth(ctx, true)
		trail = append(trail, exchange...)
		if err != nil {
			return lease, trail, err
		}
	case why != upstream.Renewal && !lease.Until.After(time.Now()):
		// A dying token. Without force NIC hands it out to its last second.
		if _, forced, exchange, err := a.auth(ctx, true); err == nil && forced.Until.After(time.Now()) {
			return forced, append(trail, exchange...), nil
		}
		lease.Until, lease.Renew = lease.Until.Add(margin), time.Time{}
	}
	return lease, trail, nil
}

// auth makes one login call. A failed one is a *upstream.Failure.
func (a *Adapter) auth(ctx context.Context, force bool) (*session, upstream.Lease[*session], []bridge.Exchange, error) {
	fail := func(o bridge.Outcome, trail ...bridge.Exchange) (*session, upstream.Lease[*session], []bridge.Exchange, error) {
		o.Exchanges = trail
		return nil, upstream.Lease[*session]{}, nil, a.guard.Fail(ctx, o)
	}
	if err := a.reach(ctx); err != nil {
		return fail(bridge.Outcome{Class: bridge.NotApplied, Message: err.Error()})
	}
	if err := a.guard.Admit(ctx, a.logins...); err != nil {
		return nil, upstream.Lease[*session]{}, nil, err
	}
	var appKey [32]byte
	rand.Read(appKey[:])
	plain, body, err := a.authBody(appKey[:], force)
	if err != nil {
		return fail(bridge.Outcome{Class: bridge.NotApplied, Message: "login could not be encrypted", Alarm: "encrypt login: " + err.Error()})
	}
	r := a.client.Do(ctx, upstream.Request{
		Purpose: "login", Method: http.MethodPost, Path: a.cfg.AuthPath, Header: a.authHeader, Body: body, Timeout: a.cfg.LoginTimeout,
	})
	exchange := r.Exchange(a.mask, plain, r.Body)
	data, o := readAuth(r)
	if o.Class != bridge.None {
		o.Message, o.Alarm = a.mask.Text(o.Message), a.mask.Text(o.Alarm)
		return fail(o, exchange)
	}
	s, err := a.newSession(data, appKey[:])
	if err != nil {
		o := r.Outcome(bridge.NotApplied, err.Error())
		o.Alarm = "NIC accepted the login, but its reply can't be used: " + err.Error()
		return fail(o, exchange)
	}
	s.mask = a.mask.With(s.token)
	return s, a.lease(s, r.Date()), []bridge.Exchange{exchange}, nil
}

// reach spares the login budget while the host can't be reached at all.
func (a *Adapter) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.LoginTimeout)
	defer cancel()
	return a.client.Reach(ctx)
}

// authBody is the login's body, and the same in clear for the (masked) record.
func (a *Adapter) authBody(appKey []byte, force bool) (plain, body []byte, err error) {
	plain = credentials(a.cfg.Username, a.cfg.Password, base64.StdEncoding.EncodeToString(appKey), force)
	if a.cfg.AuthVersion == Auth103 {
		password, err := encryptRSA(a.key, []byte(a.cfg.Password))
		if err != nil {
			return nil, nil, err
		}
		wrapped, err := encryptRSA(a.key, appKey)
		if err != nil {
			return nil, nil, err
		}
		return plain, marshal(legacyRequest{authRequest{a.cfg.Username, password, wrapped, force}}), nil
	}
	// What is encrypted is the base64 text of the JSON, not the JSON.
	sealed, err := encryptRSA(a.key, []byte(base64.StdEncoding.EncodeToString(plain)))
	if err != nil {
		return nil, nil, err
	}
	return plain, marshal(sealedRequest{sealed}), nil
}

func (a *Adapter) newSession(data authReply, appKey []byte) (*session, error) {
	if data.AuthToken == "" || !printable(data.AuthToken) {
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
	s := &session{token: data.AuthToken, sek: [32]byte(sek), header: a.cfg.sessionHeader(data.AuthToken)}
	if s.block, err = aes.NewCipher(sek); err != nil {
		return nil, err
	}
	if t, err := time.ParseInLocation(time.DateTime, data.TokenExpiry, upstream.IST); err == nil {
		s.expiry = t
	}
	return s, nil
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
func readAuth(r upstream.Reply) (authReply, bridge.Outcome) {
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
	class, unclassified := e.errors.Class()
	o := r.Outcome(bridge.Misconfigured, e.errors.Message())
	o.Code, o.Unclassified = e.errors.Codes(), unclassified
	switch {
	case len(e.errors) == 0:
		o = r.Outcome(bridge.NotApplied, "NIC refused the login without a reason")
	case class == upstream.IRPTemporary, class == upstream.IRPAmbiguous:
		o.Class = bridge.NotApplied
	case unclassified && (r.Status == http.StatusTooManyRequests || r.Status >= 500):
		o.Class = bridge.NotApplied
	default:
		o.Alarm = "NIC refused the login: " + o.Message + hint(e.errors)
	}
	return authReply{}, o
}

func unreadableAuth(r upstream.Reply) bridge.Outcome {
	switch r.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return closedDoor(r)
	}
	if o := r.Verdict(); o.Class != bridge.None {
		return upstream.BeforeCancel(o)
	}
	if o := closedDoor(r); o.Class != bridge.None {
		return o
	}
	return r.Outcome(bridge.NotApplied, fmt.Sprintf("HTTP %d to the login without an answer that can be read", r.Status))
}
