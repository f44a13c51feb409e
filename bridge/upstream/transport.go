package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"einvoice-bridge/bridge"
)

// Settings are the keys that every kind takes: the way to one base URL, and how calls go there.
type Settings struct {
	// Name is the upstream's in the configuration, for logs and metrics, Taxpayer whose calls go there.
	Name     string `yaml:"-"`
	Taxpayer string `yaml:"-"`

	Kind        string                   `yaml:"kind" doc:"Which API this is."`
	Environment string                   `yaml:"environment" doc:"A label: production, sandbox or another. Documents of environments other than production are kept apart in the journal; without a label the host's name decides." example:"sandbox"`
	BaseURL     string                   `yaml:"base_url" validate:"required,address" doc:"Scheme, host and, if there is one, the path before every call's." example:"https://api.example.com"`
	Headers     map[string]bridge.Secret `yaml:"headers" validate:"dive,keys,header,endkeys,value" doc:"Static headers on every call, spelt as here, unless the call has one of that name itself." example:"{aspid: \"42\"}"`
	Proxy       string                   `yaml:"proxy" validate:"omitempty,proxy" doc:"HTTP proxy for every call; the environment is never asked." example:"http://proxy.example.com:3128"`
	CA          string                   `yaml:"ca" doc:"Certificates (PEM) that replace the system's roots." example:"file:ca.pem"`

	ClientCertificate string        `yaml:"client_certificate" doc:"Certificate (PEM) for gateways that demand one." example:"file:client.crt"`
	ClientKey         bridge.Secret `yaml:"client_key" doc:"Its key (PEM)." example:"file:client.key"`

	SecretExpires string `yaml:"secret_expires" validate:"omitempty,datetime=2006-01-02" doc:"The day on which its secret or token ends, as the provider's portal says; a JWT says it itself. The console shows it, and check warns 30 days before." example:"2027-03-31"`

	CallTimeout   bridge.Duration `yaml:"timeout" default:"30s" doc:"How long a cancel may take."`
	LookupTimeout bridge.Duration `yaml:"lookup_timeout" default:"10s" doc:"How long a question may take."`
	LoginTimeout  bridge.Duration `yaml:"-" default:"10s"`

	CancelsPerMinute int `yaml:"cancels_per_minute" validate:"min=0" doc:"Cancels that may leave in a minute, of all taxpayers who share the access. 0: what the authority documents, or no limit."`
}

// connectWithin bounds finding and reaching a host, and then the TLS handshake. It is less than the 10 s of a login, so
// that an operator reads which of them it was.
const connectWithin = 9 * time.Second

// newTransport makes a pool of HTTP/1.1 connections. HTTP/2 is left out on purpose: there a request can be repeated
// by the library, and one broken connection would make many cancels doubtful at once.
func newTransport(s Settings) (*http.Transport, error) {
	config, err := s.tls()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: connectWithin}
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &countingConn{Conn: c}, nil
		},
		TLSClientConfig:     config,
		TLSHandshakeTimeout: connectWithin,
		MaxIdleConns:        512,
		MaxIdleConnsPerHost: 128,
		// Shorter than the idle time of usual load balancers (60 s): a connection that the other side has closed
		// makes a cancel doubtful.
		IdleConnTimeout:    30 * time.Second,
		DisableCompression: true,
	}
	if s.Proxy != "" {
		proxy, err := url.Parse(s.Proxy)
		if err != nil || proxy.Host == "" {
			return nil, errors.New("proxy is not a URL of the form http://host:port")
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	return t, nil
}

func (s Settings) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(s.CA)) {
			return nil, errors.New("ca holds no certificate in PEM form")
		}
	}
	if s.ClientCertificate != "" || s.ClientKey != "" {
		pair, err := tls.X509KeyPair([]byte(s.ClientCertificate), []byte(s.ClientKey.Reveal()))
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// countingConn counts the bytes that the operating system took, and asks before the first ones of a call.
type countingConn struct {
	net.Conn
	glancing bool // reading doesn't wait
	glancer  glancer
	sent     atomic.Int64
	next     atomic.Pointer[call] // that nothing has been written of
}

func (c *countingConn) Read(b []byte) (int, error) {
	if c.glancing {
		return c.glance(b)
	}
	return c.Conn.Read(b)
}

func (c *countingConn) Write(b []byte) (int, error) {
	if k := c.next.Swap(nil); k != nil {
		if err := k.may(); err != nil {
			_ = c.Conn.Close() // TLS would still say goodbye
			return 0, err
		}
	}
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}
