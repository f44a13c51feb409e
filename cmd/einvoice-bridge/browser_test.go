package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// pictures is where the pages are kept as they look, for people to judge.
var pictures = filepath.Join("..", "..", "out", "console")

// An accountant asks what happened to an invoice: from the console's first page to the answer, with and without
// script, and no page needs what its own policy forbids.
func TestWhatHappenedToThisInvoice(t *testing.T) {
	t.Parallel()
	w := atWork(t)
	console := strings.TrimSuffix(w.ready, "/readyz")
	b := newBrowser(t)
	for _, script := range []bool{true, false} {
		t.Run(fmt.Sprintf("script %v", script), func(t *testing.T) {
			b.T = t
			b.script(script)
			for document, answer := range map[string]string{
				w.sim.Success:                  "It is cancelled at the authority, dated",
				w.sim.Refusal:                  "It is not cancelled. The authority refused: 2143: Invoice does not belongs to the user GSTIN",
				w.doubtful:                     "It is not known whether it is cancelled",
				strings.Repeat("0", 64):        "Nothing was sent to the authority",
				strings.ToUpper(w.sim.Success): "It is cancelled at the authority, dated",
			} {
				b.open(console + "/")
				b.fill(".find input", document)
				b.click(".find button")
				b.reads(answer, "erp asked", "erp was told")
			}
			b.open(console + "/cancellations")
			b.fill("#document", w.sim.Success[:10])
			b.click(".filter button")
			b.at("document=")
			b.click("table a")
			b.reads("It is cancelled at the authority", "SOAP in", "JSON out", "JSON in", "SOAP out", "eInvoiceCancel", `"CnlRsn": "1"`, "<status>Success</status>")
		})
	}
	b.T = t
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %v", c)
	}
}

// What an operator does, he does in the browser: issue and revoke a token, record what the portal shows, and the page
// in front of him comes up to date by itself.
func TestOperatorInTheBrowser(t *testing.T) {
	w := atWork(t)
	console := strings.TrimSuffix(w.ready, "/readyz")
	b := newBrowser(t)
	b.open(console + "/callers")
	b.fill("#label", "SAP PI")
	b.click("form[action='/issue'] button")
	b.reads("shown this once", "SAP PI")
	b.pictures("issued")
	token, err := b.text(".token")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(tokenVariable, token)
	if out, err := runCommand(t, "cancel", "--url", w.url, "--taxpayer", w.sim.Taxpayer, "--irn", w.sim.Success); err != nil {
		t.Errorf("the token does not work: %v\n%s", err, out)
	}
	b.click("form[action='/revoke'] button")
	b.reads("revoked")

	b.open(console + "/")
	b.reads("1 unconfirmed", "live")
	b.look(390, "light")
	b.open(console + "/show?of=" + w.doubtful)
	if box, label := b.left("#force"), b.left("label[for=force]"); box >= label {
		t.Errorf("on a phone the box to tick begins at %v, what it means at %v", box, label)
	}
	b.click("form[action='/lookup'] button")
	b.reads("The authority is being asked", "looked up at nic")
	b.click("#cancelled")
	b.fill("input[name=date]", "2021-11-22 14:03:00")
	b.fill("#why", "NIC portal, ticket 815")
	b.click("#force") // the date lies before the request
	b.click("form[action='/resolve'] button")
	b.reads("Recorded as your word.", "It is recorded as cancelled, dated 2021-11-22 14:03:00 IST", "an operator's word, not the authority's", "NIC portal, ticket 815")
	b.pictures("resolved")
	w.wants(w.call(w.doubtful, "1"), "<code>200</code>")
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %v", c)
	}
}

