package cleartax_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

// shelf answers lookups: those by uuid, and those by document-id or of the status, with a fixture or a body each. Empty:
// nothing found.
func shelf(t *testing.T, byUUID, byID string) func(*http.Request) *http.Response {
	return shelves(t, byUUID, byID, byID)
}

func shelves(t *testing.T, byUUID, byID, status string) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		name := byID
		switch {
		case r.URL.Query().Has("uuid"):
			name = byUUID
		case strings.HasSuffix(r.URL.Path, "/status"):
			name = status
		}
		switch name {
		case "":
			return upstreamtest.Respond(200, fixture(t, "my-lookup-none.json"))
		case "404":
			return upstreamtest.Respond(404, `{"message":"no such document"}`)
		case "404 of a gateway":
			return upstreamtest.Respond(404, `{"message":"no Route matched with those values"}`)
		case "401", "403", "429":
			return upstreamtest.Respond(map[string]int{"401": 401, "403": 403, "429": 429}[name], "")
		case "503":
			return upstreamtest.Respond(503, page)
		}
		return upstreamtest.Respond(200, fixture(t, name))
	}
}

// queries are the calls that came, in words.
func queries(v *vendor) string {
	var all []string
	for _, r := range v.requests {
		part := strings.Split(r.URL.Path, "/")
		q, _ := url.ParseQuery(r.URL.RawQuery)
		q.Del("einvoice-type")
		switch {
		case r.Method != http.MethodGet:
			all = append(all, "cancel "+part[4])
		case len(part) > 4:
			all = append(all, "status "+part[4])
		default:
			all = append(all, q.Encode())
		}
	}
	return strings.Join(all, ", ")
}

// shown is a lookup's reply.
func shown(id, uuid, status string) string {
	return `{"Success":true,"DocumentId":"` + id + `","Status":"` + status + `","Uuid":"` + uuid + `"}`
}

const other = "ANOTHER0000000000000000000"

