package cleartax_test

import (
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream/cleartax"
)

func TestMalaysianConfigurationErrorsNameTheSetting(t *testing.T) {
	type config = cleartax.MalaysiaConfig
	for _, c := range []struct {
		name   string
		change func(*config)
		want   string
	}{
		{"no token", func(c *config) { c.Token = "" }, "token is missing"},
		{"a token with a line break", func(c *config) { c.Token = token + "\n" }, "token has blanks"},
		{"a token header that is none", func(c *config) { c.TokenHeader = "x token" }, "token_header is not the name of a header"},
		{"no base URL", func(c *config) { c.BaseURL = "" }, "base_url is missing"},
		{"no TIN", func(c *config) { c.TIN = " " }, "tin is missing"},
		{"a branch with a line break", func(c *config) { c.Branch = "a\nb" }, "branch has characters"},
		{"an invoice type that isn't", func(c *config) { c.InvoiceType = "sales" }, `einvoice_type is "sales", must be SALES, PURCHASE or SALES_B2C`},
	} {
		cfg := malaysiaConfig()
		c.change(&cfg)
		_, err := cleartax.NewMalaysia(cfg, sharing(&vendor{}))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cleartax-my my: ") {
			t.Errorf("%s: %v", c.name, err)
		}
		noSecret(t, err)
	}
}

func TestIndianConfigurationErrorsNameTheSetting(t *testing.T) {
	type config = cleartax.IndiaConfig
	for _, c := range []struct {
		name   string
		change func(*config)
		want   string
	}{
		{"no token", func(c *config) { c.Token = "" }, "token is missing"},
		{"no GSTIN", func(c *config) { c.Taxpayer = "C25845632020" }, `gstin "C25845632020" is not 15 letters and digits`},
		{"a route that isn't", func(c *config) { c.Route = "v1" }, `route is "v1", must be govt or v2`},
		{"neither refuse nor truncate", func(c *config) { c.RemarksTooLong = "cut" }, `remarks_too_long is "cut", must be refuse or truncate`},
	} {
		cfg := indiaConfig("")
		c.change(&cfg)
		_, err := cleartax.NewIndia(cfg, sharing(&vendor{}))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cleartax-in in: ") {
			t.Errorf("%s: %v", c.name, err)
		}
		noSecret(t, err)
	}
}

func TestProfiles(t *testing.T) {
	s := sharing(&vendor{})
	my := malaysia(t, s, malaysiaConfig()).Profile()
	if my.Name != "my" || my.Kind != "cleartax-my" || my.Space != "cleartax-my/C25845632020/sandbox" || my.Zone.String() != "MYT" {
		t.Errorf("%+v", my)
	}
	if my.Cancels.Limit != 1000 || my.Cancels.Per != 62*time.Second || my.CallTimeout != 30*time.Second || my.LookupTimeout != 10*time.Second {
		t.Errorf("%+v", my)
	}
	in := india(t, s, indiaConfig("")).Profile()
	if in.Name != "in" || in.Kind != "cleartax-in" || in.Space != "irp/sandbox" || in.Zone.String() != "IST" || in.Cancels.Limit != 0 || in.Rules.Document != "irn" {
		t.Errorf("%+v", in)
	}
	noSecret(t, *my)
	noSecret(t, *in)

	cfg := indiaConfig("")
	cfg.CancelsPerMinute = 30
	if got := india(t, s, cfg).Profile().Cancels; got.Limit != 30 || got.Per != 62*time.Second {
		t.Errorf("%+v", got)
	}
}

func TestWhatSharesCredentialRateAndSpace(t *testing.T) {
	s := sharing(&vendor{})
	type config = cleartax.MalaysiaConfig
	p := malaysia(t, s, malaysiaConfig()).Profile()
	for _, c := range []struct {
		name                    string
		change                  func(*config)
		credential, rate, space bool
	}{
		{"renamed", func(c *config) { c.Name = "other" }, true, true, true},
		{"another taxpayer", func(c *config) { c.TIN = "C99990000010" }, false, true, false},
		{"another taxpayer of the same account", func(c *config) { c.TIN, c.Account = "C99990000010", "C25845632020" }, false, true, true},
		{"a new token", func(c *config) { c.Token = "another-token" }, false, false, true},
		{"another branch", func(c *config) { c.Branch = "Ipoh" }, false, true, true},
		{"production", func(c *config) { c.BaseURL = "https://api.example" }, false, false, false},
		{"the sandbox by its label", func(c *config) { c.BaseURL, c.Environment = "https://api.example", "sandbox" }, false, false, true},
	} {
		cfg := malaysiaConfig()
		c.change(&cfg)
		q := malaysia(t, s, cfg).Profile()
		if (q.Credential == p.Credential) != c.credential || (q.Cancels.Key == p.Cancels.Key) != c.rate || (q.Space == p.Space) != c.space {
			t.Errorf("%s: credential %v, rate %v, space %v", c.name, q.Credential == p.Credential, q.Cancels.Key == p.Cancels.Key, q.Space == p.Space)
		}
	}
}

func TestRefusedFieldsAreNamed(t *testing.T) {
	s := sharing(&vendor{})
	for _, c := range []struct {
		rules                        bridge.Rules
		field, rule, code, wantsText string
	}{
		{malaysia(t, s, malaysiaConfig()).Profile().Rules, "irn", "is missing", "NotFound", "NotFound: unknown document (irn is missing)"},
		{malaysia(t, s, malaysiaConfig()).Profile().Rules, "cancel_reason", "is missing", "BadArgument", "BadArgument: invalid argument (cancel_reason is missing)"},
		{india(t, s, indiaConfig("")).Profile().Rules, "irn", "must be 64 hexadecimal characters", "2145", "2145: IRN is not valid (irn must be 64 hexadecimal characters)"},
	} {
		if code, message := c.rules.Refusal(c.field, c.rule); code != c.code || message != c.wantsText {
			t.Errorf("%s %q", code, message)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct{ base, environment, want string }{
		{"https://api-sandbox.my.cleartax.com", "sandbox", ""},
		{"https://api-sandbox.my.cleartax.com", "production", `environment is "production"`},
		{"https://api.clear.in", "sandbox", `environment is "sandbox"`},
		{"https://gateway.example", "sandbox", ""},
		{"http://127.0.0.1:9000", "", ""},
	} {
		cfg := malaysiaConfig()
		cfg.BaseURL, cfg.Environment = c.base, c.environment
		got := strings.Join(malaysia(t, sharing(&vendor{}), cfg).Warnings(), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s, %s: %q", c.base, c.environment, got)
		}
	}
}
