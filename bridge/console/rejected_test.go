package console

import (
	"fmt"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
)

func turned(ref, caller, kind string) bridge.Rejected {
	return bridge.Rejected{
		ID: 1, Ref: ref, At: noon, From: "10.1.2.3", Caller: caller, Kind: kind, Why: "why of " + ref,
		Came: []bridge.Fact{{Name: "posted to", Text: "/api.einvoice.php"}, {Name: "elements", Text: "eInvoiceCancel, <irn>"}},
	}
}

// A call that was turned away is found by its reference as the answer has it, and its page says what came.
func TestRejectedCallIsFound(t *testing.T) {
	m := &memory{turned: []bridge.Rejected{turned("r-1", "", "token"), turned("r-2", "sap-pi", "taxpayer")}}
	o := open(t, m, "")
	for _, typed := range []string{"r-2", "[ref r-2]", " [ref r-2] ", "Outcome unknown. [ref r-2]", "ref r-2"} {
		code, html := o.get("/find?q=" + strings.ReplaceAll(typed, " ", "+"))
		if code != 200 {
			t.Fatalf("%q: %d", typed, code)
		}
		o.wants(html, "taxpayer of others", "why of r-2", "sap-pi", "10.1.2.3", "/api.einvoice.php", "eInvoiceCancel, &lt;irn&gt;")
	}
	_, html := o.get("/rejected?ref=nothing")
	o.wants(html, "No rejected call has this reference")
}

// The list is narrowed and paged, and the overview has the newest.
func TestRejectedCallsAreListed(t *testing.T) {
	m := &memory{turned: []bridge.Rejected{turned("r-1", "", "token"), turned("r-2", "sap-pi", "taxpayer")}}
	o := open(t, m, "")
	_, html := o.get("/rejected")
	o.wants(html, "r-1", "r-2", "wrong token", "not known", "no older ones")
	if _, html = o.get("/rejected?kind=token"); strings.Contains(html, "r-2") {
		t.Error("kind does not filter")
	}
	_, html = o.get("/")
	o.wants(html, "Rejected lately", "r-1")
	for i := range 60 {
		m.turned = append(m.turned, turned(fmt.Sprint("more-", i), "", "soap"))
	}
	_, html = o.get("/rejected")
	o.wants(html, `rel="next"`)
	if code, _ := o.get("/rejected?before=x"); code != 400 {
		t.Errorf("a damaged address: %d", code)
	}
}
