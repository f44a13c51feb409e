package console

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// span is a stretch of time that the overview can show, and how fine.
type span struct {
	Name       string
	Long, Step time.Duration
	layout     string // of the labels under the chart
}

var spans = []span{
	{"1h", time.Hour, time.Minute, "15:04"},
	{"24h", 24 * time.Hour, 30 * time.Minute, "15:04"},
	{"7d", 7 * 24 * time.Hour, 3 * time.Hour, "2 Jan"},
	{"30d", 30 * 24 * time.Hour, 12 * time.Hour, "2 Jan"},
}

// spanOf finds a span by name; 24 h when there is none.
func spanOf(name string) span {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return spans[1]
}

// from is where the span begins that ends now, on a whole step in the reader's zone.
func (s span) from(now time.Time) time.Time {
	_, offset := now.Zone()
	shift := time.Duration(offset) * time.Second
	return now.Add(shift).Truncate(s.Step).Add(-shift).Add(s.Step - s.Long)
}

// shownClasses is the order in which a bar is stacked, from below.
var shownClasses = []bridge.Class{
	bridge.Cancelled, bridge.Refused, bridge.NotApplied, bridge.Unknown, bridge.Misconfigured, bridge.None,
}

const chartWidth, chartHeight = 1000, 200 // in the drawing's own units; it is stretched to its place

// chart is calls over time as stacked bars.
type chart struct {
	Bars   []bar
	Labels []string // evenly spread below
	Most   int      // calls that the full height stands for
	Total  int
	Legend []legend
}

type bar struct {
	From  time.Time
	X, W  float64
	Parts []part
	Calls int
	Title string
}

type part struct {
	Y, H   float64
	Colour string
	Title  string
	Calls  template.URL // the page of them
}

type legend struct {
	Word, Colour string
	Calls        int
}

func newChart(counts []bridge.Count, s span, from time.Time, z Zone) chart {
	n := int(s.Long / s.Step)
	slots := make([]map[bridge.Class]int, n)
	totals := map[bridge.Class]int{}
	c := chart{Most: 1}
	for _, count := range counts {
		i := int(count.From.Sub(from) / s.Step)
		if i < 0 || i >= n {
			continue
		}
		if slots[i] == nil {
			slots[i] = map[bridge.Class]int{}
		}
		slots[i][count.Class] += count.Calls
		totals[count.Class] += count.Calls
		c.Total += count.Calls
	}
	for _, slot := range slots {
		c.Most = max(c.Most, sum(slot))
	}
	c.Most = roundUp(c.Most)
	width := float64(chartWidth) / float64(n)
	for i, slot := range slots {
		if len(slot) > 0 {
			c.Bars = append(c.Bars, c.bar(slot, from.Add(time.Duration(i)*s.Step), s, float64(i)*width, width, z))
		}
	}
	for i := range 5 {
		c.Labels = append(c.Labels, from.Add(s.Long*time.Duration(i)/4).In(z.Location).Format(s.layout))
	}
	for _, class := range shownClasses {
		if totals[class] > 0 {
			c.Legend = append(c.Legend, legend{classText(class), class.String(), totals[class]})
		}
	}
	return c
}

func (c chart) bar(slot map[bridge.Class]int, from time.Time, s span, x, width float64, z Zone) bar {
	b := bar{From: from, X: x + width*.1, W: width * .8, Calls: sum(slot)}
	lines := []string{z.Clock(from) + ", " + tookText(s.Step)}
	top := float64(chartHeight)
	for _, class := range shownClasses {
		if slot[class] == 0 {
			continue
		}
		h := float64(slot[class]) / float64(c.Most) * chartHeight
		top -= h
		says := fmt.Sprintf("%d %s", slot[class], classText(class))
		b.Parts = append(b.Parts, part{top, h, class.String(), says, callsOf(class, from, from.Add(s.Step), z)})
		lines = append(lines, says)
	}
	b.Title = strings.Join(lines, "\n")
	return b
}

// callsOf is the address of the calls that were told so in a stretch of time.
func callsOf(class bridge.Class, from, until time.Time, z Zone) template.URL {
	return template.URL("/calls?" + url.Values{"class": {class.String()}, "since": {z.field(from)}, "until": {z.field(until)}}.Encode())
}

func sum(slot map[bridge.Class]int) (n int) {
	for _, calls := range slot {
		n += calls
	}
	return n
}

// roundUp gives the scale a number that reads well: 1, 2 or 5 and zeros.
func roundUp(n int) int {
	for unit := 1; ; unit *= 10 {
		for _, f := range []int{1, 2, 5} {
			if f*unit >= n {
				return f * unit
			}
		}
	}
}
