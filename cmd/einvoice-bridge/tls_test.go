package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/fixtures/sandbox/demo"
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

// pki makes certificates in a folder.
type pki struct {
	t   *testing.T
	dir string
}

// file is a path in the folder.
func (p pki) file(name string) string { return filepath.Join(p.dir, name) }

// issue writes name.pem and name.key, signed by ca (itself when that is name), good for some time.
func (p pki) issue(name, ca string, life time.Duration) *x509.Certificate {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name, Organization: []string{"Acme"}},
		DNSNames: []string{name + ".example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-100 * 24 * time.Hour), NotAfter: time.Now().Add(life),
		IsCA: name == ca, BasicConstraintsValid: true,
	}
	parent, signer := template, key
	if name != ca {
		parent, signer = p.read(ca)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		p.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	p.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}))
	cert, _ := p.read(name)
	return cert
}

func (p pki) write(name string, data []byte) {
	p.t.Helper()
	if err := os.WriteFile(p.file(name), data, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p pki) read(name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	p.t.Helper()
	var ders [2][]byte
	for i, ext := range []string{".pem", ".key"} {
		text, err := os.ReadFile(p.file(name + ext))
		if err != nil {
			p.t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		ders[i] = block.Bytes
	}
	cert, err1 := x509.ParseCertificate(ders[0])
	key, err2 := x509.ParseECPrivateKey(ders[1])
	if err1 != nil || err2 != nil {
		p.t.Fatal(err1, err2)
	}
	return cert, key
}

const year = 365 * 24 * time.Hour

// curler calls the bridge as a shop's script would, and says how that ended.
type curler struct {
	pki
	curl, address, envelope string
}

func (c curler) call(token, certificate string) string {
	c.t.Helper()
	args := []string{"-sS", "--max-time", "20", "--cacert", c.file("ca.pem"), "-H", "Content-Type: " + soapType, "--data-binary", "@-",
		"https://" + c.address + "/einvoice"}
	if certificate != "" {
		args = append(args, "--cert", c.file(certificate+".pem"), "--key", c.file(certificate+".key"))
	}
	cmd := exec.Command(c.curl, args...)
	cmd.Stdin = strings.NewReader(strings.Replace(c.envelope, demo.Token, token, 1))
	out, err := cmd.CombinedOutput()
	switch s := string(out); {
	case strings.Contains(s, "<code>200</code>"):
		return "cancelled"
	case strings.Contains(s, "The access token provided is invalid"):
		return "token invalid"
	case err != nil && slices.Contains([]int{35, 55, 56}, cmd.ProcessState.ExitCode()): // TLS 1.3 ends at any of them
		return "refused by TLS"
	default:
		return fmt.Sprintf("%v %s", err, s)
	}
}

// until repeats a call until it ends as it should.
func (c curler) until(want, token, certificate string) {
	c.t.Helper()
	for end := time.Now().Add(20 * time.Second); c.call(token, certificate) != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("%s, want %s", c.call(token, certificate), want)
		}
	}
}

// clientPKI has an authority, callers of it, and a partner with an authority of its own.
func clientPKI(t *testing.T) pki {
	p := pki{t, t.TempDir()}
	p.issue("ca", "ca", year)
	p.issue("partner-ca", "partner-ca", year)
	p.issue("partner", "partner-ca", year)
	for _, name := range []string{"bridge", "erp", "hr"} {
		p.issue(name, "ca", year)
	}
	p.issue("old", "ca", -time.Hour)
	ca, _ := p.read("ca")
	p.write("clients.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}))
	return p
}

// fingerprint is a certificate's as it is configured and logged.
func (p pki) fingerprint(name string) string {
	cert, _ := p.read(name)
	return access.Fingerprint(cert)
}

// The program with one port for callers with and without certificates, and curl in front of it.
func TestServeMutualTLS(t *testing.T) {
	curl := tool(t, "curl", "curl")
	p, port := clientPKI(t), freePorts(t, 1)[0]
	const otherToken = "another-callers-token"
	sims, path := sandboxed(t, func(text string) string {
		text = strings.Replace(text, `listen: "127.0.0.1:0"`, fmt.Sprintf("listen:\n  - address: %q\n    tls:\n      certificate: %s\n      key: %s\n"+
			"      client_ca: %s\n      client_certificates: optional", port, p.file("bridge.pem"), p.file("bridge.key"), p.file("clients.pem")), 1)
		text = strings.Replace(text, "log: {level: warn}", "log: {level: info, format: json}", 1)
		return text + fmt.Sprintf("    certificates: [%q, \"subject:O=Acme,CN=partner\"]\n  plain: {tokens: [\"sha256:%s\"], taxpayers: all}\n",
			p.fingerprint("erp"), access.HashToken(otherToken))
	})
	proc := spawn(t, "serve", "-c", path)
	c := curler{p, curl, port, demo.Envelope(sims[0].Taxpayer, sims[0].Success)}
	c.until("cancelled", otherToken, "")
	for _, tc := range []struct{ what, token, certificate, want string }{
		{"its own certificate", demo.Token, "erp", "cancelled"},
		{"a stolen token", demo.Token, "", "token invalid"},
		{"a stolen token, another's certificate", demo.Token, "hr", "token invalid"},
		{"the certificate without the token", "guess", "erp", "token invalid"},
		{"expired", demo.Token, "old", "refused by TLS"},
		{"an authority that is not in the file", demo.Token, "partner", "refused by TLS"},
		{"a caller that needs none", otherToken, "hr", "cancelled"},
	} {
		if got := c.call(tc.token, tc.certificate); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, got, tc.want)
		}
	}
	partner, err := os.ReadFile(p.file("partner-ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	p.write("clients.pem", partner)
	c.until("cancelled", demo.Token, "partner")
	c.until("refused by TLS", demo.Token, "erp")
	t.Setenv(tokenVariable, demo.Token)
	out, err := runCommand(t, "cancel", "--url", "https://"+port+"/einvoice", "--taxpayer", sims[0].Taxpayer, "--irn", sims[0].Success,
		"--ca", p.file("ca.pem"), "--certificate", p.file("partner.pem"), "--key", p.file("partner.key"))
	if err != nil || !strings.HasPrefix(out, "cancelled") {
		t.Errorf("the cancel command: %v %s", err, out)
	}
	proc.terminate()
	for _, want := range []string{
		`"caller":"erp","why":"caller must show a certificate, and its connection shows none"`,
		`"caller":"erp","why":"the connection shows a certificate that is not the caller's","certificate":"` + p.fingerprint("hr") + `","subject":"subject:CN=hr,O=Acme"`,
		`certificate has expired`, `"certificate":"` + p.fingerprint("old") + `"`, "client CA reloaded",
	} {
		if !strings.Contains(proc.err.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, proc.err.String())
		}
	}
}

