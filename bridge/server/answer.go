package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/soap"
)

// inbound is one POST as the rest of the package sees it. All of it is copied but the body, which is the engine's and
// good until the answer is there.
type inbound struct {
	ref           string // request id
	path          string
	wire          *wire
	from          netip.Addr
	received      time.Time
	header        soap.Header
	authorization string
	accept, agent string
	hops          string               // of bridges that it was relayed by
	tls           *tls.ConnectionState // nil without TLS
	body          []byte
	// Of a request in a rehearsal: all its headers that go on, its method if that is not POST, and its query.
	fields        [][2]string
	method, query string
	place         *place                   // that it has; nil: it is turned away
	trace         context.Context          // carries the call's span; nil: no traces
	engine        interface{ ResetBody() } // takes its body back
}

// read is called when nothing is left to be read of the request: who waits for his answer holds no envelope of his.
func (in *inbound) read() {
	in.body = nil
	in.engine.ResetBody()
}

// certificate is what the connection showed and an authority vouches for.
func (in *inbound) certificate() *x509.Certificate {
	if in.tls == nil || len(in.tls.VerifiedChains) == 0 {
		return nil
	}
	return in.tls.PeerCertificates[0]
}

func (in *inbound) origin() access.Origin {
	return access.Origin{Addr: in.from, Certificate: in.certificate(), Room: in.room}
}

// room counts a log-in among those that wait to be looked at or, once it is known whose it is, as its caller's. What is
// turned away can't wait.
func (in *inbound) room(caller string) bool {
	switch {
	case in.place == nil:
		return false
	case caller == "":
		return in.place.become(loggingIn)
	}
	return in.place.become(callerPool(caller))
}

// reply is what goes back.
type reply struct {
	status      int
	contentType string
	encoding    string // Content-Encoding of a relayed answer
	retryAfter  time.Duration
	body        []byte
	fields      [][2]string // headers of an answer in a rehearsal; nil: it is one of ours
	hangUp      bool        // there is none
}

// How long the questions around a call may take.
const (
	whoTime    = 10 * time.Second // whose password it is; a token's has its own
	loginTime  = 30 * time.Second // access_new_token, its turn among others included
	recallTime = 3 * time.Second  // the record, for a call that is turned away
)

// recorded asks whether a taxpayer that is not configured was once.
func (s *Desk) recorded(taxpayer string) bool {
	if s.opt.Recorded == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), recallTime)
	defer cancel()
	return s.opt.Recorded(ctx, taxpayer)
}

// answer is the path of one call.
func (s *Desk) answer(in *inbound) reply {
	if s.rehearsing() {
		return s.rehearse(in)
	}
	p, ok := s.places.enter(s.opt.InFlight, arriving)
	if known := in.wire.caller; !ok && known != "" { // strangers in a crowd keep out their like
		p, ok = s.places.enter(s.opt.InFlight, callerPool(known))
	}
	if !ok {
		return s.turnAway(in)
	}
	defer p.leave()
	in.place = p
	req, fault := s.decode(in)
	switch {
	case fault != nil:
		return s.notOurs(in, fault)
	case len(req.Notes) > 0:
		s.opt.Log.Debug("request read leniently", "ref", in.ref, "from", in.from, "notes", req.Notes)
	}
	in.is(req.Operation)
	if req.Operation == s.opt.Contract.Token.Name {
		return s.token(in, req)
	}
	return s.cancel(in, req)
}

// notOurs answers a request that is no call of ours: another operation is the provider's, where there is one.
func (s *Desk) notOurs(in *inbound, fault *soap.Fault) reply {
	switch {
	case !fault.UnknownOperation() || s.relay == nil:
		return s.fault(in, fault)
	case !in.place.become(relaying):
		return s.busy(in, s.voice(in, fault.Version), turnedAwayFor)
	}
	return s.forward(in, fault.Version)
}

// token is access_new_token, ours or the provider's.
func (s *Desk) token(in *inbound, req *soap.Request) reply {
	if s.relay == nil || !s.relay.Tokens {
		return s.login(in, req)
	}
	if !in.place.become(relaying) {
		v := newVoice(s.opt.Contract, in.ref, req)
		return s.busy(in, &v, turnedAwayFor)
	}
	return s.forwardLogin(in, req)
}

