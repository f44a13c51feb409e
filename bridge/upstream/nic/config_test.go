package nic

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
	"einvoice-bridge/bridge/upstream/nic/publickey"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

func newShared() *upstream.Shared {
	return upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

func TestNewNamesEverySettingThatIsWrong(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"nothing", func(c *Config) { *c = Config{Settings: upstream.Settings{Name: "nic-1"}} }, []string{
			"nic nic-1: ", "client_id is missing (Client id that NIC or the gateway gave", "headers may stand for it", "client_secret is missing (", "username is missing", "password is missing",
			`gstin "" is not 15 letters and digits`, "public_key is missing or empty", "base_url is missing",
		}},
		{"GSTIN", func(c *Config) { c.Taxpayer = "29AAFCD5862R00" }, []string{`gstin "29AAFCD5862R00" is not 15 letters and digits`}},
		{"supplier", func(c *Config) { c.SupGSTIN = "x" }, []string{`sup_gstin "x" is not`}},
		{"choices", func(c *Config) { c.HeaderStyle, c.AuthVersion, c.IRP, c.RemarksTooLong = "dots", "2.0", "NIC3", "cut" }, []string{
			`header_style is "dots", must be underscore or hyphen`, `auth_version is "2.0", must be 1.04 or 1.03`,
			`irp is "NIC3"`, `remarks_too_long is "cut", must be refuse or truncate`,
		}},
		{"line break", func(c *Config) { c.ClientSecret = "top-secret\n" }, []string{"client_secret has control characters"}},
		{"path", func(c *Config) { c.CancelPath = "https://elsewhere.example/x" }, []string{"cancel_path must start with a slash"}},
		{"path to another host", func(c *Config) { c.GetPath = "//elsewhere.example/x" }, []string{"lookup_path must start with a slash"}},
		{"half a client", func(c *Config) {
			c.ClientSecret, c.Headers = "", map[string]bridge.Secret{"X-CT-Auth-Token": "top-secret"}
		}, []string{"client_secret is missing (That client id's secret; it goes with client_id)"}},
		{"another placeholder", func(c *Config) { c.GetPath = "/irn/{id}" }, []string{"lookup_path has braces; the only placeholder is {irn}"}},
		{"a placeholder elsewhere", func(c *Config) { c.CancelPath = "/cancel/{irn}" }, []string{"cancel_path has braces"}},
		{"long password", func(c *Config) { c.Password = bridge.Secret(strings.Repeat("top-secret", 7)) }, []string{"username and password are too long, by 15 bytes"}},
		{"private key", func(c *Config) { c.PublicKey = string(pemOf("PRIVATE KEY", []byte("top-secret"))) }, []string{"public_key holds a private key"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig(t)
			tt.change(&cfg)
			_, err := New(cfg, newShared())
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "top-secret") {
				t.Errorf("a secret shows in %v", err)
			}
		})
	}
}

func TestProfile(t *testing.T) {
	a, err := New(testConfig(t), newShared())
	if err != nil {
		t.Fatal(err)
	}
	p := a.Profile()
	if p.Name != "nic" || p.Kind != "nic" || p.Space != "irp" || p.Zone != upstream.IST || p.Cancels.Limit != 0 {
		t.Errorf("%+v", p)
	}
	if p.Rules.Document != "irn" || p.Rules.Remarks != "utf16max=100" || p.Rules.Normal("A5C1") != "a5c1" {
		t.Errorf("%+v", p.Rules)
	}
	cfg := testConfig(t)
	cfg.RemarksTooLong = irp.Truncate
	if a, err = New(cfg, newShared()); err != nil || a.Profile().Rules.Remarks != "" {
		t.Errorf("%+v, %v", a.Profile().Rules, err)
	}
}

func TestWarnings(t *testing.T) {
	der := spki(t, &NICKey().PublicKey)
	sum := sha256.Sum256(der)
	if _, print, _ := publickey.Parse(publicPEM(t)); print != hex.EncodeToString(sum[:]) {
		t.Errorf("fingerprint %s, want that of the key's DER", print)
	}
	tests := []struct{ base, environment, print, want string }{
		{"https://api.einvoice1.gst.gov.in", "production", productionKey, ""},
		{"https://einv1api.gstsandbox.nic.in", "sandbox", sandboxKey, ""},
		{"https://gateway.example/nic", "production", "unknown", ""},
		{"http://127.0.0.1:9000", "sandbox", sandboxKey, ""},
		{"https://api.einvoice2.gst.gov.in", "", sandboxKey, "public_key is the sandbox's"},
		{"https://einv-apisandbox.nic.in", "", productionKey, "public_key is production's"},
		{"https://einvoice1.gst.gov.in", "", "", "is the portal for people"},
		{"https://api.einvoice1.gst.gov.in", "sandbox", "", `environment is "sandbox"`},
		{"https://einv1api.gstsandbox.nic.in", "Production", "", `environment is "Production"`},
	}
	for _, tt := range tests {
		got := Config{Settings: upstream.Settings{Name: "nic", BaseURL: tt.base, Environment: tt.environment}}.warnings(tt.print)
		if tt.want == "" && len(got) != 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("%s as %s: %q, want %q", tt.base, tt.environment, got, tt.want)
		}
	}
}

// IRNs of two environments never share a record, and all taxpayers of one client id share its rate.
func TestSpaceAndRate(t *testing.T) {
	profile := func(change func(*Config)) bridge.Profile {
		cfg := testConfig(t)
		change(&cfg)
		a, err := New(cfg, newShared())
		if err != nil {
			t.Fatal(err)
		}
		return *a.Profile()
	}
	for want, change := range map[string]func(*Config){
		"irp":         func(*Config) {},
		"irp/sandbox": func(c *Config) { c.BaseURL = "https://einv1api.gstsandbox.nic.in" },
		"irp/drill":   func(c *Config) { c.Environment = "Drill" },
	} {
		if p := profile(change); p.Space != want || p.Cancels != (bridge.Rate{}) {
			t.Errorf("space %q, want %q; rate %+v, want none", p.Space, want, p.Cancels)
		}
	}
	twelve := func(c *Config) { c.CancelsPerMinute = 12 }
	first := profile(twelve).Cancels
	if first.Limit != 12 || first.Per != time.Minute {
		t.Errorf("rate %+v", first)
	}
	if p := profile(func(c *Config) { twelve(c); c.Taxpayer, c.Username = "09AAAPG7885R002", "other" }); p.Cancels != first {
		t.Errorf("another taxpayer of the client id has %+v, not %+v", p.Cancels, first)
	}
	for name, change := range map[string]func(*Config){
		"client id": func(c *Config) { c.ClientID = "another" },
		"base URL":  func(c *Config) { c.BaseURL = "https://other.example" },
	} {
		if p := profile(func(c *Config) { twelve(c); change(c) }); p.Cancels.Key == first.Key {
			t.Errorf("another %s shares the rate", name)
		}
	}
}
