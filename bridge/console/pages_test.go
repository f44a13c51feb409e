package console

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
)

const (
	document = "1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae"
	other    = "2f6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae"
)

func TestFindLeadsToTheStory(t *testing.T) {
	o := open(t, &memory{stories: []bridge.Story{story(7, document), doubtful(8, other)}}, "")
	for _, q := range []string{document, strings.ToUpper(document), "7"} {
		code, html := o.get("/find?q=" + url.QueryEscape(" "+q+" "))
		if code != http.StatusOK {
			t.Errorf("find %s: %d", q, code)
		}
		o.wants(html, "It is cancelled at the authority, dated 2026-11-22 17:30:00 IST (its own date).", "sap-pi asked", "oracle was told 200",
			"joined a call under way", "looked up at nic: already cancelled", "the reply was cut off", "unexpected EOF",
			"&#34;CnlRsn&#34;: &#34;1&#34;", "&lt;status&gt;Success&lt;/status&gt;", "1.5 s")
	}
	if _, html := o.get("/find?q=1e6a"); !strings.Contains(html, `<a href="/show?of=7">`) {
		t.Errorf("the beginning of an id does not list it\n%s", html)
	}
	if code, html := o.get("/show?of=nothing"); code != http.StatusNotFound || !strings.Contains(html, "Nothing is recorded") {
		t.Errorf("an unknown document: %d\n%s", code, html)
	}
}

func TestVerdicts(t *testing.T) {
	at := func(state bridge.State, o bridge.Outcome) bridge.Story {
		s := story(1, document)
		s.Entry.State, s.Entry.Outcome = state, o
		return s
	}
	for says, s := range map[string]bridge.Story{
		"waits its turn; nothing has been sent":  at(bridge.Accepted, bridge.Outcome{}),
		"is being sent to nic right now":         at(bridge.Sending, bridge.Outcome{}),
		"not known whether it is cancelled":      at(bridge.Open, bridge.Outcome{Class: bridge.Unknown}),
		"refused: 2143: not yours":               at(bridge.Final, bridge.Outcome{Class: bridge.Refused, Message: "2143: not yours"}),
		"The caller may send it again":           at(bridge.Final, bridge.Outcome{Class: bridge.NotApplied}),
		"withdrawn before it was sent":           at(bridge.Final, bridge.Outcome{Class: bridge.NotApplied, Message: "withdrawn before it was sent"}),
		"rights of the bridge are wrong: 1005":   at(bridge.Final, bridge.Outcome{Class: bridge.Misconfigured, Message: "1005: Invalid Token"}),
		"has no clear answer: the reply was cut": doubtful(1, document),
		"as an operator recorded it":             at(bridge.Final, bridge.Outcome{Class: bridge.Cancelled, DateSource: bridge.DateOperator}),
		"doesn't look it up any more":            at(bridge.Open, bridge.Outcome{Class: bridge.Unknown}),
		"It is not cancelled: logins held back":  heldBack(1, document),
		"estimated from the first attempt":       at(bridge.Final, bridge.Outcome{Class: bridge.Cancelled, DateSource: bridge.DateEstimated}),
		"Nothing was sent to the authority":      {Entry: bridge.Entry{Key: bridge.Key{Document: document}}, Asks: story(0, document).Asks},
	} {
		if got := strings.Join(Verdict(s, utc), " "); !strings.Contains(got, says) {
			t.Errorf("got %q, want %q", got, says)
		}
	}
}

