package config

import (
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"time"
)

// File is the whole configuration. Durations are Go's ("50s") or days ("400d").
type File struct {
	Listen    Listeners `yaml:"listen"`
	PublicURL string    `yaml:"public_url"`
	Journal   string    `yaml:"journal"`
	// Seal encrypts the upstream sessions that are kept in the journal: 32 random bytes in base64. Without it sessions end
	// with the process.
	Seal Secret `yaml:"seal"`

	ReplyWithin         Duration `yaml:"reply_within"`
	CarryOutWithin      Duration `yaml:"carry_out_within"`
	RepeatRefusalsAfter Duration `yaml:"repeat_refusals_after"`
	// AlreadyCancelled is what an "already cancelled" of the authority counts as: journal (success, if a send of ours may
	// have done it), success, or refuse. Refuse applies only while no send of ours is in doubt: what we may have cancelled
	// is never told as refused.
	AlreadyCancelled string   `yaml:"already_cancelled"`
	AlreadyMessage   string   `yaml:"already_message"`
	Retain           Duration `yaml:"retain"`
	RetainExchanges  Duration `yaml:"retain_exchanges"`
	Drain            Duration `yaml:"drain"` // at SIGTERM: not ready, but callers are still answered
	Grace            Duration `yaml:"grace"` // after it: what is in flight is finished

	Console        Console  `yaml:"console"`
	Log            Log      `yaml:"log"`
	Limits         Limits   `yaml:"limits"`
	TrustedProxies []string `yaml:"trusted_proxies"`
	Alarms         Alarms   `yaml:"alarms"`
	Traces         Traces   `yaml:"traces"`

	WSDL     WSDL     `yaml:"wsdl"`
	Contract Contract `yaml:"contract"`
	Mimic    Mimic    `yaml:"mimic"`
	Token    Token    `yaml:"token"`
	Forward  Forward  `yaml:"forward"`
	// Strictness is lenient (unknown parameters ignored) or strict.
	Strictness        string `yaml:"strictness"`
	FaultDetail       string `yaml:"fault_detail"`        // empty | typed
	SOAP12FaultStatus string `yaml:"soap12_fault_status"` // 500 | spec

	// MixedEnvironments allows upstreams of these environments side by side in one file.
	MixedEnvironments []string            `yaml:"mixed_environments"`
	Upstreams         map[string]Upstream `yaml:"upstreams"`
	Taxpayers         map[string]Taxpayer `yaml:"taxpayers"`
	Callers           map[string]Caller   `yaml:"callers"`

	path  string
	lines map[string]int
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

// Listeners is one address, or a list of them.
type Listeners []Listener

// Listener is one address that callers reach.
type Listener struct {
	Address string `yaml:"address"`
	TLS     *TLS   `yaml:"tls"`
	Accept  Accept `yaml:"accept"` // a reload takes it up
}

// Accept is what callers of a listener may send that is otherwise refused, because it may have been meant otherwise. The
// provider's own service takes all of it.
type Accept struct {
	Understood     Understood `yaml:"understood"`      // header blocks with mustUnderstand that are ignored
	BareParameters bool       `yaml:"bare_parameters"` // right under Body, when SOAPAction names the operation
	ActionDispatch bool       `yaml:"action_dispatch"` // SOAPAction stands for any element in Body
	XML11          bool       `yaml:"xml11"`           // a declaration of XML 1.1, read as 1.0
	HeaderBlocks   int        `yaml:"header_blocks"`   // at most; 16
}

// Understood is a list of header blocks, each NAME or {NAMESPACE}NAME, or the word any.
type Understood struct {
	Any  bool
	List []string
}

// TLS is how a listener speaks TLS. All its files are paths, not file: values: they are re-read when they change.
type TLS struct {
	Certificate string `yaml:"certificate"` // PEM, with its whole chain
	Key         string `yaml:"key"`
	// Certificates are several, instead: each caller is shown the one for the host that it names, the first when it
	// names none.
	Certificates []KeyPair `yaml:"certificates"`

	ClientCA           string `yaml:"client_ca"`           // asks callers for certificates of these authorities (PEM)
	ClientCertificates string `yaml:"client_certificates"` // required | optional
	Profile            string `yaml:"profile"`             // modern | compat | legacy
	TripleDES          bool   `yaml:"triple_des"`          // legacy only
}

// KeyPair is a certificate's two files.
type KeyPair struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
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
	Listen   string `yaml:"listen"`
	Username string `yaml:"username"`
	Password Secret `yaml:"password"` // argon2id:…; needed off loopback
}

