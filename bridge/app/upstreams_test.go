package app

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// planned is the plan of a simulators' configuration, edited.
func planned(t *testing.T, edit func(string) string) (*plan, []demo.Simulator) {
	t.Helper()
	sims, path := sandboxed(t, edit)
	f, err := config.Load(path, FileKinds)
	if err != nil {
		t.Fatal(err)
	}
	p, problems := newPlan(f, upstream.NewShared(noBudget{}, slog.New(slog.NewTextHandler(io.Discard, nil))), newcomers(nil))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return p, sims
}

// Every kind takes cancels_per_minute and keeps to it.
func TestCancelsPerMinuteCounts(t *testing.T) {
	p, sims := planned(t, func(text string) string {
		return strings.ReplaceAll(text, "    base_url:", "    cancels_per_minute: 7\n    base_url:")
	})
	for _, s := range sims {
		if r := p.ups[s.Taxpayer].Profile().Cancels; r.Limit != 7 || r.Per < time.Minute || r.Per > 65*time.Second || r.Key == "" {
			t.Errorf("%s: %+v", s.Name, r)
		}
	}
}

// Documents of an environment other than production have records of their own, through whatever kind.
func TestEnvironmentsAreSpacesOfTheirOwn(t *testing.T) {
	tried, sims := planned(t, nil)
	real, _ := planned(t, func(text string) string {
		return strings.ReplaceAll(text, `environment: "sandbox"`, `environment: "production"`)
	})
	for _, s := range sims {
		a, b := tried.ups[s.Taxpayer].Profile().Space, real.ups[s.Taxpayer].Profile().Space
		if !strings.HasSuffix(a, "/sandbox") || strings.Contains(b, "production") || strings.Contains(b, "sandbox") || b == "" {
			t.Errorf("%s: the sandbox is %q, production %q", s.Name, a, b)
		}
	}
}