// A caller that asks and asks does not bury the story.
func TestRepeatsShareALine(t *testing.T) {
	s := story(7, document)
	repeat := s.Asks[0]
	repeat.How = bridge.FromJournal
	for i := range 5 {
		repeat.Received = noon.Add(time.Hour + time.Duration(i)*time.Minute)
		repeat.ToldAt = repeat.Received
		s.Asks = append(s.Asks, repeat)
	}
	var got []string
	for _, e := range Events(s, utc) {
		got = append(got, e.Offset+" "+e.What)
	}
	want := []string{
		"+0 s sap-pi asked", "+10 ms sent to nic: not known", "+1 s oracle asked", "+2 s looked up at nic: already cancelled",
		"+2.2 s sap-pi was told 200", "+3.2 s oracle was told 200",
		"+60 min sap-pi asked again, 5 times until " + utc.Clock(repeat.ToldAt) + ", and was told 200",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A caller whose last definite answer is the opposite of the truth is named; one who has asked again is not.
func TestToldOtherwiseIsSaid(t *testing.T) {
	s := story(7, document)
	s.Asks[0].Told = bridge.Answer{Class: bridge.NotApplied, Fault: bridge.FaultNotApplied}
	s.Asks[1].Told = bridge.Answer{Class: bridge.Unknown, Fault: bridge.FaultUnknown}
	o := open(t, &memory{stories: []bridge.Story{s}}, "")
	_, html := o.get("/show?of=7")
	o.wants(html, "sap-pi was told the opposite")
	if strings.Contains(html, "oracle was told the opposite") {
		t.Error("not known is no opposite")
	}
	again := s.Asks[0]
	again.Told = bridge.Answer{Class: bridge.Cancelled}
	s.Asks = append(s.Asks, again)
	if got := otherwise(s); len(got) > 0 {
		t.Errorf("has asked again, and yet: %v", got)
	}
}

// What callers and authorities write is text, wherever it shows.
func TestForeignTextStaysText(t *testing.T) {
	const evil = `<script>alert(1)</script>`
	s := story(7, document)
	s.Entry.Remarks, s.Entry.Outcome.Message, s.Asks[0].IRN = evil, evil, evil
	s.Asks[0].SOAPIn, s.Entry.Attempts[0].Outcome.Exchanges[0].Response = []byte("<a>"+evil+"</a>"), evil
	m := &memory{stories: []bridge.Story{s}, tokens: []bridge.Token{{Hash: "h", Caller: evil, Label: evil, Issued: noon}}}
	o := open(t, m, "")
	for _, path := range []string{"/show?of=7", "/cancellations", "/callers", "/cancellations?document=" + url.QueryEscape(evil), "/find?q=" + url.QueryEscape(evil)} {
		if _, html := o.get(path); strings.Contains(html, evil) {
			t.Errorf("%s runs foreign text", path)
		}
	}
}

var inline = regexp.MustCompile(`(?i)<script(?:>| [^>]*>[^<])|\sstyle=|<style|\son[a-z]+=|javascript:|https?://[^"]*\.(js|css)`)

// Every page obeys its own policy: no script or style but the two files, nothing from elsewhere.
func TestPagesObeyTheirPolicy(t *testing.T) {
	o := open(t, &memory{stories: []bridge.Story{story(7, document), doubtful(8, other)}, tokens: []bridge.Token{{Hash: "h", Caller: "sap-pi", Issued: noon}}}, "")
	for _, path := range []string{"/", "/cancellations", "/show?of=7", "/show?of=8", "/callers", "/settings", "/show?of=none"} {
		resp, err := o.client.Get(o.url + path)
		_, html := o.read(resp, err)
		for k, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		} {
			if got := resp.Header.Get(k); got != want {
				t.Errorf("%s: %s is %q, want %q", path, k, got, want)
			}
		}
		if found := inline.FindString(html); found != "" {
			t.Errorf("%s: inline %q", path, found)
		}
		for _, asset := range regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`).FindAllStringSubmatch(html, -1) {
			if code, body := o.get(asset[1]); code != http.StatusOK || body == "" {
				t.Errorf("%s: %s answers %d", path, asset[1], code)
			}
		}
	}
}

func TestListPassesTheFilterOn(t *testing.T) {
	m := &memory{}
	for i := range int64(60) {
		m.stories = append(m.stories, story(i+1, fmt.Sprintf("%064d", i)))
	}
	o := open(t, m, "")
	_, html := o.get("/cancellations?document=0&caller=sap-pi&taxpayer=29aafcd5862r000&upstream=nic&end=cancelled&since=2026-11-22T11:00&until=2026-11-22T13:00")
	want := bridge.Filter{
		Document: "0", Caller: "sap-pi", Taxpayer: "29AAFCD5862R000", Upstream: "nic", Class: bridge.Cancelled, Limit: pageSize + 1,
		Since: time.Date(2026, 11, 22, 11, 0, 0, 0, time.Local), Until: time.Date(2026, 11, 22, 13, 0, 0, 0, time.Local),
	}
	if diff := cmp.Diff(want, m.filters[0]); diff != "" {
		t.Errorf("filter (-want +got):\n%s", diff)
	}
	older := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(html)
	if older == nil || !strings.Contains(older[1], "before=11") || !strings.Contains(older[1], "caller=sap-pi") {
		t.Fatalf("no way to older ones: %v", older)
	}
	_, html = o.get(strings.ReplaceAll(older[1], "&amp;", "&"))
	o.wants(html, "no older ones", "« newest", `<a href="/show?of=10">`)
	for _, end := range []string{"open", "waiting", "told_otherwise"} {
		o.get("/cancellations?end=" + end)
	}
	n := len(m.filters)
	if !m.filters[n-3].Open || !m.filters[n-2].Waiting || !m.filters[n-1].ToldOtherwise {
		t.Errorf("states don't filter: %+v", m.filters[n-3:])
	}
	for _, query := range []string{"end=nonsense", "since=soon", "before=x"} {
		if code, _ := o.get("/cancellations?" + query); code != http.StatusBadRequest {
			t.Errorf("%s: %d", query, code)
		}
	}
}

func TestCSV(t *testing.T) {
	s := story(7, document)
	s.Entry.Remarks = `=HYPERLINK("http://evil")`
	o := open(t, &memory{stories: []bridge.Story{s}}, "")
	_, got := o.get("/cancellations.csv?document=1E6A")
	want := strings.Join(csvHeader, ",") + "\n" +
		`7,2026-11-22T12:00:00Z,2026-11-22T12:00:02Z,` + document + `,irp,29AAFCD5862R000,nic,sap-pi,ref-1,1,"'=HYPERLINK(""http://evil"")",final,cancelled,,,2026-11-22 17:30:00,upstream,1,1,,,,,IST,` + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What an operator recorded is told as his word wherever it shows: who, when, where he saw it; never as the authority's,
// not even where the journal called its date so.
func TestAnOperatorsWordIsToldAsOne(t *testing.T) {
	for name, c := range map[string]struct {
		outcome bridge.Outcome
		verdict string
		date    string // and its source, in exports
	}{
		"cancelled": {bridge.Outcome{Class: bridge.Cancelled, Date: "2026-11-22 17:30:00", DateSource: bridge.DateUpstream},
			"It is recorded as cancelled, dated 2026-11-22 17:30:00 IST.", "2026-11-22 17:30:00,operator"},
		"refused": {bridge.Outcome{Class: bridge.Refused, Message: "Invalid"}, "It is recorded as not cancelled and past cancelling: Invalid.", ","},
		"active":  {bridge.Outcome{Class: bridge.NotApplied}, "It is recorded as not cancelled.", ","},
	} {
		t.Run(name, func(t *testing.T) {
			s := byHand(8, other, c.outcome)
			o := open(t, &memory{stories: []bridge.Story{s}}, "")
			at := utc.Clock(noon.Add(2 * time.Hour))
			_, html := o.get("/show?of=8")
			o.wants(html, c.verdict, "That is an operator&#39;s word, not the authority&#39;s: lakshmi@ops on "+at+", “NIC portal, ticket 815”.",
				"lakshmi@ops recorded", "an operator&#39;s word</span>")
			if strings.Contains(html, "its own date") || strings.Contains(html, "The authority refused") {
				t.Errorf("the authority is said to have said it\n%s", html)
			}
			_, html = o.get("/cancellations")
			o.wants(html, "an operator&#39;s word</span>", "lakshmi@ops: NIC portal, ticket 815")
			_, csv := o.get("/cancellations.csv")
			o.wants(csv, c.date+",1,0,,\"NIC portal, ticket 815\",lakshmi@ops,2026-11-22T14:00:00Z,")
		})
	}
}

// A cancel that never left is not called sent, and every place says what was in the way.
func TestNotSentIsSaid(t *testing.T) {
	s := heldBack(7, document)
	m := &memory{stories: []bridge.Story{s}}
	o := open(t, m, "")
	const why = "logins held back until 02:52 UTC: 4 in 15m are used up"
	_, html := o.get("/show?of=7")
	o.wants(html, "not sent to nic: not carried out", "not sent: not carried out</span>", "It is not cancelled: "+why, "<dt>why</dt><dd>"+why)
	if regexp.MustCompile(`[^t] sent to nic|>sent to nic`).MatchString(html) {
		t.Errorf("it is called sent\n%s", html)
	}
	_, csv := o.get("/cancellations.csv")
	o.wants(csv, ",0,0,,"+why+",,,,\n")

	d := doubtful(8, other)
	d.Entry.Attempts[0].Outcome.Sent, d.Entry.Attempts[0].Outcome.Class, d.Entry.Attempts[0].End = false, bridge.None, time.Time{}
	if row := NewRow(d.Entry); row.Sends != 1 {
		t.Errorf("a send in which the process died counts %d times", row.Sends)
	}
	m.stories = append(m.stories, doubtful(8, other))
	_, html = o.get("/")
	o.wants(html, "<th>why</th>", "the reply was cut off")
}

func TestOverview(t *testing.T) {
	d := doubtful(8, other)
	m := &memory{stories: []bridge.Story{d}, stats: bridge.Stats{
		Open: 1, OldestOpen: time.Now().Add(-3 * time.Hour), Waiting: 4, NextExpiry: time.Now().Add(10*time.Minute + time.Second),
		Instances: []bridge.Instance{{Name: "host/1/abc", Started: time.Now().Add(-time.Hour), Seen: time.Now()}},
	}, counts: []bridge.Count{
		{From: time.Now().Truncate(30 * time.Minute), Class: bridge.Cancelled, Calls: 40}, {From: time.Now().Truncate(30 * time.Minute), Class: bridge.Unknown, Calls: 2},
	}}
	o := open(t, m, "")
	_, html := o.get("/")
	o.wants(html, "<b>1</b> unconfirmed", "oldest sent 3 h ago", "<b>4</b> waiting", "first given up in 10 min", "<b>3</b> in flight", "host/1/abc",
		"40 cancelled", "2 not known", `aria-label="42 calls`, `<a href="/show?of=8">`, "healthy", "1 held, the next ends in", "4 logins")
	if code, _ := o.get("/?span=7d"); code != http.StatusOK {
		t.Errorf("another span: %d", code)
	}
}

// What is wrong with an upstream stands first, with what to do; one that nobody has used is not called healthy.
func TestTroubleComesFirst(t *testing.T) {
	soon := time.Now().Add(10 * time.Minute)
	m := &memory{upstreams: []Upstream{
		{Name: "fine", Hosts: 1, Sessions: 1, SessionUntil: soon},
		{Name: "untried", Hosts: 1},
		{Name: "patient", Hosts: 1, Gates: []bridge.Gate{{Class: bridge.NotApplied, Until: soon, Text: "429: too many"}}},
		{Name: "held", Hosts: 1, LoginsHeld: soon},
		{Name: "down", Hosts: 2, Open: 1},
		{Name: "locked", Hosts: 1, Gates: []bridge.Gate{{Class: bridge.Misconfigured, Until: soon, Text: "3028: wrong password"}}},
	}}
	_, html := open(t, m, "").get("/")
	var at []int
	for _, text := range []string{
		"<b>locked</b> refuses what it is asked with, and nothing is sent with that until " + utc.Clock(soon) + ": 3028: wrong password.", "reload",
		"<b>down</b> can&#39;t be reached or fails, at 1 of its 2 hosts", "<b>patient</b> has asked us to wait until " + utc.Clock(soon) + ": 429: too many.",
		"<b>held</b> gets no login until " + utc.Clock(soon), "unconfirmed",
		"<h3>locked", "credentials refused", "let through, but for what is held back", "<h3>down", "breaker open for some", "<h3>patient", "<h3>held", "logins held back", "<h3>fine", "healthy", "<h3>untried", "not tried yet",
	} {
		at = append(at, strings.Index(html, text))
	}
	if !slices.IsSorted(at) || at[0] < 0 || strings.Count(html, `role="alert"`) != 4 {
		t.Errorf("places %v in\n%s", at, html)
	}
}

// How many failed in the trouble at hand, and since when, stands beside it: what went well in between ended an earlier one.
func TestTroubleSaysHowManyFailed(t *testing.T) {
	entry := func(id int64, upstream string, class bridge.Class) bridge.Story {
		return bridge.Story{Entry: bridge.Entry{ID: id, Upstream: upstream, State: bridge.Final, Created: noon.Add(time.Duration(id) * time.Minute), Outcome: bridge.Outcome{Class: class}}}
	}
	wrong := []bridge.Gate{{Class: bridge.Misconfigured, Until: time.Now().Add(time.Minute), Text: "1019"}}
	m := &memory{
		upstreams: []Upstream{{Name: "nic", Gates: wrong}, {Name: "invx", Gates: wrong}, {Name: "quiet", Gates: wrong}},
		stories: []bridge.Story{
			entry(1, "nic", bridge.Misconfigured), entry(2, "nic", bridge.Cancelled), entry(3, "nic", bridge.Misconfigured), entry(4, "invx", bridge.NotApplied),
			entry(5, "nic", bridge.Unknown), entry(6, "nic", bridge.NotApplied),
		},
	}
	o := open(t, m, "")
	_, html := o.get("/")
	o.wants(html, `<a href="#failed">2 cancellations failed</a> since `+utc.Clock(noon.Add(3*time.Minute)), `<a href="#failed">1 cancellation failed</a> since `+utc.Clock(noon.Add(4*time.Minute)))
	if strings.Count(html, `href="#failed"`) != 2 || !strings.Contains(html, `id="failed"`) {
		t.Errorf("%s", html)
	}
}

// An operator's evidence goes to the journal with his name and reason, and only when it is whole.
func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields url.Values
		want   string // what the journal is told, or what the page says
		code   int
	}{
		{"cancelled", url.Values{"outcome": {"cancelled"}, "date": {"2026-11-22 17:30:00"}, "why": {"portal\nticket 5"}}, `8 cancelled "2026-11-22 17:30:00" "" by console: portal ticket 5`, 200},
		{"active", url.Values{"outcome": {"not_applied"}, "why": {"portal"}}, `8 not_applied "" "" by console: portal`, 200},
		{"refused", url.Values{"outcome": {"refused"}, "message": {"Invalid"}, "why": {"portal"}}, `8 refused "" "Invalid" by console: portal`, 200},
		{"against the record", url.Values{"outcome": {"refused"}, "message": {"contradicts"}, "why": {"portal"}}, "contradicts the record. Go back", 409},
		{"against the record, and meant", url.Values{"outcome": {"refused"}, "message": {"contradicts"}, "why": {"portal"}, "force": {"yes"}}, `8 refused "" "contradicts" by console: portal`, 200},
		{"no date", url.Values{"outcome": {"cancelled"}, "why": {"portal"}}, "Give the cancel date", 400},
		{"no date that is one", url.Values{"outcome": {"cancelled"}, "date": {"yesterday"}, "why": {"portal"}}, "Give the cancel date", 400},
		{"no words", url.Values{"outcome": {"refused"}, "why": {"portal"}}, "words", 400},
		{"no reason", url.Values{"outcome": {"not_applied"}}, "Say where you saw it", 400},
		{"nothing chosen", url.Values{"why": {"portal"}}, "Choose what", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &memory{stories: []bridge.Story{doubtful(8, other)}}
			o := open(t, m, "")
			c.fields.Set("id", "8")
			code, html := o.send("/show?of=8", "/resolve", c.fields)
			if code != c.code {
				t.Errorf("got %d, want %d", code, c.code)
			}
			if c.code == 200 {
				o.wants(html, "Recorded as your word.")
				if diff := cmp.Diff([]string{c.want}, m.resolved); diff != "" {
					t.Errorf("journal (-want +got):\n%s", diff)
				}
			} else if o.wants(html, c.want); len(m.resolved) > 0 {
				t.Errorf("was recorded all the same: %v", m.resolved)
			}
		})
	}
}

