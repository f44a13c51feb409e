package main

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// TestTruth holds the bridge to one truthful answer, whatever the authority says and whenever: each line is a way in which
// it once told something false, or nothing, through the real adapters. Lines wait more than they work, so several are
// played at once, those that wait longest first.
func TestTruth(t *testing.T) {
	t.Parallel()
	type line struct {
		name string
		play func(*testing.T)
	}
	lines := make(chan line)
	var playing sync.WaitGroup
	for range 6 {
		playing.Go(func() {
			for l := range lines {
				t.Run(l.name, l.play)
			}
		})
	}
	for _, l := range []line{
		{"a cancel is not executed and answered in words that nobody has listed", unlistedWordsInstead},
		{"the first cancel is executed and its reply lost, and reads lag by seconds", readsLag},
		{"the same, and the resend is turned away", theResendIsTurnedAway},
		{"the same, and the resend is refused", theResendIsRefused},
		{"a success has errors beside it, or names another document", doubtfulSuccess},
		{"a cancel is executed and answered in words that nobody has listed", unlistedWordsAfterTheCancel},
		{"a cancel is executed and answered with trouble of our account", refusedAccount},
		{"a portal that is down is asked at leisure", downPortal},
		{"a portal that refuses connections is tried at leisure", closedPortal},
		{"another process has locked the journal", lockedJournal},
		{"a taxpayer moves to another account, leaving a waiting and a doubtful document", movedAway},
		{"repeats of a doubtful document book no sends", repeatsBookNothing},
		{"NIC's rate is kept when one is configured", ratedNIC},
		{"a taxpayer who must wait holds up nobody else of his account", nobodyIsHeldUp},
		{"an invoice is cancelled in the sandbox first, later in production", sandboxThenProduction},
		{"one document is cancelled by two names at once", twoNames},
		{"a caller has used up his calls of a minute", busyCaller},
		{"an operator's word is told as one", operatorsWord},
		{"logins are held back", loginsHeldBack},
	} {
		lines <- l
	}
	close(lines)
	playing.Wait()
}

// truth is a bridge in front of simulators of its own, whose documents are all active and whose rates are unlimited.
type truth struct {
	*testing.T
	dir, path string // of the configuration and the journal
	sims      map[string]demo.Simulator
	app       *app.App
	url       string
	log       lockedBuffer
}

// truthful starts one; edit changes its configuration.
func truthful(t *testing.T, edit func(string) string) *truth {
	t.Helper()
	w := &truth{T: t, dir: t.TempDir()}
	w.path = filepath.Join(w.dir, "bridge.yaml")
	w.authorities(edit)
	w.serve()
	return w
}

// authorities makes simulators anew and the configuration that reaches them; the journal stays the same.
func (w *truth) authorities(edit func(string) string) {
	w.Helper()
	sims, err := demo.New(w.dir, true)
	if err != nil {
		w.Fatal(err)
	}
	urls, closeAll, err := demo.Listen(sims, func(s demo.Simulator) http.Handler { return s.Handler })
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(closeAll)
	w.sims = map[string]demo.Simulator{}
	for i := range sims {
		if sims[i].Name == "myinvois" {
			sims[i].Upstream += "    cancels_per_minute: 1000\n    lookups_per_minute: 1000\n"
		}
		w.sims[sims[i].Name] = sims[i]
	}
	text := demo.Config(sims, urls, "127.0.0.1:0", w.dir, "reply_within: 5s\nconsole: {listen: \"127.0.0.1:0\"}\nlog: {level: info}\n")
	if edit != nil {
		text = edit(text)
	}
	w.write(text)
}

