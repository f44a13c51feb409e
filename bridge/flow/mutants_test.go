package flow

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var mutants = flag.Bool("mutants", false, "TestMutants puts each fault back and wants it caught (minutes)")

// mutant is a fault of old put back into the code: new stands where old does, once, in a file of the repository. What
// catches it are the tests that run selects in a package.
type mutant struct {
	fault          string
	file, old, new string
	pkg, run       string
}

// Told by the simulation or by a row of the table.
const (
	table   = "TestNext"
	stories = "TestSimulation"
)

var faults = []mutant{
	{"a refusal on a later send closes the doubt", "bridge/flow/weigh.go",
		"		w.doubt = w.doubt || w.gated\n", "		w.doubt = false\n", "./bridge/flow", table},
	{"the same, seen by its stories", "bridge/flow/weigh.go",
		"		w.doubt = w.doubt || w.gated\n", "		w.doubt = false\n", "./bridge/flow", stories},
	{"already cancelled after a doubtful send is somebody else's", "bridge/flow/weigh.go",
		"		w.doubt = w.doubt || w.ours\n", "		w.doubt = false\n", "./bridge/flow", stories},
	{"one look that finds the document active is proof", "bridge/flow/loop.go",
		"w, need := weigh(f.entry.Attempts), settling", "w, need := weigh(f.entry.Attempts), -settling-p.CallTimeout", "./bridge/flow", stories},
	{"an answer that nobody has listed is a refusal", "bridge/flow/weigh.go",
		"		w.doubt, w.ours, w.risk = true, true, a.ID\n	case bridge.NotApplied", "		w.risk = a.ID\n	case bridge.NotApplied", "./bridge/flow", stories},
	{"refused credentials on a later send close the doubt", "bridge/flow/weigh.go",
		"		if a.Outcome.Sent {\n", "		w.doubt = w.doubt && a.Outcome.Class != bridge.Misconfigured\n		if a.Outcome.Sent {\n", "./bridge/flow", table},
	{"a later send that was stopped at the gate closes it", "bridge/flow/weigh.go",
		"		if a.Outcome.Sent {\n", "		w.doubt = w.doubt && a.Outcome.Class != bridge.NotApplied\n		if a.Outcome.Sent {\n", "./bridge/flow", table},
	{"who takes a waiting one back closes a doubt", "bridge/flow/weigh.go",
		"case bridge.ResolveHand:", "case bridge.ResolveHand, bridge.TakeBack:", "./bridge/flow", table},
	{"the silence after one send proves something of another", "bridge/flow/settle.go",
		"if !ok || s.send != send {", "if !ok {", "./bridge/flow", "TestSilence"},
	{"a refusal that hangs on the document's state is told without a look", "bridge/flow/next.go",
		"if o.ByState && !asked {", "if false {", "./bridge/flow", table},
	{"what is cancelled is sent again", "bridge/flow/next.go",
		"f.errand != forCaller || e.Outcome.Class == bridge.Cancelled ||", "f.errand != forCaller ||", "./bridge/flow", table},
	{"the sandbox's documents are production's", "bridge/upstream/environment.go",
		"	return authority + \"/\" + environment\n", "	return authority\n", "./bridge/upstream", "TestEnvironments"},
	{"a document has as many records as names", "bridge/flow/service.go",
		"		m.c.Document, m.key.Document = id, id\n", "		_ = id\n", "./bridge/flow", stories},
	{"a waiting or doubtful one follows its taxpayer to another account", "bridge/flow/settle.go",
		"case up.Profile().Space != e.Key.Space:", "case false:", "./bridge/flow", stories},
	{"no pause between two sends", "bridge/flow/next.go",
		"case f.tries == 0, f.rested, f.booked:", "case true:", "./bridge/flow", table},
	{"a pause may be over at once", "bridge/flow/loop.go",
		"st.wait += s.jitter(st.wait / 2)", "st.wait = s.jitter(st.wait)", "./bridge/flow", "TestNotAppliedIsRetried"},
	{"what never left counts as sent, and its booking is kept", "bridge/flow/loop.go",
		"	if !o.Sent {\n", "	if false {\n", "./bridge/flow", stories},
	{"what was claimed before an error is thrown away", "bridge/flow/settle.go",
		"	entries, err := s.journal.Orphans(ctx, s.clock())\n", "	entries, err := s.journal.Orphans(ctx, s.clock())\n	if err != nil {\n		entries = nil\n	}\n", "./bridge/flow", "TestClaimedIsCarriedOut"},
	{"the fence is not asked", "bridge/flow/loop.go",
		"return s.journal.MaySend(ctx, &f.entry) })", "return nil })", "./bridge/flow", "TestFenceIsAsked"},
	{"answers cross taxpayers", "bridge/flow/service.go",
		"case !mine && (g.c.Taxpayer != f.c.Taxpayer || !g.join(a)):", "case !mine && !g.join(a):", "./bridge/flow", stories},
	{"who is late waits for the disk", "bridge/flow/tell.go",
		"	s.noteLater(m, []bridge.Ask{r})\n", "	s.note(m, []bridge.Ask{r}, diskTime)\n", "./bridge/flow", stories},
	{"a flight whose end can't be written at once is given up", "bridge/flow/tell.go",
		"!s.finish(f, fin); delay", "!s.finish(f, fin) && delay < 0; delay", "./bridge/flow", "TestOutcomeThatCantBeWritten"},
	{"a refusal of the future stands for a day", "bridge/flow/next.go",
		"same && age >= 0 && age <", "same && age <", "./bridge/flow", table},
	{"who waits for a gate of his own holds up those behind", "bridge/flow/turns.go",
		"		return b, wait, false\n", "		return b, wait, true\n", "./bridge/flow", "Turn|Queue|Line|Gate"},
	{"turns go by who came first", "bridge/flow/turns.go",
		"	at, _ := slices.BinarySearchFunc(l.queue, t.id, func(t *turn, id int64) int { return int(t.id - id) })\n",
		"	at := len(l.queue)\n", "./bridge/flow", "Turn"},
	{"who comes while somebody waits for a gate waits as well", "bridge/flow/turns.go",
		"if at == 0 || !l.full {", "if at == 0 {", "./bridge/flow", "Turn"},
	{"a truth that comes late is thrown away", "bridge/journal/finish.go",
		"		!held && !cancelled,\n", "		!held && (cancelled || !cancelled),\n", "./bridge/journal", "Merge"},
	{"a bridge that takes no new work does not read its record", "bridge/server/turned.go",
		"Recall(&a.Request); ok {", "Recall(&a.Request); ok && told.Ref == \"\" {", "./bridge/server", "Turned|Record|Busy"},
	{"India's codes that are in no list are refusals", "bridge/upstream/irp/class.go",
		"		return bridge.Unclear\n", "		return bridge.Refused\n", "./bridge/upstream/irp", "."},
	{"a success that names another document is one", "bridge/upstream/nic/classify.go",
		"bridge.Unknown, \"NIC reported success for another", "bridge.Cancelled, \"NIC reported success for another", "./bridge/upstream/nic", "."},
	{"cancels_per_minute says nothing to NIC", "bridge/upstream/nic/adapter.go",
		"	if c.CancelsPerMinute == 0 {\n", "	if c.CancelsPerMinute >= 0 {\n", "./bridge/upstream/nic", "."},
	{"an operator's word is the authority's", "bridge/journal/operate.go",
		"bridge.DateOperator", "bridge.DateUpstream", "./bridge/journal", "Resolve|Operator|Hand"},
}