func TestWithdraw(t *testing.T) {
	s := doubtful(8, other)
	s.Entry.State, s.Entry.Attempts = bridge.Accepted, nil
	m := &memory{stories: []bridge.Story{s}}
	o := open(t, m, "")
	_, html := o.send("/show?of=8", "/withdraw", url.Values{"id": {"8"}})
	o.wants(html, "Withdrawn")
	if diff := cmp.Diff([]string{"8 withdrawn by console"}, m.resolved); diff != "" {
		t.Error(diff)
	}
	token := csrfField.FindStringSubmatch(html)[1]
	m.err = bridge.ErrNotWaiting
	resp, err := o.client.PostForm(o.url+"/withdraw", url.Values{"id": {"8"}, "csrf": {token}})
	if code, html := o.read(resp, err); code != http.StatusConflict || !strings.Contains(html, "not waiting") {
		t.Errorf("too late: %d\n%s", code, html)
	}
}

func TestLookUpNow(t *testing.T) {
	m := &memory{stories: []bridge.Story{doubtful(8, other)}}
	o := open(t, m, "")
	_, html := o.send("/show?of=8", "/lookup", url.Values{"id": {"8"}})
	o.wants(html, "The authority is being asked")
	if diff := cmp.Diff([]string{"8 looked up"}, m.resolved); diff != "" {
		t.Error(diff)
	}
}

