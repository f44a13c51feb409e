package console

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"einvoice-bridge/bridge"
)

// rejectedPage lists calls that were turned away, or tells all that is known of one.
type rejectedPage struct {
	Form    url.Values
	Rows    []bridge.Rejected
	One     bool
	Older   template.URL
	Callers []string
	Kinds   []end
}

func (p *pages) rejected(w http.ResponseWriter, r *http.Request) error {
	form := url.Values{}
	for _, k := range []string{"ref", "from", "caller", "kind", "before"} {
		if s := strings.TrimSpace(r.URL.Query().Get(k)); s != "" {
			form.Set(k, s)
		}
	}
	before, err := strconv.ParseInt(cmp.Or(form.Get("before"), "0"), 10, 64)
	if err != nil {
		return mistake{http.StatusBadRequest, "The page's address is damaged; search again."}
	}
	rows, err := p.Records.Rejected(r.Context(), bridge.RejectedFilter{
		Ref: bridge.Ref(form.Get("ref")), From: form.Get("from"), Caller: form.Get("caller"), Kind: form.Get("kind"), Before: before, Limit: pageSize + 1,
	})
	if err != nil {
		return err
	}
	l := rejectedPage{Form: form, Rows: rows, One: form.Has("ref"), Callers: names(p.Callers()), Kinds: rejections.ends()}
	if len(rows) > pageSize {
		l.Rows = rows[:pageSize]
		l.Older = address("/rejected", form, l.Rows[pageSize-1].ID)
	}
	return p.render(w, r, http.StatusOK, "rejected", page{Title: "Rejected calls", Tab: "/rejected", Live: !l.One && before == 0, Body: l})
}
