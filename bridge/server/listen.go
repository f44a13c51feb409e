package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// Listener is one address to listen on.
type Listener struct {
	Address string // host:port
	TLS     *TLS   // nil: plain HTTP
}

// TLS is how a listener speaks TLS.
type TLS struct {
	// Certificates are PEM files. The first is shown to clients that name no host (old SAP systems send no SNI): an
	// RSA one with its whole chain. Changed files are taken up while running.
	Certificates []KeyPair
	Profile      Profile // "": Modern
	TripleDES    bool    // legacy only: also 3DES, for Windows XP and WebSphere 8.5
	// ClientCA is a PEM file of authorities; if set, clients must show a certificate that one of them signed.
	ClientCA string
}

// KeyPair names a certificate's files.
type KeyPair struct{ CertFile, KeyFile string }

// Profile says how old clients may be.
type Profile string

// The profiles.
const (
	Modern Profile = "modern" // TLS 1.2 and later with ephemeral keys: current stacks, and Windows 7 and Java 7 that were told to
	Compat Profile = "compat" // also RSA key exchange: TLS 1.2 clients without ECDHE
	Legacy Profile = "legacy" // also TLS 1.0: .NET 3.5, Java 6, old SAP. Give it a listener of its own
)

// What the older profiles add. An explicit list does not depend on GODEBUG settings, which come and go.
var (
	compatSuites = []uint16{
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	}
	tripleDESSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}
)

func (l Listener) scheme() string {
	if l.TLS != nil {
		return "https"
	}
	return "http"
}

func (l Listener) bind(log *slog.Logger) (net.Listener, error) {
	var cfg *tls.Config
	if l.TLS != nil {
		var err error
		if cfg, err = l.TLS.config(log); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen("tcp", l.Address)
	if err != nil || cfg == nil {
		return ln, err
	}
	return tlsListener{ln, cfg, log}, nil
}

// tlsListener is tls.NewListener with failed handshakes logged: that is all that is ever seen of a client too old.
type tlsListener struct {
	net.Listener
	cfg *tls.Config
	log *slog.Logger
}

func (l tlsListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tlsConn{tls.Server(conn, l.cfg), l.log}, nil
}

type tlsConn struct {
	*tls.Conn
	log *slog.Logger
}

// Handshake is what the engine calls before it reads.
func (c tlsConn) Handshake() error {
	err := c.Conn.Handshake()
	if err != nil && !errors.Is(err, io.EOF) {
		c.log.Info("TLS handshake failed", "from", c.RemoteAddr().String(), "why", err.Error())
	}
	return err
}

func (t *TLS) config(log *slog.Logger) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	switch t.Profile {
	case "", Modern:
	case Legacy:
		cfg.MinVersion = tls.VersionTLS10
		fallthrough
	case Compat:
		for _, s := range tls.CipherSuites() {
			cfg.CipherSuites = append(cfg.CipherSuites, s.ID)
		}
		cfg.CipherSuites = append(cfg.CipherSuites, compatSuites...)
	default:
		return nil, fmt.Errorf("TLS profile is %q, must be modern, compat or legacy", t.Profile)
	}
	if t.TripleDES {
		if t.Profile != Legacy {
			return nil, errors.New("3DES is for the legacy TLS profile only")
		}
		cfg.CipherSuites = append(cfg.CipherSuites, tripleDESSuites...)
	}
	if t.ClientCA != "" {
		pem, err := os.ReadFile(t.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("client CA: %w", err)
		}
		cfg.ClientCAs = x509.NewCertPool()
		if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("client CA: no certificate in %s", t.ClientCA)
		}
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	certs, err := loadCertificates(t.Certificates, log)
	if err != nil {
		return nil, err
	}
	cfg.GetCertificate = certs.get
	return cfg, nil
}

// certificates are key pairs that follow their files.
type certificates struct {
	log     *slog.Logger
	mu      sync.Mutex
	checked time.Time
	pairs   []*certificate
}

type certificate struct {
	KeyPair
	changed time.Time // mtime of the younger file when it was read
	cert    *tls.Certificate
}

// recheck is how often files are looked at; a renewed certificate is shown after that.
const recheck = time.Second

func loadCertificates(files []KeyPair, log *slog.Logger) (*certificates, error) {
	if len(files) == 0 {
		return nil, errors.New("TLS needs at least one certificate")
	}
	cs := &certificates{log: log, checked: time.Now()}
	for _, f := range files {
		c := &certificate{KeyPair: f}
		if _, err := c.reload(); err != nil {
			return nil, err
		}
		cs.pairs = append(cs.pairs, c)
	}
	return cs, nil
}

// get chooses by the host that the client names; without one, or when none fits, it is the first.
func (cs *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if time.Since(cs.checked) >= recheck {
		cs.checked = time.Now()
		cs.reload()
	}
	for _, c := range cs.pairs {
		if hello.ServerName != "" && hello.SupportsCertificate(c.cert) == nil {
			return c.cert, nil
		}
	}
	return cs.pairs[0].cert, nil
}

// reload takes up changed files. Half-written ones are logged, and the old certificate stays until the next look.
func (cs *certificates) reload() {
	for _, c := range cs.pairs {
		switch changed, err := c.reload(); {
		case err != nil:
			cs.log.Error("certificate can't be reloaded; the old one stays", "err", err.Error())
		case changed:
			cs.log.Info("certificate reloaded", "file", c.CertFile, "until", c.cert.Leaf.NotAfter)
		}
	}
}

func (c *certificate) reload() (bool, error) {
	var newest time.Time
	for _, f := range []string{c.CertFile, c.KeyFile} {
		info, err := os.Stat(f)
		if err != nil {
			return false, fmt.Errorf("certificate: %w", err)
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	if newest.Equal(c.changed) {
		return false, nil
	}
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return false, fmt.Errorf("certificate %s: %w", c.CertFile, err)
	}
	c.cert, c.changed = &cert, newest
	return true, nil
}

// tlsUses remembers when each caller's way of speaking TLS was last logged.
type tlsUses struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// noteTLS logs once an hour how a caller speaks TLS, so that a profile can be closed when nobody uses it.
func (s *Desk) noteTLS(in inbound, caller string) {
	if in.tls == nil {
		return
	}
	version, cipher := tls.VersionName(in.tls.Version), tls.CipherSuiteName(in.tls.CipherSuite)
	key := caller + " " + version + " " + cipher + " " + in.tls.ServerName
	s.lastTLS.mu.Lock()
	defer s.lastTLS.mu.Unlock()
	if in.received.Sub(s.lastTLS.last[key]) < time.Hour {
		return
	}
	s.lastTLS.last[key] = in.received
	s.opt.Log.Info("TLS in use", "caller", caller, "version", version, "cipher", cipher, "sni", short(in.tls.ServerName))
}
