package app

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/fixtures/deploy"
	"einvoice-bridge/fixtures/sandbox/nic"
)

// example parses an example configuration as a service would that has its environment and files.
func example(t *testing.T, name string) (*config.File, error) {
	t.Helper()
	text, err := fs.ReadFile(deploy.Files, "examples/"+name)
	if err != nil {
		t.Fatal(err)
	}
	_, path := sandboxed(t, nil) // leaves a nic.pem
	return config.Parse(text, filepath.Dir(path), exampleEnvironment, FileKinds)
}

func exampleEnvironment(name string) (string, bool) {
	switch name {
	case "CONSOLE_PASSWORD_HASH":
		return "argon2id:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3U", true
	case "ALARM_WEBHOOK":
		return "https://alarms.example.com/hook", true
	case "EINVOICE_BRIDGE_SEAL":
		return config.NewSeal(), true
	}
	return "a-secret", true
}

// There is an example for each kind of upstream and for two machines, and the program accepts each: configuration,
// adapters and SOAP side.
func TestExamplesAreAccepted(t *testing.T) {
	names := []string{"two-machines.yaml"}
	for name := range gateways {
		names = append(names, name+".yaml")
	}
	for kind := range Kinds {
		names = append(names, kind+".yaml")
	}
	found, err := fs.Glob(deploy.Files, "examples/*")
	if err != nil || len(found) != len(names) {
		t.Errorf("there are examples %v, want %v (%v)", found, names, err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			f, err := example(t, name)
			if err != nil {
				t.Fatal(err)
			}
			if _, problems := newPlan(f, upstream.NewShared(noBudget{}, slog.New(slog.DiscardHandler)), newcomers(nil)); len(problems) > 0 {
				t.Error(problems)
			}
			kind := strings.TrimSuffix(name, ".yaml")
			if _, known := Kinds[kind]; known && f.Upstreams[kind].Kind != kind {
				t.Errorf("its upstream is not %s", kind)
			}
		})
	}
}

// gateways are the examples for others that speak NIC's protocol, by file: how they are reached, as their table of facts
// has it (2026-11).
var gateways = map[string]struct {
	auth, cancel, lookup string            // the whole paths, %s for the IRN
	headers              map[string]string // that stand for client_id and client_secret, if any
}{
	"nic-iris":     {"/eivital/v1.04/auth", "/eicore/v1.03/Invoice/Cancel", "/eicore/v1.03/Invoice/irn/%s", nil},
	"nic-ey":       {"/irp5/irpauthapi/v1.0/apiAuth", "/irp5/irpapi/v1.0/api/cancel", "/irp5/irpapi/v1.0/enSearch?irn=%s", nil},
	"nic-cleartax": {"/einv-gsp/vital/v1.04/auth", "/einv-gsp/core/v1.03/Invoice/Cancel", "/einv-gsp/core/v1.03/Invoice/irn/%s", map[string]string{"X-CT-Auth-Token": "a-secret"}},
	"nic-alankit": {"/eInvoiceGateway/eivital/v1.04/auth", "/eInvoiceGateway/eicore/v1.03/Invoice/Cancel", "/eInvoiceGateway/eicore/v1.03/Invoice/irn/%s",
		map[string]string{"Ocp-Apim-Subscription-Key": "a-secret"}},
	"nic-taxpro": {"/eivital/v1.04/auth", "/eicore/v1.03/Invoice/Cancel", "/eicore/v1.03/Invoice/irn/%s", map[string]string{"aspid": "your-asp-id", "password": "a-secret"}},
}

// Each gateway's example cancels and looks up at the NIC simulator, mounted at that gateway's paths and reached with its
// headers only.
func TestGatewayExamples(t *testing.T) {
	for name, g := range gateways {
		t.Run(name, func(t *testing.T) {
			authority := nic.Demo(nic.Options{})
			var strays []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				own := map[string]string{g.auth: nic.AuthPath, g.cancel: nic.CancelPath, fmt.Sprintf(g.lookup, nic.DemoIRN): nic.GetPath + nic.DemoIRN}
				path, ok := own[r.URL.RequestURI()]
				for header, value := range g.headers {
					ok = ok && r.Header.Get(header) == value
				}
				if hasClient := r.Header.Get("client_id") != ""; !ok || hasClient == (g.headers != nil) {
					strays = append(strays, r.Method+" "+r.URL.RequestURI())
				}
				if g.headers != nil { // the gateway is the client
					r.Header.Set("client_id", nic.DemoClientID)
					r.Header.Set("client_secret", nic.DemoClientSecret)
				}
				r.URL.Path, r.URL.RawQuery = path, ""
				authority.ServeHTTP(w, r)
			}))
			defer server.Close()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "nic.pem"), []byte(authority.PublicKeyPEM()), 0o600); err != nil {
				t.Fatal(err)
			}
			text, err := fs.ReadFile(deploy.Files, "examples/"+name+".yaml")
			if err != nil {
				t.Fatal(err)
			}
			here := regexp.MustCompile(`(base_url: )https://[^/\s]+`).ReplaceAllString(string(text), "${1}"+server.URL)
			here = strings.NewReplacer("29AAFCD5862R000", nic.DemoGSTIN, "your-api-user", nic.DemoUser, "your-client-id", nic.DemoClientID).Replace(here)
			f, err := config.Parse([]byte(here), dir, func(name string) (string, bool) {
				switch {
				case name == "NIC_PASSWORD":
					return nic.DemoPassword, true
				case strings.HasSuffix(name, "_CLIENT_SECRET"):
					return nic.DemoClientSecret, true
				}
				return "a-secret", true
			}, FileKinds)
			if err != nil {
				t.Fatal(err)
			}
			ups, _, problems := buildUpstreams(f, upstream.NewShared(noBudget{}, slog.New(slog.DiscardHandler)))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			c := bridge.Cancellation{Document: nic.DemoIRN, Taxpayer: nic.DemoGSTIN, Reason: bridge.DataEntry, Remarks: "Wrong entry"}
			o := ups[nic.DemoGSTIN].Cancel(t.Context(), c, func(context.Context) error { return nil })
			state, err := ups[nic.DemoGSTIN].Lookup(t.Context(), c)
			if o.Class != bridge.Cancelled || err != nil || state.Status != bridge.StatusCancelled || len(strays) > 0 {
				t.Errorf("cancel %v %s %s, lookup %+v %v; astray: %q", o.Class, o.Message, o.Alarm, state, err, strays)
			}
		})
	}
}
