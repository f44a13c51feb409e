package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/observe"
	"einvoice-bridge/fixtures/sandbox/demo"
	"einvoice-bridge/fixtures/sandbox/nic"
)

// TestMain lets the test binary be the program itself, so that tests kill and restart a real process.
func TestMain(m *testing.M) {
	if os.Getenv("EINVOICE_BRIDGE_MAIN") == "1" {
		main()
		os.Exit(0)
	}
	flag.Parse()
	if n := flag.Lookup("test.parallel"); n.Value.String() == n.DefValue { // what runs side by side here mostly waits
		_ = n.Value.Set("8")
	}
	os.Exit(m.Run())
}

// process is the program running as a process of its own.
type process struct {
	tb   testing.TB
	cmd  *exec.Cmd
	err  bytes.Buffer
	done chan error
}

func spawn(tb testing.TB, args ...string) *process {
	tb.Helper()
	p := &process{tb: tb, cmd: exec.Command(os.Args[0], args...), done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), "EINVOICE_BRIDGE_MAIN=1")
	p.cmd.Stderr = &p.err
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	tb.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// kill ends the process as a power cut would, as far as the process can tell.
func (p *process) kill() {
	p.tb.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.tb.Fatal(err)
	}
	<-p.done
}

// terminate asks the process to end and waits until it has.
func (p *process) terminate() {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.tb.Fatal(err)
	}
	select {
	case err := <-p.done:
		if err != nil {
			p.tb.Errorf("after SIGTERM: %v\n%s", err, p.err.String())
		}
	case <-time.After(time.Minute):
		p.tb.Fatal("did not end within a minute of SIGTERM")
	}
}

// await waits until url answers 200.
func (p *process) await(url string) {
	p.tb.Helper()
	for range 2000 {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-p.done:
			p.tb.Fatalf("ended early: %v\n%s", err, p.err.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	p.tb.Fatalf("%s does not answer\n%s", url, p.err.String())
}

// runCommand runs a command in this process and returns what it printed.
func runCommand(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := root()
	var out bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestDemoOnce(t *testing.T) {
	out, err := runCommand(t, "demo", "--once", "--listen", "127.0.0.1:0", "--verbose")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"<urn:eInvoiceCancel>         <access_token>b29cee2156282be62f51b24fe8b3f07f01c9bff1</access_token>         <user_gstin>09AAAPG7885R002</user_gstin>         <irn>1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae</irn>",
		"<error>0</error><errorMessage></errorMessage><status>Success</status><code>200</code>",
		"<error>1</error><errorMessage>2143: Invoice does not belongs to the user GSTIN</errorMessage><status>Failed</status><code>204</code>",
		`decrypted {"Irn":"1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae","CnlRsn":"1","CnlRem":"Wrong entry"}`,
		"JSON on the wire\n  (none)",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not show %s", want)
		}
	}
	if strings.Contains(out, "✘") {
		t.Errorf("something is not right:\n%s", out)
	}
}

// Without being asked for more, the demo says a line for each call, short enough to be read.
func TestDemoIsShort(t *testing.T) {
	out, err := runCommand(t, "demo", "--once", "--listen", "127.0.0.1:0")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err != nil || len(lines) != 15 || !strings.Contains(out, "13 calls, 13 answers right.") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, line := range lines {
		if len([]rune(line)) > 150 {
			t.Errorf("too long: %s", line)
		}
	}
	for i, want := range []string{"✔ nic           1e6a362ea4c893cf0… cancelled 20", "refused, 2143: Invoice does not belongs to the user GSTIN (", "again: cancelled 20"} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Errorf("line %d is without %q:\n%s", i+1, want, out)
		}
	}
}

