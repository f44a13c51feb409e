package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/fixtures/sandbox/demo"
)

// guidesNginx is the guide's set-up with a port, a bridge and files of the test.
func guidesNginx(t *testing.T, p pki, front, bridge string) string {
	t.Helper()
	_, rest, _ := strings.Cut(guide(t, "tls.md"), "```nginx\n")
	snippet, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the guide has no nginx set-up")
	}
	for old, now := range map[string]string{
		"listen 443 ssl": "listen " + front + " ssl", "127.0.0.1:8080": bridge,
		"/etc/ssl/einvoice.pem": p.file("einvoice.pem"), "/etc/ssl/einvoice.key": p.file("einvoice.key"),
	} {
		if !strings.Contains(snippet, old) {
			t.Fatalf("the set-up lacks %q", old)
		}
		snippet = strings.Replace(snippet, old, now, 1)
	}
	return snippet
}

// startNginx serves a set-up without leaving the folder.
func startNginx(t *testing.T, p pki, servers string) {
	t.Helper()
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s;\n", kind, p.file(kind))
	}
	p.write("nginx.conf", fmt.Appendf(nil, "daemon off;\nmaster_process off;\npid %s;\nevents {}\nhttp {\naccess_log off;\n%s%s}\n",
		p.file("pid"), temp.String(), servers))
	cmd := exec.Command(tool(t, "nginx", "nginx"), "-e", "stderr", "-p", p.dir, "-c", p.file("nginx.conf"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// postFrom posts an envelope from an address of this machine, once somebody listens, and says how it was answered.
func postFrom(t *testing.T, from string, tls *tls.Config, url, envelope, forwarded string) string {
	t.Helper()
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DialContext:     (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext,
		TLSClientConfig: tls, DisableKeepAlives: true,
	}}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(envelope))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", soapType)
		if forwarded != "" {
			req.Header.Set("X-Forwarded-For", forwarded)
		}
		resp, body, err := exchange(&client, req)
		switch {
		case err != nil && time.Now().Before(end):
			continue
		case err != nil:
			t.Fatal(err)
		case strings.Contains(string(body), "<code>200</code>"):
			return "cancelled"
		case strings.Contains(string(body), "The access token provided is invalid"):
			return "token invalid"
		}
		return resp.Status + " " + string(body)
	}
}

// The guide's nginx set-up as it stands but for addresses and files: callers' addresses are seen right behind it, by
// the log and by addresses, whatever a caller says of himself.
func TestReadmeNginx(t *testing.T) {
	p := pki{t, t.TempDir()}
	ca := p.issue("ca", "ca", year)
	p.issue("einvoice", "ca", year)
	ports := freePorts(t, 3)
	startNginx(t, p, guidesNginx(t, p, ports[1], ports[0]))
	sims, path := sandboxed(t, func(text string) string {
		text = strings.Replace(text, `listen: "127.0.0.1:0"`, fmt.Sprintf("listen: %q\ntrusted_proxies: [127.0.0.1]", ports[0]), 1)
		text = strings.Replace(text, `console: {listen: "127.0.0.1:0"}`, fmt.Sprintf("console: {listen: %q}", ports[2]), 1)
		text = strings.Replace(text, "log: {level: warn}", "log: {level: info, format: json}", 1)
		return text + "    addresses: [127.0.0.2]\n"
	})
	proc := spawn(t, "serve", "-c", path)
	proc.await("http://" + ports[2] + "/readyz")
	client := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "einvoice.example"}
	client.RootCAs.AddCert(ca)
	for _, tc := range []struct{ what, from, forwarded, want string }{
		{"allowed", "127.0.0.2", "", "cancelled"},
		{"not allowed", "127.0.0.3", "", "token invalid"},
		{"not allowed, says it is", "127.0.0.4", "127.0.0.2", "token invalid"},
		{"allowed, says something else", "127.0.0.2", "203.0.113.5", "cancelled"},
	} {
		got := postFrom(t, tc.from, client, "https://"+ports[1]+"/api.einvoice.php", demo.Envelope(sims[0].Taxpayer, sims[0].Success), tc.forwarded)
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, got, tc.want)
		}
	}
	proc.terminate()
	for _, from := range []string{"127.0.0.3", "127.0.0.4"} {
		want := `"from":"` + from + `","path":"/api.einvoice.php","caller":"erp","why":"caller may not call from this address"`
		if !strings.Contains(proc.err.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, proc.err.String())
		}
	}
}
