package config

import (
	"crypto/rand"
	"encoding/base64"
	"time"

	"einvoice-bridge/bridge"
)

// File is the whole configuration. The tags of its keys, and of those below, are what the schema and the guide to all keys
// are made from, and the words that a key may have are checked by them.
type File struct {
	Listen    Listeners     `yaml:"listen" validate:"dive" doc:"Where callers reach the bridge: one address, or a list of them." example:"0.0.0.0:8080"`
	PublicURL string        `yaml:"public_url" doc:"Scheme and host that the WSDL names to callers, as they reach the bridge." example:"https://einvoice.example.com"`
	Journal   string        `yaml:"journal" doc:"The record of every cancellation: sqlite:FILE, which counts from this file's folder, or postgres://… when several instances run."`
	Seal      bridge.Secret `yaml:"seal" doc:"Encrypts the sessions that are kept in the journal: 32 random bytes in base64. Without it sessions end with the process." example:"${EINVOICE_BRIDGE_SEAL}"`

	ReplyWithin         bridge.Duration `yaml:"reply_within" doc:"How long a caller is kept waiting. Less than its own timeout."`
	CarryOutWithin      bridge.Duration `yaml:"carry_out_within" doc:"How long an accepted cancellation may wait for its turn."`
	RepeatRefusalsAfter bridge.Duration `yaml:"repeat_refusals_after" doc:"How long a refusal is answered from the record before the authority is asked again."`
	AlreadyCancelled    string          `yaml:"already_cancelled" validate:"oneof=journal success refuse" doc:"What an \"already cancelled\" of the authority counts as: journal (success, if a send of ours may have done it), success, or refuse. What the bridge may have cancelled is never told as refused."`
	AlreadyMessage      string          `yaml:"already_message" validate:"oneof=upstream nic" doc:"Whose words an \"already cancelled\" is told in: the authority's own, or NIC's for all."`
	Retain              bridge.Duration `yaml:"retain" doc:"How long cancellations stay in the journal."`
	RetainExchanges     bridge.Duration `yaml:"retain_exchanges" doc:"How long the bodies of calls stay there."`
	Drain               bridge.Duration `yaml:"drain" doc:"At SIGTERM: how long the bridge is not ready and still answers callers."`
	Grace               bridge.Duration `yaml:"grace" doc:"After that: how long what is in flight may take to finish."`

	Console        Console  `yaml:"console" doc:"The operator's listener."`
	Log            Log      `yaml:"log" doc:"How log lines look."`
	Limits         Limits   `yaml:"limits" doc:"What all callers together may use."`
	TrustedProxies []string `yaml:"trusted_proxies" doc:"Addresses or networks of proxies whose X-Forwarded-For is believed." example:"[127.0.0.1]"`
	Alarms         Alarms   `yaml:"alarms" doc:"Who is told what an operator must look at."`
	Traces         Traces   `yaml:"traces" doc:"Where OpenTelemetry traces go."`

	WSDL              WSDL        `yaml:"wsdl" doc:"Which description of the service is served."`
	ServicePage       ServicePage `yaml:"service_page" doc:"The page for people that a browser finds at the callers' address."`
	Contract          Contract    `yaml:"contract" doc:"What goes over the wire, where it differs from the documented service."`
	Mimic             Mimic       `yaml:"mimic" doc:"Oddities of the provider's own server."`
	Token             Token       `yaml:"token" doc:"Access tokens that access_new_token issues."`
	Forward           Forward     `yaml:"forward" doc:"Relays what the bridge does not do itself to the provider."`
	Strictness        string      `yaml:"strictness" validate:"oneof=lenient strict" doc:"Whether unknown parameters are ignored (lenient) or refused."`
	FaultDetail       string      `yaml:"fault_detail" validate:"oneof=empty typed" doc:"What a Fault's detail holds: nothing, or an element that SAP's fault mapping needs."`
	SOAP12FaultStatus string      `yaml:"soap12_fault_status" validate:"oneof=500 spec" doc:"HTTP status of SOAP 1.2 faults: always 500, or as the specification has it."`

	MixedEnvironments []string            `yaml:"mixed_environments" doc:"Environments whose upstreams may stand side by side in this file."`
	Upstreams         map[string]Upstream `yaml:"upstreams" doc:"The e-invoice APIs, by a name of your own."`
	Taxpayers         map[string]Taxpayer `yaml:"taxpayers" doc:"Each GSTIN or TIN as callers send it in user_gstin. Any key of its upstream may stand there, too, but kind."`
	Callers           map[string]Caller   `yaml:"callers" validate:"dive" doc:"The programs that may call, by a name of your own."`

	path   string
	lines  map[string]int
	quoted Problems
}

