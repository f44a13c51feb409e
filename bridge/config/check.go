package config

import (
	"encoding/hex"
	"errors"
	"iter"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"

	"einvoice-bridge/bridge"
)

// defaults are the values of keys that are not written.
func defaults() *File {
	return &File{
		Listen:              Listeners{{Address: "127.0.0.1:8080"}},
		Journal:             "sqlite:bridge.db",
		ReplyWithin:         bridge.Duration(50 * time.Second),
		CarryOutWithin:      bridge.Duration(30 * time.Minute),
		RepeatRefusalsAfter: bridge.Duration(time.Minute),
		AlreadyCancelled:    "journal",
		AlreadyMessage:      "upstream",
		Retain:              bridge.Duration(400 * 24 * time.Hour),
		RetainExchanges:     bridge.Duration(30 * 24 * time.Hour),
		Grace:               bridge.Duration(40 * time.Second),
		Console:             Console{Listen: "127.0.0.1:9090"},
		Log:                 Log{Format: "text", Level: "info", IDs: "clear"},
		Limits:              Limits{Body: 64 << 10, InFlight: 3072},
		Traces:              Traces{Sample: 1},
		Token:               Token{TTL: bridge.Duration(14400 * time.Second)},
		Forward:             Forward{Timeout: bridge.Duration(60 * time.Second)},
		Strictness:          "lenient",
		FaultDetail:         "empty",
		SOAP12FaultStatus:   "500",
	}
}

// check finds what each value on its own, and values together, can't mean.
func (l *loader) check() {
	f := l.file
	l.checkListeners()
	if f.PublicURL != "" {
		l.checkURL("public_url", f.PublicURL)
	}
	if !strings.HasPrefix(f.Journal, "sqlite:") && !strings.HasPrefix(f.Journal, "postgres://") && !strings.HasPrefix(f.Journal, "postgresql://") {
		l.at("journal", "journal is sqlite:FILE or postgres://…")
	}
	if f.Seal != "" && f.SealKey() == nil {
		l.at("seal", "seal is not 32 bytes in base64; head -c 32 /dev/urandom | base64 makes one")
	}
	l.checkWords()
	l.checkDurations()
	l.checkConsole()
	l.checkAddresses("trusted_proxies", f.TrustedProxies)
	if f.Forward.URL != "" {
		l.checkURL("forward.url", f.Forward.URL)
	} else if f.Forward.Rehearse {
		l.at("forward.rehearse", "forward.rehearse needs forward.url, the provider's address that everything goes to")
	}
	if f.Alarms.Webhook != "" {
		l.checkURL("alarms.webhook", f.Alarms.Webhook.Reveal())
	}
	l.checkTraces()
	l.checkUpstreams()
	l.checkCallers()
}

// words checks the keys that take one of a few words, all of them those of tags.
var words = func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return f.Tag.Get("yaml") })
	return v
}()

func (l *loader) checkWords() {
	var wrong validator.ValidationErrors
	errors.As(words.Struct(l.file), &wrong)
	for _, w := range wrong {
		_, path, _ := strings.Cut(w.Namespace(), ".") // File.callers[sap].wsse
		path = strings.NewReplacer("[", ".", "]", "").Replace(path)
		l.at(path, "%s is one of %s", path, strings.ReplaceAll(w.Param(), " ", ", "))
	}
}

func (l *loader) checkListeners() {
	if len(l.file.Listen) == 0 {
		l.at("listen", "listen names no address")
	}
	for i, ls := range l.file.Listen {
		if _, _, err := net.SplitHostPort(ls.Address); err != nil {
			l.at("listen", "listen address %q is not host:port", ls.Address)
		}
		if n := ls.Accept.HeaderBlocks; n < 0 || n > 256 {
			l.at(join("listen", strconv.Itoa(i))+".accept.header_blocks", "header_blocks of %s must be between 1 and 256", ls.Address)
		}
		if ls.TLS != nil {
			l.checkTLS(join("listen", strconv.Itoa(i))+".tls", ls.Address, *ls.TLS)
		}
	}
}

