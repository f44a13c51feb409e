package console

import (
	"cmp"
	"errors"
	"html/template"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

const pageSize = 50

// listing is one page of cancellations that a filter lets through.
type listing struct {
	Form      url.Values
	Entries   []bridge.Entry
	Older     template.URL // the next page; empty on the last
	Newest    template.URL // empty on the newest page
	CSV, XLSX template.URL // of all that fits
	Callers   []string
	Upstreams []string
	Ends      []end
	Whens     []end
	Zone      string
	Fitting   string // how many there are
	Doubts    bool   // some of them can be resolved here
}

// end is a choice of the form's outcome field: a class, or a state that filters otherwise.
type end struct{ Value, Word string }

var ends = []end{
	{"", "any"}, {"open", states.word("open")}, {"waiting", states.word("accepted")}, {"told_otherwise", whoseWords.word("told_otherwise")},
	{"cancelled", outcomes.word("cancelled")}, {"refused", outcomes.word("refused")}, {"not_applied", outcomes.word("not_applied")},
	{"misconfigured", outcomes.word("misconfigured")},
}

func (p *pages) list(w http.ResponseWriter, r *http.Request) error {
	form := shownFields(r.URL.Query())
	f, err := p.filterOf(form)
	if err != nil {
		return err
	}
	f.Limit = pageSize + 1
	entries, err := p.firstOf(r, &f)
	if err != nil {
		return err
	}
	l := listing{Form: form, Callers: names(p.Callers()), Upstreams: upstreamNames(p.Upstreams(r.Context())), Ends: ends, Whens: whens, Zone: p.zone.name(time.Now())}
	l.CSV, l.XLSX = address("/cancellations.csv", form, 0), address("/cancellations.xlsx", form, 0)
	if f.Before > 0 {
		l.Newest = address("/cancellations", form, 0)
	}
	if l.Entries = entries; len(entries) > pageSize {
		l.Entries = entries[:pageSize]
		l.Older = address("/cancellations", form, l.Entries[pageSize-1].ID)
	}
	l.Doubts = sessionOf(r).role == Operator && slices.ContainsFunc(l.Entries, func(e bridge.Entry) bool { return e.State == bridge.Open })
	if l.Fitting, err = p.fitting(r, f); err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, "list", page{Title: "Cancellations", Tab: "/cancellations", Body: l})
}

// mostCounted is how far a list counts: further a number tells nobody more.
const mostCounted = 10_000

func (p *pages) fitting(r *http.Request, f bridge.Filter) (string, error) {
	f.Before = 0
	switch n, err := p.Records.Fitting(r.Context(), f, mostCounted+1); {
	case err != nil:
		return "", err
	case n > mostCounted:
		return "More than " + strconv.Itoa(mostCounted) + " cancellations", nil
	case n == 1:
		return "1 cancellation", nil
	default:
		return strconv.Itoa(n) + " cancellations", nil
	}
}

// address is a page of what the form filters, from below an entry on.
func address(page string, form url.Values, before int64) template.URL {
	q := maps.Clone(form)
	if q.Del("before"); before > 0 {
		q.Set("before", strconv.FormatInt(before, 10))
	}
	return template.URL(page + "?" + q.Encode())
}

// firstOf lists with the document id as it was typed, else in the letter case that its authority writes ids in.
func (p *pages) firstOf(r *http.Request, f *bridge.Filter) (entries []bridge.Entry, err error) {
	typed := f.Document
	for _, spelt := range slices.Compact([]string{typed, strings.ToLower(typed), strings.ToUpper(typed)}) {
		f.Document = spelt
		if entries, err = p.Records.List(r.Context(), *f); err != nil || len(entries) > 0 {
			return entries, err
		}
	}
	f.Document = typed
	return nil, nil
}

// find takes whatever stands on the note of who asks: a document id, the beginning of one, a reference as a Fault has it.
func (p *pages) find(w http.ResponseWriter, r *http.Request) error {
	what := bridge.Ref(r.URL.Query().Get("q"))
	if what == "" {
		http.Redirect(w, r, "/cancellations", http.StatusSeeOther)
		return nil
	}
	for _, spelt := range slices.Compact([]string{what, strings.ToLower(what), strings.ToUpper(what)}) {
		_, err := p.Records.Show(r.Context(), spelt)
		if err == nil {
			http.Redirect(w, r, "/show?of="+url.QueryEscape(spelt), http.StatusSeeOther)
			return nil
		}
		if !errors.Is(err, bridge.ErrNoEntry) {
			return err
		}
	}
	rejected, err := p.Records.Rejected(r.Context(), bridge.RejectedFilter{Ref: what, Limit: 1})
	if err != nil {
		return err
	}
	if len(rejected) > 0 {
		http.Redirect(w, r, "/rejected?ref="+url.QueryEscape(what), http.StatusSeeOther)
		return nil
	}
	http.Redirect(w, r, "/cancellations?document="+url.QueryEscape(what), http.StatusSeeOther)
	return nil
}

