package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"einvoice-bridge/bridge/access"
)

const (
	// recheck is how often files are looked at; a renewed certificate is shown after that.
	recheck = time.Second
	// renewWithin is how long before its end a certificate is complained about, once a day.
	renewWithin = 30 * 24 * time.Hour
)

// tlsFiles are a listener's TLS settings, following the files that they come from.
type tlsFiles struct {
	log             *slog.Logger
	mu              sync.Mutex
	checked, warned time.Time
	pairs           []*certificate
	clientCA        *authorities // nil: no certificates are asked for
	cfg             *tls.Config  // never changed, replaced
}

// load reads everything for the first time.
func (t *TLS) load(log *slog.Logger) (*tlsFiles, error) {
	cfg, err := t.config()
	switch {
	case err != nil:
		return nil, err
	case len(t.Certificates) == 0:
		return nil, errors.New("TLS needs at least one certificate")
	}
	now := time.Now()
	fs := &tlsFiles{log: log, checked: now, warned: now, cfg: cfg}
	cfg.GetCertificate = fs.certificate
	for _, f := range t.Certificates {
		c := &certificate{KeyPair: f}
		if _, err := c.reload(); err != nil {
			return nil, err
		}
		fs.pairs = append(fs.pairs, c)
	}
	if t.ClientCA == "" {
		return fs, nil
	}
	fs.clientCA = &authorities{file: t.ClientCA}
	if _, err := fs.clientCA.reload(); err != nil {
		return nil, err
	}
	fs.cfg.ClientCAs = fs.clientCA.pool
	return fs, nil
}

// current is what the next client is served with. A session that is taken up again is held to it, too: the engine looks
// for the session's authority among these.
func (fs *tlsFiles) current(*tls.ClientHelloInfo) (*tls.Config, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	now := time.Now()
	if now.Sub(fs.checked) >= recheck {
		fs.checked = now
		fs.reload()
	}
	if now.Sub(fs.warned) >= 24*time.Hour {
		fs.warned = now
		for _, text := range fs.nearEnd(now) {
			fs.log.Warn(text)
		}
	}
	return fs.cfg, nil
}

// certificate chooses by the host that the client names; without one, or when none fits, it is the first.
func (fs *tlsFiles) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, c := range fs.pairs {
		if hello.ServerName != "" && hello.SupportsCertificate(c.cert) == nil {
			return c.cert, nil
		}
	}
	return fs.pairs[0].cert, nil
}

// reload takes up changed files. Half-written ones are logged, and what they held before stays until the next look.
func (fs *tlsFiles) reload() {
	for _, c := range fs.pairs {
		switch changed, err := c.reload(); {
		case err != nil:
			fs.log.Error("certificate can't be reloaded; the old one stays", "err", err.Error())
		case changed:
			fs.log.Info("certificate reloaded", "file", c.CertFile, "until", c.cert.Leaf.NotAfter)
		}
	}
	if fs.clientCA == nil {
		return
	}
	switch changed, err := fs.clientCA.reload(); {
	case err != nil:
		fs.log.Error("client CA can't be reloaded; the old one stays", "err", err.Error())
	case changed:
		fs.cfg = fs.cfg.Clone()
		fs.cfg.ClientCAs = fs.clientCA.pool
		fs.log.Info("client CA reloaded", "file", fs.clientCA.file, "certificates", len(fs.clientCA.certs))
	}
}

// nearEnd says which certificates have expired or soon will.
func (fs *tlsFiles) nearEnd(now time.Time) (warnings []string) {
	for _, c := range fs.pairs {
		var chain []*x509.Certificate
		for _, der := range c.cert.Certificate {
			if one, err := x509.ParseCertificate(der); err == nil { // or loading had failed
				chain = append(chain, one)
			}
		}
		warnings = append(warnings, NearEnd("certificate "+c.CertFile, chain, now)...)
	}
	if fs.clientCA != nil {
		warnings = append(warnings, NearEnd("client CA "+fs.clientCA.file, fs.clientCA.certs, now)...)
	}
	return warnings
}

// NearEnd says which certificates of one source can't be used any more, yet, or for longer than a month.
func NearEnd(source string, certs []*x509.Certificate, now time.Time) (warnings []string) {
	const day = 24 * time.Hour
	for _, c := range certs {
		what := fmt.Sprintf("%s (%s) ", source, access.Subject(c))
		switch left := c.NotAfter.Sub(now); {
		case left <= 0:
			what += "has expired on " + c.NotAfter.Format(time.DateOnly)
		case left < renewWithin:
			what += fmt.Sprintf("expires on %s, in %d days", c.NotAfter.Format(time.DateOnly), left/day)
		case now.Before(c.NotBefore):
			what += "is not valid before " + c.NotBefore.Format(time.DateOnly)
		default:
			continue
		}
		warnings = append(warnings, what)
	}
	return warnings
}

// certificate is a key pair as its files hold it.
type certificate struct {
	KeyPair
	changed time.Time // mtime of the younger file when it was read
	cert    *tls.Certificate
}

func (c *certificate) reload() (bool, error) {
	newest, err := newer(c.CertFile, c.KeyFile)
	if err != nil {
		return false, fmt.Errorf("certificate: %w", err)
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

// authorities are a file of CA certificates as it is.
type authorities struct {
	file    string
	changed time.Time
	certs   []*x509.Certificate
	pool    *x509.CertPool
}

func (a *authorities) reload() (bool, error) {
	changed, err := newer(a.file)
	if err != nil {
		return false, fmt.Errorf("client CA: %w", err)
	}
	if changed.Equal(a.changed) {
		return false, nil
	}
	text, err := os.ReadFile(a.file)
	if err != nil {
		return false, fmt.Errorf("client CA: %w", err)
	}
	certs, err := parseCertificates(text)
	if err != nil {
		return false, fmt.Errorf("client CA %s: %w", a.file, err)
	}
	a.certs, a.pool, a.changed = certs, x509.NewCertPool(), changed
	for _, c := range certs {
		a.pool.AddCert(c)
	}
	return true, nil
}

// parseCertificates reads all certificates of a PEM text, of which there must be one.
func parseCertificates(text []byte) (certs []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, c)
	}
	switch {
	case bytes.Contains(text, []byte("-----BEGIN")):
		return nil, errors.New("ends in the middle of a certificate")
	case len(certs) == 0:
		return nil, errors.New("holds no certificate in PEM form")
	}
	return certs, nil
}

// newer is when the youngest of some files was changed.
func newer(files ...string) (newest time.Time, err error) {
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return newest, err
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest, nil
}

// certificateAttrs name a certificate in the log, in the words that the configuration takes.
func certificateAttrs(c *x509.Certificate) []slog.Attr {
	if c == nil {
		return nil
	}
	return []slog.Attr{slog.String("certificate", access.Fingerprint(c)), slog.String("subject", shortTo(access.Subject(c), 300))}
}