// Log says how log lines look.
type Log struct {
	Format string `yaml:"format"` // text | json
	Level  string `yaml:"level"`  // debug | info | warn | error
	IDs    string `yaml:"ids"`    // clear | hashed: document ids in log lines
}

// Limits bound what callers may use.
type Limits struct {
	Body     int `yaml:"body"`      // bytes as received
	InFlight int `yaml:"in_flight"` // calls at once, all callers together
}

// Alarms says who is told what an operator must look at.
type Alarms struct {
	Webhook string `yaml:"webhook"`
}

// Traces says where OpenTelemetry traces go; without an address there are none.
type Traces struct {
	OTLP    string            `yaml:"otlp"`    // the collector's address for OTLP over HTTP, without /v1/traces
	Headers map[string]Secret `yaml:"headers"` // on every export, e.g. a vendor's key
	Sample  float64           `yaml:"sample"`  // share of traces kept, 0 to 1; a caller's traceparent decides for its own
}

// WSDL says which description of the service is served.
type WSDL struct {
	// Flavour of a plain ?wsdl; empty: rpc-literal at /api.einvoice.php, as the provider has it, and document at /einvoice.
	Flavour string `yaml:"flavour"`
	// Saved is the customer's own old WSDL, usually file:…; names and order on the wire are derived from it.
	Saved string `yaml:"saved"`
}

// Contract names what goes over the wire where it differs from the documented service.
type Contract struct {
	Namespace  string               `yaml:"namespace"`
	Operations map[string]Operation `yaml:"operations"`
	Values     Values               `yaml:"values"`
}

// Operation names the elements of one request and its answer.
type Operation struct {
	Request         []Part            `yaml:"request"`
	Aliases         map[string]string `yaml:"aliases"`
	ResponseWrapper string            `yaml:"response_wrapper"`
	Response        []Part            `yaml:"response"`
}

// Part is one element: its meaning and its name on the wire.
type Part struct {
	Slot  string `yaml:"slot"`
	Name  string `yaml:"name"`
	Const string `yaml:"const"`
}

// Values are the fixed words of an answer; empty ones stay as documented.
type Values struct {
	Success      string `yaml:"success"`
	Failed       string `yaml:"failed"`
	SuccessCode  string `yaml:"success_code"`
	FailedCode   string `yaml:"failed_code"`
	AuthCode     string `yaml:"auth_code"`
	TokenExpired string `yaml:"token_expired"`
	TokenInvalid string `yaml:"token_invalid"`
	NotYours     string `yaml:"not_yours"`
	SuccessFlag  string `yaml:"success_flag"`
	FailedFlag   string `yaml:"failed_flag"`
}

// Mimic switches on oddities of the provider's own server.
type Mimic struct {
	EncodingStyle   bool   `yaml:"encoding_style"`
	ResponseCharset string `yaml:"response_charset"`
}

// Token is about access tokens that access_new_token issues.
type Token struct {
	TTL Duration `yaml:"ttl"`
}

// Forward relays what the bridge does not do itself to the provider's SOAP address.
type Forward struct {
	URL         string   `yaml:"url"`
	Timeout     Duration `yaml:"timeout"`
	RelayTokens bool     `yaml:"relay_tokens"`
}

// Caller is one program that may call.
type Caller struct {
	Tokens    []string `yaml:"tokens"` // sha256:<hex>
	Taxpayers Names    `yaml:"taxpayers"`
	Login     *Login   `yaml:"login"`

	ReplyWithin Duration `yaml:"reply_within"`
	TroubleAs   string   `yaml:"trouble_as"` // fault | reply
	Addresses   []string `yaml:"addresses"`  // CIDRs it may call from; none: any
	// Certificates are what its connections must show, one of them: sha256:FINGERPRINT, subject:CN=…,O=… or dns:NAME.
	Certificates []string `yaml:"certificates"`

	InFlight  int    `yaml:"in_flight"`
	PerMinute int    `yaml:"per_minute"`
	WSSE      string `yaml:"wsse"` // ignore | check: its UsernameToken beside a token
}

