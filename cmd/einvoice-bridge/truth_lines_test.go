package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/cleartax"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// When an operator has mended the account, "not active" is about the cancel that was turned away.
func refusedAccount(t *testing.T) {
	w := truthful(t, nil)
	full := "GEN5005: GSP account limit exceeded"
	says := map[string]string{"nic": "gateway_after_commit=" + full, "cleartax-in": "commit_then_nic=" + full, "mastersindia": "commit_then_say=" + full, "invx": "html_403=commit"}
	for name, how := range says {
		w.arm(name, w.id(name, 1), first(how)...)
		if _, body := w.ask(name, w.id(name, 1)); !strings.Contains(body, bridge.FaultMisconfigured) {
			t.Errorf("%s: at first told %s", name, body)
		}
	}
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.write(strings.ReplaceAll(string(text), `url: "http://127.0.0.1:`, `url: "http://localhost:`))
	w.app.Reload("test")
	for name := range says {
		if code, body := w.ask(name, w.id(name, 1)); code != "200" {
			t.Errorf("%s: then told %s", name, body)
		}
	}
}

// uuidMY is a document of ClearTax Malaysia by the name under which it is on record.
func uuidMY(n int) string { return demo.DocumentID("myinvois", 0xd000+n) }

// IRNs are digests of an invoice's own numbers, so that one tried in the sandbox has the IRN of the real one. It is sent.
func sandboxThenProduction(t *testing.T) {
	w := truthful(t, nil)
	ask := func(where string) {
		for name, s := range w.sims {
			id := w.id(name, 1)
			code, body := w.ask(name, id)
			if doc, _ := s.Log.Document(id); code != "200" || doc.Commits() != 1 {
				t.Errorf("%s in %s: cancelled %d times, told %s", name, where, doc.Commits(), body)
			}
		}
	}
	ask("the sandbox")
	w.stop()
	w.authorities(func(text string) string {
		return strings.ReplaceAll(text, `environment: "sandbox"`, `environment: "production"`)
	})
	w.serve()
	ask("production")
}