// A demo whose upstream lies exits 1.
func TestDemoOnceFailsWhenAnAnswerIsWrong(t *testing.T) {
	dir := t.TempDir()
	sims, err := demo.New(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sims {
		t.Run(sims[i].Name, func(t *testing.T) {
			dir := t.TempDir()
			sims, err := demo.New(dir, false)
			if err != nil {
				t.Fatal(err)
			}
			sims[i].Success, sims[i].Refusal = sims[i].Refusal, sims[i].Success
			d := demonstration{listen: "127.0.0.1:0", once: true, out: io.Discard}
			if err := d.play(context.Background(), dir, sims); err != exitCode(1) {
				t.Errorf("got %v, want exit 1", err)
			}
		})
	}
}

// sandboxed serves the demo's simulators and writes a configuration that reaches them, changed by edit.
func sandboxed(t testing.TB, edit func(string) string) (sims []demo.Simulator, path string) {
	t.Helper()
	sims, path, closeAll, err := demo.Serve(t.TempDir(), "127.0.0.1:0", demo.Quiet, false, edit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeAll)
	return sims, path
}

// serving is a bridge in this process, until the test ends.
func serving(t testing.TB, f *config.File) *app.App {
	t.Helper()
	a, err := app.New(t.Context(), f, app.Process{Log: slog.New(slog.DiscardHandler), Metrics: []prometheus.Collector{observe.NewLogQueue(io.Discard).Collector()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func TestCheck(t *testing.T) {
	_, path := sandboxed(t, nil)
	if out, err := runCommand(t, "check", "-c", path); err != nil || !strings.Contains(out, "is in order: 6 upstreams, 6 taxpayers, 1 caller\n") {
		t.Errorf("got %v\n%s", err, out)
	}
	out, err := runCommand(t, "check", "--online", "-c", path)
	if err != nil || !strings.Contains(out, "nic (nic), taxpayer 09AAAPG7885R002: logged in") {
		t.Errorf("online: got %v\n%s", err, out)
	}
}

// nicPassword gives NIC's user another password.
func nicPassword(text, password string) string {
	user := fmt.Sprintf("    username: %q\n    password: ", nic.DemoUser)
	return strings.Replace(text, user+strconv.Quote(nic.DemoPassword), user+strconv.Quote(password), 1)
}

// Every problem comes at once, each with file and line, those that only an adapter can see included.
func TestCheckSaysEverythingAtOnce(t *testing.T) {
	_, path := sandboxed(t, func(text string) string {
		text = nicPassword(text, strings.Repeat("x", 80))
		return text + "    reply_within: 1s\n    nonsense: 1\n"
	})
	out, err := runCommand(t, "check", "-c", path)
	if err != exitCode(1) || !strings.Contains(out, "unknown key \"nonsense\"") {
		t.Errorf("got %v\n%s", err, out)
	}
	_, path = sandboxed(t, func(text string) string {
		text = nicPassword(text, strings.Repeat("x", 80))
		return strings.Replace(text, "taxpayers:\n", "contract: {operations: {nope: {}}}\ntaxpayers:\n", 1)
	})
	out, err = runCommand(t, "check", "-c", path)
	if err != exitCode(1) || !strings.Contains(out, "username and password are") || !strings.Contains(out, `"nope" is none of`) {
		t.Errorf("got %v\n%s", err, out)
	}
	if strings.Contains(out, "xxxx") {
		t.Error("the password shows")
	}
}

func TestCheckOnlineSaysWhatIsWrong(t *testing.T) {
	_, path := sandboxed(t, func(text string) string {
		return nicPassword(text, "wrong")
	})
	out, err := runCommand(t, "check", "--online", "-c", path)
	if err != exitCode(1) || !strings.Contains(out, "1019") {
		t.Errorf("got %v\n%s", err, out)
	}
}

// A wrong key file says what it holds and what is wanted.
func TestCheckSaysWhatAKeyFileIs(t *testing.T) {
	_, path := sandboxed(t, nil)
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "nic.pem"), []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runCommand(t, "check", "-c", path)
	if err != exitCode(1) || !strings.Contains(out, "holds a private key") {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestVersionAndHash(t *testing.T) {
	if out, err := runCommand(t, "version"); err != nil || !strings.HasPrefix(out, "einvoice-bridge ") {
		t.Errorf("got %v, %q", err, out)
	}
	cmd := root()
	var out bytes.Buffer
	cmd.SetArgs([]string{"hash", "--token"})
	cmd.SetIn(strings.NewReader("hello\n"))
	cmd.SetOut(&out)
	if err := cmd.Execute(); err != nil || strings.TrimSpace(out.String()) != "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
		t.Errorf("got %v, %q", err, out.String())
	}
}

// portsGiven are those of all tests: some run side by side, and a process that is down still owns its ports.
var portsGiven sync.Map

// freePorts gives addresses for a process's listeners that survive its restarts: below the ports that the system gives
// to connections (on Linux from 32768), lest one of those takes a port while the process is down.
func freePorts(tb testing.TB, n int) (all []string) {
	tb.Helper()
	for tries := 0; len(all) < n; tries++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)))
		if err != nil {
			if tries > 100 {
				tb.Fatal(err)
			}
			continue
		}
		defer l.Close()
		if _, given := portsGiven.LoadOrStore(l.Addr().String(), true); !given {
			all = append(all, l.Addr().String())
		}
	}
	return all
}

// Health is there while the process lives, readiness while it can write; metrics and log lines name the call and
// hold no secret.
func TestServeIsObservable(t *testing.T) {
	ports := freePorts(t, 2)
	sims, path := sandboxed(t, func(text string) string {
		text = strings.Replace(text, `listen: "127.0.0.1:0"`, fmt.Sprintf("listen: %q", ports[0]), 1)
		text = strings.Replace(text, `console: {listen: "127.0.0.1:0"}`, fmt.Sprintf("console: {listen: %q}", ports[1]), 1)
		return strings.Replace(text, "log: {level: warn}", "log: {level: info, format: json}", 1)
	})
	p := spawn(t, "serve", "-c", path)
	p.await("http://" + ports[1] + "/readyz")
	p.await("http://" + ports[1] + "/healthz")
	url := "http://" + ports[0] + "/api.einvoice.php"
	for _, irn := range []string{sims[0].Success, sims[0].Refusal, sims[0].Success} {
		if _, err := post(url, demo.Envelope(sims[0].Taxpayer, irn)); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.Get("http://" + ports[1] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`einvoice_calls_total{caller="erp",class="cancelled",how="upstream",upstream="nic"} 1`,
		`einvoice_calls_total{caller="erp",class="cancelled",how="journal",upstream="nic"} 1`,
		`einvoice_calls_total{caller="erp",class="refused",how="upstream",upstream="nic"} 1`,
	} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	p.terminate()
	wantCallLines(t, p.err.String(), 3)
	for _, secret := range []string{demo.Token, "Sandbox@2026", "sandbox-client-secret", "Wrong entry"} {
		if strings.Contains(p.err.String(), secret) || strings.Contains(string(metrics), secret) {
			t.Errorf("%q shows in the log or the metrics", secret)
		}
	}
}

// wantCallLines holds the log to one line a call, with all that the line promises.
func wantCallLines(t *testing.T, log string, n int) {
	t.Helper()
	calls := 0
	for _, line := range strings.Split(strings.TrimSpace(log), "\n") {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("no JSON line: %s", line)
			continue
		}
		if v["msg"] != "call" {
			continue
		}
		calls++
		for _, key := range []string{"ref", "caller", "taxpayer", "upstream", "document", "outcome", "code", "sends", "took", "journal", "wire"} {
			if _, ok := v[key]; !ok {
				t.Errorf("the line lacks %s: %s", key, line)
			}
		}
	}
	if calls != n {
		t.Errorf("%d call lines, want %d:\n%s", calls, n, log)
	}
}