// An operator changes the file, reads on the settings page what that would do, and reloads.
func TestReloadInTheBrowser(t *testing.T) {
	t.Parallel()
	w := atWork(t)
	b := newBrowser(t)
	settings := strings.TrimSuffix(w.ready, "/readyz") + "/settings"
	b.open(settings)
	b.reads("is in order", "It says what works now.")
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.path, append([]byte("grace: 1m\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	b.open(settings)
	b.reads("It differs from what works now", "40s", "1m0s")
	b.click("form[action='/reload'] button")
	b.reads("Reloaded,", "by console", "It says what works now.")
	b.pictures("reloaded")
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %v", c)
	}
}

// At night an operator opens the first page: what is wrong stands on top, in words, with what to do; it leads to the calls that
// failed, and goes when it is over.
func TestBannerInTheBrowser(t *testing.T) {
	t.Parallel()
	w := atWork(t)
	console := strings.TrimSuffix(w.ready, "/readyz")
	b := newBrowser(t)
	b.open(console + "/")
	b.reads("SANDBOX", "last try failed", "live")
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	wrong := regexp.MustCompile(`(29|09)([0-9A-Z]{13}):((?:.|\n)*?)password: [^\n}]*`).ReplaceAllString(string(text), `$1$2:${3}password: "changed-by-somebody"`)
	if wrong == string(text) {
		t.Fatalf("no password to change in\n%s", text)
	}
	change := func(text string) {
		if err := os.WriteFile(w.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b.open(console + "/settings")
		b.click("form[action='/reload'] button")
		b.reads("Reloaded,")
	}
	change(wrong)
	w.call(strings.Repeat("ab", 32), "1")
	b.open(console + "/")
	b.reads("refuses what it is asked with", "Put the configuration right", "1 cancellation failed since 20", "credentials refused", "Failed lately")
	if first, err := b.text(".card h3"); err != nil || !strings.HasPrefix(first, "nic") {
		t.Errorf("the first upstream is %q, %v, not the one in trouble", first, err)
	}
	b.pictures("banner")
	b.click("#failed table a")
	b.reads("It is not cancelled; credentials, address or rights of the bridge are wrong")
	change(string(text))
	b.open(console + "/")
	b.reads("Failed lately")
	if banner, err := b.text("[data-live=troubles]"); err != nil || banner != "" {
		t.Errorf("the banner still says %q, %v", banner, err)
	}
}

// The accountant filters, sees how many there are, and takes them along, as Excel and as CSV.
func TestDownloadsInTheBrowser(t *testing.T) {
	t.Parallel()
	w := atWork(t)
	b := newBrowser(t)
	dir := t.TempDir()
	b.devtools("Browser.setDownloadBehavior", map[string]any{"behavior": "allow", "downloadPath": dir}, nil)
	b.open(strings.TrimSuffix(w.ready, "/readyz") + "/cancellations?end=cancelled&when=month")
	b.reads("1 cancellation", "IST", "1, duplicate", "keep it as a bookmark")
	for link, file := range map[string]string{".top a[href*=csv]": "cancellations.csv", ".top a[href*=xlsx]": "cancellations.xlsx"} {
		b.click(link)
		var data []byte
		for end := time.Now().Add(10 * time.Second); len(data) == 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			data, _ = os.ReadFile(filepath.Join(dir, file)) // it is there when it is whole
		}
		if strings.HasSuffix(file, ".csv") && (strings.Count(string(data), "\n") != 2 || !strings.Contains(string(data), w.sim.Success)) {
			t.Errorf("the CSV: %s", data)
		}
		if strings.HasSuffix(file, ".xlsx") && !strings.HasPrefix(string(data), "PK") {
			t.Errorf("the workbook: %d bytes", len(data))
		}
	}
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %v", c)
	}
}

// What is in doubt is ticked in the list and resolved with one reason, after a page that shows it again.
func TestResolveManyInTheBrowser(t *testing.T) {
	t.Parallel()
	w := atWork(t)
	b := newBrowser(t)
	b.open(strings.TrimSuffix(w.ready, "/readyz") + "/cancellations?end=open")
	b.reads("1 cancellation", "unconfirmed", "at most 24 h left")
	b.pictures("unconfirmed")
	b.click("input[type=checkbox]")
	b.click("form[action='/many'] button")
	b.reads("for each document below")
	b.pictures("many")
	b.click("#not_applied")
	b.fill("#why", "NIC portal, ticket 815")
	b.click("form[action='/resolve-many'] button")
	b.reads("recorded as your word")
	b.pictures("many-done")
	w.wants(w.run("journal", "show", w.doubtful), "It is recorded as not cancelled", "NIC portal, ticket 815")
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %v", c)
	}
}

