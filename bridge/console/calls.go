package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// callsPage lists calls by what they were told, as the chart counts them.
type callsPage struct {
	Form    url.Values
	Rows    []bridge.Call
	More    bool
	Callers []string
	Classes []end
	Zone    string
}

const mostCalls = 200

func (p *pages) calls(w http.ResponseWriter, r *http.Request) (err error) {
	c := callsPage{Form: url.Values{}, Callers: names(p.Callers()), Zone: p.zone.name(time.Now())}
	for _, k := range []string{"class", "caller", "since", "until"} {
		if s := strings.TrimSpace(r.URL.Query().Get(k)); s != "" {
			c.Form.Set(k, s)
		}
	}
	f := bridge.CallFilter{Caller: c.Form.Get("caller"), Limit: mostCalls + 1}
	if s := c.Form.Get("class"); s != "" {
		class, err := bridge.ParseClass(s)
		if err != nil {
			return mistake{http.StatusBadRequest, "There is no such answer; choose one of the list."}
		}
		f.Classes = []bridge.Class{class}
	}
	if f.Since, err = p.moment(c.Form.Get("since")); err != nil {
		return err
	}
	if f.Until, err = p.moment(c.Form.Get("until")); err != nil {
		return err
	}
	if now := time.Now(); f.Until.IsZero() {
		f.Until = now
	}
	if f.Since.IsZero() {
		f.Since = f.Until.Add(-24 * time.Hour)
	}
	if c.Rows, err = p.Records.Calls(r.Context(), f); err != nil {
		return err
	}
	if len(c.Rows) > mostCalls {
		c.Rows, c.More = c.Rows[:mostCalls], true
	}
	c.Classes = []end{{"", "any"}}
	for _, class := range shownClasses {
		c.Classes = append(c.Classes, end{class.String(), classText(class)})
	}
	return p.render(w, r, http.StatusOK, "calls", page{Title: "Calls", Tab: "/", Body: c})
}

// nowText is where a call's cancellation stands now.
func nowText(c bridge.Call) badge {
	if c.Entry == 0 {
		return badge{"refused by a check", "refused"}
	}
	return standing(bridge.Entry{ID: c.Entry, State: c.State, Outcome: bridge.Outcome{Class: c.Now}})
}
