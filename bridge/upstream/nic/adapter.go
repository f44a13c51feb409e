package nic

import (
	"cmp"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
	"einvoice-bridge/bridge/upstream/nic/publickey"
)

const (
	// gateHold is how long a refused credential is left alone, tokenHold how long after a refused fresh token.
	gateHold  = 5 * time.Minute
	tokenHold = time.Minute
)

// Adapter is one taxpayer's way to NIC. It implements bridge.Upstream.
type Adapter struct {
	cfg        Config
	key        *rsa.PublicKey
	profile    bridge.Profile
	visits     upstream.Visits[*session, *answer]
	logins     bridge.Rate
	troubles   atomic.Int32 // logins in a row that NIC's own trouble ended
	authHeader http.Header
	mask       upstream.Mask
	warnings   []string
}

var _ bridge.Upstream = (*Adapter)(nil)

// New checks the configuration and makes an adapter; it calls nobody. The error names every setting that is wrong,
// and no secret.
func New(cfg Config, shared *upstream.Shared) (*Adapter, error) {
	err := errors.Join(upstream.Prepare(&cfg), cfg.GSTIN())
	cfg = cfg.withDefaults()
	key, print, keyErr := publickey.Parse([]byte(cfg.PublicKey))
	if keyErr == nil {
		keyErr = cfg.checkLength(key)
	}
	client, clientErr := shared.Client(cfg.Settings)
	if err = errors.Join(err, keyErr, clientErr); err != nil {
		return nil, fmt.Errorf("nic %s: %w", cfg.Name, err)
	}
	credential := cfg.credential(print)
	secrets := []string{cfg.Password.Reveal(), cfg.ClientSecret.Reveal()}
	if cfg.ClientID == "" {
		for _, value := range cfg.Headers {
			secrets = append(secrets, value.Reveal())
		}
	}
	a := &Adapter{
		cfg:        cfg,
		key:        key,
		profile:    cfg.profile(credential),
		logins:     cfg.logins(),
		authHeader: cfg.header(),
		mask: upstream.NewMask("password", "appkey", "authtoken", "sek", "signedinvoice", "signedqrcode").
			With(secrets...),
		warnings: cfg.warnings(print),
	}
	a.visits = upstream.Visits[*session, *answer]{
		Client: client, Guard: shared.Guard(client, credential, gateHold), Session: upstream.SessionFor(shared, credential, a.login, a.form()),
		Mask: a.mask, MaskOf: func(s *session) upstream.Mask { return s.mask },
		Read: func(s *session, r *upstream.Reply) (*answer, upstream.Admission) {
			ans := read(r, s)
			return ans, ans.admission()
		},
		Plain: (*answer).plainBody, FreshRefused: (*answer).freshRefused,
	}
	return a, nil
}

// Profile implements bridge.Upstream.
func (a *Adapter) Profile() *bridge.Profile { return &a.profile }

// Warnings are what looks wrong in the configuration but may be meant, for people at start and in check.
func (a *Adapter) Warnings() []string { return a.warnings }

// Kind is NIC, and who speaks its protocol.
var Kind = upstream.KindOf("nic", New)