// decode reads the call. Where unknown operations are relayed, a second look with wider limits tells whether a request
// that is too much for a cancellation is one of them.
func (s *Desk) decode(in *inbound) (*soap.Request, *soap.Fault) {
	decoder := s.decoders[min(in.wire.listener, len(s.decoders)-1)] // a reload can't change the listeners
	req, err := decoder.Decode(in.header, in.body)
	if err == nil {
		return req, nil
	}
	fault := soap.AsFault(err)
	if s.relay != nil && !fault.UnknownOperation() {
		if wide := s.relay.look(decoder, in); wide != nil && wide.UnknownOperation() {
			fault = wide
		}
	}
	return nil, fault
}

// cancel is eInvoiceCancel: who calls, for whom; the rest is done by one of the functions in turned.go. What is refused on
// the way is worded elsewhere, and what a call holds while it waits lies in one place off the stack: an 8 KB stack is enough
// then for all of it.
func (s *Desk) cancel(in *inbound, req *soap.Request) reply {
	a := &asked{in: in, v: newVoice(s.opt.Contract, in.ref, req)}
	if text := s.unplaced(in, req); text != "" {
		return a.v.reply(a.v.refusal(text))
	}
	caller, err := s.identify(in, req)
	if err != nil {
		return s.deny(in, &a.v, s.invalid(in, req), err)
	}
	in.wire.belongs(caller.Name)
	a.v.troubleAsReply = caller.TroubleAs == access.TroubleAsReply
	s.noteTLS(in, caller.Name)
	s.noteLeniencies(in, caller.Name, req)
	a.caller, a.Taxpayer = caller, taxpayerOf(req)
	if r, barred := s.barred(a); barred {
		return r
	}
	a.fill(req, s.opt.Decoder.Limits.TranscodedBytes)
	in.read()
	if in.place == nil {
		return s.recall(a, turnedAwayFor)
	}
	return s.carryOut(a)
}

// barred answers a call for a taxpayer that its caller may not act for, or that nobody knows.
func (s *Desk) barred(a *asked) (r reply, barred bool) {
	_, known := s.opt.Upstream(a.Taxpayer)
	switch who := slog.String("caller", a.caller.Name); {
	case a.Taxpayer == "":
		s.refused(a.in, RefusedTaxpayer, who, slog.String("why", "user_gstin is missing"))
		return a.v.reply(a.v.refusal("user_gstin is missing")), true
	case !a.caller.May(a.Taxpayer):
		s.refused(a.in, RefusedTaxpayer, who, slog.String("why", "the caller may not act for "+short(a.Taxpayer)), slog.String("taxpayer", short(a.Taxpayer)))
		return a.v.denial(a.v.referred(s.opt.Contract.Values.NotYours)), true
	case !known && !s.recorded(a.Taxpayer):
		s.refused(a.in, RefusedUnknown, who, slog.String("why", "no upstream is configured for "+short(a.Taxpayer)), slog.String("taxpayer", short(a.Taxpayer)))
		return a.v.reply(a.v.refusal("user_gstin " + short(a.Taxpayer) + " is not known here; nothing was sent for this call")), true
	}
	return reply{}, false
}

// identify finds out who calls: by access token or, when there is none, by HTTP Basic or a WS-Security UsernameToken.
// A UsernameToken beside an access token must be the same caller's, if that caller wants it checked.
func (s *Desk) identify(in *inbound, req *soap.Request) (*access.Caller, error) {
	user := req.UsernameToken
	switch token := req.Text(soap.SlotAccessToken); {
	case token != "":
		c, err := s.opt.Access.Authenticate(context.Background(), token, in.origin())
		if err != nil || user == nil || c.WSSE != access.WSSECheck {
			return c, err
		}
		other, err := s.userOf(in, user)
		if err == nil && other != c {
			err = access.ErrInvalid
		}
		return c, err
	case in.basic():
		ctx, cancel := context.WithTimeout(context.Background(), whoTime)
		defer cancel()
		return s.opt.Access.Basic(ctx, in.authorization, in.origin())
	case user != nil:
		return s.userOf(in, user)
	}
	return nil, access.ErrInvalid
}

