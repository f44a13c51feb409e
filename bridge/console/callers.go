package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// callersPage lists who may call, and with which tokens.
type callersPage struct {
	Callers []Caller
	Tokens  []tokenRow
	Fresh   string // a token just issued, shown this once
	For     string
}

type tokenRow struct {
	bridge.Token
	State badge
}

// Alive tells whether there is anything to revoke.
func (t tokenRow) Alive() bool { return t.State.Word == "good" }

func (p *pages) callers(w http.ResponseWriter, r *http.Request) error {
	return p.showCallers(w, r, callersPage{}, "")
}

func (p *pages) showCallers(w http.ResponseWriter, r *http.Request, c callersPage, notice string) error {
	tokens, err := p.Records.Issued(r.Context())
	if err != nil {
		return err
	}
	c.Callers = p.Callers()
	now := time.Now()
	for _, t := range tokens {
		row := tokenRow{t, badge{"good", "cancelled"}}
		switch {
		case !t.Revoked.IsZero():
			row.State = badge{"revoked", "refused"}
		case !t.Expires.IsZero() && now.After(t.Expires):
			row.State = badge{"expired", "none"}
		}
		c.Tokens = append(c.Tokens, row)
	}
	slices.SortStableFunc(c.Tokens, func(a, b tokenRow) int { return b.Issued.Compare(a.Issued) })
	return p.render(w, r, http.StatusOK, "callers", page{Title: "Callers and tokens", Tab: "/callers", Notice: notice, Body: c})
}

// issue makes a token and shows it once, in the answer itself: nothing keeps it.
func (p *pages) issue(w http.ResponseWriter, r *http.Request) error {
	caller := r.PostFormValue("caller")
	if !slices.Contains(names(p.Callers()), caller) {
		return mistake{http.StatusBadRequest, "There is no caller " + strconv.Quote(caller) + " in the configuration."}
	}
	token, hash := p.NewToken()
	now := time.Now()
	t := bridge.Token{Hash: hash, Caller: caller, Issued: now, By: p.who(r), Label: bridge.OneLine(r.PostFormValue("label"), 100)}
	days, err := strconv.Atoi(strings.TrimSpace(r.PostFormValue("days")))
	if s := strings.TrimSpace(r.PostFormValue("days")); s != "" && (err != nil || days < 1 || days > 3660) {
		return mistake{http.StatusBadRequest, "The days of life are a number from 1 to 3660, or empty for no end."}
	}
	if days > 0 {
		t.Expires = now.AddDate(0, 0, days)
	}
	if err := p.Records.Issue(r.Context(), t); err != nil {
		return err
	}
	p.Log.Info("console: token issued", "caller", caller, "label", t.Label, "by", p.who(r))
	return p.showCallers(w, r, callersPage{Fresh: token, For: caller}, "")
}

func (p *pages) revoke(w http.ResponseWriter, r *http.Request) error {
	hash := r.PostFormValue("hash")
	if err := p.Records.Revoke(r.Context(), hash, p.who(r)); err != nil {
		return err
	}
	p.Log.Info("console: token revoked", "token", short(hash), "by", p.who(r))
	http.Redirect(w, r, "/callers", http.StatusSeeOther)
	return nil
}

func (p *pages) settings(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusOK, "settings", page{Title: "Settings", Tab: "/settings", Body: p.Settings(r.Context())})
}

// testAlarm has somebody see whether alarms reach anybody.
func (p *pages) testAlarm(w http.ResponseWriter, r *http.Request) error {
	if err := p.TestAlarm(p.who(r)); err != nil {
		return mistake{http.StatusBadGateway, "The test alarm was not taken: " + err.Error() + "."}
	}
	return p.render(w, r, http.StatusOK, "settings", page{Title: "Settings", Tab: "/settings", Body: p.Settings(r.Context()),
		Notice: "The webhook has taken the test alarm. See whether it reaches whom it must."})
}

// reload takes the changed file up; the settings page says how it went.
func (p *pages) reload(w http.ResponseWriter, r *http.Request) error {
	p.Reload(p.who(r))
	http.Redirect(w, r, "/settings", http.StatusSeeOther)
	return nil
}
