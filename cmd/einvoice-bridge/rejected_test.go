package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/fixtures/sandbox/demo"
)

var refInAnswer = regexp.MustCompile(`\[ref ([0-9a-f-]{36})\]`)

// rejectedCalls sends what connects an ERP wrongly, and returns the reference of each answer.
func (w worked) rejectedCalls() map[string]string {
	w.Helper()
	good := demo.Envelope(w.sim.Taxpayer, w.sim.Success)
	refs := map[string]string{}
	for name, body := range map[string]string{
		"wrong token":      regexp.MustCompile(`<access_token>[^<]*<`).ReplaceAllString(good, "<access_token>n0t-a-t0ken<"),
		"unknown taxpayer": strings.Replace(good, w.sim.Taxpayer, "29XXXXX0000X1Z5", 1),
		"not understood":   strings.ReplaceAll(good, "eInvoiceCancel", "eInvoiceForget"),
	} {
		answer, err := post(w.url, body)
		if err != nil {
			w.Fatal(err)
		}
		m := refInAnswer.FindSubmatch(answer)
		if m == nil {
			w.Fatalf("%s: no reference in %s", name, answer)
		}
		refs[name] = string(m[1])
	}
	return refs
}

// Whoever connects an ERP finds beside the running bridge what it did wrong, by the reference that it was told.
func TestRejectedCalls(t *testing.T) {
	w := atWork(t)
	refs := w.rejectedCalls()
	for end := time.Now().Add(10 * time.Second); strings.Count(w.run("journal", "list", "--rejected", "--json"), "\n") < len(refs); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not all of %v is on record:\n%s", refs, w.run("journal", "list", "--rejected"))
		}
	}
	list := w.run("journal", "list", "--rejected")
	for name, ref := range refs {
		w.wants(list, ref, name)
		w.wants(w.run("journal", "show", "[ref", ref+"]"), ref, name, "Nothing was sent", "127.0.0.1", "access_token, user_gstin, irn")
		w.wants(w.run("journal", "show", "[ref "+ref+"]", "--json"), `"ref":"`+ref+`"`)
	}
	w.wants(w.run("journal", "list", "--rejected", "--caller", "erp"), refs["unknown taxpayer"], "29XXXXX0000X1Z5")
	if _, err := runCommand(t, "journal", "list", "--rejected", "--open", "-c", w.path); err == nil || !strings.Contains(err.Error(), "--rejected goes with") {
		t.Errorf("--rejected --open: %v", err)
	}
	for _, text := range []string{list, w.run("journal", "list", "--rejected", "--json")} {
		if strings.Contains(text, "n0t-a-t0ken") {
			t.Errorf("a token is shown:\n%s", text)
		}
	}
	if metrics := w.metrics(); !strings.Contains(metrics, `einvoice_refused_total{why="unknown"} 1`) || regexp.MustCompile(`einvoice_alarms_total\{[^}]*\} [1-9]`).MatchString(metrics) {
		t.Errorf("an unknown taxpayer is counted, and is no alarm: %s", metrics)
	}
}

func (w worked) metrics() string {
	w.Helper()
	resp, err := http.Get(strings.TrimSuffix(w.ready, "/readyz") + "/metrics")
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

// The same in the browser: pasted as the answer has it, and in the list, which follows what comes.
func TestRejectedCallsInTheBrowser(t *testing.T) {
	t.Parallel()
	w := atWork(t)
	console := strings.TrimSuffix(w.ready, "/readyz")
	b := newBrowser(t)
	b.open(console + "/rejected")
	b.reads("None that fits", "live")
	refs := w.rejectedCalls()
	b.reads(refs["wrong token"], refs["not understood"])
	b.fill(".find input", "The access token provided is invalid [ref "+refs["wrong token"]+"]")
	b.click(".find button")
	b.reads("turned away before it was a cancellation", "nobody made itself known", "access_token, user_gstin, irn")
	b.open(console + "/")
	b.reads("Rejected lately", refs["unknown taxpayer"])
	for name, path := range map[string]string{"rejected": "/rejected", "rejected-one": "/rejected?ref=" + refs["unknown taxpayer"], "overview-rejected": "/"} {
		b.pictures(name, console+path)
	}
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %v", c)
	}
}
