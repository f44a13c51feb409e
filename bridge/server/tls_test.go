package server_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge/server"
)

// authority signs the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	file string
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool(), file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.pool.AddCert(a.cert)
	writeFile(t, a.file, pemOf("CERTIFICATE", der))
	return a
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue writes a certificate for a host; its subject tells issues of one host apart.
func (a *authority) issue(t *testing.T, pair server.KeyPair, host, subject string) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: subject}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &rsaKey().PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, pair.CertFile, pemOf("CERTIFICATE", der))
	writeFile(t, pair.KeyFile, pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())))
}

func newPair(t *testing.T) server.KeyPair {
	dir := t.TempDir()
	return server.KeyPair{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
}

// startTLS serves with TLS for bridge.example first and other.example second.
func startTLS(t *testing.T, a *authority, change func(*server.TLS)) (*rig, server.KeyPair) {
	first, second := newPair(t), newPair(t)
	a.issue(t, first, "bridge.example", "first")
	a.issue(t, second, "other.example", "second")
	cfg := &server.TLS{Certificates: []server.KeyPair{first, second}}
	change(cfg)
	return start(t, func(s *setup) { s.Listeners[0].TLS = cfg }), first
}

// over makes a call over TLS and returns the answer and the subject that the server showed.
func (r *rig) over(cfg *tls.Config) (response, string, error) {
	conn, err := tls.Dial("tcp", r.addr, cfg)
	if err != nil {
		return response{}, "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	got, err := exchange(conn, envelope)
	return got, conn.ConnectionState().PeerCertificates[0].Subject.CommonName, err
}

// send makes one call over TLS.
func (r *rig) send(cfg *tls.Config, body string, headers ...string) (response, error) {
	conn, err := tls.Dial("tcp", r.addr, cfg)
	if err != nil {
		return response{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	return exchange(conn, body, headers...)
}

func exchange(conn net.Conn, body string, headers ...string) (response, error) {
	if _, err := io.WriteString(conn, request("/einvoice", body, headers...)); err != nil {
		return response{}, err
	}
	return readResponse(bufio.NewReader(conn), "POST")
}

func TestTLSProfiles(t *testing.T) {
	a := newAuthority(t)
	old := func(version uint16, suites ...uint16) *tls.Config {
		return &tls.Config{RootCAs: a.pool, ServerName: "bridge.example", MinVersion: version, MaxVersion: version, CipherSuites: suites}
	}
	clients := map[string]*tls.Config{
		"current":                 {RootCAs: a.pool, ServerName: "bridge.example"},
		"TLS 1.2, ECDHE-CBC":      old(tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA),
		"TLS 1.2, RSA key":        old(tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_CBC_SHA),
		"TLS 1.2, ECDHE-CBC-SHA2": old(tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256),
		"TLS 1.0, ECDHE-CBC":      old(tls.VersionTLS10, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA),
		"TLS 1.0, RSA key":        old(tls.VersionTLS10, tls.TLS_RSA_WITH_AES_256_CBC_SHA),
		"TLS 1.0, 3DES":           old(tls.VersionTLS10, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA),
	}
	modern := []string{"current", "TLS 1.2, ECDHE-CBC"}
	compat := append(modern, "TLS 1.2, RSA key", "TLS 1.2, ECDHE-CBC-SHA2")
	legacy := append(compat, "TLS 1.0, ECDHE-CBC", "TLS 1.0, RSA key")
	for name, tc := range map[string]struct {
		cfg   server.TLS
		reach []string
	}{
		"default":     {server.TLS{}, modern},
		"modern":      {server.TLS{Profile: server.Modern}, modern},
		"compat":      {server.TLS{Profile: server.Compat}, compat},
		"legacy":      {server.TLS{Profile: server.Legacy}, legacy},
		"legacy 3DES": {server.TLS{Profile: server.Legacy, TripleDES: true}, append(legacy, "TLS 1.0, 3DES")},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := startTLS(t, a, func(c *server.TLS) { c.Profile, c.TripleDES = tc.cfg.Profile, tc.cfg.TripleDES })
			for client, cfg := range clients {
				got, _, err := r.over(cfg)
				want := strings.Contains(strings.Join(tc.reach, "|")+"|", client+"|")
				if (err == nil) != want {
					t.Errorf("%s: %v, want it let in: %v", client, err, want)
				}
				if err == nil {
					got.expect(t, client, 200, "Success 200 ")
				}
			}
		})
	}
}

// How callers speak TLS is on record once an hour, so that an old profile can be closed.
func TestTLSUseIsLogged(t *testing.T) {
	a := newAuthority(t)
	r, _ := startTLS(t, a, func(c *server.TLS) { c.Profile = server.Legacy })
	cfg := &tls.Config{RootCAs: a.pool, ServerName: "bridge.example", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}
	for range 3 {
		if _, _, err := r.over(cfg); err != nil {
			t.Fatal(err)
		}
	}
	const want = `"msg":"TLS in use","caller":"sap","version":"TLS 1.0","cipher":"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA","sni":"bridge.example"`
	if log := r.log.String(); strings.Count(log, want) != 1 {
		t.Errorf("log %s", log)
	}
}

// What is wrong with a client too old stands in the log; on the wire it is a bare alert.
func TestTLSFailureIsLogged(t *testing.T) {
	a := newAuthority(t)
	r, _ := startTLS(t, a, func(*server.TLS) {})
	if _, _, err := r.over(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}); err == nil {
		t.Fatal("TLS 1.0 was let in")
	}
	for end := time.Now().Add(5 * time.Second); !strings.Contains(r.log.String(), "client offered only unsupported versions"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("log %s", r.log.String())
		}
	}
}