// Config is one taxpayer's access to NIC.
type Config struct {
	upstream.Settings `yaml:",inline"`
	irp.Keys          `yaml:",inline"`

	ClientID     string        `yaml:"client_id" validate:"required_without=Headers,required_with=ClientSecret,printing" doc:"Client id that NIC or the gateway gave the bridge's operator. A gateway's own static header (headers) may stand for it and its secret, then for both."`
	ClientSecret bridge.Secret `yaml:"client_secret" validate:"required_without=Headers,required_with=ClientID,printing" doc:"That client id's secret."`
	Username     string        `yaml:"username" validate:"required,printing" doc:"API user of the taxpayer. The taxpayer makes it on the portal, for this client id."`
	Password     bridge.Secret `yaml:"password" validate:"required" doc:"That user's password."`
	PublicKey    string        `yaml:"public_key" validate:"required" doc:"NIC's RSA public key of that environment. PEM, the bare base64 of it, DER or a certificate." example:"file:nic.pem"`

	HeaderStyle string `yaml:"header_style" validate:"oneof=underscore hyphen" default:"underscore" doc:"How headers are spelt: client_id, or client-id where a proxy drops names with underscores."`
	AuthVersion string `yaml:"auth_version" validate:"oneof=1.04 1.03" default:"1.04" doc:"Version of the login; gateways may still want 1.03."`
	IRP         string `yaml:"irp" validate:"omitempty,oneof=NIC1 NIC2" doc:"Header irp: the system of NIC that is asked first. Usually left out."`
	SupGSTIN    string `yaml:"sup_gstin" validate:"omitempty,gstin" doc:"The supplier's GSTIN, only where an e-commerce operator cancels."`

	AuthPath   string `yaml:"auth_path" validate:"omitempty,path" doc:"Path of the login, for gateways with one of their own." example:"/eivital/v1.04/auth"`
	CancelPath string `yaml:"cancel_path" validate:"path" default:"/eicore/v1.03/Invoice/Cancel" doc:"Path of the cancel."`
	GetPath    string `yaml:"lookup_path" validate:"path={irn}" default:"/eicore/v1.03/Invoice/irn" doc:"Path of the lookup; the IRN stands where {irn} does, or at its end."`
}

// The values of HeaderStyle and AuthVersion.
const (
	Underscore, Hyphen = "underscore", "hyphen"
	Auth104, Auth103   = "1.04", "1.03"
)

func (c Config) withDefaults() Config {
	c.SupGSTIN = strings.ToUpper(strings.TrimSpace(c.SupGSTIN))
	c.AuthPath = cmp.Or(c.AuthPath, "/eivital/v"+c.AuthVersion+"/auth")
	if !strings.Contains(c.GetPath, irnPlace) {
		c.GetPath += "/" + irnPlace
	}
	return c
}

// irnPlace is where a lookup's path has the IRN.
const irnPlace = "{irn}"

// checkLength refuses credentials that do not fit into one RSA block. Authentication 1.04 encrypts the base64 text of
// the whole JSON, which leaves little room: with a 2048-bit key the JSON may have 183 bytes.
func (c Config) checkLength(key *rsa.PublicKey) error {
	room := key.Size() - 11 // RFC 8017 §7.2.1
	if c.AuthVersion == Auth103 {
		if over := len(c.Password) - room; over > 0 {
			return fmt.Errorf("password is too long, by %d bytes: authentication 1.03 with this key carries %d", over, room)
		}
		return nil
	}
	room = room / 4 * 3
	appKey := strings.Repeat("A", 44)
	used := len(credentials(c.Username, c.Password.Reveal(), appKey, false))
	if over := used - room; over > 0 {
		free := room - len(credentials("", "", appKey, false))
		return fmt.Errorf("username and password are too long, by %d bytes: authentication 1.04 with this key carries %d bytes "+
			"for both together, as JSON writes them, and these have %d", over, free, free+over)
	}
	return nil
}

// Hosts and keys that have been seen in the field. They serve warnings only: keys may rotate.
const (
	sandboxKey    = "b477a9b813284a846c630901a5f28e3721ba9612211c20840d0a05a39d8bf664"
	productionKey = "56b3092ba7c9b7962514f6cf93de41a54045d0be7d7196c1598048e02f4bfad5"
	portalHost    = "einvoice1.gst.gov.in"
)

var productionHost = regexp.MustCompile(`^api\.einvoice.*\.gst\.gov\.in$`)

// warnings are what looks wrong but may be meant.
func (c Config) warnings(fingerprint string) []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, c.Name+": "+fmt.Sprintf(format, args...)) }
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		return nil
	}
	host := u.Hostname()
	sandbox := strings.Contains(host, "sandbox")
	switch {
	case host == portalHost:
		warn("%s is the portal for people, not the API; its hosts are named api.einvoice1.gst.gov.in and the like", host)
	case productionHost.MatchString(host) && fingerprint == sandboxKey:
		warn("public_key is the sandbox's, but %s is production; NIC will answer 1013 or 1020", host)
	case sandbox && fingerprint == productionKey:
		warn("public_key is production's, but %s is the sandbox; NIC will answer 1013 or 1020", host)
	}
	return append(all, c.Mislabelled(productionHost)...)
}