// SealKey is the key that Seal stands for; nil when there is none.
func (f *File) SealKey() []byte {
	key, err := base64.StdEncoding.DecodeString(f.Seal.Reveal())
	if err != nil || len(key) != sealLen {
		return nil
	}
	return key
}

const sealLen = 32

// NewSeal makes a value for Seal.
func NewSeal() string {
	key := make([]byte, sealLen)
	rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}

// Path is the file that this was loaded from; empty when it was not.
func (f *File) Path() string { return f.path }

// Quoted are the variables whose values stand in quotes, which were hardly meant to be part of them.
func (f *File) Quoted() Problems { return f.quoted }

// Listeners is one address, or a list of them.
type Listeners []Listener

// Listener is one address that callers reach.
type Listener struct {
	Address string `yaml:"address" doc:"host:port." example:":8443"`
	TLS     *TLS   `yaml:"tls" doc:"How it speaks TLS. Files are paths without file:, since they are re-read when they change."`
	Accept  Accept `yaml:"accept" doc:"What callers may send here that is otherwise refused, because it may have been meant otherwise. The provider's own service takes all of it."` // a reload takes it up
}

// Accept is what callers of a listener may send that is otherwise refused.
type Accept struct {
	Understood     Understood `yaml:"understood" doc:"Header blocks with mustUnderstand that are ignored, each NAME or {NAMESPACE}NAME, or the word any." example:"any"`
	BareParameters bool       `yaml:"bare_parameters" doc:"Parameters may stand right under Body, when SOAPAction names the operation."`
	ActionDispatch bool       `yaml:"action_dispatch" doc:"SOAPAction stands for any element in Body."`
	XML11          bool       `yaml:"xml11" doc:"A declaration of XML 1.1 is read as one of 1.0."`
	HeaderBlocks   int        `yaml:"header_blocks" doc:"Header blocks of a request at most; 16 when it is 0."`
}

// Understood is a list of header blocks, each NAME or {NAMESPACE}NAME, or the word any.
type Understood struct {
	Any  bool
	List []string
}

// TLS is how a listener speaks TLS. All its files are paths, not file: values: they are re-read when they change.
type TLS struct {
	Certificate  string    `yaml:"certificate" doc:"File of the certificate (PEM), with its whole chain."`
	Key          string    `yaml:"key" doc:"File of its key (PEM)."`
	Certificates []KeyPair `yaml:"certificates" doc:"Several instead: each caller is shown the one for the host that it names, the first when it names none."`

	ClientCA           string `yaml:"client_ca" doc:"File of the authorities (PEM) whose certificates callers are asked for."`
	ClientCertificates string `yaml:"client_certificates" validate:"omitempty,oneof=required optional" doc:"Whether callers must show one."`
	Profile            string `yaml:"profile" validate:"omitempty,oneof=modern compat legacy" doc:"Which versions and ciphers are spoken."`
	TripleDES          bool   `yaml:"triple_des" doc:"Whether 3DES is spoken, too; with profile legacy only."`
}

// KeyPair is a certificate's two files.
type KeyPair struct {
	Certificate string `yaml:"certificate" doc:"File of the certificate (PEM), with its whole chain."`
	Key         string `yaml:"key" doc:"File of its key (PEM)."`
}

// Pairs are the listener's certificates, in whichever form they are written.
func (t *TLS) Pairs() []KeyPair {
	if len(t.Certificates) > 0 {
		return t.Certificates
	}
	return []KeyPair{{t.Certificate, t.Key}}
}

// Console is the operator's listener.
type Console struct {
	Listen   string        `yaml:"listen" doc:"host:port, or off."`
	Zone     string        `yaml:"zone" doc:"What times are shown in and typed in, by the name of a place. Without it the machine's own." example:"Asia/Kolkata"`
	Username string        `yaml:"username" doc:"Log-in of one operator. A log-in is needed off loopback."`
	Password bridge.Secret `yaml:"password" doc:"Its password as the hash command prints it, argon2id:…"`

	Users        map[string]User `yaml:"users" validate:"dive" doc:"Several people instead, by name, as lists of what they did have it."`
	SignInHeader string          `yaml:"sign_in_header" doc:"Single sign-on: the header in which a proxy of trusted_proxies says whom it has signed in, one of users. It must take the header away from everybody else's requests." example:"X-Forwarded-User"`
	PublicURL    string          `yaml:"public_url" doc:"Scheme and host of the pages, as people reach them. Alarms then link to theirs." example:"https://einvoice-console.example.com"`
}