// A caller's row says from where it may call and what it must show.
func TestWhatACallerIsBoundTo(t *testing.T) {
	o := open(t, &memory{}, "")
	_, html := o.get("/callers")
	o.wants(html, ">anywhere<", ">10.1.0.0/16, with one of 2 client certificates<")
}

// A token is shown once, in the answer to the form, and only its hash is kept.
func TestTokens(t *testing.T) {
	m := &memory{}
	o := open(t, m, "")
	_, html := o.send("/callers", "/issue", url.Values{"caller": {"sap-pi"}, "label": {"SAP PI"}, "days": {"90"}})
	o.wants(html, "fresh-token", "SAP PI")
	if _, html = o.get("/callers"); strings.Contains(html, "fresh-token") {
		t.Error("the token shows a second time")
	}
	got := m.tokens[0]
	if life := got.Expires.Sub(got.Issued); got.Hash != "hash-of-it" || got.Caller != "sap-pi" || life < 89*24*time.Hour || life > 91*24*time.Hour {
		t.Errorf("kept %+v", got)
	}
	_, html = o.send("/callers", "/revoke", url.Values{"hash": {"hash-of-it"}})
	o.wants(html, "revoked")
	if m.tokens[0].Revoked.IsZero() {
		t.Error("is not revoked")
	}
	for _, wrong := range []url.Values{{"caller": {"nobody"}}, {"caller": {"sap-pi"}, "days": {"-1"}}, {"caller": {"sap-pi"}, "days": {"soon"}}} {
		if code, _ := o.send("/callers", "/issue", wrong); code != http.StatusBadRequest {
			t.Errorf("%v: %d", wrong, code)
		}
	}
	if len(m.tokens) != 1 {
		t.Errorf("%d tokens are kept", len(m.tokens))
	}
}

