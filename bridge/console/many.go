package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"einvoice-bridge/bridge"
)

// manyPage has an operator look at what he is about to record for several documents, and tells what became of it.
type manyPage struct {
	Entries []bridge.Entry
	Done    []manyDone // what was recorded, and what not
}

type manyDone struct {
	Entry bridge.Entry
	Wrong string
}

// mostMany is how many are resolved at a time: what a list shows on a page.
const mostMany = pageSize

// many shows the chosen entries and asks what the portal shows, once for all of them.
func (p *pages) many(w http.ResponseWriter, r *http.Request) error {
	entries, err := p.chosen(r, r.URL.Query()["id"])
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, "many", page{Title: "Record for several", Tab: "/cancellations", Body: manyPage{Entries: entries}})
}

func (p *pages) chosen(r *http.Request, ids []string) (all []bridge.Entry, err error) {
	if len(ids) == 0 || len(ids) > mostMany {
		return nil, mistake{http.StatusBadRequest, "Choose one to " + strconv.Itoa(mostMany) + " of the list; go back and tick them."}
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if _, err := strconv.ParseInt(id, 10, 64); err != nil {
			return nil, mistake{http.StatusBadRequest, "The form is damaged; go back and reload the page."}
		}
		stories, err := p.Records.Show(r.Context(), id)
		if err != nil {
			return nil, err
		}
		for _, s := range stories {
			if strconv.FormatInt(s.Entry.ID, 10) == id {
				all = append(all, s.Entry)
			}
		}
	}
	return all, nil
}

// resolveMany records the same for each, by the rules that hold for one: what contradicts the record of one is not recorded for
// that one. Each has a cancel date of its own.
func (p *pages) resolveMany(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return mistake{http.StatusBadRequest, "The form is damaged; go back and reload the page."}
	}
	entries, err := p.chosen(r, r.PostForm["id"])
	if err != nil {
		return err
	}
	why := bridge.OneLine(r.PostFormValue("why"), 500)
	if why == "" {
		return mistake{http.StatusBadRequest, noWhy}
	}
	var m manyPage
	for _, e := range entries {
		done := manyDone{Entry: e}
		o, err := evidence(r, r.PostFormValue("date-"+strconv.FormatInt(e.ID, 10)))
		if err == nil {
			_, err = p.Records.Resolve(r.Context(), e.ID, o, p.who(r), why, false)
		}
		switch {
		case errors.As(err, new(mistake)):
			done.Wrong = err.Error()
		case err != nil:
			done.Wrong = strings.ReplaceAll(err.Error(), "insist with --yes", "insist on its own page")
		default:
			p.Log.Info("console: outcome recorded by hand", "entry", e.ID, "outcome", o.Class.String(), "by", p.who(r))
		}
		m.Done = append(m.Done, done)
	}
	return p.render(w, r, http.StatusOK, "many", page{Title: "Record for several", Tab: "/cancellations", Body: m})
}
