package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/fixtures/original/nusoap"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

const (
	oddToken      = "c0ffee2156282be62f51b24fe8b3f07f01c9bff1" // that the odd provider issues
	erpPassword   = "a-<password>-&-more-7391"
	erpSecret     = "secret-of-the-client-5521"
	rehearsedOnce = "rehearse: true"
)

// rehearsing is a bridge in front of a provider whose answers nothing in the documentation lets expect.
type rehearsing struct {
	*reloadable
	provider *nusoap.Service
}

func startRehearsal(t *testing.T) *rehearsing {
	t.Helper()
	provider, err := nusoap.Start("127.0.0.1:0", "odd")
	if errors.Is(err, nusoap.ErrNotInstalled) && os.Getenv("EINVOICE_BRIDGE_NO_SKIP") != "1" {
		t.Skipf("SKIPPED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Stop() })
	sims, path, url, ready := served(t)
	w := &reloadable{T: t, sim: sims[0], path: path, url: url, admin: strings.TrimSuffix(ready, "/readyz")}
	w.edit("    taxpayers: all\n", fmt.Sprintf("    taxpayers: all\n    login: {username: erp, password: %q, client_id: erp-client, client_secret: %q}\nforward: {url: %q, relay_tokens: true, rehearse: true}\npublic_url: %q\n",
		access.HashPassword(erpPassword), access.HashPassword(erpSecret), provider.URL(), strings.TrimSuffix(url, "/api.einvoice.php")))
	w.process = spawn(t, "serve", "-c", path)
	w.await(ready)
	return &rehearsing{w, provider}
}

// report runs the command until it has seen so many calls: they are written down beside their answers.
func (w *rehearsing) report(calls int, more ...string) string {
	w.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, err := runCommand(w.T, append([]string{"rehearsal", "-c", w.path}, more...)...)
		if err != nil {
			w.Fatalf("%v\n%s", err, out)
		}
		if strings.HasPrefix(out, fmt.Sprintf("%d calls ", calls)) {
			return out
		}
		if time.Now().After(end) {
			w.Fatalf("not %d calls:\n%s", calls, out)
		}
	}
}

// ask posts an envelope and returns status, headers and body.
func ask(t *testing.T, url, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	operation := regexp.MustCompile(`eInvoice\w+|access_new_token`).FindString(body)
	req.Header.Set("SOAPAction", `"urn:server#`+operation+`"`)
	req.Header.Set("Cookie", "session=of-the-erp")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(got)
}

func loginEnvelope(password string) string {
	return `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><u:access_new_token xmlns:u="urn:server"><username>erp</username><password>` +
		strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(password) + `</password><client_id>erp-client</client_id><client_secret>` + erpSecret +
		`</client_secret><grant_type>password</grant_type></u:access_new_token></e:Body></e:Envelope>`
}

// form is how an answer looks, its words left out.
func form(t *testing.T, res *http.Response, body string) string {
	t.Helper()
	f, err := soap.ReadForm(soap.Header{ContentType: res.Header.Get("Content-Type")}, []byte(body), false)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	text := fmt.Sprintln(res.StatusCode, res.Header.Get("Content-Type"), f.Declaration, f.EncodingStyle, f.Namespace, f.Element, f.Wrapper)
	for _, p := range f.Parts {
		text += fmt.Sprintln(p.Name, p.Namespace, p.Type)
	}
	return strings.ToLower(text)
}

// An ERP's traffic goes through a rehearsing bridge unchanged, real client stacks' too; what is derived from it makes the
// bridge's own answers the provider's; then it goes live, and back.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	w := startRehearsal(t)
	good := demo.Envelope(w.sim.Taxpayer, w.sim.Success)
	bad := strings.Replace(good, "<cancel_reason>1<", "<cancel_reason>4<", 1)
	calls := 0
	for name, body := range map[string]string{
		"success": good, "refusal": bad, "login": loginEnvelope(erpPassword), "another's login": loginEnvelope("wrong"),
		"another operation": strings.ReplaceAll(good, "eInvoiceCancel", "eInvoiceGenerate"),
		"no SOAP":           "irn=1", "latin-1": strings.Replace(good, "Wrong entry", "caf\xe9", 1),
	} {
		direct, want := ask(t, w.provider.URL(), body)
		through, got := ask(t, w.url, body)
		calls++
		if got != want || through.StatusCode != direct.StatusCode {
			t.Errorf("%s: %d %s\nis not the provider's %d %s", name, through.StatusCode, got, direct.StatusCode, want)
		}
		for _, h := range []string{"Content-Type", "X-Seen", "Server", "X-Powered-By", "X-Request-Id"} {
			if through.Header.Get(h) != direct.Header.Get(h) {
				t.Errorf("%s: header %s is %q, not the provider's %q", name, h, through.Header.Get(h), direct.Header.Get(h))
			}
		}
	}
	calls += w.stacks()

	proposed := filepath.Join(filepath.Dir(w.path), "new.yaml")
	out := w.report(calls, "--write", proposed)
	t.Log(out)
	equal := regexp.MustCompile(`with them: (\d+) of (\d+) answers equal in names, order, types and status`).FindStringSubmatch(out)
	if equal == nil || equal[1] != equal[2] || equal[1] == "0" {
		t.Errorf("the derived lines don't make all answers equal: %v", equal)
	}
	if as := regexp.MustCompile(`as configured now: 0 of \d+ answers equal`); !as.MatchString(out) {
		t.Error("the default is right already; the provider is not odd enough")
	}
	for _, want := range []string{
		"2  erp                  access_new_token", "eInvoiceGenerate  (relayed, also later)", fmt.Sprintf("understood: %d of %d", calls-2, calls),
		"1  The request is not valid UTF-8 at byte", "1  The request is not well-formed XML", "4  parameters with names of the caller's own were read by their place (erp",
		"saved: \"file:provider.wsdl\"",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if page := w.get("/rehearsal"); !strings.Contains(page, equal[0][len("with them: "):]) {
		t.Errorf("the console's page says something else than the command\n%s", page)
	}
	w.nothingSent()
	w.noSecrets(oddToken, demo.Token, erpPassword, erpSecret, "of-the-erp")

	theirs, want := ask(t, w.provider.URL(), good)
	data, err := os.ReadFile(proposed)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := runCommand(t, "check", "-c", proposed); err != nil {
		t.Errorf("the file that was written is not in order: %v\n%s", err, out)
	}
	if err := os.WriteFile(w.path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	w.edit(rehearsedOnce, "rehearse: false")
	w.reload("ok")
	if out := w.report(calls); !strings.Contains(out, "as configured now: "+equal[1]+" of "+equal[2]+" answers equal") || strings.Contains(out, "these lines") {
		t.Errorf("with the lines in place, the report says\n%s", out)
	}
	ours, got := ask(t, w.url, good)
	if form(t, ours, got) != form(t, theirs, want) {
		t.Errorf("live, the bridge says\n%s\n%swhere the provider said\n%s\n%s", got, form(t, ours, got), want, form(t, theirs, want))
	}
	if !strings.Contains(got, ">OK<") || !strings.Contains(got, ">"+w.sim.Success+"<") {
		t.Errorf("live, a cancellation comes to %s", got)
	}
	if _, got := ask(t, w.url, strings.Replace(good, demo.Token, oddToken, 1)); !strings.Contains(got, ">OK<") {
		t.Errorf("the provider's token is worth nothing after the switch: %s", got)
	}
	theirs, want = ask(t, w.provider.URL(), bad)
	ours, got = ask(t, w.url, strings.Replace(good, w.sim.Success, w.sim.Refusal, 1))
	if form(t, ours, got) != form(t, theirs, want) || !strings.Contains(got, ">NOK<") || !strings.Contains(got, ">422<") {
		t.Errorf("live, a refusal is %s", got)
	}

	w.edit("rehearse: false", rehearsedOnce)
	w.reload("ok")
	if _, got := ask(t, w.url, bad); got != want {
		t.Errorf("gone back, the bridge says %s", got)
	}
	w.terminate()
}

// After a day on which the provider refused nothing, command and page say that a refusal was not seen; after one they don't.
func TestRehearsalWithoutARefusal(t *testing.T) {
	t.Parallel()
	w := startRehearsal(t)
	const unseen = "the provider gave no refusal to a cancellation"
	body := demo.Envelope(w.sim.Taxpayer, w.sim.Success)
	for i, seen := range []bool{false, true} {
		ask(t, w.url, body)
		out, page := w.report(i+1), w.get("/rehearsal")
		if strings.Contains(out, unseen) == seen || strings.Contains(page, unseen) == seen {
			t.Errorf("after %d calls, a refusal seen: %v\n%s\n%s", i+1, seen, out, page)
		}
		body = strings.Replace(body, "<cancel_reason>1<", "<cancel_reason>4<", 1)
	}
	t.Run("pictures", func(t *testing.T) {
		newBrowser(t).pictures("rehearsal", w.admin+"/rehearsal")
	})
}

// stacks lets real clients call through the bridge, as many as are installed, and tells how many requests that were.
func (w *rehearsing) stacks() (calls int) {
	w.Helper()
	site := strings.TrimSuffix(w.url, "/api.einvoice.php")
	for _, s := range []struct {
		name, way, needs string
		requests         int // a WSDL loaded by the program counts
	}{
		{"php", "no-wsdl", "php", 2}, {"php", "run-time", "php", 3},
		{"axis", "no-wsdl", "/usr/share/java/axis.jar", 2}, {"zeep", "run-time", "/usr/lib/python3/dist-packages/zeep", 3}, {"mono-asmx", "rpc-literal", "mcs", 2},
	} {
		if _, err := exec.LookPath(s.needs); err != nil {
			if _, err := os.Stat(s.needs); err != nil {
				if os.Getenv("EINVOICE_BRIDGE_STACKS") == "all" {
					w.Fatalf("%s is not installed; go run ./fixtures/interop installs it", s.name)
				}
				w.Logf("%s is not installed and does not take part", s.name)
				continue
			}
		}
		run, err := filepath.Abs(filepath.Join("..", "..", "fixtures", "interop", s.name, "run"))
		if err != nil {
			w.Fatal(err)
		}
		dir := w.TempDir()
		env := append(os.Environ(), "LC_ALL=C.UTF-8", "WAY="+s.way, "WSDL="+w.url+"?wsdl", "ENDPOINT="+site+"/api.einvoice.php",
			"USER_GSTIN="+w.sim.Taxpayer, "IRN="+w.sim.Success, "CANCEL_REASON=1", "CANCEL_REMARKS=Wrong entry",
			"LOGIN_USERNAME=erp", "LOGIN_PASSWORD="+erpPassword, "LOGIN_CLIENT_ID=erp-client", "LOGIN_CLIENT_SECRET="+erpSecret)
		if s.name == "mono-asmx" {
			calls++ // its proxy is made from the provider's description
		}
		for _, step := range [][]string{{"build"}, {"call", "ACCESS_TOKEN=" + demo.Token}, {"call", "ACCESS_TOKEN=" + demo.Token, "CANCEL_REASON=4"}} {
			if step[0] == "call" {
				calls++
				if s.way == "run-time" {
					calls++
				}
			}
			cmd := exec.Command(run, step[0])
			cmd.Dir, cmd.Env = dir, append(env, step[1:]...)
			out, err := cmd.CombinedOutput()
			if err != nil && !strings.Contains(string(out), "KeyError") { // zeep's program looks for the documented names
				w.Fatalf("%s, %s, %s: %v\n%s", s.name, s.way, step[0], err, out)
			}
		}
	}
	return calls
}

// nothingSent holds the rehearsal to its first promise.
func (w *rehearsing) nothingSent() {
	w.Helper()
	if calls := w.sim.Log.Calls(); len(calls) > 0 {
		w.Errorf("%d calls went to the authority: %+v", len(calls), calls[0])
	}
}

// noSecrets searches everything that the bridge has written.
func (w *rehearsing) noSecrets(secrets ...string) {
	w.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(w.path), "bridge.db*"))
	if err != nil || len(files) == 0 {
		w.Fatalf("no journal: %v", err)
	}
	found := false
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			w.Fatal(err)
		}
		found = found || bytes.Contains(data, []byte(w.sim.Success))
		for _, secret := range secrets {
			inJSON, err := json.Marshal(secret)
			if err != nil {
				w.Fatal(err)
			}
			for _, spelled := range []string{secret, strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(secret), fmt.Sprintf("%x", secret), strings.Trim(string(inJSON), `"`)} {
				if bytes.Contains(data, []byte(spelled)) || strings.Contains(w.err.String(), spelled) {
					w.Errorf("%s or the log holds %q", filepath.Base(file), spelled)
				}
			}
		}
	}
	if !found {
		w.Error("the search does not even find what is there")
	}
}