// userOf finds out whose a UsernameToken is.
func (s *Desk) userOf(in *inbound, user *soap.UsernameToken) (*access.Caller, error) {
	ctx, cancel := context.WithTimeout(context.Background(), whoTime)
	defer cancel()
	return s.opt.Access.UsernameToken(ctx, user.Username, user.Password, user.Digest, in.origin())
}

// basic tells whether an HTTP header says who calls.
func (in *inbound) basic() bool {
	scheme, _, _ := strings.Cut(strings.TrimSpace(in.authorization), " ")
	return strings.EqualFold(scheme, "Basic")
}

// invalid is what a caller is told whom nothing in the call makes known. A token that was not there can't be invalid.
func (s *Desk) invalid(in *inbound, req *soap.Request) string {
	switch token := req.Param(soap.SlotAccessToken); {
	case token.Element != "" && token.Text != "":
		return s.opt.Contract.Values.TokenInvalid + "; it was read by its place, from element " + short(token.Element)
	case token.Text != "":
		return s.opt.Contract.Values.TokenInvalid
	case in.basic(), req.UsernameToken != nil:
		return "access_token is missing; the user name and password that came instead of it were not accepted"
	}
	return "access_token is missing"
}

// deny answers a caller that is nobody, in the words of invalid. What is no denial (the journal can't be asked, too many wrong passwords) is
// trouble, never a 204.
func (s *Desk) deny(in *inbound, v *voice, invalid string, err error) reply {
	var slow *access.SlowDownError
	var where *access.OriginError
	why := slog.String("why", err.Error())
	if err == access.ErrInvalid {
		why = slog.String("why", invalid)
	}
	switch {
	case errors.As(err, &slow):
		return s.busy(in, v, slow.RetryAfter, why)
	case errors.As(err, &where):
		s.refused(in, RefusedToken, slog.String("caller", where.Caller), why)
		return v.denial(v.referred(invalid))
	case errors.Is(err, access.ErrExpired):
		s.refused(in, RefusedExpired, why)
		return v.denial(s.opt.Contract.Values.TokenExpired) // alone: there are programs that log in again when they read it
	case errors.Is(err, access.ErrInvalid), errors.Is(err, access.ErrDigest), errors.As(err, new(*access.DeniedError)):
		s.refused(in, RefusedToken, why)
		return v.denial(v.referred(invalid))
	}
	return s.busy(in, v, 5*time.Second, why)
}

// login is access_new_token.
func (s *Desk) login(in *inbound, req *soap.Request) reply {
	v := newVoice(s.opt.Contract, in.ref, req)
	if text := s.unplaced(in, req); text != "" {
		return v.token(soap.TokenReply{ErrorDescription: text})
	}
	ctx, cancel := context.WithTimeout(context.Background(), loginTime)
	defer cancel()
	issued, err := s.opt.Access.Login(ctx, access.Login{
		Username: req.Text(soap.SlotUsername), Password: req.Text(soap.SlotPassword),
		ClientID: req.Text(soap.SlotClientID), ClientSecret: req.Text(soap.SlotClientSecret),
		GrantType: req.Text(soap.SlotGrantType), From: in.origin(),
	})
	var denied *access.DeniedError
	var slow *access.SlowDownError
	switch {
	case errors.Is(err, access.ErrNoRoom):
		return s.busy(in, &v, turnedAwayFor, slog.String("why", err.Error()))
	case err == nil:
		s.opt.Log.Info("access token issued", "ref", in.ref, "caller", issued.Caller, "from", in.from)
		in.wire.belongs(issued.Caller)
		s.noteTLS(in, issued.Caller)
		s.noteLeniencies(in, issued.Caller, req)
		return v.token(soap.TokenReply{AccessToken: issued.Token, ExpiresIn: int(issued.Life.Seconds()), TokenType: "bearer"})
	case errors.As(err, &denied):
		s.refused(in, RefusedLogin, slog.String("caller", denied.Caller), slog.String("why", err.Error()))
		return v.token(soap.TokenReply{ErrorDescription: denied.Description})
	case errors.As(err, &slow):
		s.refused(in, RefusedLogin, slog.String("why", err.Error()))
		r := v.token(soap.TokenReply{ErrorDescription: "Too many failed attempts; try again later"})
		r.retryAfter = slow.RetryAfter
		return r
	}
	s.refused(in, RefusedBusy, slog.String("why", err.Error()))
	return v.fault(soap.ServerFault("The bridge is busy; no token was issued. Retry later."), 5*time.Second)
}

