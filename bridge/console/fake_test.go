package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/rehearsal"
)

// utc is where the reader of these tests is.
var utc = Zone{time.UTC}

// noon is when everything in these tests happens.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// memory is a journal as the console sees it. It notes what it was asked.
type memory struct {
	stories  []bridge.Story
	tokens   []bridge.Token
	counts   []bridge.Count
	turned   []bridge.Rejected
	deeds    []bridge.Deed
	expiries []Expiry
	alarmErr error
	zone     Zone // UTC without one
	stats    bridge.Stats
	err      error

	settings  Settings
	rehearsed func(context.Context, time.Time) (*rehearsal.Report, error)
	upstreams []Upstream // nil: a healthy one

	filters     []bridge.Filter
	counted     []time.Duration
	callFilters []bridge.CallFilter
	resolved    []string
}

func (m *memory) List(_ context.Context, f bridge.Filter) (all []bridge.Entry, _ error) {
	m.filters = append(m.filters, f)
	for i := len(m.stories) - 1; i >= 0; i-- {
		e := m.stories[i].Entry
		if e.ID == 0 || !strings.HasPrefix(e.Key.Document, f.Document) || f.Before > 0 && e.ID >= f.Before || f.Open && e.State != bridge.Open ||
			f.Waiting && e.State != bridge.Accepted || f.ToldOtherwise || f.Class != bridge.None && e.Outcome.Class != f.Class || f.Upstream != "" && e.Upstream != f.Upstream {
			continue
		}
		if all = append(all, e); len(all) == cmp.Or(f.Limit, 100) {
			break
		}
	}
	return all, m.err
}

func (m *memory) Fitting(ctx context.Context, f bridge.Filter, most int) (int, error) {
	f.Limit = most
	all, err := m.List(ctx, f)
	m.filters = m.filters[:len(m.filters)-1]
	return len(all), err
}

func (m *memory) Export(ctx context.Context, f bridge.Filter) iter.Seq2[bridge.Entry, error] {
	return func(yield func(bridge.Entry, error) bool) {
		all, err := m.List(ctx, f)
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(bridge.Entry{}, err)
		}
	}
}