// TestADocumentsNamesLeadToItsUUID: what a caller may name a document by, and the key that comes of it. Sources: Get
// Document via UUID for the look-up by query; status replies met by clients for the UUID in them; project rules for the rest.
func TestADocumentsNamesLeadToItsUUID(t *testing.T) {
	const byUUID, byID, status = "uuid=" + docUUID, "document-id=" + docID, "status " + docID
	none := func(class bridge.Class, code, message string) verdict {
		return verdict{Class: class, Code: code, Message: message}
	}
	for _, c := range []struct {
		name, document   string
		uuid, id, status string // what ClearTax shows
		want             string
		calls            string
		o                verdict
	}{
		{"its UUID", docUUID, "my-lookup-valid.json", "", "", docUUID, byUUID, verdict{}},
		{"its UUID in small letters", strings.ToLower(docUUID), "my-lookup-valid.json", "", "", docUUID, byUUID, verdict{}},
		{"its UUID, when it is cancelled", docUUID, "my-lookup-cancelled.json", "", "", docUUID, byUUID, verdict{}},
		{"its document id", docID, "", shown(docID, docUUID, "VALID"), "", docUUID, byID, verdict{}},
		{"its document id, with the UUID in small letters", docID, "", shown(docID, strings.ToLower(docUUID), "VALID"), "", docUUID, byID, verdict{}},
		{"its document id, the UUID only in the status", docID, "", "my-lookup-valid.json", "my-status-valid.json", docUUID, byID + ", " + status, verdict{}},
		{"a document id in the form of a UUID", other, "", shown(other, docUUID, "VALID"), "", docUUID, "uuid=" + other + ", document-id=" + other, verdict{}},

		{"nothing by that UUID", docUUID, "", "", "", "", byUUID + ", document-id=" + docUUID, none(bridge.Refused, "NotFound", "NotFound: unknown document")},
		{"nothing by that UUID, as 404", docUUID, "404", "404", "", "", byUUID + ", document-id=" + docUUID, none(bridge.Refused, "NotFound", "NotFound: unknown document")},
		{"nothing by that document id", docID, "", "", "", "", byID, none(bridge.Refused, "NotFound", "NotFound: unknown document")},
		{"no in words that no page lists", docID, "", `{"Success":false,"ErrorDetails":[{"ErrorCode":"7","ErrorMessage":"Something else"}]}`, "", "", byID,
			verdict{Class: bridge.NotApplied, Message: "ClearTax was asked for the document and answers: 7: Something else", Unclassified: true}},
		{"… is not asked further", docUUID, `{"Success":false,"ErrorDetails":[{"ErrorCode":"7","ErrorMessage":"try again"}]}`, shown(docUUID, other, "VALID"), "", "", byUUID,
			verdict{Class: bridge.NotApplied, Message: "ClearTax was asked for the document and answers: 7: try again", Unclassified: true}},
		{"a 404 that isn't ClearTax's", docID, "", "404 of a gateway", "", "", byID,
			verdict{Class: bridge.NotApplied, Message: "ClearTax was asked for the document and answers: no Route matched with those values", Unclassified: true}},
		{"no without a reason", docID, "", `{"Success":false}`, "", "", byID,
			verdict{Class: bridge.NotApplied, Message: "ClearTax was asked for the document and answers: failure without a reason", Unclassified: true}},
		{"LHDN doesn't have it yet", docID, "", `{"Success":true,"DocumentId":"` + docID + `","Status":"NOT_SUBMITTED"}`, `{"Success":true,"DocumentId":"` + docID + `","Status":"NOT_SUBMITTED","Uuid":null}`, "",
			byID + ", " + status, none(bridge.Refused, "IncorrectState", "IncorrectState: the document has no LHDN UUID (NOT_SUBMITTED), so there is nothing to cancel")},
		{"valid, but the UUID is nowhere", docID, "", "my-lookup-valid.json", "my-lookup-valid.json", "", byID + ", " + status,
			verdict{Class: bridge.NotApplied, Message: "ClearTax names only one of the document's two ids (" + docID + ", VALID)", Alarm: true}},
		{"valid, but the status is not found", docID, "", "my-lookup-valid.json", "", "", byID + ", " + status,
			verdict{Class: bridge.NotApplied, Message: "ClearTax names only one of the document's two ids (" + docID + ", VALID)", Alarm: true}},
		{"a UUID that is none", docID, "", shown(docID, "F9D425P6DS7D8IU", "VALID"), shown(docID, "F9D425P6DS7D8IU", "VALID"), "", byID + ", " + status,
			verdict{Class: bridge.NotApplied, Message: "ClearTax names only one of the document's two ids (" + docID + ", VALID)", Alarm: true}},

		{"another document id comes back", docID, "", shown("another", docUUID, "VALID"), "", "", byID, none(bridge.NotApplied, "", "HTTP 200"+fault)},
		{"another UUID comes back", docUUID, shown(docID, other, "VALID"), "", "", "", byUUID, none(bridge.NotApplied, "", "HTTP 200"+fault)},
		{"no name comes back", docUUID, `{"Success":true,"Status":"VALID"}`, "", "", "", byUUID, none(bridge.NotApplied, "", "HTTP 200"+fault)},
		{"a path comes back", docUUID, `{"Success":true,"DocumentId":"../x","Status":"VALID"}`, "", "", "", byUUID, none(bridge.NotApplied, "", "HTTP 200"+fault)},
		{"503", docUUID, "503", "", "", "", byUUID, none(bridge.NotApplied, "", "HTTP 503"+fault)},
		{"503 of the status", docID, "", "my-lookup-valid.json", "503", "", byID + ", " + status, none(bridge.NotApplied, "", "HTTP 503"+fault)},
		{"429", docID, "", "429", "", "", byID, wait(0)},
		{"401", docID, "", "401", "", "", byID, misconfigured("HTTP 401: the token was refused")},
		{"403", docID, "", "403", "", "", byID, misconfigured("HTTP 403: the right to act for this TIN is refused")},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &vendor{lookup: shelves(t, c.uuid, c.id, c.status)}
			got, o := malaysia(t, sharing(v), malaysiaConfig()).Resolve(ctx, c.document)
			if d := cmp.Diff(c.o, verdictOf(o)); d != "" || got != c.want || o.Sent {
				t.Errorf("%q, want %q, sent %v %s", got, c.want, o.Sent, d)
			}
			if calls := queries(v); calls != c.calls || o.Class != bridge.None && len(o.Exchanges) != len(v.requests) {
				t.Errorf("calls: %s; want %s; %d exchanges", calls, c.calls, len(o.Exchanges))
			}
			noSecret(t, o)
		})
	}
}