func (l *loader) checkTLS(path, address string, t TLS) {
	if len(t.Certificates) > 0 && (t.Certificate != "" || t.Key != "") {
		l.at(path, "tls of %s has one certificate and a list of them; write it into certificates", address)
	}
	files := []string{t.ClientCA}
	for _, p := range t.Pairs() {
		if p.Certificate == "" || p.Key == "" {
			l.at(path, "tls of %s needs certificate and key", address)
		}
		files = append(files, p.Certificate, p.Key)
	}
	if slices.ContainsFunc(files, func(s string) bool { return strings.Contains(s, "-----BEGIN") }) {
		l.at(path, "the certificates, keys and client_ca of %s are file names without file:, since changed files are re-read", address)
	}
	if t.TripleDES && t.Profile != "legacy" {
		l.at(join(path, "triple_des"), "triple_des of %s needs profile: legacy; no newer client wants it", address)
	}
	if t.ClientCertificates != "" && t.ClientCA == "" {
		l.at(join(path, "client_certificates"), "client_certificates of %s needs client_ca, the authorities whose certificates count", address)
	}
}

func (l *loader) checkTraces() {
	t := l.file.Traces
	switch _, written := l.file.lines["traces"]; {
	case t.OTLP != "":
		l.checkURL("traces.otlp", t.OTLP)
	case written:
		l.at("traces", "traces go nowhere; write otlp: https://collector:4318, or leave traces out")
	}
	if !(t.Sample >= 0 && t.Sample <= 1) { // not a number is neither
		l.at("traces.sample", "traces.sample is a share between 0 and 1")
	}
	for name, v := range sorted(t.Headers) {
		if name == "" || strings.ContainsAny(name, " :\r\n") || strings.ContainsAny(v.Reveal(), "\r\n\x00") {
			l.at(join("traces.headers", name), "traces.headers: %q is not a header that can be sent", name)
		}
	}
}

func (l *loader) checkDurations() {
	f := l.file
	for path, b := range sorted(map[string]struct{ value, min, max bridge.Duration }{
		"reply_within":          {f.ReplyWithin, bridge.Duration(time.Second), bridge.Duration(10 * time.Minute)},
		"carry_out_within":      {f.CarryOutWithin, f.ReplyWithin, bridge.Duration(24 * time.Hour)},
		"repeat_refusals_after": {f.RepeatRefusalsAfter, 0, bridge.Duration(24 * time.Hour)},
		"drain":                 {f.Drain, 0, bridge.Duration(5 * time.Minute)},
		"grace":                 {f.Grace, 0, bridge.Duration(10 * time.Minute)},
		"token.ttl":             {f.Token.TTL, bridge.Duration(time.Minute), bridge.Duration(366 * 24 * time.Hour)},
		"forward.timeout":       {f.Forward.Timeout, bridge.Duration(time.Second), bridge.Duration(10 * time.Minute)},
		"retain_exchanges":      {f.RetainExchanges, bridge.Duration(time.Hour), f.Retain},
	}) {
		if b.value < b.min || b.value > b.max {
			l.at(path, "%s is %s; it must be between %s and %s", path, b.value.D(), b.min.D(), b.max.D())
		}
	}
}

func (l *loader) checkConsole() {
	c := l.file.Console
	if c.Listen == "" || c.Listen == "off" {
		return
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		l.at("console.listen", "console address %q is not host:port; write off for none", c.Listen)
		return
	}
	if _, err := c.Location(); err != nil {
		l.at("console.zone", "there is no time zone %q; it goes by a place, such as Asia/Kolkata or UTC", c.Zone)
	}
	if c.Password != "" && c.Username == "" {
		l.at("console.password", "the console's log-in is a username and a password hash, argon2id:…")
	}
	l.checkHash("console.password", c.Password)
	if c.Password != "" && len(c.Users) > 0 {
		l.at("console.users", "the console has users, and a username and password of its own besides; make that one of the users")
	}
	for name, u := range sorted(c.Users) {
		l.checkHash("console.users."+name+".password", u.Password)
		if u.Password == "" && c.SignInHeader == "" {
			l.at("console.users."+name, "%s has no password, and there is no sign_in_header: nobody could sign in as %s", name, name)
		}
	}
	if c.SignInHeader != "" && (len(l.file.TrustedProxies) == 0 || len(c.Users) == 0) {
		l.at("console.sign_in_header", "single sign-on needs trusted_proxies, whose word counts, and users, who have roles")
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
		l.at("console.public_url", "console.public_url %q is no address such as https://einvoice-console.example.com", c.PublicURL)
	}
	if ip := net.ParseIP(host); !c.LogIn() && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		l.at("console", "the console listens off loopback and needs users, or username and password (argon2id:…); "+
			"metrics and health stay open")
	}
}

