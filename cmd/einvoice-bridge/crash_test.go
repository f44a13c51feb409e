package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/journal"
	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/cleartax"
	"einvoice-bridge/fixtures/sandbox/demo"
	"einvoice-bridge/fixtures/sandbox/nic"
)

var kills = flag.Int("kills", 12, "how often the crash harness kills the bridge (the long run: -run TestCrash -kills 200 -timeout 30m)")

var stalls = flag.Int("stalls", 1, "how often the crash harness stalls an instance beyond its lease")

// stallTime is longer than lease, call timeout and settling time of the rig together.
const stallTime = 40 * time.Second

// crashRig is a bridge that is killed again and again, callers that repeat until they are answered, and a simulator
// whose ledger is the truth.
type crashRig struct {
	*testing.T
	sim       *sandbox.Sandbox
	taxpayer  string
	state     string // of an active document in the simulator's words
	journal   string // DSN
	instances []*instance

	mu      sync.Mutex
	answers map[string][]told // by document, in order
	calls   atomic.Int64
}

// instance is one bridge of the rig.
type instance struct {
	config, url, ready string
	process            *process
}

func (i *instance) start(t *testing.T) {
	t.Helper()
	i.process = spawn(t, "serve", "-c", i.config)
	i.process.await(i.ready)
}

type told struct {
	at    time.Time
	code  string // "200", "204", "fault", "none"
	reply soap.CancelReply
}

const crashConfig = `listen: %q
journal: %q
seal: %q
console: {listen: %q}
log: {level: error}
reply_within: 2s
grace: 20s
upstreams:
  u:
    environment: sandbox
%s
taxpayers:
  %s:
    upstream: u
%s
callers:
  erp:
    tokens: ["sha256:%s"]
    taxpayers: all
`

// newCrashRig serves the simulator h and configures n bridges in front of it, on one journal (empty: an SQLite file).
func newCrashRig(t *testing.T, n int, dsn string, sim *sandbox.Sandbox, h http.Handler, taxpayer, upstream, settings string, files map[string]string) *crashRig {
	t.Helper()
	l, err := sandbox.Listen("127.0.0.1:0", h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if dsn == "" {
		dsn = "sqlite:" + filepath.Join(dir, "bridge.db")
	}
	r := &crashRig{T: t, sim: sim, taxpayer: taxpayer, journal: dsn, answers: map[string][]told{}}
	seal := config.NewSeal()
	for i := range n {
		ports := freePorts(t, 2)
		in := &instance{
			config: filepath.Join(dir, fmt.Sprintf("bridge%d.yaml", i)),
			url:    "http://" + ports[0] + "/api.einvoice.php", ready: "http://" + ports[1] + "/readyz",
		}
		text := fmt.Sprintf(crashConfig, ports[0], dsn, seal, ports[1], fmt.Sprintf(upstream, l.URL), taxpayer, settings, access.HashToken(demo.Token))
		if err := os.WriteFile(in.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.instances = append(r.instances, in)
	}
	return r
}

// call makes one call and files what the caller was told. It is final when the document needn't be asked for again.
func (r *crashRig) call(client *http.Client, irn string) (final bool) {
	r.calls.Add(1)
	a := told{code: "none"}
	url := r.instances[rand.IntN(len(r.instances))].url
	resp, err := client.Post(url, soapType, strings.NewReader(demo.Envelope(r.taxpayer, irn)))
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			a = r.read(body)
		}
	}
	a.at = time.Now()
	r.mu.Lock()
	r.answers[irn] = append(r.answers[irn], a)
	r.mu.Unlock()
	return a.code == "200" || a.code == "204"
}

func (r *crashRig) read(body []byte) told {
	got, err := soap.NewDecoder(soap.DefaultContract()).DecodeReply(soap.Header{ContentType: soapType}, body)
	switch {
	case err != nil:
		r.Errorf("an answer can't be read: %v\n%s", err, body)
		return told{code: "none"}
	case got.Fault != nil:
		return told{code: "fault"}
	}
	return told{code: got.Cancel.Code, reply: got.Cancel}
}

// callers work through the documents, each repeated until it is answered; two callers share each document, so that
// joins are killed too.
func (r *crashRig) callers(n int, next func() (irn string, ok bool)) *sync.WaitGroup {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
			for irn, ok := next(); ok; irn, ok = next() {
				var pair sync.WaitGroup
				for range 2 {
					pair.Go(func() {
						for !r.call(client, irn) {
							time.Sleep(time.Duration(20+rand.IntN(80)) * time.Millisecond)
						}
					})
				}
				pair.Wait()
			}
		})
	}
	return &wg
}

// troubles are what befalls cancels at the authority while a rig runs.
var troubles = []sandbox.Fault{
	{Name: "lose_reply"}, {Name: "reset_before"}, {Name: "delay", Value: "150"}, {Name: "late_commit", Value: "100"},
	{Name: "html_503"}, {Name: "truncate_json"}, {Name: "commit_then_500"},
}