func TestNoNameLeavesItsPathSegment(t *testing.T) {
	for _, id := range []string{"", ".", "..", ".hidden", "a/b", "a?b", "a%2fb", "a b", "ä", strings.Repeat("a", 129)} {
		v := &vendor{}
		_, o := malaysia(t, sharing(v), malaysiaConfig()).Resolve(ctx, id)
		want := "NotFound: unknown document (irn must be up to 128 letters, digits, dots, hyphens and underscores)"
		if o.Class != bridge.Refused || o.Message != want || len(v.requests) != 0 {
			t.Errorf("%q: %s %q, %d requests", id, o.Class, o.Message, len(v.requests))
		}
	}
}

// TestOnlyAUUIDIsRemembered: a document id can come to name a new document (AllowCancelledDocumentsGeneration), so it is asked
// for each time; from a UUID that is known the way is known.
func TestOnlyAUUIDIsRemembered(t *testing.T) {
	names := docUUID
	v := &vendor{lookup: func(*http.Request) *http.Response { return upstreamtest.Respond(200, shown(docID, names, "VALID")) }}
	m := malaysia(t, sharing(v), malaysiaConfig())
	for _, c := range []struct{ document, names, want, call string }{
		{docID, docUUID, docUUID, "document-id=" + docID},
		{docUUID, docUUID, docUUID, ""},
		{strings.ToLower(docUUID), docUUID, docUUID, ""},
		{docID, other, other, "document-id=" + docID},
		{docUUID, other, docUUID, ""},
		{other, other, other, ""},
	} {
		v.requests, names = nil, c.names
		if got, o := m.Resolve(ctx, c.document); got != c.want || o.Class != bridge.None || queries(v) != c.call {
			t.Errorf("%s: %q %s, calls %q; want %q, %q", c.document, got, o.Message, queries(v), c.want, c.call)
		}
	}
}