func (l *loader) checkCallers() {
	if len(l.file.Callers) == 0 {
		l.at("callers", "no callers are defined: nobody could cancel anything")
	}
	owner := map[string]string{}
	for name, c := range sorted(l.file.Callers) {
		path := join("callers", name)
		for _, t := range c.Tokens {
			hash, ok := strings.CutPrefix(t.Reveal(), "sha256:")
			if raw, err := hex.DecodeString(hash); !ok || err != nil || len(raw) != 32 {
				l.at(join(path, "tokens"), "a token of caller %s is not sha256: and 64 hexadecimal digits; "+
					"tokens are stored hashed (printf %%s TOKEN | sha256sum)", name)
			}
			if other, taken := owner[strings.ToLower(hash)]; taken {
				l.at(join(path, "tokens"), "callers %s and %s have the same token", other, name)
			}
			owner[strings.ToLower(hash)] = name
		}
		if _, written := l.file.lines[join(path, "tokens")]; !written && c.Login == nil {
			l.at(path, "caller %s has neither tokens nor a login; tokens of the token command may follow, "+
				"then write tokens: []", name)
		}
		l.checkCaller(path, name, c)
	}
}

func (l *loader) checkCaller(path, name string, c Caller) {
	for _, t := range c.Taxpayers.List {
		if _, ok := l.file.Taxpayers[t]; !ok {
			l.at(join(path, "taxpayers"), "caller %s may act for %s, which is not defined in taxpayers", name, t)
		}
	}
	if !c.Taxpayers.All && len(c.Taxpayers.List) == 0 {
		l.at(path, "caller %s may act for nobody; list taxpayers, or write all", name)
	}
	if c.ReplyWithin != 0 && (c.ReplyWithin.D() < time.Second || c.ReplyWithin.D() > 10*time.Minute) {
		l.at(join(path, "reply_within"), "reply_within of caller %s must be between 1s and 10m", name)
	}
	l.checkAddresses(join(path, "addresses"), c.Addresses)
	if _, written := l.file.lines[join(path, "certificates")]; written && len(c.Certificates) == 0 {
		l.at(join(path, "certificates"), "caller %s has an empty list of certificates; leave the key out if it needs none", name)
	}
	for _, cert := range c.Certificates {
		if kind, _, _ := strings.Cut(cert, ":"); !slices.Contains([]string{"sha256", "subject", "dns"}, kind) {
			l.at(join(path, "certificates"), "a certificate of caller %s is none of sha256:FINGERPRINT, subject:CN=…,O=… and dns:NAME", name)
		}
	}
	if g := c.Login; g != nil {
		l.checkHash(join(path, "login.password"), g.Password)
		l.checkHash(join(path, "login.client_secret"), g.ClientSecret)
		if g.Username == "" || g.Password == "" {
			l.at(join(path, "login"), "the login of caller %s needs username and password", name)
		}
	}
}

func (l *loader) checkHash(path string, v bridge.Secret) {
	if v == "" {
		return
	}
	if _, err := bridge.ParsePasswordHash(v.Reveal()); err != nil {
		l.at(path, "%s %v; einvoice-bridge hash makes one", path, err)
	}
}

func (l *loader) checkAddresses(path string, all []string) {
	for _, a := range all {
		if _, err := netip.ParsePrefix(a); err != nil {
			if _, err := netip.ParseAddr(a); err != nil {
				l.at(path, "%q in %s is no address or network (10.0.0.0/8)", a, path)
			}
		}
	}
}

// sorted walks a map by key, so that the same file gives the same report.
func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
