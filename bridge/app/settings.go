package app

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/flow"
	"einvoice-bridge/bridge/observe"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/bridge/soap/saved"
	"einvoice-bridge/bridge/upstream"
)

// What follows hands the configuration file to the packages, each in its own words.

// flowTerms are the flow's, but for what only the wiring has.
func flowTerms(f *config.File) *flow.Terms {
	return &flow.Terms{
		CarryOutWithin: f.CarryOutWithin.D(), RepeatRefusalsAfter: f.RepeatRefusalsAfter.D(),
		AlreadyCancelled: flow.AlreadyPolicy(f.AlreadyCancelled), AlreadyMessage: f.AlreadyMessage,
	}
}

// settleTime is how long a send of an instance that is no longer heard of may still be under way: the longest call and
// time for the authority to settle.
func settleTime(f *config.File) time.Duration {
	var longest time.Duration
	for _, u := range f.Upstreams {
		longest = max(longest, upstream.Common(u.Settings).CallTimeout.D())
	}
	for _, t := range f.Taxpayers {
		longest = max(longest, upstream.Common(t.Settings).CallTimeout.D())
	}
	return longest + 15*time.Second
}

// collector is where spans go, but for what only the process knows.
func collector(c config.Traces) observe.Collector {
	headers := map[string]string{}
	for name, v := range c.Headers {
		headers[name] = v.Reveal()
	}
	return observe.Collector{OTLP: c.OTLP, Headers: headers, Sample: c.Sample}
}

func accessConfig(f *config.File) access.Config {
	cfg := access.Config{TokenLife: f.Token.TTL.D()}
	for name, c := range f.Callers {
		caller := access.CallerConfig{
			Name: name, Taxpayers: c.Taxpayers.List, AllTaxpayers: c.Taxpayers.All,
			Within: cmp.Or(c.ReplyWithin, f.ReplyWithin).D(), TroubleAs: access.TroubleAs(c.TroubleAs), Addresses: c.Addresses,
			Certificates: c.Certificates, InFlight: c.InFlight, PerMinute: c.PerMinute, WSSE: access.WSSE(c.WSSE),
		}
		for _, t := range c.Tokens {
			caller.Tokens = append(caller.Tokens, t.Reveal())
		}
		if g := c.Login; g != nil {
			caller.Login = &access.LoginConfig{
				Username: g.Username, Password: g.Password.Reveal(), ClientID: g.ClientID, ClientSecret: g.ClientSecret.Reveal(),
			}
		}
		cfg.Callers = append(cfg.Callers, caller)
	}
	return cfg
}

// serverOptions are the SOAP side's, but for what only the wiring has.
func serverOptions(f *config.File) (server.Options, error) {
	contract, err := Contract(f)
	if err != nil {
		return server.Options{}, err
	}
	d := soap.NewDecoder(contract)
	d.Limits.BodyBytes = f.Limits.Body
	d.Strict = f.Strictness == "strict"
	for _, c := range f.Callers {
		if c.WSSE == string(access.WSSECheck) {
			d.WholeTokens = true
		}
	}
	if f.Limits.Body < 1 {
		return server.Options{}, fmt.Errorf("limits: limit max_body_bytes is %d, must be at least 1", f.Limits.Body)
	}
	o := server.Options{
		Listeners: listeners(f), PublicURL: f.PublicURL, Contract: contract, Decoder: d,
		Flavour: f.WSDL.Flavour, InFlight: f.Limits.InFlight, TrustedProxies: f.TrustedProxies,
		Form: f.ServicePage.Form,
	}
	if f.WSDL.Saved != "" {
		o.SavedWSDL, o.Flavour = []byte(f.WSDL.Saved), ""
	}
	if f.Forward.URL != "" {
		o.Forward = &server.Forward{URL: f.Forward.URL, Tokens: f.Forward.RelayTokens, Timeout: f.Forward.Timeout.D(), Rehearse: f.Forward.Rehearse}
	}
	return o, nil
}