// TestACancelGoesToItsDocument: the document id in the path must name the document of that UUID, and no later one.
func TestACancelGoesToItsDocument(t *testing.T) {
	const byUUID, byID, status, cancel = "uuid=" + docUUID, "document-id=" + docID, "status " + docID, "cancel " + docID
	valid, cancelled := "my-lookup-valid.json", "my-lookup-cancelled.json"
	for _, c := range []struct {
		name             string
		uuid, id, status string // what ClearTax shows
		want             verdict
		calls            string
	}{
		{"valid", valid, "", "", verdict{Class: bridge.Cancelled}, byUUID + ", " + cancel},
		{"cancelled, and the id still names it", cancelled, cancelled, "my-status-cancelled.json", verdict{Class: bridge.Cancelled}, byUUID + ", " + byID + ", " + status + ", " + cancel},
		{"cancelled, and the id names a new one", cancelled, shown(docID, other, "VALID"), "",
			verdict{Class: bridge.Refused, Code: "IncorrectState", ByState: true,
				Message: "IncorrectState: ClearTax shows the document as cancelled"}, byUUID + ", " + byID},
		{"cancelled, and whom the id names is unknown", cancelled, valid, valid,
			verdict{Class: bridge.Refused, Code: "IncorrectState", ByState: true,
				Message: "IncorrectState: ClearTax shows the document as cancelled"}, byUUID + ", " + byID + ", " + status},
		{"not found", "", "", "", verdict{Class: bridge.Refused, Code: "NotFound", Message: "NotFound: unknown document"}, byUUID},
		{"without a document id", `{"Success":true,"Uuid":"` + docUUID + `","Status":"VALID"}`, "", "",
			verdict{Class: bridge.NotApplied, Message: "ClearTax names only one of the document's two ids (" + docUUID + ", VALID)", Alarm: true}, byUUID},
		{"the lookup fails", "503", "", "", verdict{Class: bridge.NotApplied, Message: "HTTP 503" + fault}, byUUID},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &vendor{cancel: always(200, fixture(t, "my-cancel-success-documented.json")), lookup: shelves(t, c.uuid, c.id, c.status)}
			o := cancelMY(malaysia(t, sharing(v), malaysiaConfig()))
			if d := cmp.Diff(c.want, verdictOf(o)); d != "" || o.Sent != strings.Contains(c.calls, "cancel ") {
				t.Errorf("sent %v %s", o.Sent, d)
			}
			if got := queries(v); got != c.calls || len(o.Exchanges) != len(v.requests) {
				t.Errorf("calls: %s; want %s; %d exchanges", got, c.calls, len(o.Exchanges))
			}
		})
	}
}

// TestANameIsTrustedForAWhile: what has just been asked is not asked again; after a while, or once the document was seen
// cancelled, it is.
func TestANameIsTrustedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byUUID := "my-lookup-valid.json"
		v := &vendor{cancel: always(503, page), lookup: func(r *http.Request) *http.Response {
			return shelf(t, byUUID, shown(docID, docUUID, "VALID"))(r)
		}}
		m := malaysia(t, sharing(v), malaysiaConfig())
		calls := func(want string) {
			t.Helper()
			if got := queries(v); got != want {
				t.Errorf("calls: %s; want %s", got, want)
			}
			v.requests = nil
		}
		m.Resolve(ctx, docID)
		cancelMY(m)
		calls("document-id=" + docID + ", cancel " + docID)
		time.Sleep(9 * time.Second)
		cancelMY(m)
		calls("cancel " + docID)
		time.Sleep(time.Second)
		cancelMY(m)
		calls("uuid=" + docUUID + ", cancel " + docID)
		byUUID = "my-lookup-cancelled.json"
		m.Lookup(ctx, cancellation(docUUID))
		cancelMY(m)
		calls("uuid=" + docUUID + ", uuid=" + docUUID + ", document-id=" + docID + ", cancel " + docID)
	})
}

func TestACancelIsForAUUID(t *testing.T) {
	v := &vendor{}
	m := malaysia(t, sharing(v), malaysiaConfig())
	if o := m.Cancel(ctx, cancellation(docID), upstreamtest.Free); o.Class != bridge.Refused || o.Sent || len(v.requests) != 0 {
		t.Errorf("%s %q, %d requests", o.Class, o.Message, len(v.requests))
	}
}

// TestOldRecordsGoByDocumentIDs: what such an id shows as cancelled was that document, for ever; anything else may be a
// later one.
func TestOldRecordsGoByDocumentIDs(t *testing.T) {
	for status, want := range map[string]bridge.DocumentStatus{"CANCELLED": bridge.StatusCancelled, "VALID": bridge.StatusUnknown, "INVALID": bridge.StatusUnknown} {
		v := &vendor{lookup: shelf(t, "", shown(docID, docUUID, status))}
		m := malaysia(t, sharing(v), malaysiaConfig())
		state, err := m.Lookup(ctx, cancellation(docID))
		if err != nil || state.Status != want || state.Text == "" || queries(v) != "document-id="+docID {
			t.Errorf("%s: %v %q %v, %s", status, state.Status, state.Text, err, queries(v))
		}
	}
}

