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
	"strings"
	"sync/atomic"
	"time"
)

// Settings are the way to one base URL.
type Settings struct {
	BaseURL string // scheme, host, and a path that comes before every request's; required
	// Environment is the operator's label ("sandbox", "production"); empty: see Environment.
	Environment string
	// Proxy is "http://[user:password@]host:port"; empty: none. The environment is never asked.
	Proxy string
	CA    []byte // PEM; replaces the system's roots when set
	// Certificate and Key are a client certificate in PEM, for gateways that demand one.
	Certificate, Key []byte
	// Headers go with every call, spelt as here, unless the adapter sets one of that name itself.
	Headers map[string]string
}

// check returns the base URL without its trailing slash and the static headers.
func (s Settings) check() (base string, static http.Header, err error) {
	u, err := url.Parse(s.BaseURL)
	switch {
	case s.BaseURL == "":
		return "", nil, errors.New("base_url is missing")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "", nil, errors.New("base_url is not a URL of the form https://host/path")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", nil, errors.New("base_url may hold neither user nor query nor fragment")
	}
	static = http.Header{}
	for name, value := range s.Headers {
		if !validHeader(name, value) {
			return "", nil, fmt.Errorf("headers: %q is not a header that can be sent", name)
		}
		static[name] = []string{value}
	}
	return strings.TrimRight(s.BaseURL, "/"), static, nil
}

// validHeader follows RFC 9110 §5: a token as the name, no control characters in the value.
func validHeader(name, value string) bool {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	return name != "" && strings.Trim(name, token) == "" && strings.IndexFunc(value, control) < 0
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
	if len(s.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(s.CA) {
			return nil, errors.New("ca holds no certificate in PEM form")
		}
	}
	if len(s.Certificate) > 0 || len(s.Key) > 0 {
		pair, err := tls.X509KeyPair(s.Certificate, s.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// countingConn counts the bytes that the operating system took, and asks before the first ones of a request.
type countingConn struct {
	net.Conn
	sent  atomic.Int64
	check atomic.Pointer[func() error] // of the request that comes next
}

func (c *countingConn) Write(b []byte) (int, error) {
	if check := c.check.Swap(nil); check != nil && *check != nil {
		if err := (*check)(); err != nil {
			_ = c.Conn.Close() // TLS would still say goodbye
			return 0, err
		}
	}
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}