// User is a person who may open the console.
type User struct {
	Password bridge.Secret `yaml:"password" doc:"Hash of the password, argon2id:… Without one he comes by sign_in_header alone."`
	Role     string        `yaml:"role" validate:"required,oneof=reader operator" doc:"A reader sees all pages; an operator also resolves, withdraws, issues and revokes tokens, and reloads."`
}

// LogIn tells whether anybody must sign in.
func (c Console) LogIn() bool { return c.Password != "" || len(c.Users) > 0 || c.SignInHeader != "" }

// Location is the time zone that Zone names; nil without one.
func (c Console) Location() (*time.Location, error) {
	if c.Zone == "" {
		return nil, nil
	}
	return time.LoadLocation(c.Zone)
}

// Log says how log lines look.
type Log struct {
	Format string `yaml:"format" validate:"oneof=text json" doc:"How lines are written."`
	Level  string `yaml:"level" validate:"oneof=debug info warn error" doc:"From which level on."`
	IDs    string `yaml:"ids" validate:"oneof=clear hashed" doc:"How document ids stand in lines and traces."`
}

// Limits bound what callers may use.
type Limits struct {
	Body     int `yaml:"body" doc:"Bytes of a request, as received."`
	InFlight int `yaml:"in_flight" doc:"Calls at once."`
}

// Alarms says who is told what an operator must look at.
type Alarms struct {
	Webhook bridge.Secret `yaml:"webhook" doc:"Address that gets a JSON POST for each."`
}

// Traces says where OpenTelemetry traces go; without an address there are none.
type Traces struct {
	OTLP    string                   `yaml:"otlp" doc:"The collector's address for OTLP over HTTP, without /v1/traces." example:"https://collector:4318"`
	Headers map[string]bridge.Secret `yaml:"headers" doc:"Headers on every export, such as a vendor's key."`
	Sample  float64                  `yaml:"sample" doc:"Share of traces kept, 0 to 1; a caller's traceparent decides for its own."`
}

// WSDL says which description of the service is served.
type WSDL struct {
	Flavour string `yaml:"flavour" doc:"What ?wsdl shows when no flavour is asked for; without it rpc-literal at /api.einvoice.php, as the provider has it, and document at /einvoice."`
	Saved   string `yaml:"saved" doc:"The callers' own old WSDL; names and order on the wire are derived from it." example:"file:old.wsdl"`
}

// ServicePage is about the page for people at the callers' address.
type ServicePage struct {
	Form bool `yaml:"form" doc:"Whether it has a form that sends a cancellation, a real one, for whoever has a token. Without it the page only tells."`
}

// Contract names what goes over the wire where it differs from the documented service.
type Contract struct {
	Namespace  string               `yaml:"namespace" doc:"Namespace of the operations."`
	Qualified  bool                 `yaml:"qualified" doc:"Whether the parts of answers stand in it, too."`
	Operations map[string]Operation `yaml:"operations" doc:"eInvoiceCancel and access_new_token, where their elements differ."`
	Values     Values               `yaml:"values" doc:"The fixed words of an answer; those left out stay as documented."`
}

// Operation names the elements of one request and its answer.
type Operation struct {
	Request          []Part            `yaml:"request" doc:"The parameters, in their order."`
	Aliases          map[string]string `yaml:"aliases" doc:"Other names of parameters, each with its slot."`
	RequestNamespace string            `yaml:"request_namespace" doc:"A namespace of requests that is answered in the contract's; any other is answered in itself."`
	ResponseElement  string            `yaml:"response_element" doc:"The answer's element. Without it the operation's name and Response."`
	ResponseWrapper  string            `yaml:"response_wrapper" doc:"An element around all parts of the answer."`
	EncodingStyle    string            `yaml:"encoding_style" doc:"What its answers carry as encodingStyle." example:"http://schemas.xmlsoap.org/soap/encoding/"`
	Response         []Part            `yaml:"response" doc:"The parts of the answer, in their order."`
}

// Part is one element: its meaning and its name on the wire.
type Part struct {
	Slot  string `yaml:"slot" doc:"What it means."`
	Name  string `yaml:"name" doc:"Its name on the wire."`
	Const string `yaml:"const" doc:"A fixed value instead."`
	Type  string `yaml:"type" doc:"The XSD type that it carries as xsi:type." example:"string"`
}

