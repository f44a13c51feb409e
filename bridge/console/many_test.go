package console

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// Several documents are resolved with one reason after a page that shows them, each by the rules for one.
func TestResolveMany(t *testing.T) {
	m := &memory{stories: []bridge.Story{doubtful(7, document), doubtful(8, other), story(9, strings.Repeat("c", 64))}}
	o := open(t, m, "")
	_, html := o.get("/cancellations")
	if n := strings.Count(html, `<input type="checkbox" name="id"`); n != 2 {
		t.Errorf("%d can be ticked, want the two in doubt\n%s", n, html)
	}
	_, html = o.get("/many?id=7&id=8&id=7")
	o.wants(html, "each of these 2", short(document), short(other), `name="date-7"`, `name="date-8"`, "IST")
	form := url.Values{"id": {"7", "8"}, "outcome": {"cancelled"}, "why": {"portal, ticket 815"}, "date-7": {"2026-11-22 14:03:00"}}
	_, html = o.send("/many?id=7&id=8", "/resolve-many", form)
	o.wants(html, "as your word", "Give the cancel date as the portal shows it")
	form = url.Values{"id": {"7", "8"}, "outcome": {"refused"}, "message": {"contradicts"}, "why": {"portal"}}
	_, html = o.send("/many?id=7&id=8", "/resolve-many", form)
	o.wants(html, "not recorded", "contradicts the record")
	if len(m.resolved) != 1 || m.resolved[0] != `7 cancelled "2026-11-22 14:03:00" "" by console: portal, ticket 815` {
		t.Errorf("recorded %q", m.resolved)
	}
	if code, _ := o.send("/many?id=7", "/resolve-many", url.Values{"id": {"7"}, "outcome": {"not_applied"}}); code != http.StatusBadRequest {
		t.Errorf("without a reason: %d", code)
	}
	for _, query := range []string{"", "id=x", "id=" + strings.Repeat("1&id=", 60) + "2"} {
		if code, _ := o.get("/many?" + query); code != http.StatusBadRequest {
			t.Errorf("%.20s: %d", query, code)
		}
	}
}

// An accountant reads in the list what he books by: date with zone, reason, remarks, time left, and how many there are.
func TestListForTheAccountant(t *testing.T) {
	d := doubtful(8, other)
	d.Entry.Created = time.Now()
	o := open(t, &memory{stories: []bridge.Story{story(7, document), d}}, "")
	_, html := o.get("/cancellations")
	o.wants(html, "<b>2 cancellations</b>", "2026-11-22 17:30:00 IST", "1, duplicate", "“Wrong entry”", "at most 24 h left", "keep it as a bookmark")
	if head := html[:strings.Index(html, "<table")]; !strings.Contains(head, ">CSV</a>") || !strings.Contains(head, ">Excel</a>") {
		t.Error("the downloads are below the table")
	}
}

// Stretches of time by name are those of the reader's zone, and stay right in a bookmark.
func TestWhenByName(t *testing.T) {
	p := &pages{zone: in(t, "Asia/Kolkata")}
	at := func(s string) time.Time {
		if s == "" {
			return time.Time{}
		}
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	now := at("2026-01-01T19:00:00Z") // half past midnight on 2 January there
	for name, want := range map[string][2]string{
		"": {}, "today": {"2026-01-02T00:00:00+05:30", ""}, "yesterday": {"2026-01-01T00:00:00+05:30", "2026-01-02T00:00:00+05:30"},
		"month": {"2026-01-01T00:00:00+05:30", ""}, "last-month": {"2025-12-01T00:00:00+05:30", "2026-01-01T00:00:00+05:30"},
	} {
		since, until, ok := p.when(name, now)
		if !ok || !since.Equal(at(want[0])) || !until.Equal(at(want[1])) {
			t.Errorf("%s: %s to %s, want %v", name, since, until, want)
		}
	}
	m := &memory{}
	o := open(t, m, "")
	_, html := o.get("/cancellations?when=today&end=refused")
	if f := m.filters[0]; f.Since.IsZero() || f.Class != bridge.Refused {
		t.Errorf("filtered by %+v", f)
	}
	if !regexp.MustCompile(`<option value="today" selected>`).MatchString(html) {
		t.Error("the form has forgotten it")
	}
	if code, _ := o.get("/cancellations?when=soon"); code != http.StatusBadRequest {
		t.Errorf("when=soon: %d", code)
	}
}
