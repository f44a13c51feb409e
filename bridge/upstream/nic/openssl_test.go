package nic_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/nic"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

// opensslNIC answers a login and a cancel with the openssl command alone, whose cryptography is not Go's.
type opensslNIC struct {
	t              *testing.T
	private        string // file
	login, request []byte // decrypted
}

func openssl(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("openssl %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

func (n *opensslNIC) unbase64(text []byte) []byte { return openssl(n.t, text, "base64", "-d", "-A") }

// aes runs AES-256-ECB with PKCS#7 padding; direction is -e or -d, the sealed side is base64.
func (n *opensslNIC) aes(direction string, key, in []byte) []byte {
	return openssl(n.t, in, "enc", direction, "-aes-256-ecb", "-K", hex.EncodeToString(key), "-base64", "-A")
}

const opensslSEK = "0123456789abcdef0123456789abcdef"

func (n *opensslNIC) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in struct{ Data string }
	if err := json.Unmarshal(body, &in); err != nil {
		n.t.Error(err)
	}
	if strings.HasSuffix(r.URL.Path, "/auth") {
		text := openssl(n.t, n.unbase64([]byte(in.Data)), "pkeyutl", "-decrypt", "-inkey", n.private, "-pkeyopt", "rsa_padding_mode:pkcs1")
		n.login = n.unbase64(text)
		var login struct{ AppKey string }
		if err := json.Unmarshal(n.login, &login); err != nil {
			n.t.Error(err)
		}
		sek := n.aes("-e", n.unbase64([]byte(login.AppKey)), []byte(opensslSEK))
		io.WriteString(w, `{"Status":1,"Data":{"AuthToken":"token","Sek":"`+string(sek)+`","TokenExpiry":"2099-01-01 00:00:00"}}`)
		return
	}
	n.request = n.aes("-d", []byte(opensslSEK), []byte(in.Data))
	reply := n.aes("-e", []byte(opensslSEK), []byte(`{"Irn":"`+opensslIRN+`","CancelDate":"2026-11-01 10:00:00"}`))
	io.WriteString(w, `{"Status":1,"Data":"`+string(reply)+`","ErrorDetails":null,"InfoDtls":null}`)
}

const opensslIRN = "a5c12dca80e743321740b001fd70953e8738d109865d28ba4013750f2046f229"

func TestOpenSSLReadsWhatIsSent(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("EINVOICE_BRIDGE_NO_SKIP") != "" {
			t.Fatal("the openssl command is missing")
		}
		t.Skip("SKIPPED: the openssl command is missing; nothing but Go's own cryptography judges what is sent")
	}
	dir := t.TempDir()
	n := &opensslNIC{t: t, private: filepath.Join(dir, "private.pem")}
	openssl(t, nil, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", n.private)
	public := openssl(t, nil, "pkey", "-in", n.private, "-pubout")
	srv := httptest.NewServer(n)
	defer srv.Close()
	a, err := nic.New(nic.Config{
		Settings: upstream.Settings{Name: "nic", Taxpayer: "29AAFCD5862R000", BaseURL: srv.URL}, ClientID: "client-id", ClientSecret: "client-secret",
		Username: "user", Password: `p"ä&<>\w`, PublicKey: string(public),
	}, upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	o := a.Cancel(t.Context(), bridge.Cancellation{Document: opensslIRN, Reason: bridge.Others, Remarks: "für <b>"}, upstreamtest.Free)
	if o.Class != bridge.Cancelled || o.Date != "2026-11-01 10:00:00" {
		t.Errorf("%+v", o)
	}
	var login struct {
		UserName, Password, AppKey string
		ForceRefreshAccessToken    bool
	}
	if err := json.Unmarshal(n.login, &login); err != nil || login.UserName != "user" || login.Password != `p"ä&<>\w` || len(login.AppKey) != 44 || login.ForceRefreshAccessToken {
		t.Errorf("openssl reads the login as %s", n.login)
	}
	if want := `{"Irn":"` + opensslIRN + `","CnlRsn":"4","CnlRem":"für <b>"}`; string(n.request) != want {
		t.Errorf("openssl reads the cancel as\n%s\nwant\n%s", n.request, want)
	}
}