// The overview follows what happens, where there is script.
func TestOverviewIsLive(t *testing.T) {
	t.Parallel()
	w := atWork(t)
	b := newBrowser(t)
	b.open(strings.TrimSuffix(w.ready, "/readyz") + "/")
	b.reads("1 cancelled")
	w.call(w.sim.Success, "1")
	b.reads("2 cancelled")
}

// A person who is given the callers' host finds the page for people, and cancels by its form where the file allows that.
func TestServicePage(t *testing.T) {
	t.Parallel()
	w := atWork(t)
	host := strings.TrimSuffix(w.url, "/api.einvoice.php")
	b := newBrowser(t)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int{1280, 390} {
			b.look(width, theme)
			b.open(host + "/")
			b.at("/einvoice")
			b.shoot(filepath.Join(pictures, fmt.Sprintf("service-%s-%d.png", theme, width)))
			b.fill("#access_token", demo.Token)
			b.fill("#user_gstin", w.sim.Taxpayer)
			b.fill("#irn", w.sim.Success)
			b.click("#cancel_reason option[value='2']")
			b.click("form button")
			b.at("/einvoice/try")
			b.reads("HTTP 200", "<status>Success</status>", "<cancel_reason>2</cancel_reason>", "2 Data entry mistake")
			b.shoot(filepath.Join(pictures, fmt.Sprintf("tried-%s-%d.png", theme, width)))
		}
	}
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.path, bytes.Replace(text, []byte("service_page: {form: true}\n"), nil, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	b.open(strings.TrimSuffix(w.ready, "/readyz") + "/settings")
	b.click("form[action='/reload'] button")
	b.reads("Reloaded,")
	b.open(host + "/einvoice")
	if s, err := b.text("body"); err != nil || strings.Contains(s, "Try it") || !strings.Contains(s, "Sample calls") {
		t.Errorf("%v: %s", err, s)
	}
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %v", c)
	}
	b.open(host + "/einvoice?wsdl&flavour=rcp") // last: the browser complains of its 404
	b.reads("There is no WSDL of that flavour; there are document, document-sequence,")
}

// Who has no session is asked for name and password, and comes to the page that he wanted.
func TestSignInInTheBrowser(t *testing.T) {
	t.Parallel()
	_, path, _, ready := served(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	login := fmt.Sprintf("console: {username: asha, password: %q, listen: ", access.HashPassword("right"))
	if err := os.WriteFile(path, bytes.Replace(text, []byte("console: {listen: "), []byte(login), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	spawn(t, "serve", "-c", path).await(ready)
	b := newBrowser(t)
	b.open(strings.TrimSuffix(ready, "/readyz") + "/rejected")
	for _, password := range []string{"wrong", "right"} {
		b.reads("SANDBOX", "Sign in", "User name")
		b.pictures("sign-in-" + password)
		b.fill("#username", "asha")
		b.fill("#password", password)
		b.click("form button")
	}
	b.reads("Rejected calls", "Sign out asha")
	b.click(".out button")
	b.reads("User name")
}

// Every page is looked at in both themes on a desk and on a phone; nothing scrolls sideways.
func TestPictures(t *testing.T) {
	t.Parallel()
	w := atWork(t)
	console := strings.TrimSuffix(w.ready, "/readyz")
	for range 7 {
		w.call(w.sim.Success, "1")
	}
	w.run("token", "issue", "--caller", "erp", "--label", "SAP PI production", "--for", "20d")
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	ends := fmt.Sprintf("  nic:\n    secret_expires: %q\n", time.Now().AddDate(0, 2, 0).Format(time.DateOnly))
	if err := os.WriteFile(w.path, bytes.Replace(text, []byte("  nic:\n"), []byte(ends), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	b.open(console + "/settings")
	b.click("form[action='/reload'] button")
	b.reads("Reloaded,")
	b.open(console + "/")
	b.reads("What ends", "token of erp, SAP PI production", "in 20 days", "secret of upstreams.nic")
	for name, path := range map[string]string{
		"overview": "/", "error": "/show?of=nothing", "rehearsal-none": "/rehearsal", "cancellations": "/cancellations", "cancelled": "/show?of=" + w.sim.Success, "doubtful": "/show?of=" + w.doubtful,
		"callers": "/callers", "settings": "/settings", "calls": "/calls", "audit": "/audit", "words": "/words", "rejected-none": "/rejected",
	} {
		b.pictures(name, console+path)
	}
}
