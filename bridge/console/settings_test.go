package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
)

// The settings page says what works, what check says of the file, and how the two differ; only when a reload would
// change something there is a button for it.
func TestSettingsPage(t *testing.T) {
	running := []bridge.Setting{{Path: "listen", Value: "127.0.0.1:8080", About: "Where callers reach it."}, {Path: "upstreams.nic.client_secret", Value: "(hidden)"}}
	changes := []bridge.Change{
		{Path: "grace", Kind: bridge.Changed, Was: "40s", Is: "1m0s"}, {Path: "upstreams.nic.client_secret", Kind: bridge.Changed},
		{Path: "taxpayers.X.upstream", Kind: bridge.Added, Is: "nic"}, {Path: "retain", Kind: bridge.Removed, Was: "30d"},
	}
	const button, same = "<button>Reload</button>", "It says what works now."
	for name, tc := range map[string]struct {
		Settings
		want, not []string
	}{
		"nothing changed": {Settings{Good: true, Check: []string{"bridge.yaml is in order: 1 upstreams"}}, []string{"is in order", same}, []string{button}},
		"changed": {Settings{Good: true, Check: []string{"bridge.yaml:3: warning: soon over"}, Changes: changes},
			[]string{"bridge.yaml:3: warning: soon over", "<code>grace</code></td><td>changed", "<code>40s</code>", "<code>1m0s</code>",
				"<code>upstreams.nic.client_secret</code></td><td>changed</td><td></td><td></td>", "<td>added", "<td>removed", button}, []string{same}},
		"wrong":                 {Settings{Check: []string{`bridge.yaml:7: unknown key "<b>"`}}, []string{`bridge.yaml:7: unknown key &#34;&lt;b&gt;&#34;`}, []string{button, same, "is in order"}},
		"wrong, and it differs": {Settings{Check: []string{"bridge.yaml:7: no"}, Changes: changes}, []string{"bridge.yaml:7: no", "1m0s"}, []string{button}},
		"needs a restart": {Settings{Good: true, Changes: changes, Restart: []string{"journal", "listen.0.address"}},
			[]string{"journal, listen.0.address can't change while the bridge runs: restart it"}, []string{button}},
		"reloaded": {Settings{Good: true, Last: &Reload{By: "SIGHUP", Changes: changes[:1]}}, []string{"Reloaded,", "by SIGHUP", "1m0s"}, nil},
		"reload refused": {Settings{Good: true, Last: &Reload{By: "asha", Problems: []string{"bridge.yaml:7: no"}}},
			[]string{"Not reloaded, nothing was changed,", "asked for by asha", "bridge.yaml:7: no"}, []string{"Reloaded,"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.Running, tc.Path = running, "/etc/einvoice-bridge/bridge.yaml"
			_, html := open(t, &memory{settings: tc.Settings}, "").get("/settings")
			for _, want := range append(tc.want, "<code>127.0.0.1:8080</code>", `title="Where callers reach it."`, "(hidden)", tc.Path) {
				if !strings.Contains(html, want) {
					t.Errorf("the page lacks %q\n%s", want, html)
				}
			}
			for _, not := range tc.not {
				if strings.Contains(html, not) {
					t.Errorf("the page says %q", not)
				}
			}
		})
	}
}

// The button reloads, with the form's token only, and the page then says how it went.
func TestReloadFromThePage(t *testing.T) {
	m := &memory{settings: Settings{Good: true, Changes: []bridge.Change{{Path: "grace", Kind: bridge.Changed, Was: "40s", Is: "1m0s"}}}}
	o := open(t, m, "")
	o.get("/settings")
	if resp, err := o.client.PostForm(o.url+"/reload", url.Values{"csrf": {"guess"}}); err != nil || resp.StatusCode != http.StatusForbidden || m.settings.Last != nil {
		t.Fatalf("with a guessed token: %v, %v, reloaded %v", resp.StatusCode, err, m.settings.Last)
	}
	if code, html := o.send("/settings", "/reload", url.Values{}); code != http.StatusOK || !strings.Contains(html, "by console.") {
		t.Errorf("%d %s", code, html)
	}
}

func TestChangeOnOneLine(t *testing.T) {
	for want, c := range map[string]bridge.Change{
		"grace: 40s → 1m0s":           {Path: "grace", Kind: bridge.Changed, Was: "40s", Is: "1m0s"},
		"token changed":               {Path: "token", Kind: bridge.Changed},
		"token removed":               {Path: "token", Kind: bridge.Removed},
		"callers.x.wsse added: check": {Path: "callers.x.wsse", Kind: bridge.Added, Is: "check"},
	} {
		if got := c.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