func (m *memory) Show(_ context.Context, what string) (all []bridge.Story, _ error) {
	for _, s := range m.stories {
		if s.Entry.Key.Document == what || s.Entry.ID != 0 && fmt.Sprint(s.Entry.ID) == what {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, bridge.ErrNoEntry
	}
	return all, m.err
}

func (m *memory) Calls(_ context.Context, f bridge.CallFilter) (all []bridge.Call, _ error) {
	m.callFilters = append(m.callFilters, f)
	for _, s := range m.stories {
		for _, a := range s.Asks {
			if len(f.Classes) == 0 || slices.Contains(f.Classes, a.Told.Class) {
				all = append(all, bridge.Call{Ask: a, State: s.Entry.State, Now: s.Entry.Outcome.Class})
			}
		}
	}
	return all[:min(len(all), f.Limit)], m.err
}

func (m *memory) Rejected(_ context.Context, f bridge.RejectedFilter) (all []bridge.Rejected, _ error) {
	for _, r := range m.turned {
		if (f.Ref == "" || r.Ref == f.Ref) && (f.Kind == "" || r.Kind == f.Kind) && (f.Caller == "" || r.Caller == f.Caller) && (f.From == "" || r.From == f.From) {
			all = append(all, r)
		}
	}
	return all[:min(len(all), cmp.Or(f.Limit, 100))], m.err
}

func (m *memory) Stats(context.Context) (bridge.Stats, error) { return m.stats, m.err }

func (m *memory) Counts(_ context.Context, since, until time.Time, _ time.Duration) (all []bridge.Count, _ error) {
	m.counted = append(m.counted, until.Sub(since))
	for _, c := range m.counts {
		if !c.From.Before(since) && c.From.Before(until) {
			all = append(all, c)
		}
	}
	return all, m.err
}

func (m *memory) Resolve(_ context.Context, id int64, o bridge.Outcome, by, why string, force bool) (bridge.Entry, error) {
	if o.Message == "contradicts" && !force {
		return bridge.Entry{}, errors.New("contradicts the record")
	}
	m.resolved = append(m.resolved, fmt.Sprintf("%d %s %q %q by %s: %s", id, o.Class, o.Date, o.Message, by, why))
	return bridge.Entry{}, m.err
}

func (m *memory) Withdraw(_ context.Context, id int64, by string) (bridge.Entry, error) {
	m.resolved = append(m.resolved, fmt.Sprintf("%d withdrawn by %s", id, by))
	return bridge.Entry{}, m.err
}

func (m *memory) LookUpSoon(_ context.Context, id int64) error {
	m.resolved = append(m.resolved, fmt.Sprintf("%d looked up", id))
	return m.err
}

func (m *memory) Issue(_ context.Context, t bridge.Token) error {
	m.tokens = append(m.tokens, t)
	return m.err
}

func (m *memory) Issued(context.Context) ([]bridge.Token, error) { return m.tokens, m.err }

func (m *memory) Deeds(_ context.Context, before int64, limit int) (all []bridge.Deed, _ error) {
	for _, d := range m.deeds {
		if before == 0 || d.ID < before {
			all = append(all, d)
		}
	}
	return all[:min(len(all), limit)], m.err
}

func (m *memory) Did(_ context.Context, d bridge.Deed) error {
	m.deeds = append([]bridge.Deed{d}, m.deeds...)
	return m.err
}

func (m *memory) Revoke(_ context.Context, hash, by string) error {
	for i := range m.tokens {
		if m.tokens[i].Hash == hash {
			m.tokens[i].Revoked = noon
			return m.err
		}
	}
	return bridge.ErrNoEntry
}

func (m *memory) Commits() (commits, writes int64, busy time.Duration) { return 10, 25, time.Second }

// story is a cancellation that was sent, doubted, looked up and found cancelled, while a second caller joined.
func story(id int64, document string) bridge.Story {
	sent := bridge.Attempt{
		ID: 1, Kind: bridge.SendCancel, Start: noon.Add(10 * time.Millisecond), End: noon.Add(1510 * time.Millisecond), By: "host/1/abc", Upstream: "nic",
		Outcome: bridge.Outcome{Class: bridge.Unknown, Sent: true, Message: "the reply was cut off", Exchanges: []bridge.Exchange{{
			Purpose: "cancel", Method: "POST", URL: "https://nic.example/eicore/v1.03/Invoice/Cancel", Request: `{"Irn":"` + document + `","CnlRsn":"1"}`,
			Err: "unexpected EOF", Start: noon.Add(20 * time.Millisecond), Took: 1490 * time.Millisecond,
		}}},
	}
	asked := bridge.Attempt{
		ID: 2, Kind: bridge.AskState, Start: noon.Add(2 * time.Second), End: noon.Add(2100 * time.Millisecond), By: "host/1/abc", Upstream: "nic",
		Outcome: bridge.Outcome{Class: bridge.AlreadyCancelled, Date: "2026-11-22 17:30:00"},
	}
	e := bridge.Entry{
		ID: id, Key: bridge.Key{Space: "irp", Document: document}, Taxpayer: "29AAFCD5862R000", Upstream: "nic", Ref: "ref-1", Caller: "sap-pi",
		IRN: document, Reason: "1", Remarks: "Wrong entry", State: bridge.Final, Created: noon, Updated: noon.Add(2100 * time.Millisecond),
		Outcome:  bridge.Outcome{Class: bridge.Cancelled, Date: "2026-11-22 17:30:00", DateSource: bridge.DateUpstream},
		Attempts: []bridge.Attempt{sent, asked},
	}
	ask := func(ref, caller string, at time.Time, told bridge.Answer, how bridge.How) bridge.Ask {
		told.Ref = ref
		return bridge.Ask{
			Ref: ref, Caller: caller, Taxpayer: e.Taxpayer, Key: e.Key, IRN: document, Reason: "1", Remarks: "Wrong entry", Entry: id,
			Received: at, Told: told, ToldAt: at.Add(2200 * time.Millisecond), How: how,
			SOAPIn:  []byte(`<e:Envelope xmlns:e="x"><e:Body><irn>` + document + `</irn></e:Body></e:Envelope>`),
			SOAPOut: []byte(`<e:Envelope xmlns:e="x"><e:Body><status>Success</status></e:Body></e:Envelope>`),
		}
	}
	good := bridge.Answer{Class: bridge.Cancelled, IRN: document, CancelDate: "2026-11-22 17:30:00"}
	return bridge.Story{Entry: e, Asks: []bridge.Ask{
		ask("ref-1", "sap-pi", noon, good, bridge.FromUpstream), ask("ref-2", "oracle", noon.Add(time.Second), good, bridge.FromJoin),
	}}
}

// byHand is a doubtful cancellation that an operator ended, as a journal of before there was date_source operator has it.
func byHand(id int64, document string, o bridge.Outcome) bridge.Story {
	s := doubtful(id, document)
	word := o
	word.Alarm = "NIC portal, ticket 815"
	s.Entry.Attempts = append(s.Entry.Attempts, bridge.Attempt{
		ID: 3, Kind: bridge.ResolveHand, Start: noon.Add(2 * time.Hour), End: noon.Add(2 * time.Hour), By: "lakshmi@ops", Upstream: "nic", Outcome: word,
	})
	s.Entry.State, s.Entry.Outcome, s.Entry.NextLookup = bridge.Final, o, time.Time{}
	return s
}

// heldBack is a cancellation that never left: its logins were used up.
func heldBack(id int64, document string) bridge.Story {
	s := story(id, document)
	o := bridge.Outcome{Class: bridge.NotApplied, Message: "logins held back until 02:52 UTC: 4 in 15m are used up"}
	s.Entry.Outcome, s.Entry.Attempts = o, s.Entry.Attempts[:1]
	s.Entry.Attempts[0].Outcome = o
	s.Asks = s.Asks[:1]
	s.Asks[0].Told = bridge.Answer{Class: bridge.NotApplied, Fault: bridge.FaultNotApplied, Ref: "ref-1", Why: o.Message}
	return s
}

// doubtful is the same while nothing is known.
func doubtful(id int64, document string) bridge.Story {
	s := story(id, document)
	s.Entry.State, s.Entry.Outcome = bridge.Open, bridge.Outcome{Class: bridge.Unknown}
	s.Entry.Attempts, s.Asks = s.Entry.Attempts[:1], s.Asks[:1]
	s.Asks[0].Told = bridge.Answer{Class: bridge.Unknown, Fault: bridge.FaultUnknown, Ref: "ref-1"}
	s.Entry.NextLookup = time.Now().Add(2 * time.Minute)
	return s
}

// operator is a browser in front of a console.
type operator struct {
	*testing.T
	url    string
	client http.Client
}

// open serves a console over m; with a password it asks for log-in.
func open(t *testing.T, m *memory, password string) *operator {
	t.Helper()
	o := Options{
		Metrics: NewMetrics(func() bridge.Load { return bridge.Load{InFlight: 3, Waiting: 1} }),
		Ready:   func(context.Context) error { return m.err }, Version: "v-test", Records: m, Environments: func() []string { return []string{"sandbox"} }, Zone: cmp.Or(m.zone.Location, time.UTC),
		Upstreams: func(context.Context) []Upstream {
			if m.upstreams != nil {
				return m.upstreams
			}
			return []Upstream{{Name: "nic", Kind: "nic", Environment: "sandbox", Taxpayers: 2, Hosts: 1, Sessions: 1, SessionUntil: time.Now().Add(time.Hour), Logins: 4}}
		},
		Callers: func() []Caller {
			return []Caller{{Name: "oracle", AllTaxpayers: true}, {Name: "sap-pi", Taxpayers: []string{"29AAFCD5862R000"}, Tokens: 1, Login: true, Addresses: []string{"10.1.0.0/16"}, Certificates: 2}}
		},
		Settings: func(context.Context) Settings { return m.settings },
		Reload: func(by string) {
			m.settings.Last = &Reload{By: by, Changes: []bridge.Change{{Path: "grace", Kind: bridge.Changed, Was: "40s", Is: "1m0s"}}}
		},
		Rehearsal: func(ctx context.Context, since time.Time) (*rehearsal.Report, error) { return m.rehearsed(ctx, since) },
		Expiries:  func(context.Context) ([]Expiry, error) { return m.expiries, m.err },
		TestAlarm: func(by string) error {
			m.deeds = append(m.deeds, bridge.Deed{Who: by, What: bridge.DidTestAlarm})
			return m.alarmErr
		},
		NewToken: func() (string, string) { return "fresh-token", "hash-of-it" },
		Log:      slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if password != "" {
		o.SignIn = func(_ context.Context, user, word string, _ netip.Addr) (Role, time.Duration) {
			if word == "too often" {
				return "", 9 * time.Second
			}
			if user == "reader" && word == password {
				return Reader, 0
			}
			if user == "admin" && word == password {
				return Operator, 0
			}
			return "", 0
		}
	}
	srv := httptest.NewServer(New(o))
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &operator{t, srv.URL, http.Client{Jar: jar}}
}

// get follows redirects, as a browser does.
func (o *operator) get(path string) (int, string) {
	o.Helper()
	resp, err := o.client.Get(o.url + path)
	return o.read(resp, err)
}

func (o *operator) read(resp *http.Response, err error) (int, string) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		o.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([0-9a-f]+)"`)

// send posts a form with the token of the page that it stands on.
func (o *operator) send(page, path string, fields url.Values) (int, string) {
	o.Helper()
	_, html := o.get(page)
	if m := csrfField.FindStringSubmatch(html); m != nil {
		fields.Set("csrf", m[1])
	}
	resp, err := o.client.PostForm(o.url+path, fields)
	return o.read(resp, err)
}

// wants holds a page to what it must and must not say.
func (o *operator) wants(html string, wanted ...string) {
	o.Helper()
	for _, w := range wanted {
		if !strings.Contains(html, w) {
			o.Errorf("the page lacks %q\n%s", w, html)
		}
	}
}
