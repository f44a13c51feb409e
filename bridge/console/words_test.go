package console

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

func TestTookText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 250 * time.Microsecond: "0.2 ms", 12 * time.Millisecond: "12 ms", 1500 * time.Millisecond: "1.5 s", 3 * time.Second: "3 s",
		45 * time.Second: "45 s", 10 * time.Minute: "10 min", 5 * time.Hour: "5 h", 72 * time.Hour: "3 days",
	} {
		if got := tookText(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// Every class and state has a word and a colour.
func TestEveryClassHasWords(t *testing.T) {
	style, err := staticFiles.ReadFile("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	c := bridge.None
	for ; !strings.Contains(c.String(), "("); c++ {
		if classText(c) == "" {
			t.Errorf("%v has no word", c)
		}
		if rule := ".line li." + c.String() + "::before"; c != bridge.None && !strings.Contains(string(style), rule) {
			t.Errorf("%v has no colour", c)
		}
	}
	if c <= bridge.Unclear {
		t.Errorf("only %d classes were looked at", c)
	}
	for _, s := range []bridge.State{bridge.Accepted, bridge.Sending, bridge.Open} {
		if b := standing(bridge.Entry{ID: 1, State: s}); b.Word == "" || b.Word == "ended" || b.Colour == "" {
			t.Errorf("%s shows as %v", s, b)
		}
	}
}

func TestIndentXML(t *testing.T) {
	for in, want := range map[string]string{
		`<?xml version="1.0"?><a><b x=">1"/></a>`: `<?xml version="1.0"?>` + "\n<a>\n <b x=\">1\"/>\n</a>",
		`<a><b>text</b>  <c/></a>`:                "<a>\n <b>text</b>\n <c/>\n</a>",
		`<a></a>`:                                 "<a></a>",
		`<a>1<b/>2</a>`:                           `<a>1<b/>2</a>`,
		`no xml`:                                  `no xml`,
		`<a`:                                      `<a`,
		``:                                        ``,
	} {
		if got := indentXML(in); got != want && !strings.Contains(in, `">`) {
			t.Errorf("%s:\n%s\nwant\n%s", in, got, want)
		}
	}
}

// Whatever comes, indenting loses nothing but white space.
func FuzzIndentXML(f *testing.F) {
	for _, s := range []string{"<a><b>1</b></a>", "<a/>", "<a>1<b/></a>", "</a></b>", "<a><a></a>", "<>", "<a b='>'/>"} {
		f.Add(s)
	}
	bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
	f.Fuzz(func(t *testing.T, s string) {
		if got := indentXML(s); bare(got) != bare(s) {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// A bar's parts stand on one another, and the scale holds the highest.
func TestChart(t *testing.T) {
	s := spanOf("1h")
	now := time.Date(2026, 11, 22, 12, 30, 30, 0, time.UTC)
	from := s.from(now)
	c := newChart([]bridge.Count{
		{From: from, Class: bridge.Cancelled, Calls: 30}, {From: from, Class: bridge.Refused, Calls: 10},
		{From: from.Add(59 * time.Minute), Class: bridge.Unknown, Calls: 1}, {From: from.Add(time.Hour), Class: bridge.Unknown, Calls: 9},
	}, s, from, utc)
	if c.Most != 50 || c.Total != 41 || len(c.Bars) != 2 || len(c.Legend) != 3 {
		t.Fatalf("got %+v", c)
	}
	low, high := c.Bars[0].Parts[0], c.Bars[0].Parts[1]
	if low.Y+low.H != chartHeight || high.Y+high.H != low.Y || low.H != 3*high.H || high.Y != chartHeight/5 {
		t.Errorf("parts %+v", c.Bars[0].Parts)
	}
	if last := now.Truncate(time.Minute); !from.Add(s.Long - s.Step).Equal(last) {
		t.Errorf("the last bar is not the current one: from %v", from)
	}
}

// What is past is counted once; what is new, late or in the present is counted again.
func TestCounterCountsThePastOnce(t *testing.T) {
	s := spanOf("1h")
	m := &memory{}
	c := &counter{records: m, by: map[string]counted{}}
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	now := start
	calls := func() (n int) {
		t.Helper()
		all, err := c.of(t.Context(), s, s.from(now), now)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			n += c.Calls
		}
		return n
	}
	for i := range 60 {
		m.counts = append(m.counts, bridge.Count{From: start.Add(time.Duration(i-60) * time.Minute), Class: bridge.Cancelled, Calls: 1})
	}
	if got := calls(); got != 59 { // the hour ends with the minute that has begun
		t.Errorf("%d calls", got)
	}
	now = now.Add(10 * time.Second)
	m.counts[59].Calls += 5 // written down late
	m.counts = append(m.counts, bridge.Count{From: start, Class: bridge.Refused, Calls: 3})
	if got := calls(); got != 67 {
		t.Errorf("%d calls, 5 late and 3 new ones included", got)
	}
	now = now.Add(30 * time.Minute)
	if got := calls(); got != 37 {
		t.Errorf("%d calls half an hour later", got)
	}
	if m.counted[0] < 55*time.Minute || m.counted[1] > 4*time.Minute {
		t.Errorf("counted %v", m.counted)
	}
	now = now.Add(-time.Hour) // the clock was set back
	calls()
	now = start.Add(24 * time.Hour)
	if got := calls(); got != 0 {
		t.Errorf("%d calls a day later", got)
	}
}

func TestRoundUp(t *testing.T) {
	for n, want := range map[int]int{0: 1, 1: 1, 3: 5, 11: 20, 50: 50, 51: 100, 4999: 5000} {
		if got := roundUp(n); got != want {
			t.Errorf("%d: %d, want %d", n, got, want)
		}
	}
}

// Each word of a badge stands in the glossary, so that it can be pointed at and looked up.
func TestEachBadgeIsExplained(t *testing.T) {
	m := &memory{stories: []bridge.Story{
		story(7, document), doubtful(8, other), heldBack(9, strings.Repeat("9", 64)), byHand(10, strings.Repeat("a", 64), bridge.Outcome{Class: bridge.NotApplied}),
	}, turned: []bridge.Rejected{turned("r-1", "", "token"), turned("r-2", "", "http")}}
	now := time.Now()
	m.upstreams = []Upstream{
		{Name: "a", Gates: []bridge.Gate{{Class: bridge.Misconfigured, Until: now.Add(time.Minute)}}}, {Name: "b", Gates: []bridge.Gate{{Class: bridge.NotApplied, Until: now.Add(time.Minute)}}},
		{Name: "c", Open: 1, Hosts: 1}, {Name: "d", Open: 1, Hosts: 2}, {Name: "e", LoginsHeld: now.Add(time.Minute)}, {Name: "f", HalfOpen: 1}, {Name: "g"}, {Name: "h", Sessions: 1},
	}
	o := open(t, m, "")
	for _, path := range []string{"/", "/cancellations", "/calls", "/rejected", "/show?of=10"} {
		_, html := o.get(path)
		for _, badge := range regexp.MustCompile(`<span class="badge [a-z_]+">([^<]*)<`).FindAllStringSubmatch(html, -1) {
			if _, err := strconv.Atoi(badge[1]); err != nil { // a code is explained beside it
				t.Errorf("%s: %q is not explained", path, badge[1])
			}
		}
	}
	for _, s := range []bridge.State{bridge.Accepted, bridge.Sending, bridge.Open, bridge.Final} {
		if meaning(stateText(s)) == "" {
			t.Errorf("%s is not explained", s)
		}
	}
	for c := bridge.None; ; c++ {
		if _, err := bridge.ParseClass(c.String()); err != nil {
			break
		}
		if meaning(classText(c)) == "" {
			t.Errorf("%s is not explained", c)
		}
	}
	_, html := o.get("/words")
	o.wants(html, "unconfirmed", "<code>open</code>", "an operator&#39;s word")
}