func (w *truth) write(text string) {
	w.Helper()
	if err := os.WriteFile(w.path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// serve starts a bridge that works by the configuration, until stop or the test's end.
func (w *truth) serve() {
	w.Helper()
	f, err := config.Load(w.path, app.FileKinds)
	if err != nil {
		w.Fatal(err)
	}
	a, err := app.New(w.Context(), f, app.Process{Log: slog.New(slog.NewTextHandler(&w.log, nil))})
	if err != nil {
		w.Fatal(err)
	}
	if w.app == nil {
		w.Cleanup(w.stop)
	}
	w.app, w.url = a, a.PublicURL()+server.Paths[0]
	if err := a.Start(); err != nil {
		w.Fatal(err)
	}
}

func (w *truth) stop() {
	w.Helper()
	if err := w.app.Stop(); err != nil {
		w.Error(err)
	}
}

// id makes a document's id for each number. No two upstreams share one: India's IRNs are the same wherever they are sent.
func (w *truth) id(upstream string, n int) string {
	names := slices.Sorted(maps.Keys(w.sims))
	return demo.DocumentID(upstream, 0xa000+0x100*slices.Index(names, upstream)+n)
}

// arm arms faults of one document; of any, if it is empty.
func (w *truth) arm(upstream, document string, faults ...sandbox.Fault) {
	w.Helper()
	for _, f := range faults {
		f.Document = document
		if err := w.sims[upstream].Log.Arm(f); err != nil {
			w.Fatal(err)
		}
	}
}

// on is faults of an operation, each "name" or "name=value", while a document has had so many cancels; 0: ever.
func on(operation string, cancels int, names ...string) (all []sandbox.Fault) {
	for _, what := range names {
		name, value, _ := strings.Cut(what, "=")
		all = append(all, sandbox.Fault{Name: name, Value: value, Operation: operation, Attempt: cancels})
	}
	return all
}

// first and second are faults of a document's first and second cancel, reads of its look-ups at any time.
func first(names ...string) []sandbox.Fault  { return on(sandbox.Cancel, 1, names...) }
func second(names ...string) []sandbox.Fault { return on(sandbox.Cancel, 2, names...) }
func reads(names ...string) []sandbox.Fault  { return on(sandbox.Get, 0, names...) }

var codeSaid = regexp.MustCompile(`<code>(\d+)</code>`)

// ask is one call: its code, empty for a Fault, and the whole answer.
func (w *truth) ask(upstream, document string) (code, body string) {
	w.Helper()
	b, err := post(w.url, demo.Envelope(w.sims[upstream].Taxpayer, document))
	if err != nil {
		w.Error(err)
	}
	if m := codeSaid.FindSubmatch(b); m != nil {
		code = string(m[1])
	}
	return code, string(b)
}

// operator is a person at the command line beside the bridge.
func (w *truth) operator() worked { return worked{T: w.T, path: w.path} }

// record is what the journal has of a document.
func (w *truth) record(document string) (s storyJSON) {
	w.Helper()
	if err := json.Unmarshal([]byte(w.operator().run("journal", "show", document, "--json")), &s); err != nil {
		w.Fatal(err)
	}
	return s
}

// logs waits until a line of the log has all of the texts.
func (w *truth) logs(texts ...string) {
	w.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		for line := range strings.Lines(w.log.String()) {
			has := true
			for _, text := range texts {
				has = has && strings.Contains(line, text)
			}
			if has {
				return
			}
		}
		if time.Now().After(deadline) {
			w.Errorf("no line of the log has all of %q:\n%s", texts, w.log.String())
			return
		}
	}
}

// story is what goes wrong with one document, and what its callers hear in the end.
type story struct {
	name, upstream string
	faults         [][]sandbox.Fault
	secret         time.Duration // for so long after the cancel no look-up shows it, and nobody can know
	says           string        // of the refusal that it ends in; empty: it ends in success
}

// tell plays stories: those of one upstream one after the other, lest its breaker opens, the upstreams at once.
func (w *truth) tell(stories ...story) {
	byUpstream := map[string][]story{}
	for _, s := range stories {
		byUpstream[s.upstream] = append(byUpstream[s.upstream], s)
	}
	var playing sync.WaitGroup
	for upstream, all := range byUpstream {
		playing.Go(func() {
			w.Run(upstream, func(t *testing.T) {
				for n, s := range all {
					t.Run(s.name, func(t *testing.T) { w.play(t, s, w.id(upstream, n)) })
				}
				noOverlap(t, w.sims[upstream].Log)
			})
		})
	}
	playing.Wait()
}

// play asks for a document until the answer is definite, and holds it against the authority's own book: success only for
// what is cancelled, and a refusal only where the story ends in one.
func (w *truth) play(t *testing.T, s story, id string) {
	t.Helper()
	for _, f := range s.faults {
		w.arm(s.upstream, id, f...)
	}
	code, body := w.ask(s.upstream, id)
	for deadline := time.Now().Add(45 * time.Second); code == "" && time.Now().Before(deadline); {
		time.Sleep(200 * time.Millisecond)
		code, body = w.ask(s.upstream, id)
	}
	doc, _ := w.sims[s.upstream].Log.Document(id)
	if s.says != "" {
		if code != "204" || !strings.Contains(body, s.says) || doc.Commits() != 0 {
			t.Errorf("cancelled %d times, the caller was told %s, want %q", doc.Commits(), body, s.says)
		}
		return
	}
	if code != "200" || doc.Commits() != 1 {
		t.Errorf("cancelled %d times, the caller was told %s", doc.Commits(), body)
	} else if age := time.Since(doc.Cancelled); age < s.secret {
		t.Errorf("told as cancelled %s after the cancel, when nothing showed it", age)
	}
	if _, again := w.ask(s.upstream, id); again != body {
		t.Errorf("told\n%s\nand then\n%s", body, again)
	}
}

// One lookup doesn't show the cancel yet, and the resend is refused by a check that comes before the document's state.
func theResendIsRefused(t *testing.T) {
	lost := append(first("lose_reply"), on(sandbox.Get, 1, "lookup_stale")...)
	lostMY := append(first("lose_reply"), on(sandbox.Get, 1, "details_stale")...)
	after := func(how ...string) [][]sandbox.Fault { return [][]sandbox.Fault{lost, second(how...)} }
	truthful(t, nil).tell(
		story{name: "its time limit is over", upstream: "nic", faults: after("error=2270")},
		story{name: "its GSTIN is inactive", upstream: "nic", faults: after("error=3029")},
		story{name: "in unlisted words", upstream: "nic", faults: after("error=7777")},
		story{name: "it is not active", upstream: "nic", faults: after()},
		story{name: "its time limit is over", upstream: "cleartax-in", faults: after("nic_error=2270")},
		story{name: "its time limit is over", upstream: "invx", faults: after("nic_error=2270")},
		story{name: "its time limit is over", upstream: "mastersindia", faults: after("nic_error=2270")},
		story{name: "its time limit is over", upstream: "cleartax-my", faults: after("error=OperationPeriodOver")},
		story{name: "its time limit is over", upstream: "myinvois", faults: [][]sandbox.Fault{lostMY, second("error=OperationPeriodOver")}},
	)
}

// The resend is turned away for our rights, for its rate, or as already cancelled, while no look-up shows the cancel. That
// is about the resend: the document stays on the operator's list until the truth is seen.
func theResendIsTurnedAway(t *testing.T) {
	var playing sync.WaitGroup
	for _, s := range []story{
		{name: "403", upstream: "nic", faults: [][]sandbox.Fault{second("http403")}},
		{name: "the account is frozen", upstream: "nic", faults: [][]sandbox.Fault{second("error=3033")}},
		{name: "429", upstream: "nic", faults: [][]sandbox.Fault{second("http429=600")}},
		{name: "already cancelled", upstream: "nic"},
		{name: "401", upstream: "cleartax-in", faults: [][]sandbox.Fault{second("http401")}},
		{name: "the account is used up", upstream: "mastersindia", faults: [][]sandbox.Fault{second("gateway=GEN5005: GSP account limit exceeded")}},
		{name: "403", upstream: "invx", faults: [][]sandbox.Fault{second("http403")}},
		{name: "403", upstream: "myinvois", faults: [][]sandbox.Fault{second("error=403:Forbidden")}},
	} {
		playing.Go(func() { t.Run(s.upstream+" "+s.name, func(t *testing.T) { turnedAway(t, s) }) })
	}
	playing.Wait()
}

func turnedAway(t *testing.T, s story) {
	w, id := truthful(t, nil), demo.DocumentID(s.upstream, 0xa001)
	for _, f := range append(s.faults, first("lose_reply")) {
		w.arm(s.upstream, id, f...)
	}
	stale := "lookup_stale"
	if s.upstream == "myinvois" {
		stale = "details_stale"
	}
	w.arm(s.upstream, id, reads(stale)...)
	for range 2 {
		if code, body := w.ask(s.upstream, id); code != "" || !strings.Contains(body, bridge.FaultUnknown) {
			t.Errorf("told %s", body)
		}
	}
	if r := w.record(id); r.State != string(bridge.Open) || r.Outcome != "unknown" || r.Sends != 2 {
		t.Errorf("the record says %s, %s, after %d sends", r.State, r.Outcome, r.Sends)
	}
	w.operator().wants(w.operator().run("journal", "list", "--open"), id[:20])
	w.sims[s.upstream].Log.Disarm(stale)
	switch code, body := w.ask(s.upstream, id); {
	case s.name == "401" && code == "": // ClearTax's gate is shut for look-ups, too; an operator or the background has the rest
		w.operator().wants(w.operator().run("journal", "list", "--open"), id[:20])
	case code != "200":
		t.Errorf("when it can be seen, told %s", body)
	}
}

// The resend is refused since the document is cancelled, and no look-up shows that for four seconds.
func readsLag(t *testing.T) {
	lost := first("lose_reply")
	after := func(how ...[]sandbox.Fault) [][]sandbox.Fault { return append(how, lost) }
	truthful(t, nil).tell(
		story{name: "valid, IncorrectState", upstream: "myinvois", faults: after(reads("details_stale=4"))},
		story{name: "not found, IncorrectState", upstream: "myinvois", faults: after(on(sandbox.Get, 1, "details_stale"), on(sandbox.Get, 2, "details_missing=4"))},
		story{name: "valid, DocumentStatusNotValid", upstream: "myinvois", faults: after(reads("details_stale=4"), second("status_not_valid"))},
		story{name: "not found, DocumentStatusNotValid", upstream: "myinvois",
			faults: after(on(sandbox.Get, 1, "details_stale"), on(sandbox.Get, 2, "details_missing=4"), second("status_not_valid"))},
		story{name: "valid, already cancelled", upstream: "cleartax-my", faults: after(reads("lookup_stale=4"))},
		story{name: "not found, IncorrectState", upstream: "cleartax-my",
			faults: after(on(sandbox.Get, 1, "lookup_stale"), on(sandbox.Get, 2, "lookup_missing=4"), second("error=IncorrectState"))},
		story{name: "created, then the search finds nothing", upstream: "invx", faults: after(
			on(sandbox.Get, 1, "lookup_stale"), second("nic_error=2270"), []sandbox.Fault{{Name: "find_nothing", Operation: sandbox.Get, Attempt: 2, Times: 3}})},
		story{name: "created, wrong state", upstream: "invx", faults: after(reads("lookup_stale=4"))},
		story{name: "active, a failure without a reason", upstream: "mastersindia", faults: [][]sandbox.Fault{first("commit_then_fail"), reads("lookup_stale=4")}},
		story{name: "active, not active", upstream: "mastersindia", faults: after(reads("lookup_stale=4"))},
	)
}

// The document is looked up before anything is said.
func unlistedWordsAfterTheCancel(t *testing.T) {
	after := func(how ...string) [][]sandbox.Fault { return [][]sandbox.Fault{first(how...)} }
	const down = "GEN5008: GSTN Server Error"
	truthful(t, nil).tell(
		story{name: "a code", upstream: "nic", faults: after("error_after_commit=7777")},
		story{name: "a code, and reads lag", upstream: "nic", faults: append(after("error_after_commit=7777"), reads("lookup_stale=4")), secret: 4 * time.Second},
		story{name: "GEN5008", upstream: "nic", faults: after("gateway_after_commit=" + down)},
		story{name: "GEN5008 of the portal", upstream: "nic", faults: after("error_after_commit=" + down)},
		story{name: "500", upstream: "cleartax-in", faults: after("commit_then_cleartax=500")},
		story{name: "a code", upstream: "cleartax-in", faults: after("commit_then_nic=7777")},
		story{name: "GEN5008", upstream: "cleartax-in", faults: after("gateway_after_commit=" + down)},
		story{name: "GEN5008 of the portal", upstream: "cleartax-in", faults: after("commit_then_nic=" + down)},
		story{name: "a code", upstream: "invx", faults: after("nic_error_after_commit=7777")},
		story{name: "GEN5008", upstream: "invx", faults: after("gateway_after_commit=" + down)},
		story{name: "GEN5008 of the portal", upstream: "invx", faults: after("nic_error_after_commit=" + down)},
		story{name: "Connection reset", upstream: "mastersindia", faults: after("commit_then_say=Connection reset")},
		story{name: "a text", upstream: "mastersindia", faults: after("commit_then_say=Kaboom")},
		story{name: "GEN5008", upstream: "mastersindia", faults: after("gateway_after_commit=" + down)},
		story{name: "GEN5008 as a text", upstream: "mastersindia", faults: after("commit_then_say=" + down)},
		story{name: "a code", upstream: "cleartax-my", faults: after("commit_then_error=NEW_RULE")},
		story{name: "a code", upstream: "myinvois", faults: after("commit_then_error=NewRule")},
	)
}

// Nothing was carried out. After half a minute, in which a look-up might lag, that is a refusal in the words that were said.
func unlistedWordsInstead(t *testing.T) {
	truthful(t, nil).tell(
		story{name: "a code", upstream: "nic", faults: [][]sandbox.Fault{first("error=7777: New rule")}, says: "7777: New rule"},
		story{name: "a code", upstream: "cleartax-in", faults: [][]sandbox.Fault{first("nic_error=7777: New rule")}, says: "7777: New rule"},
		story{name: "a code", upstream: "invx", faults: [][]sandbox.Fault{first("nic_error=7777: New rule", "error_on_200")}, says: "7777: New rule"},
		story{name: "a text", upstream: "mastersindia", faults: [][]sandbox.Fault{first("says=Kaboom")}, says: "Kaboom"},
		story{name: "a code", upstream: "cleartax-my", faults: [][]sandbox.Fault{first("error=NEW_RULE:Kaboom")}, says: "NEW_RULE: Kaboom"},
		story{name: "a code", upstream: "myinvois", faults: [][]sandbox.Fault{first("error=NewRule")}, says: "NewRule: The sandbox was told to refuse"},
	)
}

// Such a success is no success until a look-up shows it.
func doubtfulSuccess(t *testing.T) {
	const lag = 3 * time.Second
	of := func(upstream string, hows ...string) (all []story) {
		late := reads("lookup_stale=3")
		if upstream == "myinvois" {
			late = reads("details_stale=3")
		}
		for _, how := range hows {
			all = append(all, story{name: how, upstream: upstream, faults: [][]sandbox.Fault{first(how), late}, secret: lag})
		}
		return all
	}
	var all []story
	all = append(all, of("nic", "success_and_error=2270", "wrong_irn", "no_irn")...)
	all = append(all, of("cleartax-in", "success_and_error=2270", "wrong_irn", "no_irn")...)
	all = append(all, of("cleartax-my", "error_with_success", "wrong_uuid", "wrong_id", "no_uuid")...)
	all = append(all, of("invx", "success_and_error=2270", "irn_mismatch")...)
	all = append(all, of("mastersindia", "success_and_error=2270: Too late", "wrong_irn", "no_irn")...)
	all = append(all, of("myinvois", "wrong_uuid")...)
	all = append(all, story{name: "ok_with_error", upstream: "myinvois", faults: [][]sandbox.Fault{first("ok_with_error")}, says: "IncorrectState"})
	truthful(t, nil).tell(all...)
}
