package myinvois_test

import (
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream/myinvois"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

func TestConfigurationErrorsNameTheSetting(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*myinvois.Config)
		want   string
	}{
		{"no client id", func(c *myinvois.Config) { c.ClientID = "" }, "client_id is missing"},
		{"no secret", func(c *myinvois.Config) { c.ClientSecret = "" }, "client_secret is missing"},
		{"a client id out of the manual", func(c *myinvois.Config) { c.ClientID = "…" }, "client_id has blanks or characters that can't be sent in a header"},
		{"a secret with a line break", func(c *myinvois.Config) { c.ClientSecret = "s3cr3t-one\n" }, "client_secret has blanks"},
		{"no base URL", func(c *myinvois.Config) { c.BaseURL = "" }, "base_url is missing"},
		{"identity URL is none", func(c *myinvois.Config) { c.IdentityURL = "identity.example" }, "identity_url is no http(s) address"},
		{"a taxpayer's name for its TIN", func(c *myinvois.Config) { c.OnBehalfOf = "Setia Jaya Sdn Bhd" }, "on_behalf_of is neither a TIN nor TIN:ROB"},
		{"a map to no UUID", func(c *myinvois.Config) { c.IRNMap = map[string]string{"INV-1": "x"} }, "irn_map.INV-1 must have exactly 26 characters"},
	} {
		cfg := config()
		c.change(&cfg)
		_, err := myinvois.New(cfg, sharing(&authority{}))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "myinvois my: ") {
			t.Errorf("%s: %v", c.name, err)
		}
		noSecret(t, err)
	}
}

func TestProfile(t *testing.T) {
	s := sharing(&authority{})
	p := adapter(t, s, config()).Profile()
	if p.Name != "my" || p.Kind != "myinvois" || p.Space != "myinvois/sandbox" || p.Zone.String() != "MYT" {
		t.Errorf("%+v", p)
	}
	if p.CallTimeout != 30*time.Second || p.LookupTimeout != 10*time.Second || p.Cancels.Limit != 12 || p.Cancels.Per != 62*time.Second {
		t.Errorf("%+v", p)
	}
	noSecret(t, *p)

	same := func(change func(*myinvois.Config)) (credential, rate bool) {
		cfg := config()
		change(&cfg)
		q := adapter(t, s, cfg).Profile()
		return q.Credential == p.Credential, q.Cancels.Key == p.Cancels.Key
	}
	for _, c := range []struct {
		name             string
		change           func(*myinvois.Config)
		credential, rate bool
	}{
		{"renamed", func(c *myinvois.Config) { c.Name = "other" }, true, true},
		{"a trailing slash", func(c *myinvois.Config) { c.BaseURL += "/" }, true, true},
		{"for another taxpayer", func(c *myinvois.Config) { c.OnBehalfOf = "C25845632020" }, false, true},
		{"with a new secret", func(c *myinvois.Config) { c.ClientSecret = "s3cr3t-two" }, false, true},
		{"of another client id", func(c *myinvois.Config) { c.ClientID = "another" }, false, false},
		{"at another host", func(c *myinvois.Config) { c.BaseURL = "https://api.myinvois.hasil.gov.my" }, false, false},
	} {
		credential, rate := same(c.change)
		if credential != c.credential || rate != c.rate {
			t.Errorf("%s: same credential %v, same rate %v; want %v, %v", c.name, credential, rate, c.credential, c.rate)
		}
	}
}

func TestTINsAreSentAsMyInvoisWritesThem(t *testing.T) {
	for in, want := range map[string]string{
		"C25845632020":               "C25845632020",
		"c25845632020":               "C25845632020",
		"C0025845632020":             "C25845632020",
		"C2584563202":                "C25845632020",
		"CS00123456780":              "CS123456780",
		"SG12345678912":              "IG12345678912",
		"OG12345678912:201901234567": "IG12345678912:201901234567",
		"IG012345678912":             "IG012345678912",
		"EI00000000010":              "EI00000000010",
		" D4800990020 ":              "D4800990020",
	} {
		cfg := config()
		cfg.OnBehalfOf = in
		m := &authority{}
		a := adapter(t, sharing(m), cfg)
		if o := a.Cancel(ctx, cancellation(), upstreamtest.Free); o.Class != bridge.Cancelled {
			t.Errorf("%s: %s", in, o.Message)
			continue
		}
		if got := m.requests[0].onBehalfOf(); got != want {
			t.Errorf("%q is sent as %q, want %q", in, got, want)
		}
		if changed := len(a.Warnings()) > 0; changed != (in != want) {
			t.Errorf("%q: warnings %v", in, a.Warnings())
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*myinvois.Config)
		want   string // empty: none
	}{
		{"as it should be", func(c *myinvois.Config) { c.Environment = "sandbox" }, ""},
		{"portal", func(c *myinvois.Config) { c.BaseURL = "https://preprod.myinvois.hasil.gov.my" }, "is the portal for people"},
		{"login elsewhere", func(c *myinvois.Config) { c.IdentityURL = "https://api.myinvois.hasil.gov.my" }, "different environments"},
	} {
		cfg := config()
		c.change(&cfg)
		got := strings.Join(adapter(t, sharing(&authority{}), cfg).Warnings(), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}