// Going live and back under load loses no call: each is answered, by the provider or by the bridge.
func TestRehearsalSwitchesUnderLoad(t *testing.T) {
	t.Parallel()
	w := startRehearsal(t)
	body := demo.Envelope(w.sim.Taxpayer, w.sim.Success)
	var wait sync.WaitGroup
	var theirs, ours atomic.Int64
	stop := make(chan struct{})
	for range 6 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := post(w.url, body)
				switch {
				case err != nil:
					t.Errorf("lost: %v", err)
				case strings.Contains(string(got), ">OK<"):
					theirs.Add(1)
				case strings.Contains(string(got), "<status>Success</status>"):
					ours.Add(1)
				default:
					t.Errorf("answered with %s", got)
				}
			}
		})
	}
	for range 3 {
		time.Sleep(150 * time.Millisecond)
		w.edit(rehearsedOnce, "rehearse: false")
		w.reload("ok")
		time.Sleep(150 * time.Millisecond)
		w.edit("rehearse: false", rehearsedOnce)
		w.reload("ok")
	}
	close(stop)
	wait.Wait()
	if theirs.Load() < 20 || ours.Load() < 20 {
		t.Errorf("%d answered by the provider, %d by the bridge", theirs.Load(), ours.Load())
	}
	cancels := 0
	for _, c := range w.sim.Log.Calls() {
		if c.Operation == sandbox.Cancel {
			cancels++
		}
	}
	if cancels != 1 {
		t.Errorf("the authority got %d cancels of the one document", cancels)
	}
}
