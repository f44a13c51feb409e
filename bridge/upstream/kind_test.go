package upstream

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
)

// trial is a configuration struct with a key of every sort.
type trial struct {
	Settings `yaml:",inline"`
	User     string            `yaml:"user" validate:"required_without=Headers,required_with=Password" doc:"Who calls. Made on the portal."`
	Password bridge.Secret     `yaml:"password" validate:"required_without=Headers" doc:"That user's password"`
	LoginURL string            `yaml:"login_url" validate:"omitempty,address" doc:"Where logins go."`
	Mode     string            `yaml:"mode" validate:"oneof=slow fast safe" default:"safe" doc:"How."`
	Two      string            `yaml:"two" validate:"omitempty,oneof=a b" doc:"Which."`
	Key      bridge.Secret     `yaml:"key" validate:"visible" doc:"A key."`
	Org      string            `yaml:"org" validate:"segment" doc:"An organisation."`
	Buyer    string            `yaml:"buyer" validate:"omitempty,gstin" doc:"A GSTIN."`
	Header   string            `yaml:"header_name" validate:"header" default:"x-key" doc:"A header."`
	Way      string            `yaml:"way" validate:"path" default:"/a" doc:"A path."`
	Find     string            `yaml:"find" validate:"path={irn}" default:"/b/{irn}" doc:"A path with a placeholder."`
	Map      map[string]string `yaml:"map" validate:"dive,len=3" doc:"Three letters each."`
	Parallel int               `yaml:"parallel" validate:"min=1" default:"5" doc:"Calls at once."`
}

type tried struct {
	bridge.Upstream
	trial
}

func TestKindMakesAndCopiesSettings(t *testing.T) {
	k := KindOf("trial", func(c trial, _ *Shared) (tried, error) { return tried{trial: c}, Prepare(&c) })
	s := k.Settings().(*trial)
	if s.Mode != "safe" || s.Parallel != 5 || s.CallTimeout.D() != 30*time.Second || s.User != "" {
		t.Errorf("defaults: %+v", s)
	}
	s.BaseURL, s.User, s.Password = "https://api.example", "u", "p"
	up, err := k.New("here", "me", s, newShared())
	if err != nil || up.(tried).Name != "here" || up.(tried).Taxpayer != "ME" || s.Taxpayer != "" {
		t.Errorf("%+v, %v", up, err)
	}
	if up, err := k.New("here", "me", k.Settings(), newShared()); up != nil || err == nil {
		t.Errorf("without its keys: %v, %v", up, err)
	}
}

// Every rule is told in words that follow the key's name, and none shows a secret.
func TestCheck(t *testing.T) {
	good := func() trial {
		return trial{Settings: Settings{BaseURL: "https://api.example"}, User: "u", Password: "geheim"}
	}
	for name, c := range map[string]struct {
		change func(*trial)
		want   string
	}{
		"good":               {func(*trial) {}, ""},
		"no base":            {func(c *trial) { c.BaseURL = "" }, "base_url is missing (Scheme, host and, if there is one, the path before every call's)"},
		"no scheme":          {func(c *trial) { c.BaseURL = "api.example" }, "base_url is no http(s) address"},
		"other scheme":       {func(c *trial) { c.BaseURL = "ftp://api.example" }, "base_url is no http(s) address"},
		"user in base":       {func(c *trial) { c.BaseURL = "https://u:geheim@api.example" }, "base_url holds a user name; credentials have keys of their own"},
		"query":              {func(c *trial) { c.LoginURL = "https://api.example?x=1" }, "login_url ends before the question mark"},
		"proxy":              {func(c *trial) { c.Proxy = "http://%zz" }, "proxy is no http(s) address"},
		"header's name":      {func(c *trial) { c.Headers = map[string]bridge.Secret{"a b": "geheim"} }, "headers.a b is not the name of a header"},
		"header's value":     {func(c *trial) { c.Headers = map[string]bridge.Secret{"aspid": "geheim\r\nx: y"} }, "headers.aspid can't be sent as a header"},
		"header with a tab":  {func(c *trial) { c.Headers = map[string]bridge.Secret{"aspid": "a\tb"} }, ""},
		"no user":            {func(c *trial) { c.User = "" }, "user is missing (Who calls; headers may stand for it)"},
		"headers instead":    {func(c *trial) { c.User, c.Password, c.Headers = "", "", map[string]bridge.Secret{"k": "v"} }, ""},
		"half of it":         {func(c *trial) { c.User, c.Headers = "", map[string]bridge.Secret{"k": "v"} }, "user is missing (Who calls; it goes with password)"},
		"three words":        {func(c *trial) { c.Mode = "odd" }, `mode is "odd", must be slow, fast or safe`},
		"two words":          {func(c *trial) { c.Two = "c" }, `two is "c", must be a or b`},
		"invisible":          {func(c *trial) { c.Key = "geheim\n" }, "key has blanks or characters that can't be sent in a header"},
		"segment":            {func(c *trial) { c.Org = "a/b" }, "org may not have slashes, dots in a row or control characters"},
		"GSTIN":              {func(c *trial) { c.Buyer = "x" }, `buyer "x" is not 15 letters and digits`},
		"GSTIN, lower case":  {func(c *trial) { c.Buyer = "29aafcd5862r000" }, ""},
		"no header's name":   {func(c *trial) { c.Header = "x key" }, "header_name is not the name of a header"},
		"path":               {func(c *trial) { c.Way = "//elsewhere/x" }, "way must start with a slash and be a path"},
		"placeholder":        {func(c *trial) { c.Way = "/x/{irn}" }, "way has braces; the only placeholder is {irn}, in lookup_path"},
		"another":            {func(c *trial) { c.Find = "/x/{id}" }, "find has braces; the only placeholder is {irn}, in lookup_path"},
		"an entry":           {func(c *trial) { c.Map = map[string]string{"one": "1"} }, "map.one must have exactly 3 characters"},
		"a number":           {func(c *trial) { c.CancelsPerMinute = -1 }, "cancels_per_minute must be 0 or more"},
		"a number over zero": {func(c *trial) { c.Parallel = -1 }, "parallel must be 1 or more"},
	} {
		trial := good()
		c.change(&trial)
		got := ""
		if err := Prepare(&trial); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if strings.Contains(got, "geheim") {
			t.Errorf("%s: a secret shows in %s", name, got)
		}
	}
}

func TestAddresses(t *testing.T) {
	got := KindOf("trial", func(trial, *Shared) (tried, error) { return tried{}, nil }).Addresses(&trial{Settings: Settings{BaseURL: "https://a", Proxy: "http://p"}, LoginURL: "https://b"})
	if want := map[string]string{"base_url": "https://a", "login_url": "https://b"}; !maps.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}