// voice words answers for one request: in its SOAP version, related to its message id, as its caller wants it.
type voice struct {
	c              *soap.Contract
	version        soap.Version
	namespace      string // of the request's operation
	addressing     *soap.Addressing
	ref            string
	troubleAsReply bool

	// The last answer rendered, and its envelope: what is journaled is sent as it is.
	told     bridge.Answer
	envelope []byte
}

func newVoice(c *soap.Contract, ref string, req *soap.Request) voice {
	namespace := c.Namespace
	if req.Namespace != namespace {
		namespace = strings.Clone(req.Namespace) // lest all of the request stay for it
	}
	return voice{c: c, version: req.Version, namespace: namespace, addressing: related(req.Addressing), ref: ref}
}

// voice answers a request of which no more is known than its version.
func (s *Desk) voice(in *inbound, v soap.Version) *voice {
	return &voice{c: s.opt.Contract, version: v, ref: in.ref}
}

// related fixes the answer's message id, so that what is journaled and what is sent are the same bytes.
func related(a *soap.Addressing) *soap.Addressing {
	if a == nil {
		return nil
	}
	fixed := *a
	fixed.ReplyID = "urn:uuid:" + uuid.NewString()
	return &fixed
}

// render is the envelope of an answer. Two calls for one request never run at once.
func (v *voice) render(a bridge.Answer) []byte {
	if v.envelope == nil || a != v.told {
		v.told, v.envelope = a, v.encode(a)
	}
	return v.envelope
}

func (v *voice) encode(a bridge.Answer) []byte {
	switch {
	case a.Fault == "":
		return v.c.EncodeCancel(v.version, v.addressing, soap.CancelReply{
			Namespace: v.namespace, IRN: a.IRN, CancelDate: a.CancelDate, Failed: a.Class != bridge.Cancelled, Message: a.Message,
		})
	case v.troubleAsReply:
		return v.c.EncodeCancel(v.version, v.addressing, soap.CancelReply{
			Namespace: v.namespace, Failed: true, Message: v.referred(a.Fault), Code: "503",
		})
	}
	return v.c.EncodeFault(v.version, v.addressing, soap.ServerFault(a.Fault), v.ref)
}

func (v *voice) reply(a bridge.Answer) reply {
	r := reply{status: 200, contentType: v.c.ContentType(v.version), body: v.render(a), retryAfter: a.RetryAfter}
	if a.Fault != "" && !v.troubleAsReply {
		r.status = v.c.FaultStatus(v.version, soap.ServerFault(a.Fault))
	}
	return r
}

// referred is a text with the call's reference behind it, under which the record has the call.
func (v *voice) referred(text string) string { return text + " [ref " + v.ref + "]" }

// refusal is a no of the bridge's own, to a call that never becomes a cancellation.
func (v *voice) refusal(text string) bridge.Answer {
	return bridge.Answer{Class: bridge.Refused, Message: v.referred(text)}
}

// denial is a business answer to somebody who may not do this.
func (v *voice) denial(text string) reply {
	body := v.c.EncodeCancel(v.version, v.addressing, soap.CancelReply{Namespace: v.namespace, Failed: true, Message: text, Code: v.c.Values.AuthCode})
	return reply{status: 200, contentType: v.c.ContentType(v.version), body: body}
}

func (v *voice) token(t soap.TokenReply) reply {
	t.Namespace = v.namespace
	return reply{status: 200, contentType: v.c.ContentType(v.version), body: v.c.EncodeToken(v.version, v.addressing, t)}
}

func (v *voice) fault(f *soap.Fault, retryAfter time.Duration) reply {
	return reply{
		status: v.c.FaultStatus(v.version, f), contentType: v.c.ContentType(v.version),
		body: v.c.EncodeFault(v.version, v.addressing, f, v.ref), retryAfter: retryAfter,
	}
}
