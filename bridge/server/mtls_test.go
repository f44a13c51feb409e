package server_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/server"
)

// client issues a certificate for a caller; change may spoil it.
func (a *authority) client(t *testing.T, change func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{Organization: []string{"Acme"}, CommonName: "erp"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &rsaKey().PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: rsaKey(), Leaf: leaf}
}

// show is a client's settings that show a certificate (nil: none) whatever authorities the server names.
func (a *authority) show(cert *tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: a.pool, ServerName: "bridge.example", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if cert == nil {
			return &tls.Certificate{}, nil
		}
		return cert, nil
	}}
}

const tokenInvalid = "Failed 204 The access token provided is invalid"

// A caller with certificates is answered only over a connection that shows one of them; on a listener where they are
// optional the others are, without. What TLS itself refuses has no answer.
func TestCertificatePerCaller(t *testing.T) {
	a, foreign := newAuthority(t), newAuthority(t)
	good, other := a.client(t, nil), a.client(t, func(c *x509.Certificate) { c.Subject.CommonName = "hr" })
	expired := a.client(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	early := a.client(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })
	serverOnly := a.client(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	alien := foreign.client(t, nil)
	const refused = "(refused by TLS)"
	const success = "Success 200 "
	bound, free := envelope, strings.Replace(envelope, token, "all", 1)
	fingerprint := func(c *tls.Certificate) string { return `"certificate":"` + access.Fingerprint(c.Leaf) + `"` }
	for name, tc := range map[string]struct {
		optional bool
		shown    *tls.Certificate
		body     string
		want     string
		log      string
	}{
		"its certificate, optional":                   {true, good, bound, success, `"msg":"TLS in use","caller":"sap"`},
		"its certificate, required":                   {false, good, bound, success, fingerprint(good) + `,"subject":"subject:CN=erp,O=Acme","until":`},
		"a stolen token":                              {true, nil, bound, tokenInvalid, `"caller":"sap","why":"caller must show a certificate, and its connection shows none"`},
		"a stolen token and another certificate":      {true, other, bound, tokenInvalid, `"caller":"sap","why":"the connection shows a certificate that is not the caller's",` + fingerprint(other) + `,"subject":"subject:CN=hr,O=Acme"`},
		"the certificate and no token":                {true, good, strings.Replace(bound, token, "", 1), "Failed 204 access_token is missing", fingerprint(good)},
		"the certificate and a wrong token":           {true, good, strings.Replace(bound, token, "guess", 1), tokenInvalid, fingerprint(good)},
		"a caller without certificates shows none":    {true, nil, free, success, `"caller":"everyone"`},
		"a caller without certificates shows one":     {true, other, free, success, fingerprint(other)},
		"a caller without certificates, required":     {false, nil, free, refused, "client didn't provide a certificate"},
		"another authority's, optional":               {true, alien, bound, refused, `unknown authority`},
		"another authority's, for a caller without":   {true, alien, free, refused, fingerprint(alien)},
		"another authority's, required":               {false, alien, bound, refused, fingerprint(alien)},
		"expired":                                     {true, expired, bound, refused, fingerprint(expired)},
		"expired, its reason":                         {false, expired, bound, refused, "certificate has expired or is not yet valid"},
		"not yet valid":                               {true, early, bound, refused, "certificate has expired or is not yet valid"},
		"of the authority, but no client certificate": {true, serverOnly, bound, refused, "incompatible key usage"},
	} {
		t.Run(name, func(t *testing.T) {
			r := startMutual(t, a, tc.optional, access.Fingerprint(good.Leaf), access.Fingerprint(expired.Leaf))
			for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS13} {
				cfg := a.show(tc.shown)
				cfg.MinVersion, cfg.MaxVersion = version, version
				got, err := r.send(cfg, tc.body)
				if said := got.said(); err != nil && tc.want != refused || err == nil && said != tc.want {
					t.Errorf("%s: %v %s, want %s", tls.VersionName(version), err, said, tc.want)
				}
			}
			r.waitLog(tc.log)
			if strings.Contains(r.log.String(), token) {
				t.Error("the token is in the log")
			}
		})
	}
}

// startMutual serves clients of an authority; the caller sap has certificates, everyone has none.
func startMutual(t *testing.T, a *authority, optional bool, certificates ...string) *rig {
	pair := newPair(t)
	a.issue(t, pair, "bridge.example", "first")
	return start(t, func(s *setup) {
		s.Listeners[0].TLS = &server.TLS{Certificates: []server.KeyPair{pair}, Profile: server.Legacy, ClientCA: a.file, ClientOptional: optional}
		s.Config.Callers[0].Certificates = certificates
	})
}

