package console

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"strconv"

	"einvoice-bridge/bridge"
)

// Role is what a person may do on the pages.
type Role string

// The roles. A reader sees all pages, and changes nothing.
const (
	Reader   Role = "reader"
	Operator Role = "operator"
)

// auditPage lists what operators did.
type auditPage struct {
	Rows  []bridge.Deed
	Older template.URL
}

func (p *pages) audit(w http.ResponseWriter, r *http.Request) error {
	before, err := strconv.ParseInt(cmp.Or(r.URL.Query().Get("before"), "0"), 10, 64)
	if err != nil {
		return mistake{http.StatusBadRequest, "The page's address is damaged; go back."}
	}
	rows, err := p.Records.Deeds(r.Context(), before, pageSize+1)
	if err != nil {
		return err
	}
	a := auditPage{Rows: rows}
	if len(rows) > pageSize {
		a.Rows = rows[:pageSize]
		a.Older = address("/audit", url.Values{}, a.Rows[pageSize-1].ID)
	}
	return p.render(w, r, http.StatusOK, "audit", page{Title: "Audit", Tab: "/settings", Body: a})
}

// DeedText is what an operator did, in a word.
func DeedText(k bridge.DeedKind) string { return deedWords.word(string(k)) }
