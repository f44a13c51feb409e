package access

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Login is a call of access_new_token.
type Login struct {
	Username, Password, ClientID, ClientSecret, GrantType string
	From                                                  Origin
}

// DeniedError is a login that was refused. Description is for the caller, in the words of the OAuth server that the
// provider runs; it holds nothing that was sent but the name of an unsupported grant type.
type DeniedError struct {
	Description string
	Caller      string // whose name was used, for the audit log; "" when it is nobody's
	Why         string // for the audit log, where Description hides it
}

func (e *DeniedError) Error() string {
	if e.Why != "" {
		return "login refused: " + e.Why
	}
	return "login refused: " + e.Description
}

// SlowDownError is a login that was not looked at, after too many wrong ones of the same name or address.
type SlowDownError struct{ RetryAfter time.Duration }

func (e *SlowDownError) Error() string {
	return fmt.Sprintf("too many failed logins, the next is looked at in %v", e.RetryAfter.Round(time.Second))
}

// ErrNoRoom is a login that was not looked at, or for which no token was written down, since there was no room for it.
var ErrNoRoom = errors.New("too many log-ins are waiting")

// ErrDigest refuses a UsernameToken with PasswordDigest: it proves the knowledge of a password that the checker must
// hold in clear text, and the bridge keeps passwords only as argon2id. The caller must send PasswordText, over TLS.
var ErrDigest = errors.New("PasswordDigest can't be checked against argon2id; send PasswordText over TLS")

// The texts of the OAuth server behind the original (bshaffer/oauth2-server-php).
const (
	noGrantType = "The grant type was not specified in the request"
	badGrant    = "Grant type %q not supported"
	badClient   = "The client credentials are invalid"
	noPassword  = `Missing parameters: "username" and "password" required`
	badPassword = "Invalid username and password combination"
)

// Login checks who wants a token and issues one. A refusal is a *DeniedError or a *SlowDownError; any other error
// means that the journal could not be written or ctx ended.
func (a *Access) Login(ctx context.Context, l Login) (Issued, error) {
	switch l.GrantType {
	case "password":
	case "":
		return Issued{}, &DeniedError{Description: noGrantType}
	default:
		return Issued{}, &DeniedError{Description: fmt.Sprintf(badGrant, l.GrantType)}
	}
	c, err := a.attempt(ctx, attempt{l.Username, l.From, func(known *Caller, match func(*hash, string) bool) error {
		return a.checkLogin(known, l, match)
	}})
	if where := (*OriginError)(nil); errors.As(err, &where) {
		return Issued{}, &DeniedError{Description: badClient, Caller: where.Caller, Why: where.Why}
	}
	if err != nil {
		return Issued{}, err
	}
	if !l.From.room(c.Name) {
		return Issued{}, ErrNoRoom
	}
	return a.issue(ctx, c.Name)
}

// Would tells whether Login would let somebody in, without a token, and without counting a failure. It is for those
// whom the provider has let in: it hashes, and nobody else should be able to make it do so.
func (a *Access) Would(ctx context.Context, l Login) error {
	if l.GrantType != "password" {
		return &DeniedError{Description: fmt.Sprintf(badGrant, l.GrantType)}
	}
	known := a.byUser[l.Username]
	if known != nil && a.checkLogin(known, l, a.passwords.matchedLast) == nil {
		_, err := known.at(l.From)
		return err
	}
	select {
	case a.passwords.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("check login: %w", ctx.Err())
	}
	defer func() { <-a.passwords.slots }()
	if err := a.checkLogin(known, l, a.passwords.match); err != nil {
		return err
	}
	_, err := known.at(l.From)
	return err
}

// checkLogin looks at the client first, as an OAuth server does, so that the user's part is only ever answered to
// somebody who knows a client secret.
func (a *Access) checkLogin(known *Caller, l Login, match func(*hash, string) bool) error {
	client := known
	if client == nil || client.login.clientID != l.ClientID {
		client = a.byClient[l.ClientID]
	}
	secret := a.passwords.dummy
	if client != nil {
		secret = client.login.clientSecret
	}
	switch {
	case !match(secret, l.ClientSecret):
		return denied(badClient, known)
	case l.Username == "" || l.Password == "":
		return denied(noPassword, nil)
	case known == nil || known.login.clientID != l.ClientID:
		match(a.passwords.dummy, l.Password)
		return denied(badPassword, known)
	case !match(known.login.password, l.Password):
		return denied(badPassword, known)
	}
	return nil
}