func (r *rig) waitLog(want string) {
	r.t.Helper()
	for end := time.Now().Add(5 * time.Second); !strings.Contains(r.log.String(), want); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("the log lacks %s:\n%s", want, r.log.String())
		}
	}
}

// Without TLS there is nothing to show; neither does a header stand for a certificate, from whomever it comes.
func TestCertificateIsShownByTheConnectionOnly(t *testing.T) {
	a := newAuthority(t)
	good := a.client(t, nil)
	r := start(t, func(s *setup) {
		s.TrustedProxies = []string{"127.0.0.1"}
		s.Config.Callers[0].Certificates = []string{access.Fingerprint(good.Leaf)}
	})
	pem := strings.ReplaceAll(string(pemOf("CERTIFICATE", good.Leaf.Raw)), "\n", "%0A")
	r.post(envelope).expect(t, "plain HTTP", 200, tokenInvalid)
	r.post(envelope, "X-Forwarded-Client-Cert: Cert=\""+pem+"\"\r\nX-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-Cert: "+pem+"\r\n").
		expect(t, "a header", 200, tokenInvalid)
	r.waitLog("its connection shows none")
}

// Basic and access_new_token are bound to the certificate like a token.
func TestCertificateForPasswords(t *testing.T) {
	a := newAuthority(t)
	good := a.client(t, nil)
	r := startMutual(t, a, true, access.Fingerprint(good.Leaf))
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("sapuser:s3cret")) + "\r\n"
	login := `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:urn="urn:server"><soapenv:Body><urn:access_new_token>` +
		`<username>sapuser</username><password>s3cret</password><client_id>erp</client_id><client_secret>s3cret</client_secret><grant_type>password</grant_type>` +
		`</urn:access_new_token></soapenv:Body></soapenv:Envelope>`
	for _, tc := range []struct {
		what    string
		shown   *tls.Certificate
		success string
		errors  string
	}{{"with it", good, "Success 200 ", ""}, {"without", nil, "Failed 204 access_token is missing; the user name and password that came instead of it were not accepted", "The client credentials are invalid"}} {
		got, err := r.send(a.show(tc.shown), strings.Replace(envelope, token, "", 1), basic)
		if err != nil || got.said() != tc.success {
			t.Errorf("Basic %s: %v %s", tc.what, err, got.said())
		}
		got, err = r.send(a.show(tc.shown), login)
		if err != nil || got.part("error_description") != tc.errors || (len(got.part("access_token")) == 40) != (tc.errors == "") {
			t.Errorf("log in %s: %v %s", tc.what, err, got.body)
		}
	}
	r.waitLog(`"kind":"login"`)
	r.waitLog(`"caller":"sap","why":"login refused: caller must show a certificate, and its connection shows none"`)
}

// A renewed file of authorities is taken up while running; who is not in it any more is refused, also with a session
// of before. A half-written file changes nothing.
func TestClientCAIsReloaded(t *testing.T) {
	a, next := newAuthority(t), newAuthority(t)
	old, renewed := a.client(t, nil), next.client(t, nil)
	r := startMutual(t, a, false, access.Fingerprint(old.Leaf), access.Fingerprint(renewed.Leaf))
	session := a.show(old)
	session.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	says := func(cfg *tls.Config) string {
		got, err := r.send(cfg, envelope)
		if err != nil {
			return "(refused by TLS)"
		}
		return got.said()
	}
	wait := func(what string, cfg *tls.Config, want string) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); says(cfg) != want; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %s, want %s", what, says(cfg), want)
			}
		}
	}
	wait("old at first", session, "Success 200 ")
	wait("new at first", a.show(renewed), "(refused by TLS)")

	both := append(pemOf("CERTIFICATE", a.cert.Raw), pemOf("CERTIFICATE", next.cert.Raw)...)
	writeFile(t, a.file, both[:len(both)-40])
	r.wait(func() { says(session) }, "client CA can't be reloaded; the old one stays")
	wait("old, half-written", session, "Success 200 ")

	writeFile(t, a.file, both)
	wait("new, both", a.show(renewed), "Success 200 ")
	wait("old, both", session, "Success 200 ")

	writeFile(t, a.file, pemOf("CERTIFICATE", next.cert.Raw))
	wait("old, with its session", session, "(refused by TLS)")
	wait("old, without", a.show(old), "(refused by TLS)")
	wait("new alone", a.show(renewed), "Success 200 ")
}

// wait does something until the log tells of it.
func (r *rig) wait(do func(), want string) {
	r.t.Helper()
	for end := time.Now().Add(5 * time.Second); !strings.Contains(r.log.String(), want); time.Sleep(50 * time.Millisecond) {
		if do(); time.Now().After(end) {
			r.t.Fatalf("the log lacks %s:\n%s", want, r.log.String())
		}
	}
}

