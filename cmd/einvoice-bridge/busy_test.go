package main

import (
	"log/slog"
	"strings"
	"testing"

	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// While no new work is taken, a repeat of what is on record hears it, and nothing is said of a document that nobody has
// looked at.
func TestBusyBridgeTellsWhatIsOnRecord(t *testing.T) {
	for name, edit := range map[string]func(string) string{
		"the bridge's in_flight": func(text string) string { return "limits: {in_flight: 1}\n" + text },
		"the caller's in_flight": func(text string) string { return strings.Replace(text, "  erp:\n", "  erp:\n    in_flight: 1\n", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			sims, path := sandboxed(t, edit)
			s, a := sims[0], startFile(t, path, slog.New(slog.DiscardHandler))
			url := a.PublicURL() + "/einvoice"
			ask := func(irn string) string {
				body, err := post(url, demo.Envelope(s.Taxpayer, irn))
				if err != nil {
					t.Error(err)
				}
				return string(body)
			}
			first := ask(s.Success)
			if err := s.Log.Arm(sandbox.Fault{Name: "hold", Operation: sandbox.Cancel, Times: 1}); err != nil {
				t.Fatal(err)
			}
			held := make(chan string)
			go func() { held <- ask(s.Refusal) }()
			if _, err := s.Log.WaitFor(t.Context(), func(r sandbox.Record) bool { return r.Operation == sandbox.Cancel && r.Held }); err != nil {
				t.Fatal(err)
			}
			if got := ask(s.Success); got != first || !strings.Contains(got, "<code>200</code>") {
				t.Errorf("a repeat hears\n%s\nfirst it was\n%s", got, first)
			}
			if got := ask(strings.Repeat("a0", 32)); !strings.Contains(got, "The bridge is busy; nothing was sent for this call. Retry later. [ref ") {
				t.Errorf("what is not on record: %s", got)
			}
			s.Log.Release()
			if got := <-held; !strings.Contains(got, "<code>204</code>") {
				t.Errorf("the call that was held: %s", got)
			}
			if err := a.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}