// trouble arms one fault after the other at the authority, until stop is closed.
func (r *crashRig) trouble(stop <-chan struct{}) {
	for {
		f := troubles[rand.IntN(len(troubles))]
		f.Operation, f.Times = sandbox.Cancel, 1
		if err := r.sim.Arm(f); err != nil {
			r.Error(err)
			return
		}
		select {
		case <-stop:
			r.sim.Disarm("")
			return
		case <-time.After(time.Duration(10+rand.IntN(40)) * time.Millisecond):
		}
	}
}

// document makes the n-th document known to the authority; every fourth has an e-way bill and will be refused.
func (r *crashRig) document(n int64) string {
	irn := fmt.Sprintf("%064x", n)
	if refused(irn) {
		if err := r.sim.Add(sandbox.Document{ID: irn, Owner: r.taxpayer, State: r.state, Issued: time.Now(), Blocked: true}); err != nil {
			r.Error(err)
		}
	}
	return irn
}

func refused(irn string) bool { return strings.ContainsAny(irn[63:], "37bf") }

// run lets callers cancel documents while hit strikes again and again, then lets everything come to rest.
func (r *crashRig) run(hits, workers int, hit func()) {
	r.Helper()
	for _, i := range r.instances {
		i.start(r.T)
	}
	stop := make(chan struct{})
	var issued atomic.Int64
	wg := r.callers(workers, func() (string, bool) {
		select {
		case <-stop:
			return "", false
		default:
			return r.document(issued.Add(1)), true
		}
	})
	done := make(chan struct{})
	go func() { r.trouble(stop); close(done) }()
	for range hits {
		time.Sleep(time.Duration(50+rand.IntN(500)) * time.Millisecond)
		hit()
	}
	close(stop)
	<-done
	wg.Wait()
	r.verify(int(issued.Load()), r.rest())
	r.Logf("%d hits, %d documents, %d calls, %d attempts at the authority", hits, issued.Load(), r.calls.Load(), r.attempts())
}

// rest ends the instances. A call whose caller has given up may still have reached one, a stalled one above all, and
// have asked again for a refused document: what such calls leave open, whoever starts next settles with nobody asking.
// Those documents are returned.
func (r *crashRig) rest() (late []string) {
	r.Helper()
	r.terminate()
	if late = r.open(); len(late) == 0 {
		return nil
	}
	r.Logf("left open by calls without a caller: %v", late)
	for _, i := range r.instances {
		i.start(r.T)
	}
	for patience := time.Now().Add(4 * time.Minute); len(r.open()) > 0 && time.Now().Before(patience); {
		time.Sleep(200 * time.Millisecond) // "active" must be seen twice, half a minute apart
	}
	r.terminate()
	return late
}

func (r *crashRig) terminate() {
	r.Helper()
	for _, i := range r.instances {
		i.process.terminate()
	}
}

// open are the documents in doubt.
func (r *crashRig) open() (documents []string) {
	r.Helper()
	j, err := journal.OpenReader(r.Context(), r.journal)
	if err != nil {
		r.Fatal(err)
	}
	defer j.Close()
	entries, err := j.List(r.Context(), bridge.Filter{Open: true, Limit: 1000})
	if err != nil {
		r.Fatal(err)
	}
	for _, e := range entries {
		documents = append(documents, e.Key.Document)
	}
	return documents
}

// killOne kills any one instance and starts it again.
func (r *crashRig) killOne() {
	r.Helper()
	i := r.instances[rand.IntN(len(r.instances))]
	i.process.kill()
	i.start(r.T)
}

func (r *crashRig) attempts() (n int) {
	for _, d := range r.sim.Documents() {
		n += len(d.Attempts)
	}
	return n
}

// verify holds what callers were told, and when, against the authority's ledger and the journal. late is rest's.
func (r *crashRig) verify(documents int, late []string) {
	r.Helper()
	noOverlap(r.T, r.sim)
	for n := 1; n <= documents; n++ {
		irn := fmt.Sprintf("%064x", n)
		doc, ok := r.sim.Document(irn)
		all := r.answers[irn]
		if !ok || len(all) == 0 {
			r.Errorf("%s: in the ledger %v, %d answers", irn, ok, len(all))
			continue
		}
		want := "200"
		if refused(irn) {
			want = "204"
		}
		if commits := doc.Commits(); commits > 1 || (commits == 1) != (want == "200") {
			r.Errorf("%s was cancelled %d times, callers are to be told %s", irn, commits, want)
		}
		r.verifyAnswers(irn, all, want, doc)
	}
	r.verifyJournal(documents, late)
}

