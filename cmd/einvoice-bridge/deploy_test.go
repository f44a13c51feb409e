package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/fixtures/deploy"
	"einvoice-bridge/fixtures/sandbox/demo"
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
	return config.Parse(text, filepath.Dir(path), exampleEnvironment, fileKinds)
}

func exampleEnvironment(name string) (string, bool) {
	switch name {
	case "CONSOLE_PASSWORD_HASH":
		return "argon2id:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3U", true
	case "ALARM_WEBHOOK":
		return "https://alarms.example.com/hook", true
	case sealVariable:
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
	for kind := range kinds {
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
			log := slog.New(slog.NewTextHandler(io.Discard, nil))
			if _, problems := newPlan(f, upstream.NewShared(noBudget{}, log), newcomers(nil)); len(problems) > 0 {
				t.Error(problems)
			}
			kind := strings.TrimSuffix(name, ".yaml")
			if _, known := kinds[kind]; known && f.Upstreams[kind].Kind != kind {
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
			}, fileKinds)
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

// What an example has as a comment works too, once it is no comment any more.
func TestExamplesCommentsAreAccepted(t *testing.T) {
	commented := regexp.MustCompile(`(?m)^( +)# ([a-z_]+: [^#\n]*)`)
	for kind := range kinds {
		text, err := fs.ReadFile(deploy.Files, "examples/"+kind+".yaml")
		if err != nil {
			t.Fatal(err)
		}
		_, upstreams, _ := strings.Cut(string(text), "\nupstreams:")
		upstreams, _, _ = strings.Cut(upstreams, "\n# The programs that may call")
		for _, m := range commented.FindAllStringSubmatch(upstreams, -1) {
			if strings.Contains(m[2], "…") {
				continue
			}
			_, path := sandboxed(t, nil)
			one := strings.Replace(string(text), m[0], m[1]+m[2], 1)
			if _, err := config.Parse([]byte(one), filepath.Dir(path), exampleEnvironment, fileKinds); err != nil {
				t.Errorf("%s, with %q: %v", kind, m[2], err)
			}
		}
	}
}

var metricName = regexp.MustCompile(`\beinvoice_[a-z_]+`)

// Every metric that a rule or a panel names exists.
func TestRulesAndDashboardNameRealMetrics(t *testing.T) {
	have := scrapeNames(t)
	for _, file := range []string{"prometheus/rules.yaml", "grafana/einvoice-bridge.json"} {
		text, err := fs.ReadFile(deploy.Files, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metricName.FindAllString(string(text), -1) {
			base := name
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				base = strings.TrimSuffix(base, suffix)
			}
			if !slices.Contains(have, name) && !slices.Contains(have, base) {
				t.Errorf("%s names %s, which no scrape shows", file, name)
			}
		}
	}
}

// scrapeNames are the metrics of a bridge to which everything has happened once.
func scrapeNames(t *testing.T) (names []string) {
	t.Helper()
	sims, path := sandboxed(t, nil)
	f, err := config.Load(path, fileKinds)
	if err != nil {
		t.Fatal(err)
	}
	a := serving(t, f)
	a.metrics.Register(newLogQueue(io.Discard).collector()) // as serve does
	for _, body := range []string{demo.Envelope(sims[1].Taxpayer, sims[1].Success), "nonsense"} {
		if _, err := post(a.server.PublicURL()+"/einvoice", body); err != nil {
			t.Fatal(err)
		}
	}
	waits := bridge.Entry{Key: bridge.Key{Space: "irp/sandbox", Document: "waits"}, Taxpayer: sims[0].Taxpayer, Created: time.Now(), Expires: time.Now().Add(time.Hour)}
	if _, _, err := a.journal.Begin(t.Context(), bridge.Begin{Entry: waits}); err != nil {
		t.Fatal(err)
	}
	a.observe.Alarm(bridge.Alarm{Kind: bridge.AlarmJournal})
	a.observe.Answered(bridge.CallReport{Unclassified: true, DateSource: bridge.DateEstimated})
	resp, err := http.Get(a.consoleURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "# HELP "); ok {
			name, _, _ = strings.Cut(name, " ")
			names = append(names, name)
		}
	}
	return names
}

// Files for other programs are at least what they claim to be.
func TestDeployFilesParse(t *testing.T) {
	err := fs.WalkDir(deploy.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(deploy.Files, path)
		if err != nil {
			return err
		}
		switch filepath.Ext(path) {
		case ".json":
			err = json.Unmarshal(text, new(any))
		case ".yaml":
			dec := yaml.NewDecoder(strings.NewReader(string(text)))
			for err == nil {
				err = dec.Decode(new(any))
			}
			if err == io.EOF {
				err = nil
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// systemd itself reads the unit, where there is one, and finds it well guarded.
func TestSystemdUnit(t *testing.T) {
	analyze := tool(t, "systemd-analyze", "systemd")
	text, err := fs.ReadFile(deploy.Files, "systemd/einvoice-bridge.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "einvoice-bridge.service")
	here := strings.NewReplacer("/usr/bin/einvoice-bridge", "/bin/true", "User=einvoice-bridge", "User=root").Replace(string(text))
	if err := os.WriteFile(unit, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", "--man=no", unit}, {"security", "--offline=true", "--threshold=20", unit}} {
		if out, err := exec.Command(analyze, args...).CombinedOutput(); err != nil || args[0] == "verify" && strings.Contains(string(out), unit) {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
	}
}

// HAProxy takes the Compose file's configuration, also while an instance is down and its name is unknown.
func TestComposeProxy(t *testing.T) {
	haproxy := tool(t, "haproxy", "haproxy")
	cfg := filepath.Join("..", "..", "fixtures", "deploy", "compose", "haproxy.cfg")
	if out, err := exec.Command(haproxy, "-c", "-f", cfg).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The manual page names every command.
func TestManualPage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "fixtures", "deploy", "debian", "einvoice-bridge.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range root().Commands() {
		if !strings.Contains(string(text), "\n.TP\n.B "+cmd.Name()+"\n") {
			t.Errorf("the manual page has no command %s", cmd.Name())
		}
	}
}