// A certificate signed by itself is its own authority: that is how a partner without a CA is let in.
func TestSelfSignedClient(t *testing.T) {
	a, partner := newAuthority(t), newAuthority(t)
	self := &tls.Certificate{Certificate: [][]byte{partner.cert.Raw}, PrivateKey: partner.key, Leaf: partner.cert}
	r := startMutual(t, a, false, access.Fingerprint(self.Leaf))
	if _, err := r.send(a.show(self), envelope); err == nil {
		t.Error("let in though it is not in the file")
	}
	writeFile(t, a.file, append(pemOf("CERTIFICATE", a.cert.Raw), pemOf("CERTIFICATE", partner.cert.Raw)...))
	r.wait(func() { _, _ = r.send(a.show(self), envelope) }, `"caller":"sap"`)
}

// Check and the start warn of what will not do for long, or not for everybody.
func TestListenerWarnings(t *testing.T) {
	const day = 24 * time.Hour
	a := newAuthority(t) // for an hour
	pair := newPair(t)
	a.issue(t, pair, "bridge.example", "first") // for an hour
	now := time.Now()
	until := now.Add(time.Hour).UTC().Format(time.DateOnly)
	shown := "certificate " + pair.CertFile + " (subject:CN=first) "
	for name, tc := range map[string]struct {
		tls  server.TLS
		now  time.Time
		want []string
	}{
		"long before":       {server.TLS{}, now.Add(-40 * day), []string{shown + "is not valid before " + now.Add(-time.Hour).UTC().Format(time.DateOnly)}},
		"within a month":    {server.TLS{}, now.Add(-10 * day), []string{shown + "expires on " + until + ", in 10 days"}},
		"after":             {server.TLS{}, now.Add(2 * time.Hour), []string{shown + "has expired on " + until}},
		"the client CA too": {server.TLS{ClientCA: a.file}, now.Add(2 * time.Hour), []string{shown + "has expired on " + until, "client CA " + a.file + " (subject:CN=test authority) has expired on " + until}},
		"compat":            {server.TLS{Profile: server.Compat}, now, []string{"TLS profile compat takes clients without forward secrecy", shown + "expires on " + until + ", in 0 days"}},
		"legacy":            {server.TLS{Profile: server.Legacy, TripleDES: true}, now, []string{"TLS profile legacy takes TLS 1.0 and 1.1", "3DES is on", shown}},
	} {
		tc.tls.Certificates = []server.KeyPair{pair}
		got, err := server.Listener{Address: "127.0.0.1:0", TLS: &tc.tls}.Check(tc.now)
		if err != nil || len(got) != len(tc.want) {
			t.Errorf("%s: %v, %q", name, err, got)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], tc.want[i]) {
				t.Errorf("%s: %s, want %s", name, got[i], tc.want[i])
			}
		}
	}
	r := startMutual(t, a, false)
	for _, want := range []string{"TLS profile legacy takes TLS 1.0", "(subject:CN=first) expires on", `(subject:CN=test authority) expires on`, `"listener":"127.0.0.1:0"`} {
		r.waitLog(want)
	}
}

// A caller's own certificate that ends soon is on record when it is used.
func TestCallersCertificateNearItsEnd(t *testing.T) {
	a := newAuthority(t)
	soon := a.client(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(29 * 24 * time.Hour) })
	r := startMutual(t, a, false, access.Fingerprint(soon.Leaf))
	for range 2 {
		if got, err := r.send(a.show(soon), envelope); err != nil || got.said() != "Success 200 " {
			t.Fatal(err, got.said())
		}
	}
	if log := r.log.String(); strings.Count(log, `"level":"WARN","msg":"TLS in use with a certificate that the caller must renew soon","caller":"sap"`) != 1 {
		t.Errorf("log %s", log)
	}
}

func TestClientCAProblems(t *testing.T) {
	a := newAuthority(t)
	pair := newPair(t)
	a.issue(t, pair, "bridge.example", "first")
	junk := newPair(t).CertFile
	writeFile(t, junk, []byte("no certificate"))
	key := pair.KeyFile
	for file, want := range map[string]string{
		junk: "client CA " + junk + ": holds no certificate in PEM form", key: "holds no certificate in PEM form",
		junk + "x": "client CA: stat " + junk + "x: no such file",
	} {
		l := server.Listener{Address: "127.0.0.1:0", TLS: &server.TLS{Certificates: []server.KeyPair{pair}, ClientCA: file}}
		if _, err := l.Check(time.Now()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