func (c Config) profile(credential string) bridge.Profile {
	p := irp.Profile(c.Settings, c.Keys, "nic", credential)
	p.Cancels = c.cancels()
	return p
}

// logins is NIC's limit with one in reserve: 5 in 15 minutes, documented for the sibling e-way-bill API.
func (c Config) logins() bridge.Rate {
	key := upstream.Digest(strings.TrimRight(c.BaseURL, "/"), c.client(), c.Taxpayer, c.Username)
	return bridge.Rate{Key: "nic-login/" + key, Limit: 4, Per: 15 * time.Minute}
}

// cancels is the rate of a client id: NIC counts and blocks per client id, whichever of its taxpayers sends.
func (c Config) cancels() bridge.Rate {
	if c.CancelsPerMinute == 0 {
		return bridge.Rate{}
	}
	key := upstream.Digest(strings.TrimRight(c.BaseURL, "/"), c.client())
	return bridge.Rate{Key: "nic-cancel/" + key, Limit: c.CancelsPerMinute, Per: time.Minute}
}

// header is that of a login.
func (c Config) header() http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	if c.ClientID != "" {
		h[c.spelt("client_id")], h[c.spelt("client_secret")] = []string{c.ClientID}, []string{c.ClientSecret.Reveal()}
	}
	if c.AuthVersion == Auth104 {
		h["Gstin"] = []string{c.Taxpayer}
	}
	return h
}

// sessionHeader is that of every call under a session.
func (c Config) sessionHeader(token string) http.Header {
	h := c.header()
	h["Gstin"] = []string{c.Taxpayer}
	h[c.spelt("user_name")] = []string{c.Username}
	h["AuthToken"] = []string{token}
	if c.IRP != "" {
		h["irp"] = []string{c.IRP}
	}
	if c.SupGSTIN != "" {
		h[c.spelt("sup_gstin")] = []string{c.SupGSTIN}
	}
	return h
}

// crossHeader is a session's header for NIC's other system.
func (c Config) crossHeader(h http.Header) http.Header {
	h = maps.Clone(h)
	h["irp"] = []string{c.otherIRP()}
	return h
}

var secondSystem = regexp.MustCompile(`^https?://[a-z.]*(einvoice2\.|einv2api\.)`)

// otherIRP is the system that calls don't go to by themselves: where irp is not set the host's name tells, and it is NIC1
// that most are (NIC's hosts: api.einvoice2.gst.gov.in, einv2api.gstsandbox.nic.in).
func (c Config) otherIRP() string {
	if c.IRP == "NIC2" || c.IRP == "" && secondSystem.MatchString(c.BaseURL) {
		return "NIC1"
	}
	return "NIC2"
}

// spelt turns NIC's documented header name into the configured style. Some proxies drop names with underscores.
func (c Config) spelt(name string) string {
	if c.HeaderStyle == Hyphen {
		return strings.ReplaceAll(name, "_", "-")
	}
	return name
}

// credential is the digest that the session, gates and breaker hang on: all that decides whether NIC lets us in.
func (c Config) credential(keyPrint string) string {
	fields := []string{
		"nic", strings.TrimRight(c.BaseURL, "/"), c.ClientID, c.ClientSecret.Reveal(), c.Taxpayer, c.Username, c.Password.Reveal(), keyPrint,
		c.HeaderStyle, c.AuthVersion, c.IRP, c.SupGSTIN, c.AuthPath, c.CancelPath, c.Proxy,
		c.ClientCertificate,
	}
	return upstream.Digest(append(fields, c.staticHeaders()...)...)
}

func (c Config) staticHeaders() (all []string) {
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		all = append(all, name, c.Headers[name].Reveal())
	}
	return all
}

// client is who NIC or the gateway counts calls of.
func (c Config) client() string {
	if c.ClientID == "" {
		return upstream.Digest(c.staticHeaders()...)
	}
	return c.ClientID
}
