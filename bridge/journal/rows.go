package journal

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"einvoice-bridge/bridge"
)

// entryRow is an entry as it is on disk, with the version that guards its changes.
type entryRow struct {
	bridge.Entry
	version int64 // 0: there is nothing but the entry with its first send, which may be under way
	told    int64 // bits of toldCancelled and toldNot
}

// clone keeps what callers do with their copy out of ours.
func (r *entryRow) clone() bridge.Entry {
	e := r.Entry
	e.Attempts = slices.Clone(r.Attempts)
	return e
}

// copy may be changed, and have an attempt appended.
func (r *entryRow) copy() *entryRow {
	c := *r
	c.Attempts = append(make([]bridge.Attempt, 0, len(r.Attempts)+1), r.Attempts...)
	return &c
}

// An entry, how it stands, and the send that began with it: it is being sent while nothing says otherwise.
const (
	entryColumns = `e.id, e.space, e.document, e.taxpayer, e.upstream, e.ref, e.caller, e.irn, e.reason, e.remarks,
		COALESCE(x.state, 'sending'), COALESCE(x.class, 'none'), COALESCE(x.outcome, '{}'), e.created,
		COALESCE(x.updated, e.created), e.expires, COALESCE(x.next_lookup, 0), COALESCE(x.told, 0), COALESCE(x.version, 0),
		e.started, e.who, COALESCE(x.sent_ended, 0), COALESCE(x.sent_upstream, e.upstream), COALESCE(x.sent_class, ''),
		COALESCE(x.sent_outcome, '')`
	allEntries = `entries e LEFT JOIN ends x ON x.entry = e.id`
)

// scanEntry reads entryColumns.
func scanEntry(scan func(...any) error) (*entryRow, error) {
	var row struct { // one, for one allocation
		entryRow
		class, outcome, sentClass, sentOutcome           string
		created, updated, expires, again, started, ended int64
		send                                             bridge.Attempt
	}
	r, send := &row.entryRow, &row.send
	err := scan(&r.ID, &r.Key.Space, &r.Key.Document, &r.Taxpayer, &r.Upstream, &r.Ref, &r.Caller, &r.IRN, &r.Reason,
		&r.Remarks, &r.State, &row.class, &row.outcome, &row.created, &row.updated, &row.expires, &row.again, &r.told, &r.version,
		&row.started, &send.By, &row.ended, &send.Upstream, &row.sentClass, &row.sentOutcome)
	if err != nil {
		return nil, err
	}
	r.Created, r.Updated, r.Expires, r.NextLookup = at(row.created), at(row.updated), at(row.expires), at(row.again)
	if r.Outcome, err = decodeOutcome(row.class, row.outcome); err != nil || row.started == 0 {
		return r, err
	}
	send.ID, send.Kind, send.Start, send.End, send.Outcome = firstSend(r.ID), bridge.SendCancel, at(row.started), at(row.ended), r.Outcome
	if row.sentClass != "" { // it ended otherwise than the entry did
		send.Outcome, err = decodeOutcome(row.sentClass, row.sentOutcome)
	}
	r.Attempts = []bridge.Attempt{*send}
	return r, err
}

// firstAsks are those that were written down with their entries' ends, laterAsks all others.
const (
	askColumns = `entry, ref, caller, taxpayer, space, document, irn, reason, remarks, received, class, told, told_at, how,
		soap_in, soap_out`
	firstAsks = `SELECT -entry AS id, entry, ask_ref AS ref, COALESCE(ask_caller, caller) AS caller, '' AS taxpayer, '' AS space,
		'' AS document, COALESCE(ask_irn, irn) AS irn, COALESCE(ask_reason, reason) AS reason,
		COALESCE(ask_remarks, remarks) AS remarks, ask_received AS received, ask_class AS class, ask_told AS told,
		ask_told_at AS told_at, ask_how AS how, ask_in AS soap_in, ask_out AS soap_out
		FROM ends JOIN entries ON entries.id = entry WHERE ask_ref IS NOT NULL`
	laterAsks = `SELECT id, ` + askColumns + ` FROM asks`
	entryAsks = laterAsks + ` WHERE entry = $1 AND entry <> 0 UNION ALL ` + firstAsks + ` AND entry = $1`
)

const attemptColumns = `id, kind, started, ended, who, upstream, class, outcome`

