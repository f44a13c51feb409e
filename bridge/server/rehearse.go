package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/wsdl"
)

// Rehearsal hears what went to the provider and came back while the bridge rehearses.
type Rehearsal interface {
	// Note has read called soon, beside the calls, or never when there is too much to read. size is what read holds on to.
	Note(size int, read func() bridge.Rehearsed)
}

// What a rehearsing relay lets through. An ERP's own timeout ends a call that hangs, as it did without us.
const (
	rehearseTime  = 10 * time.Minute
	rehearseBytes = 8 << 20
)

// rehearsing tells whether everything goes to the provider.
func (s *Desk) rehearsing() bool { return s.relay != nil && s.relay.Rehearse }

// rehearse lets one request through to the provider and its answer back, byte for byte, and has it read beside that. When
// the provider gives no answer, neither do we: a fault of ours would be an answer that the ERP never got before.
func (s *Desk) rehearse(in *inbound) reply {
	p, ok := s.places.enter(s.opt.InFlight, relaying)
	if ok {
		defer p.leave()
		ok = s.relay.enter(in)
		defer s.relay.leave(in)
	}
	if !ok {
		return s.busy(in, s.voice(in, soap.GuessVersion(in.header.ContentType)), turnedAwayFor)
	}
	in.body = bytes.Clone(in.body) // it is read when the engine has its own back
	r, err := s.relay.send(in)
	took := time.Since(in.received)
	if err != nil {
		s.refused(in, RefusedForward, slog.String("why", err.Error()), slog.Bool("rehearsal", true))
		r = reply{hangUp: true}
	}
	s.readdress(in, &r)
	req, fault := s.welcome(in, r)
	if s.opt.Rehearsal != nil {
		s.opt.Rehearsal.Note(len(in.body)+len(r.body), func() bridge.Rehearsed {
			w := s.seen(in, r, req, fault)
			w.Took = took
			if err != nil {
				w.Failed = err.Error()
			}
			return w
		})
	}
	return r
}

// readdress puts our address into the provider's description: a program that loads it when it starts would else go to the
// provider directly from then on.
func (s *Desk) readdress(in *inbound, r *reply) {
	if in.method == "" || !isDescription(*r) {
		return
	}
	if body, err := wsdl.Readdress(r.body, s.publicURL+in.path); err == nil {
		r.body = body
	}
}

func isDescription(r reply) bool {
	return r.status == http.StatusOK && bytes.Contains(r.body, []byte("definitions"))
}

// welcome reads the request, and takes note of a token that the provider has issued before the ERP can use it: if the
// rehearsal ends at this moment, it must be good here. Whatever goes wrong with it, the ERP gets its answer.
func (s *Desk) welcome(in *inbound, r reply) (req *soap.Request, fault *soap.Fault) {
	defer func() {
		if p := recover(); p != nil {
			s.opt.Log.Error("panic while reading a rehearsed call", "ref", in.ref, "panic", p)
			req, fault = nil, soap.ServerFault("Internal error")
		}
	}()
	if in.method != "" {
		return nil, nil
	}
	if req, fault = s.decode(in); fault != nil || req.Operation != s.opt.Contract.Token.Name {
		return req, fault
	}
	if token, life := s.issuedIn(r); token != "" {
		if err := s.adopt(in, req, token, life); err != nil {
			s.opt.Log.Warn("the provider's access token could not be kept; it is not known here", "ref", in.ref, "err", err.Error())
		}
	}
	return req, nil
}

// issuedIn is the token in an answer of the provider, whatever its parts are called.
func (s *Desk) issuedIn(r reply) (token string, life time.Duration) {
	form, err := soap.ReadForm(soap.Header{ContentType: r.contentType, ContentEncoding: r.encoding}, r.body, true)
	if err != nil || form.Fault {
		return "", 0
	}
	token, seconds := s.opt.Contract.Token.Issued(form)
	return token, time.Duration(seconds) * time.Second
}

// seen is what came, what went back, and what the bridge would have made of it, in words without secrets.
func (s *Desk) seen(in *inbound, r reply, req *soap.Request, fault *soap.Fault) bridge.Rehearsed {
	secrets := secretsOf(req)
	w := bridge.Rehearsed{
		Ref: in.ref, At: in.received, From: in.from.String(),
		Request: bridge.Message{Method: in.method, Path: in.path, Size: len(in.body), Headers: showable(in.fields, secrets)},
		Answer:  bridge.Message{Status: r.status, Size: len(r.body), Headers: showable(r.fields, secrets)},
	}
	switch {
	case in.method != "":
		if isDescription(r) {
			w.Operation = bridge.RehearsedWSDL
			if len(r.body) <= descriptionMost {
				w.Answer.Body = string(r.body)
			}
		}
	case fault != nil:
		w.Operation = shortTo(fault.Operation, 128)
		if !fault.UnknownOperation() {
			w.Fault = fault.Text
		}
	default:
		w.Ours, w.Operation, w.Notes = true, req.Operation, req.Notes
		w.Request.Body = string(req.Masked(bodyMost))
		tokens := req.Operation == s.opt.Contract.Token.Name
		if form, err := soap.ReadForm(soap.Header{ContentType: r.contentType, ContentEncoding: r.encoding}, r.body, tokens); err == nil {
			w.Answer.Body = without(string(form.Masked(bodyMost)), secrets)
		}
		s.judge(in, req, r, &w)
	}
	return w
}

