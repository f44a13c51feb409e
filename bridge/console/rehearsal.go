package console

import (
	"net/http"
	"strconv"
	"time"

	"einvoice-bridge/bridge/rehearsal"
)

// rehearsalPage is what a rehearsal has shown, and over which time.
type rehearsalPage struct {
	*rehearsal.Report
	Hours int // 0: all that is kept
}

// Now is how the answers compare with the lines in place or, where there are none, without.
func (p rehearsalPage) Now() *rehearsal.Comparison {
	if p.After != nil {
		return p.After
	}
	return p.Before
}

func (p *pages) rehearsal(w http.ResponseWriter, r *http.Request) error {
	hours, err := strconv.Atoi(r.FormValue("hours"))
	if err != nil || hours < 0 {
		hours = 0
	}
	var since time.Time
	if hours > 0 {
		since = time.Now().Add(-time.Duration(hours) * time.Hour)
	}
	report, err := p.Rehearsal(r.Context(), since)
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, "rehearsal", page{Title: "Rehearsal", Tab: "/rehearsal", Body: rehearsalPage{report, hours}})
}