// scanAttempt reads attemptColumns and whatever columns follow them.
func scanAttempt(scan func(...any) error, more ...any) (a bridge.Attempt, err error) {
	var (
		class, outcome string
		start, end     int64
	)
	dest := append([]any{&a.ID, &a.Kind, &start, &end, &a.By, &a.Upstream, &class, &outcome}, more...)
	if err := scan(dest...); err != nil {
		return a, err
	}
	a.Start, a.End = at(start), at(end)
	a.Outcome, err = decodeOutcome(class, outcome)
	return a, err
}

// outcomeJSON is an Outcome on disk, without its class (a column) and its exchanges (kept for a shorter time). It has the
// fields of an Outcome, so that one more can't be forgotten here.
type outcomeJSON struct {
	Class        bridge.Class      `json:"-"`
	Code         string            `json:"code,omitempty"`
	Message      string            `json:"message,omitempty"`
	Date         string            `json:"date,omitempty"`
	DateSource   bridge.DateSource `json:"date_source,omitempty"`
	RetryAfter   time.Duration     `json:"retry_after_ns,omitempty"`
	Alarm        string            `json:"alarm,omitempty"`
	Unclassified bool              `json:"unclassified,omitempty"`
	HTTPStatus   int               `json:"http_status,omitempty"`
	UpstreamRef  string            `json:"upstream_ref,omitempty"`
	Sent         bool              `json:"written,omitempty"`
	ByState      bool              `json:"by_state,omitempty"`
	Claimed      bool              `json:"claimed,omitempty"`
	Proof        bool              `json:"proof,omitempty"`
	Exchanges    []bridge.Exchange `json:"-"`
}

// encodeOutcome leaves out what is zero: most outcomes are short.
func encodeOutcome(o *bridge.Outcome) string { return encode((*outcomeJSON)(o)) }

func decodeOutcome(class, s string) (bridge.Outcome, error) {
	c, err := bridge.ParseClass(class)
	if err != nil {
		return bridge.Outcome{}, err
	}
	var j outcomeJSON
	if s != "{}" {
		if err := json.Unmarshal([]byte(s), &j); err != nil {
			return bridge.Outcome{}, fmt.Errorf("outcome: %w", err)
		}
	}
	j.Class = c
	return bridge.Outcome(j), nil
}

// encodeExchanges gives NULL for none.
func encodeExchanges(o *bridge.Outcome) any {
	if len(o.Exchanges) == 0 {
		return nil
	}
	return encode(o.Exchanges)
}

// toldJSON is an Answer on disk, without its class (a column) and what repeats the call: its ref and its IRN.
type toldJSON struct {
	IRN        string        `json:"irn,omitempty"` // when it differs from the call's
	WithIRN    bool          `json:"with_irn,omitempty"`
	CancelDate string        `json:"cancel_date,omitempty"`
	Message    string        `json:"message,omitempty"`
	Fault      string        `json:"fault,omitempty"`
	RetryAfter time.Duration `json:"retry_after_ns,omitempty"`
	Why        string        `json:"why,omitempty"`
}

func encodeAnswer(a *bridge.Ask) string {
	t := &a.Told
	j := toldJSON{IRN: t.IRN, CancelDate: t.CancelDate, Message: t.Message, Fault: t.Fault, RetryAfter: t.RetryAfter, Why: t.Why}
	if j.IRN != "" && j.IRN == a.IRN {
		j.IRN, j.WithIRN = "", true
	}
	return encode(j)
}

// decodeAnswer gives the answer of a call back; the call supplies what was left out.
func decodeAnswer(a bridge.Ask, class, s string) (bridge.Answer, error) {
	var j toldJSON
	if err := json.Unmarshal([]byte(s), &j); err != nil {
		return bridge.Answer{}, fmt.Errorf("what a caller was told: %w", err)
	}
	if j.WithIRN {
		j.IRN = a.IRN
	}
	c, err := bridge.ParseClass(class)
	return bridge.Answer{
		Class: c, IRN: j.IRN, CancelDate: j.CancelDate, Message: j.Message, Fault: j.Fault, RetryAfter: j.RetryAfter, Ref: a.Ref,
		Why: j.Why,
	}, err
}

// encode can't fail for what it is given: strings, numbers, times of this era.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// micros is a time on disk; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// at is the inverse of micros, in UTC.
func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// clip makes a caller's own text fit for a column: PostgreSQL takes no NUL and only valid UTF-8, and an index no more
// than a few hundred bytes.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	}
	return s
}
