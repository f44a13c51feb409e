package console

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// A reader sees every page and changes nothing: no form is shown, and none is taken.
func TestReaderChangesNothing(t *testing.T) {
	waiting := story(9, strings.Repeat("9", 64))
	waiting.Entry.State = bridge.Accepted
	m := &memory{stories: []bridge.Story{doubtful(7, document), waiting}, tokens: []bridge.Token{{Hash: "h1", Caller: "sap-pi", Issued: noon}}}
	o := open(t, m, "secret")
	o.send("/login", "/login", url.Values{"username": {"reader"}, "password": {"secret"}})
	for _, path := range []string{"/", "/cancellations", "/show?of=7", "/show?of=9", "/callers", "/settings", "/rejected", "/calls", "/audit", "/words"} {
		code, html := o.get(path)
		if code != 200 || strings.Contains(strings.ReplaceAll(html, `method="post" action="/logout"`, ""), `method="post"`) || strings.Contains(html, `action="/many"`) {
			t.Errorf("%s: %d, or with a form that changes something", path, code)
		}
	}
	for path, form := range map[string]url.Values{
		"/resolve": {"id": {"7"}, "outcome": {"not_applied"}, "why": {"x"}}, "/withdraw": {"id": {"9"}}, "/lookup": {"id": {"7"}}, "/issue": {"caller": {"sap-pi"}},
		"/revoke": {"hash": {"h1"}}, "/reload": {}, "/resolve-many": {"id": {"7"}, "outcome": {"not_applied"}, "why": {"x"}},
	} {
		if code, html := o.send("/", path, form); code != 403 || !strings.Contains(html, "your role is reader") {
			t.Errorf("%s: %d", path, code)
		}
	}
	if len(m.resolved) > 0 || len(m.tokens) != 1 || !m.tokens[0].Revoked.IsZero() || m.settings.Last != nil {
		t.Errorf("a reader changed %v, %v", m.resolved, m.tokens)
	}
}

func TestAudit(t *testing.T) {
	m := &memory{}
	for i := range 60 {
		m.deeds = append(m.deeds, bridge.Deed{ID: int64(60 - i), At: noon.Add(-time.Duration(i) * time.Minute), Who: "asha", What: bridge.DidResolve, Entry: 7, About: "<b>"})
	}
	o := open(t, m, "")
	_, html := o.get("/audit")
	o.wants(html, "recorded what the portal shows", "asha", `href="/show?of=7"`, "&lt;b&gt;", `href="/audit?before=11"`)
	_, html = o.get("/audit?before=11")
	o.wants(html, "no older ones")
}

// The overview has what ends some day, with a mark where it is soon.
func TestExpiriesAreShown(t *testing.T) {
	m := &memory{expiries: []Expiry{
		{"certificate old.pem", time.Now().Add(-50 * time.Hour)}, {"certificate tls.pem", time.Now().Add(10*24*time.Hour + time.Hour)}, {"secret of upstreams.myinvois", time.Now().Add(100 * 24 * time.Hour)},
	}}
	o := open(t, m, "")
	_, html := o.get("/")
	o.wants(html, `<span class="badge misconfigured">ended 2 days ago`, `<span class="badge misconfigured">in 10 days`, "secret of upstreams.myinvois", "<td>in 100 days")
}

func TestTestAlarm(t *testing.T) {
	m := &memory{}
	o := open(t, m, "")
	_, html := o.send("/settings", "/test-alarm", url.Values{})
	o.wants(html, "has taken the test alarm")
	m.alarmErr = errors.New("the webhook answers 500")
	code, html := o.send("/settings", "/test-alarm", url.Values{})
	if o.wants(html, "The test alarm was not taken: the webhook answers 500."); code != 502 || len(m.deeds) != 2 || m.deeds[0].Who != "console" {
		t.Errorf("%d, %+v", code, m.deeds)
	}
}