var filterFields = []string{"document", "caller", "taxpayer", "upstream", "end", "when", "since", "until", "before"}

// shownFields keeps the fields that filter and hold something.
func shownFields(v url.Values) url.Values {
	form := url.Values{}
	for _, k := range filterFields {
		if s := strings.TrimSpace(v.Get(k)); s != "" {
			form.Set(k, s)
		}
	}
	return form
}

func (p *pages) filterOf(form url.Values) (f bridge.Filter, err error) {
	f.Document, f.Caller, f.Upstream = form.Get("document"), form.Get("caller"), form.Get("upstream")
	f.Taxpayer = strings.ToUpper(form.Get("taxpayer"))
	switch v := form.Get("end"); v {
	case "":
	case "open":
		f.Open = true
	case "waiting":
		f.Waiting = true
	case "told_otherwise":
		f.ToldOtherwise = true
	default:
		if f.Class, err = bridge.ParseClass(v); err != nil {
			return f, mistake{http.StatusBadRequest, "The outcome " + strconv.Quote(v) + " does not exist."}
		}
	}
	if f.Before, err = strconv.ParseInt(cmp.Or(form.Get("before"), "0"), 10, 64); err != nil {
		return f, mistake{http.StatusBadRequest, "The page's address is damaged; search again."}
	}
	since, until, ok := p.when(form.Get("when"), time.Now())
	if !ok {
		return f, mistake{http.StatusBadRequest, "The time " + strconv.Quote(form.Get("when")) + " does not exist."}
	}
	if f.Since, err = p.moment(form.Get("since")); err == nil {
		f.Until, err = p.moment(form.Get("until"))
	}
	if f.Since.IsZero() {
		f.Since = since
	}
	if f.Until.IsZero() {
		f.Until = until
	}
	return f, err
}

// whens are stretches of time by name, so that the address of a list is good tomorrow, too.
var whens = []end{{"", "at any time"}, {"today", "today"}, {"yesterday", "yesterday"}, {"month", "this month"}, {"last-month", "last month"}}

func (p *pages) when(name string, now time.Time) (since, until time.Time, ok bool) {
	y, m, d := now.In(p.zone.Location).Date()
	day := func(m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, p.zone.Location) }
	switch name {
	case "":
		return since, until, true
	case "today":
		return day(m, d), until, true
	case "yesterday":
		return day(m, d-1), day(m, d), true
	case "month":
		return day(m, 1), until, true
	case "last-month":
		return day(m-1, 1), day(m, 1), true
	}
	return since, until, false
}

// moment reads a time of a form; an empty one is none.
func (p *pages) moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, ok := p.zone.moment(s); ok {
		return t, nil
	}
	return time.Time{}, mistake{http.StatusBadRequest, strconv.Quote(s) + " is no time; write it like 2026-04-01 15:04."}
}

// mostExported bounds a download; the journal export command knows no bound.
const mostExported = 100_000

// formats are those of downloads, by their file's extension.
var formats = map[string]struct {
	contentType string
	write       func(io.Writer, iter.Seq2[bridge.Entry, error]) error
}{
	".csv":  {"text/csv; charset=utf-8", WriteCSV},
	".xlsx": {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", WriteXLSX},
}

func (p *pages) download(w http.ResponseWriter, r *http.Request) error {
	f, err := p.filterOf(shownFields(r.URL.Query()))
	if err != nil {
		return err
	}
	f.Limit = 1
	if _, err := p.firstOf(r, &f); err != nil { // settles the spelling, and fails while an answer can still say so
		return err
	}
	f.Limit = mostExported
	format := formats[path.Ext(r.URL.Path)]
	w.Header().Set("Content-Type", format.contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+path.Base(r.URL.Path)+`"`)
	if err := format.write(w, p.Records.Export(r.Context(), f)); err != nil {
		p.Log.Error("console: export broke off: " + err.Error())
		panic(http.ErrAbortHandler) // so that the reader notices
	}
	return nil
}

func names(callers []Caller) []string {
	all := make([]string, len(callers))
	for i, c := range callers {
		all[i] = c.Name
	}
	return all
}

func upstreamNames(ups []Upstream) []string {
	all := make([]string, len(ups))
	for i, u := range ups {
		all[i] = u.Name
	}
	return all
}