// How much of a body is kept: a cancellation and its answer take some 2 KiB, a description of many operations 100.
const (
	bodyMost        = 32 << 10
	descriptionMost = 512 << 10
)

// judge says who calls, and what the bridge would have refused.
func (s *Desk) judge(in *inbound, req *soap.Request, r reply, w *bridge.Rehearsed) {
	if text, _, _ := missing(in, req); text != "" {
		w.Refused = text
		return
	}
	if req.Operation == s.opt.Contract.Token.Name {
		w.Caller, w.Refused = s.judgeLogin(in, req, r)
		return
	}
	caller, err := s.identify(in, req)
	switch {
	case errors.Is(err, access.ErrInvalid):
		w.Refused = s.invalid(in, req)
	case err != nil:
		w.Refused = err.Error()
	}
	if err != nil {
		return
	}
	w.Caller, w.Taxpayer = caller.Name, shortTo(taxpayerOf(req), 64)
	switch taxpayer := taxpayerOf(req); {
	case taxpayer == "":
		w.Refused = "user_gstin is missing"
	case !caller.May(taxpayer):
		w.Refused = s.opt.Contract.Values.NotYours + " (" + shortTo(taxpayer, 64) + ")"
	case s.opt.Check != nil:
		w.Refused = s.opt.Check(bridge.Request{
			Ref: in.ref, Caller: caller.Name, Taxpayer: taxpayer, IRN: req.Text(soap.SlotIRN),
			Reason: req.Text(soap.SlotCancelReason), Remarks: req.Text(soap.SlotCancelRemarks),
		})
	}
}

// judgeLogin says whose log-in it is, and whether it would be let in here. Only who was let in by the provider is looked
// at: comparing passwords is work that no stranger should be able to make.
func (s *Desk) judgeLogin(in *inbound, req *soap.Request, r reply) (caller, refused string) {
	caller, known := s.opt.Access.Owner(req.Text(soap.SlotUsername), req.Text(soap.SlotClientID))
	token, _ := s.issuedIn(r)
	switch {
	case token == "":
		return caller, ""
	case !known:
		return "", "the log-in's username and client_id are no caller's"
	case s.relay.Tokens:
		return caller, ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), loginTime)
	defer cancel()
	err := s.opt.Access.Would(ctx, access.Login{
		Username: req.Text(soap.SlotUsername), Password: req.Text(soap.SlotPassword), ClientID: req.Text(soap.SlotClientID),
		ClientSecret: req.Text(soap.SlotClientSecret), GrantType: req.Text(soap.SlotGrantType), From: in.origin(),
	})
	if err != nil {
		return caller, err.Error()
	}
	return caller, ""
}

func taxpayerOf(req *soap.Request) string {
	return strings.ToUpper(strings.TrimSpace(req.Text(soap.SlotUserGSTIN)))
}

// secretsOf are the values that nobody may read.
func secretsOf(req *soap.Request) (secrets []string) {
	if req == nil {
		return nil
	}
	for _, slot := range []string{soap.SlotAccessToken, soap.SlotPassword, soap.SlotClientSecret} {
		if text := req.Text(slot); text != "" {
			secrets = append(secrets, text)
		}
	}
	return secrets
}

// without masks secrets that came back in an answer, or stand in a header. Short ones would hit ordinary text.
func without(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= 8 {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}

// shown are the headers whose values say how a message is written, and hold no secret.
var shown = []string{
	"Content-Type", "Content-Encoding", "SOAPAction", "User-Agent", "Accept-Encoding", "Server", "X-Powered-By", "Date",
}

// showable are headers as they may be kept: in one spelling, and those that may hold a secret by name alone.
func showable(fields [][2]string, secrets []string) (all [][2]string) {
	const most = 32
	for _, f := range fields[:min(len(fields), most)] {
		name, value := http.CanonicalHeaderKey(f[0]), "***"
		if i := slices.IndexFunc(shown, func(s string) bool { return strings.EqualFold(s, name) }); i >= 0 {
			name, value = shown[i], shortTo(without(f[1], secrets), 256)
		}
		all = append(all, [2]string{shortTo(name, 64), value})
	}
	return all
}

// hopByHop are the headers that are about one connection (RFC 9110 §7.6.1), and those that the transport writes itself.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer",
	"Transfer-Encoding", "Upgrade", "Content-Length", "Host", "Expect",
}

// endToEnd are the headers that go on, as they were spelled.
func endToEnd(raw []byte) (fields [][2]string) {
	drop := slices.Clone(hopByHop)
	for line := range bytes.Lines(raw) {
		name, value, ok := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		if !ok {
			continue
		}
		f := [2]string{string(name), string(bytes.TrimSpace(value))}
		if strings.EqualFold(f[0], "Connection") {
			for named := range strings.SplitSeq(f[1], ",") {
				drop = append(drop, strings.TrimSpace(named))
			}
		}
		fields = append(fields, f)
	}
	return slices.DeleteFunc(fields, func(f [2]string) bool {
		return slices.ContainsFunc(drop, func(d string) bool { return strings.EqualFold(d, f[0]) })
	})
}