// Trouble of the journal shows as such, without its details.
func TestJournalTrouble(t *testing.T) {
	m := &memory{err: fmt.Errorf("disk /secret/path is full")}
	o := open(t, m, "")
	code, html := o.get("/")
	if code != http.StatusInternalServerError || strings.Contains(html, "/secret/path") {
		t.Errorf("got %d\n%s", code, html)
	}
	if code, _ := o.get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d", code)
	}
	_, metrics := o.get("/metrics")
	o.wants(metrics, "einvoice_journal_unreadable 1")
}

// A segment of the chart leads to the calls that it stands for, and each call to its cancellation.
func TestChartLeadsToItsCalls(t *testing.T) {
	at := time.Now().Add(-time.Hour).Truncate(30 * time.Minute).UTC()
	m := &memory{stories: []bridge.Story{story(7, document), doubtful(8, other)}, counts: []bridge.Count{{From: at, Class: bridge.Unknown, Calls: 1}}}
	o := open(t, m, "")
	_, html := o.get("/")
	link := regexp.MustCompile(`href="(/calls\?class=unknown&amp;since=[^"]*)"`).FindStringSubmatch(html)
	if link == nil {
		t.Fatalf("no segment leads anywhere\n%s", html)
	}
	_, html = o.get(strings.ReplaceAll(link[1], "&amp;", "&"))
	o.wants(html, `<a href="/show?of=ref-1">`, short(other), "unconfirmed", `<option value="unknown" selected>`)
	f := m.callFilters[0]
	if !f.Since.Equal(at) || !f.Until.Equal(at.Add(30*time.Minute)) || len(f.Classes) != 1 {
		t.Errorf("asked for %+v", f)
	}
	if strings.Contains(html, short(document)) {
		t.Error("calls that were told otherwise are among them")
	}
	for _, bad := range []string{"class=nonsense", "since=soon"} {
		if code, _ := o.get("/calls?" + bad); code != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, code)
		}
	}
}

// Every page says whether what is done there is real, and the overview links what failed lately.
func TestEnvironmentAndFailures(t *testing.T) {
	o := open(t, &memory{stories: []bridge.Story{heldBack(7, document)}}, "")
	for _, path := range []string{"/", "/cancellations", "/calls", "/rejected", "/callers", "/settings", "/show?of=7"} {
		_, html := o.get(path)
		o.wants(html, `<span class="env sandbox">sandbox</span>`)
	}
	_, html := o.get("/")
	o.wants(html, "Failed lately", `<a href="/show?of=7">`, "logins held back until 02:52 UTC")
}
