package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// reloadable is a bridge at work whose configuration is changed under it.
type reloadable struct {
	*testing.T
	sim              demo.Simulator // NIC
	path, url, admin string
	*process
}

func startReloadable(t *testing.T) *reloadable {
	t.Helper()
	sims, path, url, ready := served(t)
	w := &reloadable{T: t, sim: sims[0], path: path, url: url, admin: strings.TrimSuffix(ready, "/readyz")}
	w.edit("log: {level: warn}", "log: {level: info, format: json}")
	w.process = spawn(t, "serve", "-c", path)
	w.await(ready)
	return w
}

// edit changes the file, old and new text in turn; an old one must be there.
func (w *reloadable) edit(pairs ...string) {
	w.Helper()
	data, err := os.ReadFile(w.path)
	if err != nil {
		w.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			w.Fatalf("the configuration has no %q", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	if err := os.WriteFile(w.path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// reload sends SIGHUP and waits until the metric counts one more of that result.
func (w *reloadable) reload(result string) {
	w.Helper()
	before := w.metric(fmt.Sprintf("einvoice_config_reloads_total{result=%q}", result))
	if err := w.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		w.Fatal(err)
	}
	for range 1000 {
		if w.metric(fmt.Sprintf("einvoice_config_reloads_total{result=%q}", result)) != before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.Fatalf("no reload that is %s\n%s", result, w.metric(""))
}

// metric is a metric's value as text; with no name, all of them.
func (w *reloadable) metric(name string) string {
	w.Helper()
	text := w.get("/metrics")
	if name == "" {
		return text
	}
	_, rest, _ := strings.Cut(text, "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

func (w *reloadable) get(path string) string {
	w.Helper()
	resp, err := http.Get(w.admin + path)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return string(body)
}

// call cancels with a token and wants the answer to say something.
func (w *reloadable) call(what, token, irn, want string) {
	w.Helper()
	body, err := post(w.url, strings.Replace(demo.Envelope(w.sim.Taxpayer, irn), demo.Token, token, 1))
	if err != nil || !strings.Contains(string(body), want) {
		w.Errorf("%s: got %s, %v; want %s", what, body, err, want)
	}
}

func (w *reloadable) logins() (n int) {
	for _, c := range w.sim.Log.Calls() {
		if c.Operation == sandbox.Auth {
			n++
		}
	}
	return n
}

const (
	said200   = "<code>200</code>"
	said2143  = "2143: Invoice does not belongs"
	saidWrong = "<status>Failed</status>"
)

var nicAddress = regexp.MustCompile(`(?s)  nic:\n.*?base_url: "?([^"\n]+)`)

// A call in flight ends by the way it took, the next one takes the new way; tokens come and go with the file; what is
// wrong or can't be changed leaves everything as it is.
func TestReloadOnSIGHUP(t *testing.T) {
	w := startReloadable(t)
	var byNewWay atomic.Int32
	detour := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		byNewWay.Add(1)
		w.sim.Handler.ServeHTTP(rw, r)
	}))
	defer detour.Close()
	if err := w.sim.Log.Arm(sandbox.Fault{Name: "hold", Operation: sandbox.Cancel, Times: 1}); err != nil {
		t.Fatal(err)
	}
	var inFlight sync.WaitGroup
	inFlight.Go(func() { w.call("in flight", demo.Token, w.sim.Success, said200) })
	if _, err := w.sim.Log.WaitFor(t.Context(), func(r sandbox.Record) bool { return r.Held }); err != nil {
		t.Fatal(err)
	}

	data, _ := os.ReadFile(w.path)
	address := nicAddress.FindStringSubmatch(string(data))
	if address == nil {
		t.Fatal("the configuration has no base_url of nic")
	}
	old, _ := url.Parse(address[1])
	hash := func(token string) string { return `"sha256:` + access.HashToken(token) + `"` }
	w.edit(old.Scheme+"://"+old.Host, detour.URL, hash(demo.Token), hash(demo.Token)+", "+hash("a-new-token"), "level: info", "level: debug")
	w.call("before the reload", "a-new-token", w.sim.Refusal, saidWrong)
	w.reload("ok")
	w.call("with a token that was added", "a-new-token", w.sim.Refusal, said2143)
	if byNewWay.Load() == 0 {
		t.Error("the next call did not take the new way")
	}
	taken := byNewWay.Load()
	w.sim.Log.Release()
	inFlight.Wait()
	if n := byNewWay.Load(); n != taken {
		t.Errorf("the call in flight made %d calls by the new way", n-taken)
	}
	if doc, _ := w.sim.Log.Document(w.sim.Success); doc.Commits() != 1 || len(doc.Attempts) != 1 {
		t.Errorf("sent %d times, cancelled %d times", len(doc.Attempts), doc.Commits())
	}
	w.call("its history stays", demo.Token, w.sim.Success, said200)

	good, _ := os.ReadFile(w.path)
	for name, bad := range map[string][]string{
		"not YAML":                {"upstreams:", "upstreams: ["},
		"an unknown key":          {"upstreams:", "nonsense: 1\nupstreams:"},
		"needs a restart":         {"journal: ", "grace: 1m\njournal: \"sqlite:other.db\" #"},
		"only an adapter sees it": {`public_key: "file:nic.pem"`, `public_key: "no key"`},
	} {
		w.edit(bad...)
		w.reload("failed")
		if w.metric("einvoice_config_last_reload_successful") != "0" {
			t.Errorf("%s: the last reload counts as successful", name)
		}
		w.call(name, "a-new-token", w.sim.Success, said200)
		if err := os.WriteFile(w.path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.edit(", "+hash("a-new-token"), "")
	w.reload("ok")
	w.call("with a token that was taken out", "a-new-token", w.sim.Success, saidWrong)
	w.call("with the other one", demo.Token, w.sim.Success, said200)
	if w.metric("einvoice_config_last_reload_successful") != "1" {
		t.Error("the last reload does not count as successful")
	}
	w.terminate()
	log := w.process.err.String()
	for _, want := range []string{
		`"msg":"configuration reloaded","by":"SIGHUP","changes":["log.level: info → debug","upstreams.nic.base_url: ` + address[1] + " → ",
		`"callers.erp.tokens changed"`, `unknown key \"nonsense\"`, `journal can't change while the bridge runs; restart to change them`,
		w.path + `:`, `"level":"ERROR","msg":"configuration not reloaded, nothing is changed: `,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	if t.Failed() {
		t.Log(log)
	}
}

// Sessions outlast a reload that leaves their credentials alone. A rotated secret is used at once, and neither the old
// nor the new one shows anywhere.
func TestRotatedSecret(t *testing.T) {
	w := startReloadable(t)
	w.call("at first", demo.Token, w.sim.Success, said200)
	w.edit("level: info", "level: debug")
	w.reload("ok")
	w.call("after a reload", demo.Token, w.sim.Refusal, said2143)
	if n := w.logins(); n != 1 {
		t.Errorf("%d logins, want the one before the reload", n)
	}
	data, _ := os.ReadFile(w.path)
	const rotated = "Rotated@2026-for-the-test"
	if err := os.WriteFile(w.path, []byte(nicPassword(string(data), rotated)), 0o600); err != nil {
		t.Fatal(err)
	}
	preview := w.get("/settings")
	w.reload("ok")
	w.call("with a password that NIC does not know", demo.Token, strings.Repeat("0", 64), bridge.FaultMisconfigured)
	if n := w.logins(); n != 2 {
		t.Errorf("%d logins, want one more with the new password", n)
	}
	shown := map[string]string{"the preview": preview, "the page": w.get("/settings"), "metrics": w.metric("")}
	w.terminate()
	shown["the log"] = w.process.err.String()
	const line = "taxpayers.09AAAPG7885R002.password"
	for where, text := range shown {
		for _, secret := range append(demoSecrets(t, w.path), "Sandbox@2026", rotated) {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q", where, secret)
			}
		}
		if !strings.Contains(text, line) && where != "metrics" {
			t.Errorf("%s does not name what changed", where)
		}
	}
}

// The settings page says what is wrong with the file in check's own words, what differs, and reloads it.
func TestReloadFromTheConsole(t *testing.T) {
	w := startReloadable(t)
	jar, _ := cookiejar.New(nil)
	browser := http.Client{Jar: jar}
	page := func() string {
		resp, err := browser.Get(w.admin + "/settings")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	wants := func(what, html string, want ...string) {
		t.Helper()
		for _, x := range want {
			if !strings.Contains(html, x) {
				t.Errorf("%s: the page lacks %q", what, x)
			}
		}
	}
	wants("at first", page(), "is in order: 6 upstreams", "It says what works now.")
	good, _ := os.ReadFile(w.path)
	w.edit("callers:", "nonsense: 1\ngrace: 1h\ncallers:")
	said, err := runCommand(t, "check", "-c", w.path)
	if err == nil || strings.Count(said, "\n") != 2 {
		t.Fatalf("check says %s, %v", said, err)
	}
	html := page()
	wants("with problems", html, strings.Split(strings.ReplaceAll(strings.TrimSpace(said), `"`, "&#34;"), "\n")...)
	if strings.Contains(html, "<button>Reload</button>") {
		t.Error("there is a button for a file that is wrong")
	}
	if err := os.WriteFile(w.path, append(good, "grace: 1m\nalarms: {webhook: \"https://hooks.example/secret-way\"}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	html = page()
	wants("with a change", html, "<code>grace</code></td><td>changed", "<code>40s</code>", "<code>1m0s</code>", "<code>alarms.webhook</code></td><td>added", "<button>Reload</button>")
	csrf := regexp.MustCompile(`name="csrf" value="([0-9a-f]+)"`).FindStringSubmatch(html)
	for token, want := range map[string]int{"": http.StatusForbidden, csrf[1]: http.StatusOK} {
		resp, err := browser.PostForm(w.admin+"/reload", url.Values{"csrf": {token}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("with the form token %q: %d, want %d", token, resp.StatusCode, want)
		}
	}
	html = page()
	wants("reloaded", html, "Reloaded, ", "by console.", "It says what works now.", "<code>grace</code></td><td><code>1m0s</code>")
	if strings.Contains(html, "secret-way") {
		t.Error("the webhook's address shows")
	}
	w.terminate()
}
