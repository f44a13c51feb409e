package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/myinvois"
	"einvoice-bridge/bridge/upstream/nic"
)

// kinds are enough to tell one from another.
var kinds = Kinds{
	"nic":      {New: nic.Kind.Settings, Check: upstream.Check},
	"myinvois": {New: myinvois.Kind.Settings, Check: upstream.Check},
}

// good is a complete file in the shape that the documentation shows.
const good = `listen: 127.0.0.1:8080
public_url: https://einvoice.example.com
journal: sqlite:bridge.db
reply_within: 50s
retain: 400d
upstreams:
  nic:
    kind: nic
    environment: sandbox
    base_url: https://nic.example
    client_id: "CID"
    client_secret: "${NIC_SECRET}"
    public_key: "file:nic.pem"
  myinvois:
    kind: myinvois
    base_url: https://myinvois.example
    client_id: "MID"
    client_secret: "cost$$5"
taxpayers:
  29AAFCD5862R000:
    upstream: nic
    username: "u"
    password: "${NIC_PASSWORD}"
  C25845632020:
    upstream: myinvois
    on_behalf_of: "C25845632020"
callers:
  sap-pi:
    tokens: ["sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"]
    taxpayers: [29AAFCD5862R000, C25845632020]
    reply_within: 25s
    login: {username: u, password: "argon2id:$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA"}
`

func env(name string) (string, bool) {
	v, ok := map[string]string{"NIC_SECRET": "s3cret: {", "NIC_PASSWORD": "file:not-a-file", "HASH": "argon2id:$$argon2id$$v=19$$m=19456,t=2,p=1$$AA$$BB"}[name]
	return v, ok
}

func parse(t *testing.T, text string) (*File, error) {
	t.Helper()
	return Parse([]byte(text), withKey(t), env, kinds)
}

