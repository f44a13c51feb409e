package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// doubts are the ways a cancel's reply can go wrong so that the sender can't know what became of it. Half of them
// strike before the cancel is carried out, half after.
var doubts = []sandbox.Fault{
	{Name: "reset_before"}, {Name: "drop_before_commit"}, {Name: "http503_html"}, {Name: "http200_html"},
	{Name: "lose_reply"}, {Name: "lose_reply", Value: "rst"}, {Name: "commit_then_500"}, {Name: "truncate_json"}, {Name: "bad_json"},
	{Name: "delay", Value: "1500"}, {Name: "late_commit", Value: "1500"}, {Name: "delay", Value: "300"},
}

// For every upstream and every doubt, twice in a row too: the caller's final answer, with repeats, is the
// simulator's truth: cancelled, once, and told so.
func TestDoubtsEndInTheTruth(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sims, err := demo.New(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	gates := map[string]*gateway{}
	urls, closeAll, err := demo.Listen(sims, func(s demo.Simulator) http.Handler {
		gates[s.Name] = &gateway{next: s.Handler}
		return gates[s.Name]
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeAll)
	for i := range sims {
		if sims[i].Name == "myinvois" {
			sims[i].Upstream += "    cancels_per_minute: 1000\n    lookups_per_minute: 1000\n"
		}
		sims[i].Upstream += "    timeout: 1s\n    lookup_timeout: 1s\n"
	}
	text := "reply_within: 6s\n" + demo.Config(sims, urls, "127.0.0.1:0", dir, demo.Quiet)
	f, err := config.Parse([]byte(text), dir, os.LookupEnv, app.FileKinds)
	if err != nil {
		t.Fatal(err)
	}
	a := serving(t, f)
	url := a.PublicURL() + server.Paths[0]
	for _, s := range sims {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			for n, fault := range doubts {
				for times := 1; times <= 2; times++ {
					doubt(t, s, url, demo.DocumentID(s.Name, 1000+2*n+times), fault, times)
				}
			}
			for n, strike := range strikes {
				id := demo.DocumentID(s.Name, 2000+n)
				gates[s.Name].arm(strike)
				settled(t, s, url, id, strike.name)
			}
			noOverlap(t, s.Log)
		})
	}
}

// doubt cancels one document whose first cancels go wrong.
func doubt(t *testing.T, s demo.Simulator, url, id string, fault sandbox.Fault, times int) {
	t.Helper()
	fault.Operation, fault.Document, fault.Times = sandbox.Cancel, id, times
	if err := s.Log.Arm(fault); err != nil {
		t.Fatal(err)
	}
	settled(t, s, url, id, fmt.Sprintf("%s ×%d", fault, times))
}

// settled asks for a document until the answer is definite and holds it against the ledger.
func settled(t *testing.T, s demo.Simulator, url, id, what string) {
	t.Helper()
	var body []byte
	for deadline := time.Now().Add(30 * time.Second); ; {
		var err error
		if body, err = post(url, demo.Envelope(s.Taxpayer, id)); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(body, []byte("<code>")) || time.Now().After(deadline) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	doc, _ := s.Log.Document(id)
	if !strings.Contains(string(body), "<code>200</code>") || doc.Commits() != 1 {
		t.Errorf("%s: cancelled %d times, the caller was told %s", what, doc.Commits(), body)
	}
}

// noOverlap waits until the simulator has ended every call, those of callers that hung up too, and then wants no two
// cancels of one document in flight at once.
func noOverlap(t *testing.T, sim *sandbox.Sandbox) {
	t.Helper()
	for range 100 {
		if len(overlapping(sim)) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("cancels of one document were in flight at once: %+v", overlapping(sim))
}

// overlapping are the simulator's overlaps but for those whose first caller was gone before the second came: the
// simulator goes on working for a dead connection, but the cancel is not in flight any more. It sees that a caller is
// gone only when the goroutine that reads from the connection gets its turn, which takes a while on a busy machine.
func overlapping(sim *sandbox.Sandbox) (all []sandbox.Overlap) {
	for _, o := range sim.Overlaps() {
		const seen = 100 * time.Millisecond
		if o.First.Gone.IsZero() || o.First.Gone.After(o.Second.Began.Add(seen)) {
			all = append(all, o)
		}
	}
	return all
}

// gateway stands between bridge and simulator and does to one cancel what proxies and load balancers do.
type gateway struct {
	next http.Handler
	mu   sync.Mutex
	now  *strike
}

// strike is what happens to a cancel on the way: passed on or not, and what comes back instead of the reply.
type strike struct {
	name   string
	passed bool
	reply  string // raw bytes; empty: the connection is closed
}

const badGateway = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>502</html"

var strikes = []strike{
	{"closed before it was passed on", false, ""},
	{"closed after it was passed on", true, ""},
	{"502 before it was passed on", false, badGateway},
	{"502 after it was passed on", true, badGateway},
	{"500 without a body", true, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"},
	{"no HTTP at all", true, "\x00\xff\x16\x03garbage"},
	{"garbage in a 200", true, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n\x00\xff{}[]\"!"},
	{"half JSON in a 200", true, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"Status\":1,"},
	{"cut in the headers", true, "HTTP/1.1 200 OK\r\nContent-Ty"},
	{"cut in the body", true, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"Status\":1,\"Da"},
}

func (g *gateway) arm(s strike) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = &s
}

// take returns the armed strike for a cancel; every API has its own way to say so in method and path.
func (g *gateway) take(r *http.Request) *strike {
	if r.Method != http.MethodPut && r.Method != http.MethodPatch && !strings.Contains(r.URL.Path, "ancel") {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.now
	g.now = nil
	return s
}

// ServeHTTP passes the call on, or strikes.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := g.take(r)
	if s == nil {
		g.next.ServeHTTP(w, r)
		return
	}
	if s.passed {
		g.next.ServeHTTP(httptest.NewRecorder(), r)
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, s.reply) // whoever has gone needs no reply
}
