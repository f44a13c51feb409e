package myinvois

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// token is a bearer token. It carries the taxpayer it was issued for.
type token string

// A token lives 60 minutes (MyInvois SDK, Login as Taxpayer System). It is renewed five minutes before its end and not
// used in its last half minute.
const (
	lifetime    = time.Hour
	renewBefore = 5 * time.Minute
	unusedEnd   = 30 * time.Second
)

// secrets are a client id's two secrets. Both expire at the same moment; the spare is for the time in which the first
// one is being replaced.
type secrets struct {
	first, spare string
	spareWorks   atomic.Bool // the last login needed the spare
}

// order is the one that worked last, then the other.
func (s *secrets) order() []string {
	switch {
	case s.spare == "":
		return []string{s.first}
	case s.spareWorks.Load():
		return []string{s.spare, s.first}
	}
	return []string{s.first, s.spare}
}

// login is the session's upstream.Login. Every try is booked in the login rate, which all taxpayers of the client id
// share.
func (a *Adapter) login(ctx context.Context, _ upstream.Why, _ token) (upstream.Lease[token], []bridge.Exchange, error) {
	var none upstream.Lease[token]
	if err := a.clientGuard.Admit(ctx); err != nil {
		return none, nil, err
	}
	if r, is := a.identity.Unreachable(ctx, a.loginRequest("")); is {
		o := r.Verdict()
		o.Message, o.Exchanges = "login: "+o.Message, []bridge.Exchange{r.Exchange(a.mask, nil, nil)}
		return none, nil, a.fail(ctx, o)
	}
	var trail []bridge.Exchange
	var failed bridge.Outcome
	for _, secret := range a.secrets.order() {
		if err := a.visits.Guard.Admit(ctx, a.logins); err != nil {
			return none, nil, upstream.WithTrail(err, trail)
		}
		q := a.loginRequest(secret)
		reply := a.identity.Do(ctx, q)
		trail = append(trail, reply.Exchange(a.mask, q.Body, reply.Body))
		r, ok := readLogin(reply)
		if ok {
			a.secrets.spareWorks.Store(secret != a.secrets.first)
			a.checkTaxpayer(r.token)
			return lease(r, reply.Start), trail, nil
		}
		if failed = r.failure; !strings.EqualFold(failed.Code, "invalid_client") {
			break
		}
	}
	failed.Exchanges = trail
	return none, nil, a.fail(ctx, a.mask.Outcome(failed))
}

// loginRequest: the body is a form, never JSON, and onbehalfof belongs to this call only (MyInvois SDK, Login as
// Intermediary System).
func (a *Adapter) loginRequest(secret string) *upstream.Request {
	form := url.Values{
		"client_id": {a.cfg.ClientID}, "client_secret": {secret},
		"grant_type": {"client_credentials"}, "scope": {"InvoicingAPI"},
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	if a.onBehalfOf != "" {
		header["onbehalfof"] = []string{a.onBehalfOf}
	}
	return &upstream.Request{
		Purpose: upstream.ForLogin, Method: http.MethodPost, Path: "/connect/token", Header: header,
		Body: []byte(form.Encode()), Timeout: a.cfg.LoginTimeout.D(),
	}
}

func lease(r loginResult, start time.Time) upstream.Lease[token] {
	end := start.Add(r.lives)
	l := upstream.Lease[token]{Token: r.token, Until: end.Add(-min(unusedEnd, r.lives/10))}
	if r.lives > 2*renewBefore {
		l.Renew = end.Add(-renewBefore)
	}
	return l
}

// loginResult is what a login brought: a token, or the outcome that it means for a cancel.
type loginResult struct {
	token   token
	lives   time.Duration
	failure bridge.Outcome
}

// readLogin classifies the reply to a login. Nothing was cancelled by it, so all trouble is NotApplied; what an
// operator must mend is Misconfigured.
func readLogin(r *upstream.Reply) (loginResult, bool) {
	body := readObject(r)
	if bearer := body.text("access_token"); r.Status == http.StatusOK && bearer != "" {
		seconds, err := strconv.Atoi(body.text("expires_in"))
		lives := time.Duration(seconds) * time.Second
		if err != nil || lives <= 0 || lives > 24*lifetime {
			lives = lifetime
		}
		return loginResult{token: token(bearer), lives: lives}, true
	}
	return loginResult{failure: upstream.BeforeCancel(loginFailure(r))}, false
}

func loginFailure(r *upstream.Reply) bridge.Outcome {
	found := readObject(r).problems()
	code, message := summary(found)
	switch o := verdict(r); {
	case o.Class != bridge.None:
		o.Message = "login: " + o.Message
		return o
	case r.Status == http.StatusUnauthorized, len(found) > 0 && (r.Status == 400 || r.Status == 403):
		o.Class, o.Code = bridge.Misconfigured, code
		o.Message = bridge.OneLine(fmt.Sprintf("login refused: HTTP %d %s", r.Status, message), 300)
		o.Alarm = "MyInvois: " + o.Message + ": check client_id, client_secret and on_behalf_of, and that they belong to this environment"
		return o
	case r.WrongPlace() || r.Status == http.StatusNotFound:
		return upstream.Misplaced(o, "MyInvois", "identity_url")
	default:
		o.Class, o.Message = bridge.NotApplied, fmt.Sprintf("login: HTTP %d without an answer that can be read", r.Status)
		return o
	}
}

// checkTaxpayer warns when the token says it is for somebody else than we asked for. The claims are undocumented, so
// it is no more than a warning.
func (a *Adapter) checkTaxpayer(t token) {
	want, _, _ := strings.Cut(a.onBehalfOf, ":")
	if got := taxpayerOf(t); want != "" && got != "" && !strings.EqualFold(got, want) {
		a.log.Warn("the token is for another taxpayer than on_behalf_of", "upstream", a.profile.Name, "on_behalf_of", want, "token", got)
	}
}

// taxpayerOf is the claim TaxTin of a JWT, unverified; empty when there is none.
func taxpayerOf(t token) string {
	var claims object
	if !upstream.Claims(string(t), &claims) {
		return ""
	}
	return bridge.OneLine(claims.text("TaxTin"), 40)
}