// Values are the fixed words of an answer; empty ones stay as documented.
type Values struct {
	Success      string `yaml:"success" doc:"Status of a success."`
	Failed       string `yaml:"failed" doc:"Status of a refusal."`
	SuccessCode  string `yaml:"success_code" doc:"Code of a success."`
	FailedCode   string `yaml:"failed_code" doc:"Code of a refusal."`
	AuthCode     string `yaml:"auth_code" doc:"Code of a token that does not count."`
	TokenExpired string `yaml:"token_expired" doc:"Text for a token that has expired."`
	TokenInvalid string `yaml:"token_invalid" doc:"Text for a token that is unknown."`
	NotYours     string `yaml:"not_yours" doc:"Text for a taxpayer that the caller may not act for."`
	SuccessFlag  string `yaml:"success_flag" doc:"Error flag of a success."`
	FailedFlag   string `yaml:"failed_flag" doc:"Error flag of a refusal."`
}

// Mimic switches on oddities of the provider's own server.
type Mimic struct {
	EncodingStyle   bool   `yaml:"encoding_style" doc:"Whether answers carry the operation's description as encodingStyle."`
	ResponseCharset string `yaml:"response_charset" validate:"omitempty,oneof=iso-8859-1" doc:"The charset that answers claim."`
	NoDeclaration   bool   `yaml:"no_declaration" doc:"Whether answers go without an XML declaration."`
}

// Token is about access tokens that access_new_token issues.
type Token struct {
	TTL bridge.Duration `yaml:"ttl" doc:"How long they live."`
}

// Forward relays what the bridge does not do itself to the provider's SOAP address.
type Forward struct {
	URL         string          `yaml:"url" doc:"The provider's SOAP address."`
	Timeout     bridge.Duration `yaml:"timeout" doc:"How long it may take."`
	RelayTokens bool            `yaml:"relay_tokens" doc:"Whether access_new_token is relayed, too; the provider's token then counts here."`
	Rehearse    bool            `yaml:"rehearse" doc:"Whether everything is relayed, cancellations too, and nothing sent to any authority. What the bridge would have made of it is written down, for the rehearsal command."`
}

// Caller is one program that may call.
type Caller struct {
	Tokens    []bridge.Secret `yaml:"tokens" doc:"Hashes of its long-lived tokens, sha256:…" example:"[\"sha256:…\"]"`
	Taxpayers Names           `yaml:"taxpayers" doc:"Whom it may act for, or all." example:"all"`
	Login     *Login          `yaml:"login" doc:"What it sends to access_new_token, as Basic or as UsernameToken."`

	ReplyWithin  bridge.Duration `yaml:"reply_within" doc:"Its own reply_within."`
	TroubleAs    string          `yaml:"trouble_as" validate:"omitempty,oneof=fault reply" doc:"How trouble is told: as a Fault, or as a six-part reply with code 503."`
	Addresses    []string        `yaml:"addresses" doc:"Addresses or networks that it may call from. Without any, all." example:"[10.1.0.0/16]"`
	Certificates []string        `yaml:"certificates" doc:"What its connections must show, one of them: sha256:FINGERPRINT, subject:CN=…,O=… or dns:NAME."`

	InFlight  int    `yaml:"in_flight" doc:"Its calls at once. 0: as many as the bridge's own limit lets in."`
	PerMinute int    `yaml:"per_minute" doc:"Its calls in a minute. 0: no limit."`
	WSSE      string `yaml:"wsse" validate:"omitempty,oneof=ignore check" doc:"What becomes of a UsernameToken beside a token."`
}

// Login is what a caller sends to access_new_token, Basic or UsernameToken.
type Login struct {
	Username     string        `yaml:"username" doc:"User name."`
	Password     bridge.Secret `yaml:"password" doc:"Its password's hash, argon2id:…"`
	ClientID     string        `yaml:"client_id" doc:"Client id, where it sends one."`
	ClientSecret bridge.Secret `yaml:"client_secret" doc:"Hash of the client id's secret, argon2id:…"`
}

// Upstream is one e-invoice API.
type Upstream struct {
	Kind        string `yaml:"kind"`
	Environment string `yaml:"environment"`
	// Settings are all its keys: what New of its kind has made, filled in.
	Settings any `yaml:"-"`
}

// Taxpayer is a GSTIN or TIN: where its cancellations go, and what is special to it.
type Taxpayer struct {
	Upstream string `yaml:"upstream" doc:"Name of the upstream that its cancellations go to."`
	// Settings are the upstream's with this taxpayer's own laid over them.
	Settings any `yaml:"-"`
}

// Names is a list of names, or the word all.
type Names struct {
	All  bool
	List []string
}