func listeners(f *config.File) []server.Listener {
	var all []server.Listener
	for _, l := range f.Listen {
		s := server.Listener{Address: l.Address, Accept: soap.Accept{
			Understood: l.Accept.Understood.List, UnderstoodAny: l.Accept.Understood.Any, BareParams: l.Accept.BareParameters,
			ActionDispatch: l.Accept.ActionDispatch, XML11: l.Accept.XML11, HeaderBlocks: l.Accept.HeaderBlocks,
		}}
		if t := l.TLS; t != nil {
			s.TLS = &server.TLS{
				Profile: server.Profile(t.Profile), TripleDES: t.TripleDES,
				ClientCA: t.ClientCA, ClientOptional: t.ClientCertificates == "optional",
			}
			for _, p := range t.Pairs() {
				s.TLS.Certificates = append(s.TLS.Certificates, server.KeyPair{CertFile: p.Certificate, KeyFile: p.Key})
			}
		}
		all = append(all, s)
	}
	return all
}

// Contract is the documented contract, or the one that the saved WSDL describes, with what is configured laid over.
func Contract(f *config.File) (*soap.Contract, error) {
	c := soap.DefaultContract()
	if f.WSDL.Saved != "" {
		var err error
		c, err = saved.Contract([]byte(f.WSDL.Saved))
		if err != nil && (c == nil || len(f.Contract.Operations) == 0) {
			return nil, fmt.Errorf("wsdl.saved: %w", err)
		} // else contract.operations has the meaning of its names, and Check finds what is left
	}
	set(&c.Namespace, f.Contract.Namespace)
	c.Qualified = c.Qualified || f.Contract.Qualified
	for name, o := range f.Contract.Operations {
		op := c.Operation(name)
		if op == nil {
			return nil, fmt.Errorf("contract.operations: %q is none of %s, %s", name, c.Cancel.Name, c.Token.Name)
		}
		layOver(op, o)
	}
	v := f.Contract.Values
	for _, w := range []struct {
		into *string
		word string
	}{
		{&c.Values.SuccessStatus, v.Success}, {&c.Values.FailedStatus, v.Failed},
		{&c.Values.SuccessCode, v.SuccessCode}, {&c.Values.FailedCode, v.FailedCode},
		{&c.Values.SuccessFlag, v.SuccessFlag}, {&c.Values.FailedFlag, v.FailedFlag},
		{&c.Values.AuthCode, v.AuthCode}, {&c.Values.TokenExpired, v.TokenExpired},
		{&c.Values.TokenInvalid, v.TokenInvalid}, {&c.Values.NotYours, v.NotYours},
	} {
		set(w.into, w.word)
	}
	c.Mimic = soap.Mimic{EncodingStyle: f.Mimic.EncodingStyle, ResponseCharset: f.Mimic.ResponseCharset, NoDeclaration: f.Mimic.NoDeclaration}
	c.Faults = soap.FaultStyle{TypedDetail: f.FaultDetail == "typed", SpecStatus: f.SOAP12FaultStatus == "spec"}
	if errs := c.Check(); len(errs) > 0 {
		return nil, fmt.Errorf("contract: %w", errors.Join(errs...))
	}
	return c, nil
}

func layOver(op *soap.Operation, o config.Operation) {
	set(&op.ResponseWrapper, o.ResponseWrapper)
	set(&op.ResponseName, o.ResponseElement)
	set(&op.Namespace, o.RequestNamespace)
	set(&op.EncodingStyle, o.EncodingStyle)
	if len(o.Request) > 0 {
		op.Request = parts(o.Request)
	}
	if len(o.Response) > 0 {
		op.Response = parts(o.Response)
	}
	for alias, slot := range o.Aliases {
		if op.Aliases == nil {
			op.Aliases = map[string]string{}
		}
		op.Aliases[alias] = slot
	}
}

func parts(list []config.Part) []soap.Part {
	all := make([]soap.Part, len(list))
	for i, p := range list {
		all[i] = soap.Part{Slot: p.Slot, Name: p.Name, Const: p.Const, Type: p.Type}
	}
	return all
}

func set(into *string, word string) {
	if word != "" {
		*into = word
	}
}