// While one name's cancel is in flight, the other's joins it: one cancel, two successes.
func twoNames(t *testing.T) {
	w := truthful(t, nil)
	uuid := w.id("myinvois", 0)[:20] + "ABCDEF"
	for upstream, names := range map[string][2]string{
		"cleartax-my": {cleartax.DemoDocumentID, cleartax.DemoUUID},
		"myinvois":    {uuid, strings.ToLower(uuid)},
	} {
		t.Run(upstream, func(t *testing.T) {
			sim := w.sims[upstream].Log
			w.arm(upstream, "", sandbox.Fault{Name: "hold", Operation: sandbox.Cancel, Times: 1})
			var asking sync.WaitGroup
			for _, name := range names {
				asking.Go(func() {
					if code, body := w.ask(upstream, name); code != "200" || !strings.Contains(body, "<Irn>"+name+"</Irn>") {
						t.Errorf("%s: %s", name, body)
					}
				})
				if _, err := sim.WaitFor(t.Context(), func(r sandbox.Record) bool { return r.Operation == sandbox.Cancel && r.Held }); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(300 * time.Millisecond) // the second call has arrived; nothing shows that from outside
			sim.Release()
			asking.Wait()
			sends := 0
			for _, c := range sim.Calls() {
				if c.Operation == sandbox.Cancel {
					sends++
				}
			}
			if sends != 1 {
				t.Errorf("cancelled %d times", sends)
			}
			noOverlap(t, sim)
		})
	}
}

// What was asked of one account is neither carried out nor looked up in another: that one's documents are others.
func movedAway(t *testing.T) {
	elsewhere := cleartax.DemoMalaysia(cleartax.Options{AutoSeed: true})
	l, err := sandbox.Listen("127.0.0.1:0", elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w := truthful(t, func(text string) string {
		text = strings.Replace(text, "  cleartax-my:\n", "  cleartax-my:\n    account: first\n    cancels_per_minute: 1\n", 1)
		return strings.Replace(text, "upstreams:\n", "upstreams:\n  moved:\n"+
			demo.Keys("kind", "cleartax-my", "environment", "sandbox", "base_url", l.URL, "token", cleartax.DemoToken, "account", "second"), 1)
	})
	doubtful, waiting := w.id("cleartax-my", 1), w.id("cleartax-my", 2)
	w.arm("cleartax-my", doubtful, append(first("lose_reply"), reads("lookup_stale")...)...)
	if _, body := w.ask("cleartax-my", doubtful); !strings.Contains(body, bridge.FaultUnknown) {
		t.Fatalf("the doubtful one: %s", body)
	}
	if _, body := w.ask("cleartax-my", waiting); !strings.Contains(body, bridge.FaultWaiting) {
		t.Fatalf("the one that waits: %s", body)
	}
	var ids [2]string
	for i, flag := range []string{"--open", "--waiting"} {
		var row storyJSON
		if err := json.Unmarshal([]byte(w.operator().run("journal", "list", flag, "--json")), &row); err != nil {
			t.Fatal(err)
		}
		ids[i] = fmt.Sprint(row.ID)
	}

	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.write(strings.Replace(string(text), "    upstream: cleartax-my\n", "    upstream: moved\n", 1))
	w.app.Reload("test")
	w.operator().run("journal", "lookup", ids[0])
	w.logs("alarm=stray", "can't be looked up", "whose documents are others")
	w.stop()
	w.serve()
	w.logs("alarm=stray", "waits and is not carried out", "whose documents are others")

	w.operator().wants(w.operator().run("journal", "list", "--open"), "cleartax-my")
	w.operator().wants(w.operator().run("journal", "list", "--waiting"), "cleartax-my")
	if calls := elsewhere.Calls(); len(calls) > 0 {
		t.Errorf("the other account was asked: %+v", calls)
	}
	for n, want := range map[string]int{doubtful: 1, waiting: 0} {
		if doc, _ := w.sims["cleartax-my"].Log.Document(n); len(doc.Attempts) != want {
			t.Errorf("%d cancels at the first account, want %d", len(doc.Attempts), want)
		}
	}
}

// nothingSent is all that a bridge which is busy may say: nobody has looked at the document.
const nothingSent = "The bridge is busy; nothing was sent for this call."

// While no new work is taken for a caller, nothing is said of a document that nobody has looked at, and what is on record
// is told. (in_flight: TestBusyBridgeTellsWhatIsOnRecord)
func busyCaller(t *testing.T) {
	w := truthful(t, func(text string) string { return strings.Replace(text, "  erp:\n", "  erp:\n    per_minute: 2\n", 1) })
	before, other, after := w.id("nic", 1), w.id("nic", 2), w.id("nic", 3)
	_, told := w.ask("nic", before)
	w.ask("nic", other)
	if code, body := w.ask("nic", after); code != "" || !strings.Contains(body, nothingSent) {
		t.Errorf("a new one: %s", body)
	}
	if code, body := w.ask("nic", before); code != "200" || body != told {
		t.Errorf("a repeat: %s", body)
	}
	if _, known := w.sims["nic"].Log.Document(after); known {
		t.Error("it was sent")
	}
}

// inTime is ask, which is to be answered within reply_within.
func (w *truth) inTime(upstream, document string) (code, body string) {
	w.Helper()
	start := time.Now()
	code, body = w.ask(upstream, document)
	if took := time.Since(start); took > 10*time.Second { // reply_within, and what a busy machine adds
		w.Errorf("answered after %s", took)
	}
	return code, body
}

// eightSeconds are longer than one try to write.
func eightSeconds(text string) string {
	return strings.Replace(text, "reply_within: 5s", "reply_within: 8s", 1)
}

// diskAway takes the record away, and gives it back, while a bridge has answered one call and is in another one.
func (w *truth) diskAway(readable bool, away, back func()) {
	w.Helper()
	told, flying, next := w.id("nic", 1), w.id("nic", 2), w.id("nic", 3)
	_, before := w.ask("nic", told)
	w.arm("nic", flying, sandbox.Fault{Name: "hold", Operation: sandbox.Cancel, Times: 1})
	var asking sync.WaitGroup
	asking.Go(func() {
		if code, body := w.inTime("nic", flying); code != "" || !strings.Contains(body, bridge.FaultUnknown) {
			w.Errorf("in flight when the journal went away: %s", body)
		}
	})
	sim := w.sims["nic"].Log
	if _, err := sim.WaitFor(w.Context(), func(r sandbox.Record) bool { return r.Operation == sandbox.Cancel && r.Held }); err != nil {
		w.Fatal(err)
	}
	away()
	sim.Release()
	asking.Go(func() {
		if code, body := w.inTime("nic", next); code != "" || !strings.Contains(body, nothingSent) {
			w.Errorf("a new one: %s", body)
		}
	})
	asking.Go(func() {
		switch code, body := w.inTime("nic", told); {
		case readable && body != before, !readable && (code != "" || !strings.Contains(body, nothingSent)):
			w.Errorf("a repeat: %s", body)
		}
	})
	asking.Wait()
	if _, known := sim.Document(next); known {
		w.Error("what could not be written down was sent")
	}
	back()
	for _, id := range []string{told, flying, next} {
		code, body := w.ask("nic", id)
		for range 50 {
			if code != "" {
				break
			}
			time.Sleep(200 * time.Millisecond)
			code, body = w.ask("nic", id)
		}
		if doc, _ := sim.Document(id); code != "200" || doc.Commits() != 1 {
			w.Errorf("afterwards: cancelled %d times, told %s\n%s", doc.Commits(), body, w.operator().run("journal", "show", id, "--json"))
		}
	}
}

// Answers come in time, whatever the disk does.
func lockedJournal(t *testing.T) {
	w := truthful(t, eightSeconds)
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "bridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	do := func(query string) func() {
		return func() {
			if _, err := db.ExecContext(t.Context(), query); err != nil {
				t.Error(err)
			}
		}
	}
	w.diskAway(true, do("BEGIN IMMEDIATE"), do("ROLLBACK"))
}

// On the console, too; what the commands say is TestResolveCommand's.
func operatorsWord(t *testing.T) {
	w := truthful(t, nil)
	id := w.id("nic", 1)
	w.arm("nic", id, first("lose_reply")...)
	w.arm("nic", id, reads("lookup_stale")...)
	w.arm("nic", id, second("error=2270")...)
	w.ask("nic", id)
	r := w.record(id)
	word := []string{"journal", "resolve", fmt.Sprint(r.ID), "--as", "cancelled", "--date", "2021-11-22 14:03:00", "--why", "NIC portal, ticket 815", "--by", "asha"}
	if out, err := runCommand(t, append(word, "-c", w.path)...); err == nil {
		t.Errorf("a date before the request passes without --yes:\n%s", out)
	}
	w.operator().run(append(word, "--yes")...)
	if code, body := w.ask("nic", id); code != "200" || !strings.Contains(body, "2021-11-22 14:03:00") {
		t.Errorf("told %s", body)
	}
	op := w.operator()
	op.doubtful = id
	op.tellsWhoseWordItIs(fmt.Sprint(r.ID))
	page := w.page("/show?of=" + fmt.Sprint(r.ID))
	op.wants(page, "operator", "asha", "NIC portal, ticket 815")
	if strings.Contains(page, "its own date") {
		t.Errorf("told as the authority's:\n%s", page)
	}
}

// page is one of the console's.
func (w *truth) page(path string) string {
	w.Helper()
	resp, err := http.Get(w.app.ConsoleURL() + path)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return string(body)
}

// downPortal says that it is down, and shows every document as active; closedPortal refuses connections.
func downPortal(t *testing.T) { atLeisure(t, nil, "http503_html") }

func closedPortal(t *testing.T) {
	atLeisure(t, func(text string) string {
		return strings.ReplaceAll(text, `url: "http://127.0.0.1:`, `url: "http://127.0.0.2:`)
	}, "")
}

// atLeisure asks every upstream for one document. Between any two sends stands a pause: of up to a second, then of up to
// three. On average that is a second, and chance alone does not bring it below a quarter of one.
func atLeisure(t *testing.T, edit func(string) string, says string) {
	w := truthful(t, func(text string) string {
		if edit != nil {
			text = edit(text)
		}
		return strings.Replace(text, "reply_within: 5s", "reply_within: 10s", 1)
	})
	var asking sync.WaitGroup
	ids := map[string]string{}
	for name := range w.sims {
		ids[name] = w.id(name, 1)
	}
	ids["cleartax-my"] = uuidMY(1)
	for name, id := range ids {
		if says != "" {
			w.arm(name, id, on(sandbox.Cancel, 0, says)...)
		}
		asking.Go(func() {
			if code, body := w.ask(name, id); code != "" {
				t.Errorf("%s: told %s", name, body)
			}
		})
	}
	asking.Wait()
	var pauses time.Duration
	n := 0
	for name, id := range ids {
		var sends []time.Time
		for _, a := range w.record(id).Attempts {
			if a.Kind == string(bridge.SendCancel) {
				sends = append(sends, a.Start)
			}
		}
		if len(sends) > 3 {
			t.Errorf("%s: sent %d times", name, len(sends))
		}
		for i := 1; i < len(sends); i++ {
			pauses, n = pauses+sends[i].Sub(sends[i-1]), n+1
		}
	}
	if n == 0 || pauses/time.Duration(n) < 250*time.Millisecond {
		t.Errorf("%d pauses between sends, %s together", n, pauses)
	}
}

// A call that never left is told as one: in the record, in its line of the log, and why.
func loginsHeldBack(t *testing.T) {
	w := truthful(t, nil)
	for n := range 3 { // each logs in once more after the first
		w.arm("nic", "", sandbox.Fault{Name: "revoke_tokens", Operation: sandbox.Cancel, Times: 1})
		if code, body := w.ask("nic", w.id("nic", n)); code != "200" {
			t.Fatalf("told %s", body)
		}
	}
	w.arm("nic", "", sandbox.Fault{Name: "revoke_tokens", Operation: sandbox.Cancel, Times: 1})
	w.ask("nic", w.id("nic", 3)) // stopped at the gate, and there is no login left for it
	id := w.id("nic", 4)
	code, body := w.ask("nic", id)
	if code != "" || strings.Contains(body, "held back") {
		t.Errorf("told %s", body)
	}
	if doc, known := w.sims["nic"].Log.Document(id); known {
		t.Errorf("it was sent: %+v", doc)
	}
	const why = "logins held back until "
	w.operator().wants(w.operator().run("journal", "show", id), "not sent to nic", why, ": 4 in 15m are used up")
	r := w.record(id)
	if r.Sends != 0 || !strings.HasPrefix(r.Why, why) || r.Attempts[0].Sent == nil || *r.Attempts[0].Sent {
		t.Errorf("the record says %+v", r)
	}
	w.logs("msg=call", id, "sends=0", `why="`+why, ": 4 in 15m are used up")
	if page := w.page("/show?of=" + fmt.Sprint(r.ID)); !strings.Contains(page, "not sent") || !strings.Contains(page, why) {
		t.Errorf("the console:\n%s", page)
	}
}

// Only what sends books: eleven repeats of a doubtful document leave the rest of the twelve a minute to others.
func repeatsBookNothing(t *testing.T) {
	w := truthful(t, func(text string) string {
		return strings.Replace(text, "    cancels_per_minute: 1000\n", "    cancels_per_minute: 12\n", 1)
	})
	doubtful := w.id("myinvois", 1)
	w.arm("myinvois", doubtful, first("lose_reply")...)
	w.arm("myinvois", doubtful, reads("details_hidden")...)
	for range 12 {
		if _, body := w.ask("myinvois", doubtful); !strings.Contains(body, bridge.FaultUnknown) {
			t.Fatalf("the doubtful one: %s", body)
		}
	}
	for n := range 11 {
		if code, body := w.ask("myinvois", w.id("myinvois", 10+n)); code != "200" {
			t.Errorf("number %d after it: %s", n+1, body)
		}
	}
	if _, body := w.ask("myinvois", w.id("myinvois", 30)); !strings.Contains(body, bridge.FaultWaiting) {
		t.Errorf("the thirteenth: %s", body)
	}
	sends := 0
	for _, c := range w.sims["myinvois"].Log.Calls() {
		if c.Operation == sandbox.Cancel {
			sends++
		}
	}
	if sends != 12 {
		t.Errorf("%d were sent", sends)
	}
}

// Two taxpayers share an account's rate; the first must wait for ten minutes of its own, the second need not.
func nobodyIsHeldUp(t *testing.T) {
	const second = "C99887766551"
	w := truthful(t, func(text string) string {
		return strings.Replace(text, "taxpayers:\n", "taxpayers:\n  "+second+":\n    upstream: cleartax-my\n", 1)
	})
	w.sims["cleartax-my"].Handler.(*cleartax.Malaysia).AddUser(cleartax.User{
		Token: cleartax.DemoToken, Taxpayers: []string{cleartax.DemoTIN, second}, Branches: []string{cleartax.DemoBranch},
	})
	w.arm("cleartax-my", "", sandbox.Fault{Name: "rate_limit", Value: "600", Operation: sandbox.Cancel, Times: 1})
	for _, want := range []string{bridge.FaultNotApplied, bridge.FaultWaiting} {
		if _, body := w.ask("cleartax-my", uuidMY(1)); !strings.Contains(body, want) {
			t.Fatalf("the first taxpayer: %s", body)
		}
	}
	b, err := post(w.url, demo.Envelope(second, w.id("cleartax-my", 2)))
	if err != nil || !strings.Contains(string(b), "<code>200</code>") {
		t.Errorf("the second taxpayer: %s, %v", b, err)
	}
}

// cancels_per_minute of a kind that has no rate of its own.
func ratedNIC(t *testing.T) {
	w := truthful(t, func(text string) string {
		return strings.Replace(text, "  nic:\n", "  nic:\n    cancels_per_minute: 2\n", 1)
	})
	for n, want := range []string{"<code>200</code>", "<code>200</code>", bridge.FaultWaiting} {
		if _, body := w.ask("nic", w.id("nic", n)); !strings.Contains(body, want) {
			t.Errorf("number %d: %s", n+1, body)
		}
	}
	if n := len(w.sims["nic"].Log.Documents()); n > 8 { // six of the demo, and two
		t.Errorf("%d documents were asked for", n-6)
	}
}
