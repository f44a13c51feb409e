package config

import (
	"slices"
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	of := []string{"listen", "journal", "nic", "invx", "public_url", "in_flight", "tls"}
	for word, want := range map[string]string{
		"listn": "listen", "lsiten": "listen", "Listen": "listen", "public-url": "public_url", "public_uri": "public_url",
		"nik": "nic", "cin": "", "infligth": "in_flight", "mine": "", "": "", "on_behalf_of": "", "é": "", "tsl": "tls",
	} {
		if got := nearest(word, slices.Values(of)); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

// A key or a kind that is nearly one is read as that: what is below it is told as well, and nothing as missing.
func TestSlipsAreToldWithTheRest(t *testing.T) {
	text := strings.NewReplacer("listen: 127.0.0.1:8080", "listn: 127.0.0.1", "upstreams:\n", "upsteams:\n", "kind: nic\n", "kind: nik\n",
		"https://nic.example", "nic.example", "    username:", "    usrname:", "callers:\n", "calers:\n", "sha256:2cf2", "sha256:2c",
		"p=1$AAAA", "p=1,x=1$AAAA").Replace(good)
	want := []string{
		`line 1: unknown key "listn"; did you mean listen?`,
		`line 1: listen address "127.0.0.1" is not host:port`,
		`line 6: unknown key "upsteams"; did you mean upstreams?`,
		"line 8: upstream nic has no known kind; did you mean nic?",
		"line 10: upstreams.nic.base_url is no http(s) address",
		`line 22: unknown key "usrname" in taxpayers.29AAFCD5862R000; did you mean username?`,
		`line 27: unknown key "calers"; did you mean callers?`,
		"line 29: a token of caller sap-pi is not sha256: and 64 hexadecimal digits; tokens are stored hashed (printf %s TOKEN | sha256sum)",
		`line 32: callers.sap-pi.login.password has argon2id parameters other than m=…,t=…,p=…; einvoice-bridge hash makes one`,
	}
	_, err := parse(t, text)
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
	text = strings.Replace(good, "journal:", "listne: 127.0.0.1:1\njournal:", 1)
	if _, err = parse(t, text); err == nil || !strings.Contains(err.Error(), `unknown key "listne"; known here are`) {
		t.Errorf("a key that is there already is meant: %v", err)
	}
}

func TestMeantGSTIN(t *testing.T) {
	for s, want := range map[string]string{
		"27AAPFU0939F1ZV": "27AAPFU0939F1ZV", // the example of the GST portal's validators
		"27AAPFU0939F1ZW": "27AAPFU0939F1ZV", "29AAFCD5862R000": "29AAFCD5862R000", "C25845632020": "C25845632020", "": "",
	} {
		if got := MeantGSTIN(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
