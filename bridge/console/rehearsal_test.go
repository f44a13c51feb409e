package console

import (
	"context"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge/rehearsal"
)

// The rehearsal's page says all that the command says, what the provider sent being nobody's markup.
func TestRehearsalPage(t *testing.T) {
	var since time.Time
	m := &memory{rehearsed: func(_ context.Context, from time.Time) (*rehearsal.Report, error) {
		since = from
		return &rehearsal.Report{
			First: noon, Last: noon, Calls: 312, Lost: 2, Kinds: []rehearsal.Kind{{Caller: "sap-pi", Operation: "eInvoiceCancel", Calls: 312}},
			Refused: []rehearsal.Group{{Text: "reason <b>7</b>", Caller: "sap-pi", Calls: 3, Ref: "ref-3"}},
			Lines:   "contract:\n  qualified: true\n",
			Before:  &rehearsal.Comparison{Answers: 312, Successes: 312, Differences: []rehearsal.Difference{{What: "part 1", Provider: "Nr", Ours: "Irn", Calls: 312, Ref: "ref-1", ProviderSays: "<Nr>1</Nr>", WeSay: "<Irn>1</Irn>"}}},
			After:   &rehearsal.Comparison{Answers: 312, Equal: 312},
		}, nil
	}}
	o := open(t, m, "")
	_, html := o.get("/rehearsal?hours=24")
	for _, want := range []string{
		"312 of 312 answers equal in names, order, types and status, with the lines below in the configuration", "2 more were relayed but not recorded",
		"Not all was seen: the provider gave no refusal to a cancellation",
		"reason &lt;b&gt;7&lt;/b&gt;", "<code>ref-3</code>", "contract:\n  qualified: true", "<code>Nr</code>", "<pre>&lt;Nr&gt;1&lt;/Nr&gt;</pre>", `<a href="/rehearsal" aria-current="page">`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q\n%s", want, html)
		}
	}
	if ago := time.Since(since); ago < 23*time.Hour || ago > 25*time.Hour {
		t.Errorf("asked since %v", since)
	}
	m.rehearsed = func(context.Context, time.Time) (*rehearsal.Report, error) {
		return &rehearsal.Report{Before: &rehearsal.Comparison{}}, nil
	}
	if _, html := o.get("/rehearsal"); !strings.Contains(html, "Nothing is recorded.") || !strings.Contains(html, "rehearse: true") {
		t.Errorf("the empty page: %s", html)
	}
}