// Check reads the listeners' files, and warns of what will not do for long or can't be meant.
func TestCheckTLS(t *testing.T) {
	t.Parallel()
	p := pki{t, t.TempDir()}
	p.issue("ca", "ca", 10*24*time.Hour)
	p.issue("bridge", "ca", year)
	p.issue("late", "ca", -48*time.Hour)
	late, _ := os.ReadFile(p.file("late.pem"))
	lateKey, _ := os.ReadFile(p.file("late.key"))
	tls := func(more string) string {
		return fmt.Sprintf("listen:\n  - address: 127.0.0.1:0\n    tls:\n      certificate: %s\n      key: %s\n%s", p.file("bridge.pem"), p.file("bridge.key"), more)
	}
	const bound = "    certificates: [\"dns:erp.example\"]\n"
	day := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.DateOnly) }
	for name, tc := range map[string]struct {
		listen, more string
		code         exitCode
		want         []string // with the file's name in front
		never        string
	}{
		"all well":                          {tls(""), "", 0, nil, "warning"},
		"certificates that nobody asks for": {tls(""), bound, 0, []string{"warning: caller erp must show a certificate, but no listener asks for any (tls: {client_ca: …}): it will never be let in"}, ""},
		"asked for":                         {tls("      client_ca: " + p.file("bridge.pem") + "\n"), bound, 0, nil, "warning"},
		"client CA near its end":            {tls("      client_ca: " + p.file("ca.pem") + "\n"), bound, 0, []string{"4: warning: listener 127.0.0.1:0: client CA " + p.file("ca.pem") + " (subject:CN=ca,O=Acme) expires on " + day(10*24*time.Hour) + ", in 9 days"}, ""},
		"expired certificate": {fmt.Sprintf("listen:\n  - 127.0.0.1:0\n  - address: 127.0.0.1:0\n    tls:\n      certificates:\n        - {certificate: %s, key: %s}\n        - {certificate: %s, key: %s}\n", p.file("bridge.pem"), p.file("bridge.key"), p.file("late.pem"), p.file("late.key")),
			"", 0, []string{"5: warning: listener 127.0.0.1:0: certificate " + p.file("late.pem") + " (subject:CN=late,O=Acme) has expired on " + day(-48*time.Hour)}, ""},
		"legacy with 3DES":                 {tls("      profile: legacy\n      triple_des: true\n"), "", 0, []string{"4: warning: listener 127.0.0.1:0: TLS profile legacy", "4: warning: listener 127.0.0.1:0: 3DES is on"}, ""},
		"3DES without legacy":              {tls("      triple_des: true\n"), "", 1, []string{"7: triple_des of 127.0.0.1:0 needs profile: legacy"}, "is in order"},
		"no such file":                     {tls("      client_ca: " + p.file("none.pem") + "\n"), "", 1, []string{"4: listener 127.0.0.1:0: client CA: stat " + p.file("none.pem")}, "is in order"},
		"a key of another certificate":     {strings.Replace(tls(""), "bridge.key", "late.key", 1), "", 1, []string{"4: listener 127.0.0.1:0: certificate " + p.file("bridge.pem") + ": tls: private key does not match"}, "is in order"},
		"a subject that can't be read":     {tls(""), "    certificates: [\"subject:erp\"]\n", 1, []string{`caller "erp": certificates: "subject:erp": a name is written CN=…`}, "is in order"},
		"an upstream's client certificate": {tls(""), "", 0, []string{"warning: client_certificate (subject:CN=late,O=Acme) has expired on " + day(-48*time.Hour)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, path := sandboxed(t, func(text string) string {
				text = strings.Replace(text, "listen: \"127.0.0.1:0\"\n", tc.listen, 1)
				if strings.HasPrefix(name, "an upstream's") {
					text = strings.Replace(text, "    kind: \"nic\"\n", fmt.Sprintf("    kind: nic\n    client_certificate: %q\n    client_key: %q\n", late, lateKey), 1)
				}
				return text + tc.more
			})
			out, err := runCommand(t, "check", "-c", path)
			if err == nil {
				err = exitCode(0)
			}
			if err != tc.code || tc.never != "" && strings.Contains(out, tc.never) {
				t.Errorf("got %v\n%s", err, out)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, path+":"+want) && !(want[0] > '9' && strings.Contains(out, want)) {
					t.Errorf("lacks %s:\n%s", want, out)
				}
			}
		})
	}
}