// verifyAnswers: every definite answer is the true one, all give the same date, and nothing is sent after it.
func (r *crashRig) verifyAnswers(irn string, all []told, want string, doc sandbox.Document) {
	r.Helper()
	var first time.Time
	date := ""
	for _, a := range all {
		if a.code != "200" && a.code != "204" {
			continue
		}
		if a.code != want {
			r.Errorf("%s: a caller was told %s %q, the truth is %s", irn, a.code, a.reply.Message, want)
		}
		if date != "" && a.reply.CancelDate != date {
			r.Errorf("%s: callers were told %q and %q", irn, date, a.reply.CancelDate)
		}
		if date = a.reply.CancelDate; first.IsZero() || a.at.Before(first) {
			first = a.at
		}
	}
	for _, at := range doc.Attempts {
		if want == "200" && at.Began.After(first) {
			r.Errorf("%s: sent at %s although a caller had its success at %s", irn, at.Began, first)
		}
	}
}

// verifyJournal: every document came to a final, true end. A late call for one that can't be cancelled may have learnt
// only that it was not applied.
func (r *crashRig) verifyJournal(documents int, late []string) {
	r.Helper()
	j, err := journal.OpenReader(r.Context(), r.journal)
	if err != nil {
		r.Fatal(err)
	}
	defer j.Close()
	for n := 1; n <= documents; n++ {
		irn := fmt.Sprintf("%064x", n)
		e, err := j.Find(r.Context(), bridge.Key{Space: "irp/sandbox", Document: irn}, r.taxpayer)
		want := bridge.Cancelled
		if refused(irn) {
			want = bridge.Refused
		}
		if want == bridge.Refused && slices.Contains(late, irn) && e.Outcome.Class == bridge.NotApplied {
			want = bridge.NotApplied
		}
		if err != nil || e.State != bridge.Final || e.Outcome.Class != want {
			r.Errorf("%s in the journal: %s %s, %v; want %s", irn, e.State, e.Outcome.Class, err, want)
		}
	}
}

// Killed at random moments under load, with the authority in trouble too: nothing lost, nothing overlapping, nothing
// sent after a known success, every answer true.
func TestCrash(t *testing.T) {
	t.Parallel()
	r := clearTaxRig(t, 1, "")
	r.run(*kills, 16, r.killOne)
}

// clearTaxRig is a rig in front of ClearTax, whose token is static: it may be restarted as often as one likes.
func clearTaxRig(t *testing.T, n int, dsn string) *crashRig {
	t.Helper()
	sim := cleartax.DemoIndia(cleartax.Options{AutoSeed: true, Options: sandbox.Options{KeepCalls: 1000, KeepDocuments: 1 << 30, NoBodies: true}})
	r := newCrashRig(t, n, dsn, sim.Sandbox, sim, cleartax.DemoGSTIN, fmt.Sprintf(
		"    kind: cleartax-in\n    base_url: %%s\n    token: %q\n    timeout: 3s\n    lookup_timeout: 2s\n", cleartax.DemoToken), "", nil)
	r.state = cleartax.Active
	return r
}

// nicRig is a rig in front of NIC with its limit of logins on, and counts them.
func nicRig(t *testing.T, n int, dsn string) (r *crashRig, logins *atomic.Int64) {
	t.Helper()
	sim := nic.Demo(nic.Options{AutoSeed: true, AuthLimit: 5, Options: sandbox.Options{KeepCalls: 1000, KeepDocuments: 1 << 30, NoBodies: true}})
	logins = &atomic.Int64{}
	counted := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/auth") {
			logins.Add(1)
		}
		sim.ServeHTTP(w, req)
	})
	r = newCrashRig(t, n, dsn, sim.Sandbox, counted, nic.DemoGSTIN, fmt.Sprintf(
		"    kind: nic\n    base_url: %%s\n    client_id: %q\n    client_secret: %q\n    public_key: file:nic.pem\n    timeout: 3s\n    lookup_timeout: 2s\n",
		nic.DemoClientID, nic.DemoClientSecret),
		fmt.Sprintf("    username: %q\n    password: %q\n", nic.DemoUser, nic.DemoPassword), map[string]string{"nic.pem": sim.PublicKeyPEM()})
	r.state = "ACT"
	return r, logins
}

// The same with NIC's sessions and its limit of logins on: the session is in the journal, so that only a kill in the
// middle of a login costs another one, and no call is held back for want of one.
func TestCrashWithLoginLimits(t *testing.T) {
	t.Parallel()
	r, logins := nicRig(t, 1, "")
	r.run(*kills, 8, r.killOne)
	if n := logins.Load(); n < 1 || n > 3 {
		t.Errorf("%d logins for %d kills", n, *kills)
	}
}

// Twenty restarts under load log in once.
func TestRestartsLogInOnce(t *testing.T) {
	t.Parallel()
	r, logins := nicRig(t, 1, "")
	r.run(20, 8, func() {
		r.instances[0].process.terminate()
		r.instances[0].start(t)
	})
	if n := logins.Load(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}