// TestMutants builds the package with each fault put back, beside the sources as they are, and wants its tests to fail.
//
//	go test ./bridge/flow -run TestMutants -mutants
func TestMutants(t *testing.T) {
	if !*mutants {
		return // a test of the tests, for CI and for who changes them
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for n, m := range faults {
		t.Run(m.fault, func(t *testing.T) {
			t.Parallel()
			source := filepath.Join(root, filepath.FromSlash(m.file))
			text, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(string(text), m.old); got != 1 {
				t.Fatalf("%q stands %d times in %s: put the mutant right", m.old, got, m.file)
			}
			dir := t.TempDir()
			changed, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
			list, _ := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
			for path, b := range map[string][]byte{changed: []byte(strings.Replace(string(text), m.old, m.new, 1)), overlay: list} {
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			binary := filepath.Join(dir, "tests")
			build := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", binary, m.pkg)
			build.Dir = root
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("mutant %d does not build: %v\n%s", n, err, out)
			}
			args := []string{"-test.run", m.run, "-test.timeout", "2m"}
			switch {
			case m.run == stories:
				args = append(args, "-seeds", "3000", "-sqlite", "0")
			case m.pkg == "./bridge/journal":
				args = append(args, "-rapid.nofailfile") // it would be left among the sources
			}
			run := exec.Command(binary, args...)
			run.Dir = filepath.Join(root, filepath.FromSlash(m.pkg))
			if out, err := run.CombinedOutput(); err == nil || !strings.Contains(string(out), "--- FAIL: ") {
				t.Errorf("no test has noticed: %v\n%s", err, out)
			}
		})
	}
}