func TestMalaysianLookup(t *testing.T) {
	type state = bridge.DocumentState
	body := func(rest string) string { return `{"DocumentId":"` + docID + `",` + rest + `}` }
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   state
		class  bridge.Class // of the failure
	}{
		{"cancelled", 200, "my-lookup-cancelled.json", state{Status: bridge.StatusCancelled, Text: "CANCELLED"}, 0},
		{"valid", 200, "my-lookup-valid.json", state{Status: bridge.StatusActive, Text: "VALID"}, 0},
		{"invalid", 200, "my-lookup-invalid.json", state{Status: bridge.StatusOther, Text: "INVALID"}, 0},
		{"submitted: generation is in progress", 200, body(`"Success":"Y","Status":"SUBMITTED"`), state{Status: bridge.StatusActive, Text: "SUBMITTED"}, 0},
		{"not submitted", 200, body(`"Status":"not_submitted"`), state{Status: bridge.StatusActive, Text: "not_submitted"}, 0},
		{"with a date", 200, body(`"Success":true,"Status":"CANCELLED","CancelDate":"2024-07-21 19:07:07"`), state{Status: bridge.StatusCancelled, Text: "CANCELLED", Date: "2024-07-21 19:07:07"}, 0},
		{"with LHDN's time (seen by clients)", 200, body(`"Status":"CANCELLED","CancelDateTime":"2024-07-21T11:07:07Z"`), state{Status: bridge.StatusCancelled, Text: "CANCELLED", Date: "2024-07-21 19:07:07"}, 0},
		{"with a time that can't be read", 200, body(`"Status":"CANCELLED","CancelDateTime":"today"`), state{Status: bridge.StatusCancelled, Text: "CANCELLED"}, 0},
		{"a state of tomorrow", 200, body(`"Success":true,"Status":"ARCHIVED"`), state{Text: "ARCHIVED"}, 0},
		{"by its UUID alone", 200, `{"Success":true,"Uuid":"` + docUUID + `","Status":"VALID"}`, state{Status: bridge.StatusActive, Text: "VALID"}, 0},
		{"not found", 200, "my-lookup-none.json", state{Text: "DOCUMENT_NOT_FOUND: No such document"}, 0},
		{"not found, as 404", 404, `{}`, state{}, 0},
		{"400", 400, `{"ErrorDetails":[{"ErrorCode":"1","ErrorMessage":"m"}]}`, state{Text: "1: m"}, 0},
		{"another document", 200, shown(docID, other, "CANCELLED"), state{}, bridge.NotApplied},
		{"no document", 200, `{"Success":true,"Status":"CANCELLED"}`, state{}, bridge.NotApplied},
		{"page", 200, page, state{}, bridge.NotApplied},
		{"503", 503, page, state{}, bridge.NotApplied},
		{"404 page", 404, page, state{}, bridge.Misconfigured},
		{"401", 401, ``, state{}, bridge.Misconfigured},
		{"403", 403, ``, state{}, bridge.Misconfigured},
		{"429", 429, ``, state{}, bridge.NotApplied},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &vendor{lookup: func(*http.Request) *http.Response { return upstreamtest.Respond(c.status, fixture(t, c.body)) }}
			got, err := malaysia(t, sharing(v), malaysiaConfig()).Lookup(ctx, cancellation(docUUID))
			if purposes(got.Exchanges) != "lookup" || queries(v) != "uuid="+docUUID {
				t.Errorf("exchanges %s: %s", purposes(got.Exchanges), queries(v))
			}
			got.Exchanges = nil
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if failed(err) != c.class || errors.Is(err, bridge.ErrUnavailable) {
				t.Errorf("failure %v, want %s", err, c.class)
			}
		})
	}
}
