package config

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
)

const changeable = `
upstreams:
  nic:
    kind: nic
    base_url: https://nic.example
    client_secret: first-secret
    headers: {X-Key: header-secret}
    ca: "CERTIFICATE\n1"
taxpayers:
  29AAFCD5862R000: {upstream: nic, client_id: a, username: b, password: c-secret, public_key: d}
callers:
  sap: {tokens: ["sha256:` + "0000000000000000000000000000000000000000000000000000000000000000" + `"], taxpayers: all}
`

// A change is told key by key with what it was and is, of secrets only that there is one.
func TestChanges(t *testing.T) {
	parse := func(text string) *File {
		t.Helper()
		f, err := Parse([]byte(text), t.TempDir(), os.LookupEnv, kinds)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	was := parse(changeable)
	for name, tc := range map[string]struct {
		old, new string
		want     []string
	}{
		"nothing, written otherwise": {"upstreams:", "grace: 40s\nupstreams:", nil},
		"a default":                  {"upstreams:", "grace: 1m\nupstreams:", []string{"grace: 40s → 1m0s"}},
		"a secret":                   {"first-secret", "second-secret", []string{"upstreams.nic.client_secret changed"}},
		"a taxpayer's own secret":    {"c-secret", "e-secret", []string{"taxpayers.29AAFCD5862R000.password changed"}},
		"what may be a secret":       {"header-secret", "other-secret", []string{"upstreams.nic.headers changed"}},
		"one more of these":          {"{X-Key: header-secret}", "{X-Key: header-secret, Y: y}", []string{"upstreams.nic.headers changed"}},
		"a secret that goes":         {"    headers: {X-Key: header-secret}\n", "", []string{"upstreams.nic.headers removed"}},
		"a secret that comes":        {"    kind: nic", "    kind: nic\n    client_key: k-secret", []string{"upstreams.nic.client_key added"}},
		"a token":                    {`"]`, `", "sha256:` + strings.Repeat("1", 64) + `"]`, []string{"callers.sap.tokens changed"}},
		"a file of the same size":    {`CERTIFICATE\n1`, `CERTIFICATE\n2`, []string{"upstreams.nic.ca changed"}},
		"an upstream's key, once": {"https://nic.example", "https://api.example",
			[]string{"upstreams.nic.base_url: https://nic.example → https://api.example"}},
		"a database's password": {"upstreams:", "journal: postgres://u:p-secret@db/e\nupstreams:", []string{"journal: sqlite:bridge.db → postgres://u:xxxxx@db/e"}},
		"a caller": {"taxpayers: all}", "taxpayers: all}\n  axis: {tokens: [], taxpayers: [29AAFCD5862R000], per_minute: 5}",
			[]string{"callers.axis.tokens added", "callers.axis.taxpayers added: 29AAFCD5862R000", "callers.axis.per_minute added: 5"}},
		"what a listener accepts": {"upstreams:", "listen: {address: \"127.0.0.1:8080\", accept: {understood: any, xml11: true}}\nupstreams:",
			[]string{"listen.0.accept.understood added: any", "listen.0.accept.xml11 added: true"}},
		"listeners": {"upstreams:", "listen: [\"127.0.0.1:1\", \"127.0.0.1:2\"]\nupstreams:",
			[]string{"listen.0.address: 127.0.0.1:8080 → 127.0.0.1:1", "listen.1.address added: 127.0.0.1:2"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range Changes(was, parse(strings.Replace(changeable, tc.old, tc.new, 1))) {
				got = append(got, c.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// The keys that need a restart are keys of the file, and the guide to operation names each.
func TestFixedKeys(t *testing.T) {
	guide, err := os.ReadFile("../../fixtures/deploy/guides/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, told, _ := strings.Cut(string(guide), "Only a restart changes")
	told, _, _ = strings.Cut(told, ";")
	var keys []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[File]()) {
		keys = append(keys, f.Tag.Get("yaml"))
	}
	for _, key := range fixed {
		if !strings.Contains(told, "`"+key+"`") || !strings.Contains(" "+strings.Join(keys, " ")+" ", " "+key+" ") {
			t.Errorf("%s is no key, or the guide does not say that only a restart changes it", key)
		}
	}
	if n := strings.Count(told, "`") / 2; n != len(fixed) {
		t.Errorf("the guide names %d keys, want %d", n, len(fixed))
	}
	changes := []bridge.Change{{Path: "listen.0.address"}, {Path: "listen.0.accept.understood"}, {Path: "listener"}, {Path: "console.password"}, {Path: "grace"}, {Path: "journal"}}
	if diff := cmp.Diff([]string{"listen.0.address", "console.password", "journal"}, RestartFor(changes)); diff != "" {
		t.Errorf("restart for (-want +got):\n%s", diff)
	}
}