// Login is what a caller sends to access_new_token, Basic or UsernameToken.
type Login struct {
	Username     string `yaml:"username"`
	Password     Secret `yaml:"password"` // argon2id:…
	ClientID     string `yaml:"client_id"`
	ClientSecret Secret `yaml:"client_secret"` // argon2id:…
}

// Upstream is the settings of one e-invoice API. Which keys a kind takes and needs stands in kinds.
type Upstream struct {
	Kind string `yaml:"kind"`
	// Environment is a label. Documents of environments other than production are kept apart in the journal; without a
	// label the host's name decides, see upstream.Environment.
	Environment string `yaml:"environment"`

	// The way there, every kind.
	BaseURL           string            `yaml:"base_url"`
	Headers           map[string]string `yaml:"headers"` // static, on every call
	Proxy             string            `yaml:"proxy"`
	CA                string            `yaml:"ca"`                 // PEM, usually file:…
	ClientCertificate string            `yaml:"client_certificate"` // PEM
	ClientKey         Secret            `yaml:"client_key"`         // PEM
	Timeout           Duration          `yaml:"timeout"`
	LookupTimeout     Duration          `yaml:"lookup_timeout"`
	RemarksTooLong    string            `yaml:"remarks_too_long"` // refuse | truncate
	CancelsPerMinute  int               `yaml:"cancels_per_minute"`

	ClientID     string `yaml:"client_id"`
	ClientSecret Secret `yaml:"client_secret"`
	Username     string `yaml:"username"`
	Password     Secret `yaml:"password"`

	// nic
	PublicKey   string `yaml:"public_key"`
	HeaderStyle string `yaml:"header_style"` // underscore | hyphen
	AuthVersion string `yaml:"auth_version"` // 1.04 | 1.03
	IRP         string `yaml:"irp"`
	SupGSTIN    string `yaml:"sup_gstin"`
	AuthPath    string `yaml:"auth_path"`
	CancelPath  string `yaml:"cancel_path"`
	LookupPath  string `yaml:"lookup_path"`

	// myinvois
	IdentityURL      string            `yaml:"identity_url"`
	SpareSecret      Secret            `yaml:"spare_secret"`
	OnBehalfOf       string            `yaml:"on_behalf_of"`
	IRNMap           map[string]string `yaml:"irn_map"`
	FetchCancelDate  bool              `yaml:"fetch_cancel_date"`
	LoginsPerMinute  int               `yaml:"logins_per_minute"`
	LookupsPerMinute int               `yaml:"lookups_per_minute"`

	// cleartax-my, cleartax-in
	Token       Secret `yaml:"token"`
	TokenHeader string `yaml:"token_header"`
	TIN         string `yaml:"tin"`
	Branch      string `yaml:"branch"`
	InvoiceType string `yaml:"einvoice_type"` // SALES | PURCHASE | SALES_B2C
	Account     string `yaml:"account"`
	Route       string `yaml:"route"` // govt | v2

	// invx
	AuthURL     string            `yaml:"auth_url"`
	OrgID       string            `yaml:"org_id"`
	CallHeaders map[string]string `yaml:"call_headers"`
	Query       map[string]string `yaml:"query"`
	Parallel    int               `yaml:"parallel"` // calls at once per organisation

	// mastersindia
	API    string `yaml:"api"`     // legacy | v1
	APIKey Secret `yaml:"api_key"` // v1, instead of a login
}

// Taxpayer is a GSTIN or TIN: where its cancellations go, and what is special to it.
type Taxpayer struct {
	Upstream string `yaml:"upstream"`
	// Settings are the upstream's with this taxpayer's own laid over them.
	Settings Upstream `yaml:",inline"`
}

// Names is a list of names, or the word all.
type Names struct {
	All  bool
	List []string
}

// Duration is a time.Duration that also reads days: "400d".
type Duration time.Duration

// D is the plain duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Secret is a value that no output shows.
type Secret string

const hidden = "[redacted]"

// String hides the value.
func (s Secret) String() string { return hidden }

// GoString hides the value.
func (s Secret) GoString() string { return hidden }

// LogValue hides the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Reveal is the value itself, for the one who must send or check it.
func (s Secret) Reveal() string { return string(s) }