func TestTLSCertificateByName(t *testing.T) {
	a := newAuthority(t)
	r, _ := startTLS(t, a, func(*server.TLS) {})
	for host, want := range map[string]string{"bridge.example": "first", "other.example": "second", "unknown.example": "first", "": "first"} {
		_, subject, err := r.over(&tls.Config{ServerName: host, InsecureSkipVerify: true})
		if err != nil || subject != want {
			t.Errorf("%q: shown %q, %v, want %q", host, subject, err, want)
		}
	}
}

// A renewed certificate is shown without a restart; half-written files are not.
func TestTLSCertificateIsReloaded(t *testing.T) {
	a := newAuthority(t)
	r, pair := startTLS(t, a, func(*server.TLS) {})
	shown := func() string {
		_, subject, err := r.over(&tls.Config{RootCAs: a.pool, ServerName: "bridge.example"})
		if err != nil {
			t.Fatal(err)
		}
		return subject
	}
	if got := shown(); got != "first" {
		t.Fatalf("shown %q", got)
	}
	writeFile(t, pair.CertFile, []byte("half of a certif"))
	wait := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	wait("the broken file was not noticed", func() bool { return shown() == "first" && strings.Contains(r.log.String(), "can't be reloaded") })
	a.issue(t, pair, "bridge.example", "renewed")
	wait("the renewed certificate is not shown", func() bool { return shown() == "renewed" })
}

// Several listeners of one server, plain and TLS, share everything.
func TestListeners(t *testing.T) {
	a := newAuthority(t)
	pair := newPair(t)
	a.issue(t, pair, "bridge.example", "first")
	r := start(t, func(s *setup) {
		s.Listeners = []server.Listener{{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0", TLS: &server.TLS{Certificates: []server.KeyPair{pair}}}}
	})
	r.post(envelope).expect(t, "plain", 200, "Success 200 ")
	r.addr = r.srv.Addrs()[1].String()
	got, _, err := r.over(&tls.Config{RootCAs: a.pool, ServerName: "bridge.example"})
	if err != nil {
		t.Fatal(err)
	}
	got.expect(t, "TLS", 200, "Success 200 ")
	if n := len(r.seen()); n != 2 {
		t.Errorf("%d calls", n)
	}
}
