package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge/console"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// worked is a bridge at work, as a process, after a day's worth of calls through NIC: one cancelled, one refused by the
// authority, one by a check, and one in doubt that no lookup settles.
type worked struct {
	*testing.T
	sim              demo.Simulator
	path, url, ready string
	doubtful         string
}

func atWork(t *testing.T) worked {
	t.Helper()
	sims, path, url, ready := served(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte("reply_within: 1s\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	w := worked{T: t, sim: sims[0], path: path, url: url, ready: ready}
	spawn(t, "serve", "-c", path).await(ready)
	w.call(w.sim.Success, "1")
	w.call(w.sim.Refusal, "1")
	w.call(strings.Repeat("0", 64), "7")
	w.doubtful = strings.Repeat("d0", 32)
	if err := w.sim.Log.Add(sandbox.Document{ID: w.doubtful, Owner: w.sim.Taxpayer, State: "ACT", Issued: w.sim.Log.Clock.Now()}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []sandbox.Fault{{Name: "lose_reply", Operation: sandbox.Cancel}, {Name: "http503_html", Operation: sandbox.Get}} {
		if err := w.sim.Log.Arm(f); err != nil {
			t.Fatal(err)
		}
	}
	w.call(w.doubtful, "1")
	return w
}

// in is the same bridge for a part of the test.
func (w worked) in(t *testing.T) worked {
	w.T = t
	return w
}

func (w worked) call(irn, reason string) string {
	w.Helper()
	body, err := post(w.url, strings.Replace(demo.Envelope(w.sim.Taxpayer, irn), "<cancel_reason>1<", "<cancel_reason>"+reason+"<", 1))
	if err != nil {
		w.Fatal(err)
	}
	return string(body)
}

// run runs a command on the configuration and wants it to succeed.
func (w worked) run(args ...string) string {
	w.Helper()
	out, err := runCommand(w.T, append(args, "-c", w.path)...)
	if err != nil {
		w.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

func (w worked) wants(out string, wanted ...string) {
	w.Helper()
	for _, s := range wanted {
		if !strings.Contains(out, s) {
			w.Errorf("lacks %q:\n%s", s, out)
		}
	}
}

// An issued token lets its caller in at once, beside a running bridge; a revoked one no longer does within 5 s.
func TestTokenCommands(t *testing.T) {
	w := atWork(t)
	out, err := runSplit(t, "token", "issue", "-c", w.path, "--caller", "erp", "--label", "SAP PI", "--for", "90d")
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(out)
	if len(token) != 40 {
		t.Fatalf("standard output is not the token alone: %q", out)
	}
	t.Setenv(tokenVariable, token)
	cancel := func() error {
		_, err := runCommand(t, "cancel", "--url", w.url, "--taxpayer", w.sim.Taxpayer, "--irn", w.sim.Success)
		return err
	}
	if err := cancel(); err != nil {
		t.Errorf("the new token: %v", err)
	}
	var list []tokenJSON
	if err := json.Unmarshal([]byte(w.run("token", "list", "--json")), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	w.wants(w.run("token", "list"), list[0].ID, "erp", "SAP PI", "good")
	w.wants(w.run("token", "revoke", list[0].ID), "revoked "+list[0].ID)
	w.wants(w.run("journal", "audit"), "issued a token", "revoked a token", list[0].ID, "of erp, SAP PI")
	for deadline := time.Now().Add(5500 * time.Millisecond); cancel() != exitRefused; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a revoked token is good for longer than 5 s")
		}
	}
	if out := w.run("token", "list"); strings.Contains(out, list[0].ID) {
		t.Errorf("lists revoked ones without being asked:\n%s", out)
	}
	w.wants(w.run("token", "list", "--all"), list[0].ID, "revoked")
	for _, wrong := range [][]string{{"issue", "--caller", "nobody"}, {"issue", "--caller", "erp", "--for", "soon"}, {"revoke", "zz"}} {
		if out, err := runCommand(t, append(append([]string{"token"}, wrong...), "-c", w.path)...); err == nil {
			t.Errorf("%v passes:\n%s", wrong, out)
		}
	}
}

// runSplit is runCommand with standard output alone.
func runSplit(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := root()
	var out, stderr bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&stderr)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// The record answers beside a running bridge: what there is, what happened, and as files.
func TestJournalCommands(t *testing.T) {
	w := atWork(t)
	t.Run("list", func(t *testing.T) {
		w := w.in(t)
		out := w.run("journal", "list")
		w.wants(out, "cancelled", "refused", "2143: Invoice does not belongs", "unconfirmed", w.sim.Taxpayer)
		w.wants(w.run("journal", "list", "--open"), w.doubtful[:20])
		if out := w.run("journal", "list", "--open"); strings.Contains(out, w.sim.Success[:20]) {
			t.Errorf("--open lists what is settled:\n%s", out)
		}
		w.wants(w.run("journal", "list", "--document", strings.ToUpper(w.sim.Success[:8])), w.sim.Success[:20])
		w.wants(w.run("journal", "list", "--outcome", "refused", "--since", "1h", "--caller", "erp"), w.sim.Refusal[:20])
		w.wants(w.run("journal", "list", "--until", "2h"), "nothing fits")
		w.wants(w.run("journal", "list", "--limit", "1"), "older ones: --before")
	})
	t.Run("show", func(t *testing.T) {
		w := w.in(t)
		w.wants(w.run("journal", "show", strings.ToUpper(w.sim.Success)), "It is cancelled at the authority, dated", "erp asked", "sent to nic: cancelled", "erp was told 200")
		w.wants(w.run("journal", "show", w.doubtful), "It is not known whether it is cancelled", "erp was told 503")
		w.wants(w.run("journal", "show", strings.Repeat("0", 64)), "Nothing was sent to the authority", "cancel_reason")
		w.wants(w.run("journal", "show", w.sim.Success, "--exchanges"), "<access_token>***</access_token>", `"CnlRsn":"1"`, "<status>Success</status>")
		var s storyJSON
		if err := json.Unmarshal([]byte(w.run("journal", "show", w.sim.Success, "--json")), &s); err != nil || len(s.Asks) != 1 || len(s.Attempts[0].Exchanges) == 0 {
			t.Errorf("%+v, %v", s, err)
		}
		if out := w.run("journal", "show", s.Asks[0].Ref); !strings.Contains(out, w.sim.Success) {
			t.Errorf("a call's reference does not lead to its document:\n%s", out)
		}
		if _, err := runCommand(t, "journal", "show", "-c", w.path, "nothing"); err == nil || !strings.Contains(err.Error(), "journal list --document") {
			t.Errorf("an unknown document: %v", err)
		}
	})
	t.Run("export", func(t *testing.T) { testExport(t, w.in(t)) })
	t.Run("backup", func(t *testing.T) {
		w := w.in(t)
		file := filepath.Join(t.TempDir(), "copy.db")
		w.wants(w.run("journal", "backup", file), file)
		out, err := runCommand(t, "journal", "list", "--journal", "sqlite:"+file)
		if err != nil || !strings.Contains(out, w.sim.Success[:20]) {
			t.Errorf("the copy: %v\n%s", err, out)
		}
		if _, err := runCommand(t, "journal", "backup", "-c", w.path, file); err == nil {
			t.Error("overwrites a file")
		}
	})
}

func testExport(t *testing.T, w worked) {
	file := filepath.Join(t.TempDir(), "all.csv")
	w.wants(w.run("journal", "export", "-o", file), "3 entries written")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || len(rows) != 4 || rows[0][3] != "document" || rows[3][3] != w.sim.Success || rows[3][12] != "cancelled" {
		t.Errorf("%v\n%s", err, data)
	}
	if _, err := runCommand(t, "journal", "export", "-c", w.path, "-o", file); err == nil {
		t.Error("overwrites a file")
	}
	lines := strings.Split(strings.TrimSpace(w.run("journal", "export", "--format", "jsonl", "--outcome", "cancelled")), "\n")
	var row console.Row
	if err := json.Unmarshal([]byte(lines[0]), &row); err != nil || len(lines) != 1 || row.Document != w.sim.Success || row.Sends != 1 {
		t.Errorf("%v, %+v", err, lines)
	}
}

// What an operator saw in the portal settles a doubt: callers who ask again hear it, and the record says who said so.
func TestResolveCommand(t *testing.T) {
	w := atWork(t)
	var s storyJSON
	if err := json.Unmarshal([]byte(w.run("journal", "show", w.doubtful, "--json")), &s); err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprint(s.ID)
	for _, wrong := range [][]string{{"--as", "cancelled"}, {"--as", "refused"}, {"--as", "gone"}} {
		if out, err := runCommand(t, append([]string{"journal", "resolve", id, "-c", w.path, "--why", "x"}, wrong...)...); err == nil {
			t.Errorf("%v passes:\n%s", wrong, out)
		}
	}
	word := []string{"--as", "cancelled", "--date", "2021-11-22 14:03:00", "--why", "NIC portal, ticket 815", "--by", "asha"}
	if out, err := runCommand(t, append([]string{"journal", "resolve", id, "-c", w.path}, word...)...); err == nil {
		t.Errorf("a date before the request passes without --yes:\n%s", out)
	}
	w.wants(w.run(append([]string{"journal", "resolve", id, "--yes"}, word...)...), "cancelled, by the word of asha")
	w.wants(w.call(w.doubtful, "1"), "<code>200</code>", "2021-11-22 14:03:00")
	w.tellsWhoseWordItIs(id)
	if _, err := runCommand(t, "journal", "resolve", id, "-c", w.path, "--as", "not_applied", "--why", "x"); err == nil {
		t.Error("a cancelled document becomes active again")
	}
	if _, err := runCommand(t, "journal", "withdraw", id, "-c", w.path); err == nil || !strings.Contains(err.Error(), "does not wait") {
		t.Errorf("withdraw: %v", err)
	}
	if _, err := runCommand(t, "journal", "resolve", "999", "-c", w.path, "--as", "not_applied", "--why", "x"); err == nil || !strings.Contains(err.Error(), "no entry 999") {
		t.Errorf("an entry that isn't: %v", err)
	}
}

// tellsWhoseWordItIs wants every command to tell an entry as asha's word, and none as the authority's.
func (w worked) tellsWhoseWordItIs(id string) {
	w.Helper()
	shown := w.run("journal", "show", id)
	w.wants(shown, "It is recorded as cancelled, dated 2021-11-22 14:03:00 IST.", "That is an operator's word, not the authority's: asha on ",
		"asha recorded: cancelled", "NIC portal, ticket 815")
	if strings.Contains(shown, "its own date") {
		w.Errorf("it is told as the authority's:\n%s", shown)
	}
	w.wants(w.run("journal", "list", "--document", w.doubtful), "cancelled, an operator's word", "asha: NIC portal, ticket 815")
	for _, args := range [][]string{
		{"journal", "show", id, "--json"}, {"journal", "list", "--json", "--document", w.doubtful}, {"journal", "export", "--format", "jsonl", "--document", w.doubtful},
	} {
		w.wants(w.run(args...), `"date_source":"operator"`, `"why":"NIC portal, ticket 815","resolved_by":"asha","resolved_at":"20`)
	}
	w.wants(w.run("journal", "export", "--document", w.doubtful), ",operator,", `,"NIC portal, ticket 815",asha,20`)
}

// What the authority refused, an operator contradicts only on purpose.
func TestResolveAgainstARefusal(t *testing.T) {
	w := atWork(t)
	var s storyJSON
	if err := json.Unmarshal([]byte(w.run("journal", "show", w.sim.Refusal, "--json")), &s); err != nil {
		t.Fatal(err)
	}
	word := []string{"journal", "resolve", fmt.Sprint(s.ID), "--as", "cancelled", "--date", time.Now().AddDate(0, 0, 1).Format(time.DateTime), "--why", "portal"}
	if out, err := runCommand(t, append(word, "-c", w.path)...); err == nil {
		t.Errorf("passes without --yes:\n%s", out)
	}
	w.wants(w.run(append(word, "--yes")...), "cancelled")
	w.wants(w.call(w.sim.Refusal, "1"), "<code>200</code>")
}

// A call that never left says why, and that it was not sent: in the log, in the record and to the operator, not to the
// caller.
func TestNotSentIsToldAsNotSent(t *testing.T) {
	t.Parallel()
	sims, path, url, ready := served(t)
	s := sims[0]
	if err := s.Log.Arm(sandbox.Fault{Name: "http503_html", Operation: sandbox.Auth}); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, "serve", "-c", path)
	p.await(ready)
	body, err := post(url, demo.Envelope(s.Taxpayer, s.Success))
	if err != nil || !strings.Contains(string(body), ":Fault>") {
		t.Fatalf("got %s, %v", body, err)
	}
	w := worked{T: t, path: path}
	var shown storyJSON
	if err := json.Unmarshal([]byte(w.run("journal", "show", s.Success, "--json")), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Attempts) == 0 || shown.Attempts[0].Sent == nil || *shown.Attempts[0].Sent || shown.Sends != 0 || shown.Why == "" || shown.Asks[0].Why == "" {
		t.Errorf("the record says %+v", shown)
	}
	w.wants(w.run("journal", "show", s.Success), "not sent to nic: not carried out", "It is not cancelled: "+strings.TrimRight(shown.Why, ". "))
	p.terminate()
	w.wants(p.err.String(), `sends=0`, `why="`)
	if strings.Contains(p.err.String(), `why=""`) || strings.Contains(string(body), shown.Why) {
		t.Errorf("the caller: %s\nthe log: %s", body, p.err.String())
	}
}

// "Look up now" makes a running bridge ask at once, and what it learns is the end.
func TestLookupCommand(t *testing.T) {
	w := atWork(t)
	w.sim.Log.Disarm("")
	var s storyJSON
	if err := json.Unmarshal([]byte(w.run("journal", "show", w.doubtful, "--json")), &s); err != nil {
		t.Fatal(err)
	}
	w.wants(w.run("journal", "lookup", fmt.Sprint(s.ID)), "asks within seconds")
	for deadline := time.Now().Add(8 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if out := w.run("journal", "show", w.doubtful); strings.Contains(out, "It is cancelled at the authority") {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("not settled:\n%s", out)
		}
	}
}

// Serve and an operator's commands have one journal, wherever each of them runs; what is wrong with it is told with its
// whole path.
func TestOneJournalForEveryCommand(t *testing.T) {
	sims, path, url, ready := served(t)
	dir := filepath.Dir(path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name := func(file string) {
		t.Helper()
		if err := os.WriteFile(path, bytes.Replace(text, []byte("sqlite:"+dir+"/bridge.db"), []byte("sqlite:"+file), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	near, err := filepath.Rel(here, path)
	if err != nil {
		t.Fatal(err)
	}
	name("none/bridge.db")
	for _, args := range [][]string{{"journal", "list"}, {"token", "list"}, {"check", "--online"}, {"serve"}} {
		if out, err := runCommand(t, append(args, "-c", near)...); err == nil || !strings.Contains(out+err.Error(), dir+"/none/bridge.db") {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	name("bridge.db")
	p := spawn(t, "serve", "-c", near)
	p.await(ready)
	answered(t, sims[0], url, 1)
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"journal", "list", "-c", path}, {"journal", "list", "--journal", "sqlite:" + dir + "/bridge.db"}} {
		if out, err := runCommand(t, args...); err != nil || !strings.Contains(out, sims[0].Success[:20]) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	t.Chdir(dir)
	if out, err := runCommand(t, "journal", "list", "--journal", "sqlite:none.db"); err == nil || !strings.Contains(err.Error(), dir+"/none.db") {
		t.Errorf("a journal that isn't there: %v\n%s", err, out)
	}
	p.terminate()
}

// A person's shell has none of the service's secrets: the commands don't ask for them.
func TestOperatorsNeedNoSecrets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bridge.yaml")
	text := "journal: sqlite:${EINVOICE_TEST_DIR}/none.db\nupstreams: {nic: {kind: nic, client_secret: \"${NOT_SET_ANYWHERE}\"}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := runCommand(t, "journal", "list", "-c", path); err == nil || !strings.Contains(err.Error(), "EINVOICE_TEST_DIR is not set") {
		t.Errorf("got %v", err)
	}
	t.Setenv("EINVOICE_TEST_DIR", dir)
	if _, err := runCommand(t, "journal", "list", "-c", path); err == nil || strings.Contains(err.Error(), "NOT_SET_ANYWHERE") {
		t.Errorf("got %v", err)
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	for s, want := range map[string]time.Time{
		"": {}, "2h": now.Add(-2 * time.Hour), "3d": now.AddDate(0, 0, -3), "2026-11-01": time.Date(2026, 11, 1, 0, 0, 0, 0, time.Local),
		"2026-11-01 14:03": time.Date(2026, 11, 1, 14, 3, 0, 0, time.Local), "2026-11-01T00:00:00Z": time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := moment(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"soon", "-2h", "-3d", "22.11.2026"} {
		if _, err := moment(s, now); err == nil {
			t.Errorf("%q passes", s)
		}
	}
}
