package server

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge/soap"
)

// Listener is one address to listen on.
type Listener struct {
	Address string // host:port
	TLS     *TLS   // nil: plain HTTP
	// Accept is what its callers may send beyond what all may; it is taken from the desk that is open.
	Accept soap.Accept
}

// TLS is how a listener speaks TLS.
type TLS struct {
	// Certificates are PEM files. The first is shown to clients that name no host (old SAP systems send no SNI): an
	// RSA one with its whole chain. Changed files are taken up while running.
	Certificates []KeyPair
	Profile      Profile // "": Modern
	TripleDES    bool    // legacy only: also 3DES, for Windows XP and WebSphere 8.5
	// ClientCA is a PEM file of authorities, followed like the certificates. If set, clients must show a certificate
	// that one of them signed (or that is itself in the file); with ClientOptional they may also show none.
	ClientCA       string
	ClientOptional bool
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

// bind listens. Connections know which of the listeners they came to.
func (l Listener) bind(log *slog.Logger, number int, in *crowd, lingering *atomic.Int64) (net.Listener, error) {
	if l.TLS == nil {
		ln, err := net.Listen("tcp", l.Address)
		return listener{Listener: ln, number: number, crowd: in, lingering: lingering}, err
	}
	files, err := l.TLS.load(log)
	if err != nil {
		return nil, err
	}
	for _, text := range append(l.TLS.age(), files.nearEnd(time.Now())...) {
		log.Warn(text, "listener", l.Address)
	}
	ln, err := net.Listen("tcp", l.Address)
	if err != nil {
		return nil, err
	}
	return listener{ln, &tls.Config{GetConfigForClient: files.current}, log, number, in, lingering}, nil
}

// Check reads the files of a listener as Listen would. The warnings are about what works and had better be changed.
func (l Listener) Check(now time.Time) (warnings []string, err error) {
	if l.TLS == nil {
		return nil, nil
	}
	files, err := l.TLS.load(slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return append(l.TLS.age(), files.nearEnd(now)...), nil
}

// age warns of a profile for old clients.
func (t *TLS) age() (warnings []string) {
	const close = `; give it to no other callers, and close it when the lines "TLS in use" show nobody who needs it`
	switch t.Profile {
	case Compat:
		warnings = append(warnings, "TLS profile compat takes clients without forward secrecy"+close)
	case Legacy:
		warnings = append(warnings, "TLS profile legacy takes TLS 1.0 and 1.1, which are broken"+close)
	}
	if t.TripleDES {
		warnings = append(warnings, "3DES is on, which is broken"+close)
	}
	return warnings
}

// listener accepts connections that know what is done to them. With TLS it is tls.NewListener with failed handshakes
// logged: that is all that is ever seen of a client too old.
type listener struct {
	net.Listener
	cfg       *tls.Config // nil: plain HTTP
	log       *slog.Logger
	number    int
	crowd     *crowd
	lingering *atomic.Int64
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.cfg == nil {
		c := &plainConn{Conn: conn}
		c.listener, c.others = l.number, l.lingering
		l.crowd.enters(&c.wire, conn)
		return c, nil
	}
	c := &tlsConn{Conn: tls.Server(conn, l.cfg), log: l.log}
	c.listener, c.others = l.number, l.lingering
	l.crowd.enters(&c.wire, conn)
	return c, nil
}

type tlsConn struct {
	*tls.Conn
	log *slog.Logger
	wire
}

// Read implements net.Conn.
func (c *tlsConn) Read(p []byte) (int, error) { return c.read(c.Conn, p, nil) }

// Close implements net.Conn.
func (c *tlsConn) Close() error { return c.close(c.Conn) }

// SetReadDeadline implements net.Conn.
func (c *tlsConn) SetReadDeadline(t time.Time) error { return c.readUntil(t) }

// Handshake is what the engine calls before it reads.
func (c *tlsConn) Handshake() error {
	err := c.Conn.Handshake()
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	level := slog.LevelInfo
	attrs := []slog.Attr{slog.String("from", c.RemoteAddr().String()), slog.String("why", err.Error())}
	if refused := (*tls.CertificateVerificationError)(nil); errors.As(err, &refused) {
		level = slog.LevelWarn // a caller, most likely, that only its operator can help
		attrs = append(attrs, certificateAttrs(refused.UnverifiedCertificates[0])...)
	}
	c.log.LogAttrs(context.Background(), level, "TLS handshake failed", attrs...)
	return err
}

// config is all but the certificates, which come from files.
func (t *TLS) config() (*tls.Config, error) {
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
	switch {
	case t.ClientCA != "" && t.ClientOptional:
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	case t.ClientCA != "":
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return cfg, nil
}

// tlsUse is one caller's way of speaking TLS.
type tlsUse struct {
	caller          string
	version, cipher uint16
	sni             string
	certificate     [sha256.Size]byte // zero: none
}

// tlsUses remembers when each was last logged.
type tlsUses struct {
	mu   sync.Mutex
	last map[tlsUse]time.Time
}

// first tells whether a use was not seen within the last hour.
func (u *tlsUses) first(use tlsUse, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.last[use]) < time.Hour {
		return false
	}
	u.last[use] = now
	return true
}

// noteTLS logs once an hour how a caller speaks TLS, so that a profile can be closed, and an old certificate taken off
// a caller, when nobody uses it.
func (s *Desk) noteTLS(in *inbound, caller string) {
	if in.tls == nil {
		return
	}
	use := tlsUse{caller: caller, version: in.tls.Version, cipher: in.tls.CipherSuite, sni: in.tls.ServerName}
	shown := in.certificate()
	if shown != nil {
		use.certificate = sha256.Sum256(shown.Raw)
	}
	if !s.lastTLS.first(use, in.received) {
		return
	}
	attrs := []slog.Attr{
		slog.String("caller", caller), slog.String("version", tls.VersionName(use.version)),
		slog.String("cipher", tls.CipherSuiteName(use.cipher)), slog.String("sni", short(use.sni)),
	}
	level, text := slog.LevelInfo, "TLS in use"
	if shown != nil {
		attrs = append(append(attrs, certificateAttrs(shown)...), slog.Time("until", shown.NotAfter))
		if shown.NotAfter.Sub(in.received) < renewWithin {
			level, text = slog.LevelWarn, "TLS in use with a certificate that the caller must renew soon"
		}
	}
	s.opt.Log.LogAttrs(context.Background(), level, text, attrs...)
}