// withKey is a folder with the key that good names.
func withKey(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nic.pem"), []byte("KEY\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestGoodFile(t *testing.T) {
	f, err := parse(t, good)
	if err != nil {
		t.Fatal(err)
	}
	own := f.Taxpayers["29AAFCD5862R000"].Settings.(*nic.Config)
	myinvois := f.Upstreams["myinvois"].Settings.(*myinvois.Config)
	for _, c := range []struct{ what, got, want string }{
		{"a variable, whatever it holds", own.ClientSecret.Reveal(), "s3cret: {"},
		{"a variable's value is no file name", own.Password.Reveal(), "file:not-a-file"},
		{"a file without its last line break", own.PublicKey, "KEY"},
		{"an upstream's setting", own.ClientID, "CID"},
		{"a taxpayer's own setting", own.Username, "u"},
		{"two dollar signs are one", myinvois.ClientSecret.Reveal(), "cost$5"},
		{"a single listener", f.Listen[0].Address, "127.0.0.1:8080"},
		{"days", f.Retain.D().String(), (400 * 24 * time.Hour).String()},
		{"a password hash as it is printed", f.Callers["sap-pi"].Login.Password.Reveal(), "argon2id:$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA"},
		{"a default", f.CarryOutWithin.D().String(), "30m0s"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
		}
	}
	if got := f.Line("taxpayers.29AAFCD5862R000.password"); got != 23 {
		t.Errorf("password stands on line %d, Line says %d", 23, got)
	}
}

// Each mistake is found, with its line and in words that say what to write.
func TestProblems(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"unknown key", "public_url:", "public_uri:", `line 2: unknown key "public_uri"; did you mean public_url?`},
		{"unknown nested key", "    reply_within: 25s", "    reply: 25s", `line 31: unknown key "reply" in callers.sap-pi`},
		{"unset variable", "${NIC_SECRET}", "${NO_SUCH}", "line 12: the environment variable NO_SUCH is not set"},
		{"lone dollar", "cost$$5", "cost$5", "line 18: a lone $"},
		{"missing file", "file:nic.pem", "file:none.pem", "line 13: the value's file can't be read"},
		{"bad duration", "reply_within: 50s", "reply_within: fifty", `line 4: this is no duration`},
		{"duration out of range", "reply_within: 50s", "reply_within: 5h", "line 4: reply_within is 5h0m0s; it must be between"},
		{"unknown kind", "kind: nic", "kind: nicc", "line 8: upstream nic has no known kind"},
		{"setting of another kind", "    public_key:", "    on_behalf_of: x\n    public_key:", "line 13: on_behalf_of is no setting of kind nic"},
		{"missing setting", "    username: \"u\"\n", "", "line 20: taxpayer 29AAFCD5862R000: nic needs username"},
		{"undefined upstream", "    upstream: nic\n", "    upstream: nix\n", `names the upstream "nix", which is not defined`},
		{"half a hash", "argon2id:$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA", "argon2id:$argon2id$v=19$m=19456,t=2,p=1$", "line 32: callers.sap-pi.login.password is not"},
		{"a hash of a variable, each dollar twice", "argon2id:$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA", "${HASH}", "line 32: callers.sap-pi.login.password has $$ where $ belongs"},
		{"lower-case taxpayer", "  29AAFCD5862R000:\n", "  29aafcd5862r000:\n", "is never found"},
		{"undefined taxpayer", "[29AAFCD5862R000, C25845632020]", "[29AAFCD5862R999]", "which is not defined in taxpayers"},
		{"clear token", `"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"`, `"hello"`, "line 29: a token of caller sap-pi is not sha256:"},
		{"bad base url", "https://nic.example", "nic.example", "line 10: upstreams.nic.base_url is no http(s) address"},
		{"mixed environments", "    client_id: \"MID\"", "    environment: production\n    client_id: \"MID\"", "environment sandbox of upstream nic stands beside another"},
		{"no YAML", "listen: 127", "listen: [127", "line "},
		{"key twice", "journal: sqlite:bridge.db", "journal: sqlite:bridge.db\njournal: sqlite:other.db", "stands twice"},
		{"wrong type", "public_url: https://einvoice.example.com", "public_url: [1]", "line 2: cannot unmarshal"},
		{"unknown key of a single listener", "listen: 127.0.0.1:8080", "listen: {address: 'a:1', tsl: {}}", `line 1: unknown key "tsl" in listen.0`},
		{"no key file", "listen: 127.0.0.1:8080", "listen:\n  - address: a:1\n    tls: {certificate: a}", "line 3: tls of a:1 needs certificate and key"},
		{"no certificate at all", "listen: 127.0.0.1:8080", "listen:\n  - address: a:1\n    tls: {certificates: []}", "line 3: tls of a:1 needs certificate and key"},
		{"one of several without key", "listen: 127.0.0.1:8080", "listen: {address: 'a:1', tls: {certificates: [{certificate: a, key: b}, {certificate: c}]}}", "tls of a:1 needs certificate and key"},
		{"one and several", "listen: 127.0.0.1:8080", "listen: {address: 'a:1', tls: {certificate: a, key: b, certificates: [{certificate: a, key: b}]}}", "write it into certificates"},
		{"a certificate's text", "listen: 127.0.0.1:8080", "listen: {address: 'a:1', tls: {certificate: '-----BEGIN CERTIFICATE-----', key: b}}", "file names without file:"},
		{"profile", "listen: 127.0.0.1:8080", "listen:\n  - address: a:1\n    tls:\n      certificate: a\n      key: b\n      profile: old", "line 6: listen.0.tls.profile is one of modern, compat, legacy"},
		{"3DES without legacy", "listen: 127.0.0.1:8080", "listen:\n  - a:0\n  - address: a:1\n    tls:\n      certificate: a\n      key: b\n      triple_des: true", "line 7: triple_des of a:1 needs profile: legacy"},
		{"client certificates", "listen: 127.0.0.1:8080", "listen:\n  address: a:1\n  tls:\n    certificate: a\n    key: b\n    client_ca: c\n    client_certificates: maybe", "line 7: listen.0.tls.client_certificates is one of required, optional"},
		{"client certificates of nobody", "listen: 127.0.0.1:8080", "listen:\n  address: a:1\n  tls:\n    certificate: a\n    key: b\n    client_certificates: optional", "line 6: client_certificates of a:1 needs client_ca"},
		{"a caller's certificate", "    reply_within: 25s", "    certificates: ['CN=erp']", "line 31: a certificate of caller sap-pi is none of sha256:FINGERPRINT"},
		{"a caller without any certificate", "    reply_within: 25s", "    certificates: []", "line 31: caller sap-pi has an empty list of certificates"},
		{"traces to nowhere", "retain: 400d", "traces: {sample: 0.5}", "line 5: traces go nowhere; write otlp:"},
		{"traces to no address", "retain: 400d", "traces: {otlp: 'collector:4318'}", "line 5: traces.otlp is no http(s) address"},
		{"too many traces", "retain: 400d", "traces: {otlp: 'http://c', sample: 10}", "line 5: traces.sample is a share between 0 and 1"},
		{"no number of traces", "retain: 400d", "traces: {otlp: 'http://c', sample: .nan}", "traces.sample is a share"},
		{"a header of two lines", "retain: 400d", "traces: {otlp: 'http://c', headers: {key: \"a\\nb: c\"}}", `"key" is not a header that can be sent`},
		{"no such level", "retain: 400d", "log: {level: loud}", "line 5: log.level is one of debug, info, warn, error"},
		{"a caller's word", "    reply_within: 25s", "    wsse: maybe", "line 31: callers.sap-pi.wsse is one of ignore, check"},
		{"a word of an upstream", "    public_key:", "    header_style: dots\n    public_key:", `line 13: upstreams.nic.header_style is "dots", must be underscore or hyphen`},
		{"a word of a taxpayer", "    username: \"u\"", "    header_style: dots\n    username: u", `line 22: taxpayers.29AAFCD5862R000.header_style is "dots"`},
		{"a header that can't be sent", "    public_key:", "    headers: {'a b': c}\n    public_key:", "line 13: upstreams.nic.headers.a b is not the name of a header"},
		{"a taxpayer's kind", "    username: \"u\"", "    kind: myinvois\n    username: u", "line 22: a taxpayer can't change its upstream's kind"},
		{"a setting of another kind, of a taxpayer", "    username: \"u\"", "    on_behalf_of: x\n    username: u", "line 22: on_behalf_of is no setting of kind nic"},
		{"a setting of no kind", "    public_key:", "    public_kee: x\n    public_key:", `line 13: unknown key "public_kee" in upstreams.nic; known here are auth_path,`},
		{"a setting without a value", "    username: \"u\"", "    username: \"\"", "line 20: taxpayer 29AAFCD5862R000: nic needs username (API user of the taxpayer), here or in upstream nic"},
		{"what two keys can be", "    client_id: \"CID\"\n", "", "nic needs client_id (Client id that NIC or the gateway gave the bridge's operator; headers may stand for it)"},
		{"a bad duration of an upstream", "    public_key:", "    timeout: soon\n    public_key:", `line 13: this is no duration; write 50s`},
		{"a wrong type in an upstream", "    public_key:", "    timeout: [1s]\n    public_key:", "line 13: cannot unmarshal"},
		{"no name", "  myinvois:\n", "  ~:\n", "line 14: a name in upstreams is empty, or not plain text"},
		{"a name in base64", "  29AAFCD5862R000:\n", "  !!binary QQ==:\n", "line 20: a name in taxpayers is empty, or not plain text"},
		{"a zone of no place", "retain: 400d", "console: {zone: IST+5}", "there is no time zone"},
		{"console off loopback", "retain: 400d", "console: {listen: '0.0.0.0:9090'}", "needs users, or username and password"},
		{"a user in no role", "retain: 400d", "console: {users: {asha: {password: 'argon2id:x'}}}", "role"},
		{"a user who can't come in", "retain: 400d", "console: {users: {asha: {role: reader}}}", "nobody could sign in as asha"},
		{"a password in clear", "retain: 400d", "console: {users: {asha: {role: reader, password: hunter2}}}", "is not \"argon2id:"},
		{"users and one besides", "retain: 400d", "console: {username: a, password: 'argon2id:x', users: {asha: {role: reader, password: 'argon2id:x'}}}", "make that one of the users"},
		{"sign-on by anybody", "retain: 400d", "console: {sign_in_header: X-User, users: {asha: {role: reader}}}", "needs trusted_proxies"},
		{"a console at no address", "retain: 400d", "console: {public_url: console.example}", "is no address"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(good, test.old, test.new, 1)
			if text == good {
				t.Fatal("the test changes nothing")
			}
			_, err := parse(t, text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant something with %q", err, test.want)
			}
		})
	}
}