func denied(text string, known *Caller) error {
	e := &DeniedError{Description: text}
	if known != nil {
		e.Caller = known.Name
	}
	return e
}

// Basic lets a caller in by an Authorization header of the Basic scheme (RFC 7617). Beside the errors of Login it
// returns ErrInvalid for a header of another kind.
func (a *Access) Basic(ctx context.Context, authorization string, from Origin) (*Caller, error) {
	scheme, encoded, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	username, password, ok := strings.Cut(string(raw), ":")
	if !strings.EqualFold(scheme, "Basic") || err != nil || !ok {
		return nil, ErrInvalid
	}
	return a.user(ctx, username, password, from)
}

// UsernameToken lets a caller in by a WS-Security header, if its caller's WSSE says so.
func (a *Access) UsernameToken(ctx context.Context, username, password string, digest bool, from Origin) (*Caller, error) {
	if digest {
		return nil, ErrDigest
	}
	c, err := a.user(ctx, username, password, from)
	if err == nil && c.WSSE != WSSECheck {
		return nil, ErrInvalid
	}
	return c, err
}

// user checks user name and password alone.
func (a *Access) user(ctx context.Context, username, password string, from Origin) (*Caller, error) {
	return a.attempt(ctx, attempt{username, from, func(known *Caller, match func(*hash, string) bool) error {
		secret := a.passwords.dummy
		if known != nil {
			secret = known.login.password
		}
		if !match(secret, password) {
			return denied(badPassword, known)
		}
		return nil
	}})
}

// attempt is one try to show a name and its secrets. check compares them by way of match; known is nil for a name
// that is nobody's, and then check must fail.
type attempt struct {
	username string
	from     Origin
	check    func(known *Caller, match func(*hash, string) bool) error
}

// attempt looks at one try. What matched before is let in at once; anything else, if there is room, queues for a slot and
// then asks again whether it must wait, so that a flood of tries gets no more than one by one. A name at an address where
// it was let in before waits for nobody else's failures.
func (a *Access) attempt(ctx context.Context, try attempt) (*Caller, error) {
	known := a.byUser[try.username]
	from := try.from.Addr.String()
	here := culprit{"name " + HashToken(try.username) + " at " + from, freeAtAddress}
	guilty := []culprit{here}
	if !a.slow.atHome(here) {
		guilty = append(guilty, culprit{"from " + from, freeByAddress}, culprit{"name " + HashToken(try.username), freeByName})
	}
	if wait := a.slow.wait(here); wait > 0 {
		return nil, &SlowDownError{wait}
	}
	if known != nil && try.check(known, a.passwords.matchedLast) == nil {
		a.slow.succeeded(here)
		return known.at(try.from)
	}
	if wait := a.slow.wait(guilty...); wait > 0 {
		a.slow.failed(here) // or the line above would be a way to guess for free
		return nil, &SlowDownError{wait}
	}
	if !try.from.room("") {
		return nil, ErrNoRoom
	}
	var rest time.Duration
	select {
	case a.passwords.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("check login: %w", ctx.Err())
	}
	defer func() { time.AfterFunc(rest, func() { <-a.passwords.slots }) }()
	if wait := a.slow.wait(guilty...); wait > 0 {
		return nil, &SlowDownError{wait}
	}
	began := time.Now()
	if err := try.check(known, a.passwords.match); err != nil {
		rest = time.Since(began) * restAfterWrong
		a.slow.failed(guilty...)
		return nil, err
	}
	a.slow.succeeded(here)
	return known.at(try.from)
}

// Owner names the caller whose login has this user name and client id. It proves nothing: it is for a token that the
// provider itself issued to them.
func (a *Access) Owner(username, clientID string) (string, bool) {
	c := a.byUser[username]
	if c == nil || c.login.clientID != clientID {
		return "", false
	}
	return c.Name, true
}
