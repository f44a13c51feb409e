package nic

import (
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
	maxRemarks = 100 // UTF-16 units; NIC's side counts as .NET does
	// gateHold is how long a refused credential is left alone, tokenHold how long after a refused fresh token.
	gateHold  = 5 * time.Minute
	tokenHold = time.Minute
	// lookupWindow: GET by IRN answers 2283 two to three days after the IRN's generation.
	lookupWindow = 48 * time.Hour
)

// Adapter is one taxpayer's way to NIC. It implements bridge.Upstream.
type Adapter struct {
	cfg        Config
	key        *rsa.PublicKey
	profile    bridge.Profile
	visits     upstream.Visits[*session, answer]
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
	cfg = cfg.withDefaults()
	key, print, keyErr := publickey.Parse(cfg.PublicKey)
	err := errors.Join(cfg.check(), keyErr)
	if keyErr == nil {
		err = errors.Join(err, cfg.checkLength(key))
	}
	client, clientErr := shared.Client(cfg.Settings)
	if err = errors.Join(err, clientErr); err != nil {
		return nil, fmt.Errorf("nic %s: %w", cfg.Name, err)
	}
	credential := cfg.credential(print)
	secrets := []string{cfg.Password, cfg.ClientSecret}
	if cfg.ClientID == "" {
		secrets = append(secrets, slices.Collect(maps.Values(cfg.Settings.Headers))...)
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
	a.visits = upstream.Visits[*session, answer]{
		Client: client, Guard: shared.Guard(client, credential, gateHold), Session: upstream.SessionFor(shared, credential, a.login, a.form()),
		Mask: a.mask, MaskOf: func(s *session) upstream.Mask { return s.mask },
		Read: func(s *session, r upstream.Reply) (answer, upstream.Admission) {
			ans := read(r, s)
			return ans, ans.admission()
		},
		Plain: answer.plainBody, Twice: answer.refusedAgain,
	}
	return a, nil
}

// Profile implements bridge.Upstream.
func (a *Adapter) Profile() *bridge.Profile { return &a.profile }

// Warnings are what looks wrong in the configuration but may be meant, for people at start and in check.
func (a *Adapter) Warnings() []string { return a.warnings }

// Config is one taxpayer's access to NIC.
type Config struct {
	Name     string // in the configuration, for logs and metrics
	Settings upstream.Settings

	ClientID, ClientSecret string // both may be empty where a static header stands for them (ClearTax as GSP)
	GSTIN                  string
	Username, Password     string
	// PublicKey is NIC's key of that environment, see publickey.Parse for the forms.
	PublicKey []byte

	HeaderStyle    string // "underscore" (client_id; default) or "hyphen" (client-id)
	AuthVersion    string // "1.04" (default) or "1.03", which gateways may still want
	IRP            string // header "irp": "NIC1" or "NIC2", the system that is asked first; usually empty
	SupGSTIN       string // the supplier's GSTIN, only when an e-commerce operator cancels
	RemarksTooLong string // "refuse" (default) or "truncate": what happens above 100 characters

	AuthPath   string // default /eivital/v1.04/auth (or v1.03)
	CancelPath string // default /eicore/v1.03/Invoice/Cancel
	GetPath    string // default /eicore/v1.03/Invoice/irn; the IRN takes {irn}'s place (EY: …/enSearch?irn={irn}), or is appended

	CancelsPerMinute int // of the client id, for all its taxpayers together; 0: no limit

	CallTimeout, LoginTimeout, LookupTimeout time.Duration // default 30 s, 10 s, 10 s
}

// The values of HeaderStyle, AuthVersion and RemarksTooLong.
const (
	Underscore, Hyphen = "underscore", "hyphen"
	Auth104, Auth103   = "1.04", "1.03"
	Refuse, Truncate   = "refuse", "truncate"
)

func (c Config) withDefaults() Config {
	c.GSTIN = strings.ToUpper(strings.TrimSpace(c.GSTIN))
	c.SupGSTIN = strings.ToUpper(strings.TrimSpace(c.SupGSTIN))
	or(&c.HeaderStyle, Underscore)
	or(&c.AuthVersion, Auth104)
	or(&c.RemarksTooLong, Refuse)
	or(&c.AuthPath, "/eivital/v"+c.AuthVersion+"/auth")
	or(&c.CancelPath, "/eicore/v1.03/Invoice/Cancel")
	or(&c.GetPath, "/eicore/v1.03/Invoice/irn")
	if !strings.Contains(c.GetPath, irnPlace) {
		c.GetPath += "/" + irnPlace
	}
	or(&c.CallTimeout, 30*time.Second)
	or(&c.LoginTimeout, 10*time.Second)
	or(&c.LookupTimeout, 10*time.Second)
	return c
}

// irnPlace is where a lookup's path has the IRN.
const irnPlace = "{irn}"

func or[T comparable](value *T, fallback T) {
	if *value == *new(T) {
		*value = fallback
	}
}

var gstin = regexp.MustCompile(`^[0-9A-Z]{15}$`)

// check names everything that is wrong, by configuration key, without any value that could be secret.
func (c Config) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, f := range []struct{ key, value string }{
		{"client_id", c.ClientID}, {"client_secret", c.ClientSecret}, {"username", c.Username}, {"password", c.Password},
	} {
		client := strings.HasPrefix(f.key, "client_")
		switch {
		case f.value == "" && client && c.ClientID+c.ClientSecret == "" && len(c.Settings.Headers) > 0:
		case f.value == "" && client:
			wrong("%s is missing; only a gateway's own static header (headers) can stand for client_id and client_secret, and then for both", f.key)
		case f.value == "":
			wrong("%s is missing", f.key)
		case f.key != "password" && !printable(f.value):
			wrong("%s has control characters and can't be sent in a header", f.key)
		}
	}
	if !gstin.MatchString(c.GSTIN) {
		wrong("gstin %q is not 15 letters and digits", c.GSTIN)
	}
	if c.SupGSTIN != "" && !gstin.MatchString(c.SupGSTIN) {
		wrong("sup_gstin %q is not 15 letters and digits", c.SupGSTIN)
	}
	for _, f := range []struct {
		key, value string
		allowed    []string
	}{
		{"header_style", c.HeaderStyle, []string{Underscore, Hyphen}},
		{"auth_version", c.AuthVersion, []string{Auth104, Auth103}},
		{"irp", c.IRP, []string{"", "NIC1", "NIC2"}},
		{"remarks_too_long", c.RemarksTooLong, []string{Refuse, Truncate}},
	} {
		if !slices.Contains(f.allowed, f.value) {
			wrong("%s is %q, must be %s", f.key, f.value, strings.Join(f.allowed, " or "))
		}
	}
	for _, f := range []struct{ key, value string }{
		{"auth_path", c.AuthPath}, {"cancel_path", c.CancelPath}, {"lookup_path", strings.ReplaceAll(c.GetPath, irnPlace, "irn")},
	} {
		if strings.ContainsAny(f.value, "{}") {
			wrong("%s has braces; the only placeholder is {irn}, in lookup_path", f.key)
		}
		if u, err := url.Parse(f.value); err != nil || !strings.HasPrefix(f.value, "/") || u.Host != "" {
			wrong("%s must start with a slash and be a path", f.key)
		}
	}
	return errors.Join(errs...)
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

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
	used := len(credentials(c.Username, c.Password, appKey, false))
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

// warnings are what looks wrong but may be meant.
func (c Config) warnings(fingerprint string) []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, c.Name+": "+fmt.Sprintf(format, args...)) }
	u, err := url.Parse(c.Settings.BaseURL)
	if err != nil {
		return nil
	}
	host := u.Hostname()
	sandbox := strings.Contains(host, "sandbox")
	production := strings.HasPrefix(host, "api.einvoice") && strings.HasSuffix(host, ".gst.gov.in")
	switch {
	case host == portalHost:
		warn("%s is the portal for people, not the API; its hosts are named api.einvoice1.gst.gov.in and the like", host)
	case production && fingerprint == sandboxKey:
		warn("public_key is the sandbox's, but %s is production; NIC will answer 1013 or 1020", host)
	case sandbox && fingerprint == productionKey:
		warn("public_key is production's, but %s is the sandbox; NIC will answer 1013 or 1020", host)
	}
	if label := strings.ToLower(c.Settings.Environment); production && strings.Contains(label, "sandbox") || sandbox && strings.HasPrefix(label, "prod") {
		warn("environment is %q, but the base URL's host is %s", c.Settings.Environment, host)
	}
	return all
}