// A listener's certificates are written as one or as several.
func TestCertificatesOfAListener(t *testing.T) {
	for text, want := range map[string][]KeyPair{
		"{certificate: a, key: b}": {{"a", "b"}},
		"{certificates: [{certificate: a, key: b}, {certificate: c, key: d}], profile: legacy, triple_des: true, client_ca: e, client_certificates: optional}": {{"a", "b"}, {"c", "d"}},
	} {
		f, err := parse(t, strings.Replace(good, "listen: 127.0.0.1:8080", "listen: {address: 'a:1', tls: "+text+"}", 1))
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Listen[0].TLS.Pairs(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// All problems come at once, in the order of their lines.
func TestAllProblemsAtOnce(t *testing.T) {
	text := strings.NewReplacer("kind: nic\n", "kind: nicc\n", "kind: myinvois", "kind: mine", "reply_within: 25s", "reply_within: 0.1s").Replace(good)
	_, err := parse(t, text)
	ps, ok := err.(Problems)
	if !ok || len(ps) != 3 {
		t.Fatalf("got %v, want three problems", err)
	}
	if ps[0].Line > ps[1].Line || ps[1].Line > ps[2].Line {
		t.Errorf("not by line: %v", ps)
	}
}

// Nothing hides behind something else: unknown keys, durations, types and variables are told together; what is wrong with
// an upstream is told once, however many taxpayers it has.
func TestEachProblemOnce(t *testing.T) {
	text := strings.NewReplacer("reply_within: 50s", "reply_within: soon", "retain: 400d", "retian: 400d", "    public_key:", "    timeout: soon\n    cancels_per_minute: many\n    environment: []\n    public_key:",
		"${NIC_PASSWORD}", "${NO_SUCH}").Replace(good)
	want := []int{4, 5, 9, 13, 14, 15, 26}
	text = strings.Replace(text, "    environment: sandbox\n", "    on_behalf_of: me\n", 1)
	var got []int
	_, err := parse(t, text)
	for _, p := range err.(Problems) {
		got = append(got, p.Line)
	}
	if !slices.Equal(got, want) {
		t.Errorf("lines %v, want %v:\n%v", got, want, err)
	}
	text = strings.Replace(good, "https://nic.example", "nic.example", 1)
	text = strings.Replace(text, "taxpayers:\n", "taxpayers:\n  A: {upstream: nic, username: u, password: p}\n  B: {upstream: nic, username: u, password: p, timeout: 1s}\n", 1)
	if _, err = parse(t, text); err == nil || err.Error() != "line 10: upstreams.nic.base_url is no http(s) address" {
		t.Errorf("%v", err)
	}
}

// A problem's text never shows a secret's value.
func TestProblemsHideSecrets(t *testing.T) {
	text := strings.Replace(good, "public_url:", "password: hunter2\npublic_url:", 1)
	text = strings.Replace(text, `password: "argon2id:$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA"`, "password: hunter2, client_secret: hunter3", 1)
	_, err := parse(t, text)
	if err == nil || strings.Contains(err.Error(), "hunter") {
		t.Errorf("got %v", err)
	}
	if s := fmt.Sprintf("%v %+v %#v", bridge.Secret("hunter2"), struct{ S bridge.Secret }{"hunter2"}, bridge.Secret("hunter2")); strings.Contains(s, "hunter") {
		t.Errorf("a printed secret shows: %s", s)
	}
}

// A key in DER or UTF-16 comes whole: 0x0a at its end is no line break.
func TestBinaryFileComesWhole(t *testing.T) {
	dir := t.TempDir()
	const key = "0\x82\x00\xff\x0d\x0a"
	if err := os.WriteFile(filepath.Join(dir, "nic.pem"), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Parse([]byte(good), dir, env, kinds)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Upstreams["nic"].Settings.(*nic.Config).PublicKey; got != key {
		t.Errorf("%q", got)
	}
}

// An override of one taxpayer does not leak into another's settings.
func TestOverridesStayApart(t *testing.T) {
	f, err := parse(t, strings.Replace(good, "    on_behalf_of:", "    headers: {x-b: '2'}\n    on_behalf_of:", 1)+
		"")
	if err != nil {
		t.Fatal(err)
	}
	if h := upstream.Common(f.Upstreams["myinvois"].Settings).Headers; len(h) != 0 {
		t.Errorf("the upstream got its taxpayer's headers: %v", h)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("a: &x [*x]")
	f.Add("upstreams: {~: {kind: nic}, a: ~, b: [], !!binary Yw==: {kind: nic}}\ntaxpayers: {~: {upstream: a}, 1: {upstream: b}, c: ~}")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse([]byte(text), t.TempDir(), env, kinds)
		if (file == nil) == (err == nil) {
			t.Fatalf("file %v, error %v", file, err)
		}
	})
}

func BenchmarkTenThousandTaxpayers(b *testing.B) {
	var s strings.Builder
	s.WriteString(strings.Split(good, "taxpayers:")[0] + "taxpayers:\n")
	for i := range 10_000 {
		fmt.Fprintf(&s, "  29AAFCD%04dR%03d:\n    upstream: nic\n    username: u%d\n    password: p%d\n", i, i%1000, i, i)
	}
	s.WriteString("callers:\n  all: {tokens: [], taxpayers: all}\n")
	dir := b.TempDir()
	os.WriteFile(filepath.Join(dir, "nic.pem"), []byte("KEY\n"), 0o600)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse([]byte(s.String()), dir, env, kinds); err != nil {
			b.Fatal(err)
		}
	}
}

// A seal is 32 bytes, and what is wrong with one doesn't show it.
func TestSeal(t *testing.T) {
	for seal, good := range map[string]bool{
		NewSeal(): true, "": true, "c2hvcnQgYW5kIHNlY3JldA==": false, "no base64, and secret": false, NewSeal() + "AAAA": false,
	} {
		f := &File{Seal: bridge.Secret(seal), lines: map[string]int{"seal": 1}}
		l := loader{file: f}
		l.check()
		told := ""
		for _, p := range l.problems {
			if strings.HasPrefix(p.Text, "seal ") {
				told = p.Text
			}
		}
		if (told == "") != good || seal != "" && strings.Contains(told, seal) {
			t.Errorf("%q: %q", seal, told)
		}
		if key := f.SealKey(); (len(key) == 32) != (good && seal != "") {
			t.Errorf("%q stands for a key of %d bytes", seal, len(key))
		}
	}
}

// A file that is no configuration, as when check is pointed at a wrong one: nothing of it is told but keys, and those cut.
func TestParseTellsNothingOfAnotherFile(t *testing.T) {
	const secret = "hunter2"
	for name, text := range map[string]string{
		"shadow":           "root:$6$hunter2$hunter2:19000:0:99999:7:::\nerp:$y$hunter2:19000::::::\n",
		"one word":         secret,
		"a list":           "- hunter2\n- hunter2\n",
		"a key file":       "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
		"variables":        "A=hunter2\nB=hunter2\n",
		"a wrong value":    "taxpayers: hunter2\ncallers: [hunter2]\nupstreams: `hunter2`\nreply_within: hunter2\nlimits: {body: hunter2}\n",
		"an anchor":        "seal: *hunter2\n",
		"a long key":       strings.Repeat("x", 100) + "hunter2: 1\n",
		"twice a long key": strings.Repeat(strings.Repeat("x", 100)+"hunter2: 1\n", 2),
		"a long variable":  "seal: ${" + strings.Repeat("x", 100) + "hunter2}\n",
		"broken":           "seal: [hunter2\n",
		"a tab":            "seal:\n\thunter2: hunter2\n",
		"a directive":      "%hunter2\n---\n",
		"a tag":            "seal: !hunter2 x\nlisten: !hunter2!x y\n",
		"binary":           "\x00\x01hunter2",
		"an escape":        "seal: \"\\hunter2\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(text), t.TempDir(), func(string) (string, bool) { return "", false }, kinds)
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("got %v", err)
			}
		})
	}
}