// An invoice tried in the sandbox has the IRN of the real one, and one journal may have served both: production is
// asked, never answered with the sandbox's date.
func TestSandboxsRecordIsNotProductions(t *testing.T) {
	sims, path := sandboxed(t, nil)
	s := sims[0]
	sent := func() (n int) {
		for _, c := range s.Log.Calls() {
			if c.Operation == sandbox.Cancel {
				n++
			}
		}
		return n
	}
	ask := func() string {
		a := started(t, path, slog.New(slog.DiscardHandler))
		body, err := post(a.PublicURL()+"/einvoice", demo.Envelope(s.Taxpayer, s.Success))
		if err := errors.Join(err, a.Stop()); err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if got := ask(); !strings.Contains(got, "<code>200</code>") {
		t.Fatalf("in the sandbox: %s", got)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	real := strings.ReplaceAll(string(text), `environment: "sandbox"`, `environment: "production"`)
	if err := os.WriteFile(path, []byte(real), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ask(); sent() != 2 || !strings.Contains(got, "<code>204</code>") || !strings.Contains(got, "9999") {
		t.Errorf("in production: %d cancels were sent in all, the answer is %s", sent(), got)
	}
}

// An upstream that doesn't say where it is, or can't mean what it says, is named with its line.
func TestEnvironmentWarnings(t *testing.T) {
	for name, c := range map[string]struct{ environment, url, want string }{
		"said":                      {"environment: sandbox, ", "https://einv1api.gstsandbox.nic.in", ""},
		"said, production":          {"environment: Production, ", "https://api.einvoice1.gst.gov.in", ""},
		"missing":                   {"", "https://einv1api.gstsandbox.nic.in", "upstream nic has no environment; by its host's name it is taken for sandbox"},
		"missing, no marks":         {"", "https://api.einvoice1.gst.gov.in", "taken for production"},
		"the wrong one":             {"environment: production, ", "https://einv1api.gstsandbox.nic.in", "is labelled production, and its host's name says sandbox"},
		"nearly production":         {"environment: prod, ", "https://api.einvoice1.gst.gov.in", "is labelled prod, which is not production"},
		"of a name that is no mark": {"environment: trial, ", "https://api.example.com", ""},
	} {
		text := "callers: {erp: {tokens: [], taxpayers: all}}\nupstreams:\n  nic: {kind: nic, " + c.environment + "base_url: \"" + c.url + "\"}\n"
		f, err := config.Parse([]byte(text), t.TempDir(), func(string) (string, bool) { return "", false }, FileKinds)
		if err != nil {
			t.Fatal(err)
		}
		got := environments(f)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || got[0].Line != 3 || !strings.Contains(got[0].Text, c.want)) {
			t.Errorf("%s: got %v, want %q", name, got, c.want)
		}
	}
	text := `callers: {erp: {tokens: [], taxpayers: all}}
upstreams:
  nic: {kind: nic, client_id: c, client_secret: s, public_key: p, username: u, password: p}
taxpayers:
  A: {upstream: nic, base_url: "https://einv1api.gstsandbox.nic.in"}
  B: {upstream: nic, base_url: "https://api.einvoice1.gst.gov.in", environment: production}
`
	f, err := config.Parse([]byte(text), t.TempDir(), func(string) (string, bool) { return "", false }, FileKinds)
	if err != nil {
		t.Fatal(err)
	}
	if got := environments(f); len(got) != 1 || got[0].Line != 5 || !strings.Contains(got[0].Text, "taxpayer A") {
		t.Errorf("taxpayers with addresses of their own: %v", got)
	}
}

// A label that contradicts what is known of a host is an error, which check and serve stop at, for every kind; http in
// clear is a warning, for every kind.
func TestMisplacedAndInClear(t *testing.T) {
	for _, tt := range []struct{ keys, problem, warning string }{
		{"kind: nic, environment: sandbox, base_url: 'https://api.einvoice1.gst.gov.in'", "the host of its base_url is known as production", ""},
		{"kind: nic, environment: production, base_url: 'https://einv1api.gstsandbox.nic.in'", "known as sandbox", ""},
		{"kind: myinvois, environment: sandbox, base_url: 'https://gw.example', identity_url: 'https://api.myinvois.hasil.gov.my'", "the host of its identity_url is known as production", ""},
		{"kind: cleartax-in, environment: sandbox, base_url: 'https://api.clear.in'", "known as production", ""},
		{"kind: cleartax-my, environment: production, base_url: 'https://api-sandbox.my.cleartax.com'", "known as sandbox", ""},
		{"kind: invx, environment: production, base_url: 'https://gw.example', auth_url: 'https://sandbox.services.vayananet.com/theodore/apis/v1'", "the host of its auth_url", ""},
		{"kind: mastersindia, environment: sandbox, base_url: 'https://router.mastersindia.co'", "known as production", ""},
		{"kind: nic, environment: pilot, base_url: 'https://api.einvoice1.gst.gov.in'", "", ""},
		{"kind: nic, environment: sandbox, base_url: 'http://gw.example'", "", "base_url is not https"},
		{"kind: nic, environment: sandbox, base_url: 'http://127.0.0.1:9000'", "", ""},
		{"kind: nic, environment: sandbox, base_url: 'http://localhost:9000'", "", ""},
		{"kind: myinvois, environment: sandbox, base_url: 'http://[::1]:9000', identity_url: 'http://gw.example'", "", "identity_url is not https"},
		{"kind: cleartax-in, environment: sandbox, base_url: 'http://gw.example'", "", "base_url is not https"},
		{"kind: cleartax-my, environment: sandbox, base_url: 'http://gw.example'", "", "base_url is not https"},
		{"kind: invx, environment: sandbox, base_url: 'https://gw.example', auth_url: 'http://gw.example'", "", "auth_url is not https"},
		{"kind: mastersindia, environment: sandbox, base_url: 'http://gw.example'", "", "base_url is not https"},
	} {
		text := "callers: {erp: {tokens: [], taxpayers: all}}\nupstreams:\n  x: {" + tt.keys + "}\nseal: " + config.NewSeal() + "\n"
		f, err := config.Parse([]byte(text), t.TempDir(), func(string) (string, bool) { return "", false }, FileKinds)
		if err != nil {
			t.Fatal(err)
		}
		p, problems := newPlan(f, upstream.NewShared(noBudget{}, slog.New(slog.DiscardHandler)), newcomers(nil))
		for what, got := range map[string]config.Problems{tt.problem: problems, tt.warning: p.warnings} {
			if what == "" {
				continue
			}
			if len(got) != 1 || got[0].Line != 3 || !strings.Contains(got[0].Text, what) {
				t.Errorf("%s: %v, want %q", tt.keys, got, what)
			}
		}
		if tt.problem == "" && len(problems) > 0 || tt.warning == "" && tt.problem == "" && len(p.warnings) > 0 {
			t.Errorf("%s: problems %v, warnings %v", tt.keys, problems, p.warnings)
		}
	}
}

// A taxpayer whose check character can't be is never found by a caller that sends the right one.
func TestCheckCharacter(t *testing.T) {
	text := "callers: {erp: {tokens: [], taxpayers: all}}\nupstreams: {c: {kind: cleartax-in, environment: sandbox, base_url: 'https://gw.example', token: x}}\n" +
		"taxpayers:\n  27AAPFU0939F1ZV: {upstream: c}\n  27AAPFU0939F1ZX: {upstream: c}\n"
	f, err := config.Parse([]byte(text), t.TempDir(), func(string) (string, bool) { return "", false }, FileKinds)
	if err != nil {
		t.Fatal(err)
	}
	all := warnings(f, time.Now())
	if len(all) != 1 || all[0].Line != 5 || !strings.Contains(all[0].Text, "it is 27AAPFU0939F1ZV") {
		t.Errorf("%v", all)
	}
}

// A caller that doesn't say how long it waits gets the file's reply_within.
func TestReplyWithinOfEachCaller(t *testing.T) {
	text := "reply_within: 20s\ncallers: {own: {tokens: [], taxpayers: all, reply_within: 7s}, none: {tokens: [], taxpayers: all}}\nupstreams: {}\n"
	f, err := config.Parse([]byte(text), t.TempDir(), func(string) (string, bool) { return "", false }, FileKinds)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range accessConfig(f).Callers {
		if want := map[string]time.Duration{"own": 7 * time.Second, "none": 20 * time.Second}[c.Name]; c.Within != want {
			t.Errorf("%s is kept for %s, want %s", c.Name, c.Within, want)
		}
	}
}

var _ bridge.Budget = noBudget{}