func (c Config) profile(credential string) bridge.Profile {
	rules := irp.Rules(fmt.Sprintf("utf16max=%d", maxRemarks))
	if c.RemarksTooLong == Truncate {
		rules.Remarks = ""
	}
	return bridge.Profile{
		Name:          c.Name,
		Kind:          "nic",
		Space:         irp.Space(c.Settings),
		Zone:          upstream.IST,
		Credential:    credential,
		Cancels:       c.cancels(),
		LookupWindow:  lookupWindow,
		CallTimeout:   c.CallTimeout,
		LookupTimeout: c.LookupTimeout,
		Rules:         rules,
	}
}

// logins is NIC's limit with one in reserve: 5 in 15 minutes, documented for the sibling e-way-bill API.
func (c Config) logins() bridge.Rate {
	key := upstream.Digest(strings.TrimRight(c.Settings.BaseURL, "/"), c.client(), c.GSTIN, c.Username)
	return bridge.Rate{Key: "nic-login/" + key, Limit: 4, Per: 15 * time.Minute}
}

// cancels is the rate of a client id: NIC counts and blocks per client id, whichever of its taxpayers sends.
func (c Config) cancels() bridge.Rate {
	if c.CancelsPerMinute == 0 {
		return bridge.Rate{}
	}
	key := upstream.Digest(strings.TrimRight(c.Settings.BaseURL, "/"), c.client())
	return bridge.Rate{Key: "nic-cancel/" + key, Limit: c.CancelsPerMinute, Per: time.Minute}
}

// header is that of a login.
func (c Config) header() http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	if c.ClientID != "" {
		h[c.spelt("client_id")], h[c.spelt("client_secret")] = []string{c.ClientID}, []string{c.ClientSecret}
	}
	if c.AuthVersion == Auth104 {
		h["Gstin"] = []string{c.GSTIN}
	}
	return h
}

// sessionHeader is that of every call under a session.
func (c Config) sessionHeader(token string) http.Header {
	h := c.header()
	h["Gstin"] = []string{c.GSTIN}
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
	if c.IRP == "NIC2" || c.IRP == "" && secondSystem.MatchString(c.Settings.BaseURL) {
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
		"nic", strings.TrimRight(c.Settings.BaseURL, "/"), c.ClientID, c.ClientSecret, c.GSTIN, c.Username, c.Password, keyPrint,
		c.HeaderStyle, c.AuthVersion, c.IRP, c.SupGSTIN, c.AuthPath, c.CancelPath, c.Settings.Proxy,
		string(c.Settings.Certificate),
	}
	return upstream.Digest(append(fields, c.staticHeaders()...)...)
}

func (c Config) staticHeaders() (all []string) {
	for _, name := range slices.Sorted(maps.Keys(c.Settings.Headers)) {
		all = append(all, name, c.Settings.Headers[name])
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
