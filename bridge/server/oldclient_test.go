package server_test

import (
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/server"
)

// tool finds a program that a test compares with, or skips the test.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("EINVOICE_BRIDGE_NO_SKIP") == "1" {
			t.Fatalf("%s is not installed and EINVOICE_BRIDGE_NO_SKIP=1 forbids to skip; install %s", name, pkg)
		}
		t.Skipf("%s is not installed (%s)", name, pkg)
	}
	return path
}

// Clients that are not Go's, as old as they still come, with a client certificate: OpenSSL, and GnuTLS for 3DES, which
// OpenSSL is built without.
func TestOldClients(t *testing.T) {
	a := newAuthority(t)
	erp := a.client(t, nil)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "erp.pem"), filepath.Join(dir, "erp.key")
	writeFile(t, cert, pemOf("CERTIFICATE", erp.Leaf.Raw))
	writeFile(t, key, pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())))
	openssl := func(args ...string) []string {
		return append([]string{"openssl", "s_client", "-quiet", "-ign_eof", "-servername", "bridge.example", "-CAfile", a.file,
			"-verify_return_error", "-cert", cert, "-key", key, "-connect"}, args...)
	}
	gnutls := func(priority string) []string {
		return []string{"gnutls-cli", "--x509cafile", a.file, "--verify-hostname", "bridge.example", "--x509certfile", cert, "--x509keyfile", key,
			"--priority", priority, "127.0.0.1", "--port"}
	}
	for name, tc := range map[string]struct {
		client    []string
		more      []string // behind the address
		tripleDES bool
		want      string // as the log names it
	}{
		"TLS 1.0, RSA key": {openssl(), []string{"-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0"}, false,
			`"version":"TLS 1.0","cipher":"TLS_RSA_WITH_AES_128_CBC_SHA"`},
		"TLS 1.1, ECDHE": {openssl(), []string{"-tls1_1", "-cipher", "ECDHE-RSA-AES256-SHA:@SECLEVEL=0"}, false,
			`"version":"TLS 1.1","cipher":"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"`},
		"TLS 1.2, RSA key": {openssl(), []string{"-tls1_2", "-cipher", "AES256-SHA"}, false,
			`"version":"TLS 1.2","cipher":"TLS_RSA_WITH_AES_256_CBC_SHA"`},
		"TLS 1.0, 3DES": {gnutls("NONE:+VERS-TLS1.0:+3DES-CBC:+RSA:+SHA1:+COMP-NULL"), nil, true,
			`"version":"TLS 1.0","cipher":"TLS_RSA_WITH_3DES_EDE_CBC_SHA"`},
	} {
		t.Run(name, func(t *testing.T) {
			tool(t, tc.client[0], map[string]string{"openssl": "openssl", "gnutls-cli": "gnutls-bin"}[tc.client[0]])
			for _, profile := range []server.Profile{server.Legacy, server.Modern} {
				r, _ := startTLS(t, a, func(c *server.TLS) {
					c.Profile, c.ClientCA, c.TripleDES = profile, a.file, tc.tripleDES && profile == server.Legacy
				})
				addr := r.addr
				if tc.client[0] == "gnutls-cli" {
					_, addr, _ = net.SplitHostPort(addr)
				}
				args := append(append([]string{}, tc.client[1:]...), addr)
				cmd := exec.Command(tc.client[0], append(args, tc.more...)...)
				cmd.Stdin = strings.NewReader(request("/einvoice", envelope, "Connection: close\r\n"))
				cmd.WaitDelay = 5 * time.Second
				out, err := cmd.CombinedOutput()
				if got := strings.Contains(string(out), "Success"); got != (profile == server.Legacy) {
					t.Errorf("%s profile: answered %v: %v\n%s", profile, got, err, out)
				}
				if profile == server.Legacy {
					r.waitLog(tc.want)
					r.waitLog(access.Fingerprint(erp.Leaf))
				} else {
					r.waitLog("TLS handshake failed")
				}
			}
		})
	}
}
