package console

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// Row is an entry as exports show it. Times are UTC, RFC 3339; the cancel date is the authority's own text, in its zone.
type Row struct {
	ID         int64  `json:"id"`
	Created    string `json:"created"`
	Updated    string `json:"updated"`
	Document   string `json:"document"`
	Space      string `json:"space"`
	Taxpayer   string `json:"taxpayer"`
	Upstream   string `json:"upstream"`
	Caller     string `json:"caller"`
	Ref        string `json:"ref"`
	Reason     string `json:"reason"`
	Remarks    string `json:"remarks,omitempty"`
	State      string `json:"state"`
	Outcome    string `json:"outcome"`
	Code       string `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`
	CancelDate string `json:"cancel_date,omitempty"`
	CancelZone string `json:"cancel_zone,omitempty"`
	DateSource string `json:"date_source,omitempty"`
	Sends      int    `json:"sends"`
	Lookups    int    `json:"lookups"`
	NextLookup string `json:"next_lookup,omitempty"`
	// CancelBy is when what is not settled can't be cancelled any more, at the latest.
	CancelBy string `json:"cancel_by,omitempty"`
	// Why is what was in the way where that isn't the authority's own answer. An entry that an operator ended has his
	// name, when, and where he saw it.
	Why        string `json:"why,omitempty"`
	ResolvedBy string `json:"resolved_by,omitempty"`
	ResolvedAt string `json:"resolved_at,omitempty"`
}

// NewRow puts an entry into a row.
func NewRow(e bridge.Entry) Row {
	r := Row{
		ID: e.ID, Created: stamp(e.Created), Updated: stamp(e.Updated), Document: e.Key.Document, Space: e.Key.Space,
		Taxpayer: e.Taxpayer, Upstream: e.Upstream, Caller: e.Caller, Ref: e.Ref, Reason: string(e.Reason), Remarks: e.Remarks,
		State: string(e.State), Outcome: e.Outcome.Class.String(), Code: e.Outcome.Code, Message: e.Outcome.Message,
		CancelDate: e.Outcome.Date, DateSource: string(e.Outcome.DateSource), NextLookup: stamp(e.NextLookup), CancelBy: stamp(Deadline(e)),
		Why: Why(e),
	}
	if r.CancelDate != "" {
		r.CancelZone = lawOf(e.Key.Space).zone
	}
	if hand := e.ByHand(); hand != nil {
		r.ResolvedBy, r.ResolvedAt = hand.By, stamp(hand.Start)
		if r.CancelDate != "" { // rows of before there was this source say otherwise
			r.DateSource = string(bridge.DateOperator)
		}
	}
	for _, a := range e.Attempts {
		switch {
		case a.Kind == bridge.SendCancel && Sent(a):
			r.Sends++
		case a.Kind == bridge.AskState:
			r.Lookups++
		}
	}
	return r
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

var csvHeader = []string{
	"id", "created", "updated", "document", "space", "taxpayer", "upstream", "caller", "ref", "reason", "remarks", "state",
	"outcome", "code", "message", "cancel_date", "date_source", "sends", "lookups", "next_lookup",
	"why", "resolved_by", "resolved_at", "cancel_zone", "cancel_by", // new ones at the end: programs count columns
}

// texts are the row's fields in the order of csvHeader.
func (r Row) texts() []string {
	return []string{
		strconv.FormatInt(r.ID, 10), r.Created, r.Updated, r.Document, r.Space, r.Taxpayer, r.Upstream, r.Caller, r.Ref, r.Reason, r.Remarks,
		r.State, r.Outcome, r.Code, r.Message, r.CancelDate, r.DateSource, strconv.Itoa(r.Sends), strconv.Itoa(r.Lookups), r.NextLookup,
		r.Why, r.ResolvedBy, r.ResolvedAt, r.CancelZone, r.CancelBy,
	}
}

// harmless keeps a spreadsheet from running a caller's text as a formula.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// WriteCSV writes a header and a line for each entry. A cell that a spreadsheet would take for a formula begins with
// an apostrophe.
func WriteCSV(w io.Writer, entries iter.Seq2[bridge.Entry, error]) error {
	c := csv.NewWriter(w)
	if err := c.Write(csvHeader); err != nil {
		return err
	}
	for e, err := range entries {
		if err != nil {
			return err
		}
		fields := NewRow(e).texts()
		for i, s := range fields {
			fields[i] = harmless(s)
		}
		if err := c.Write(fields); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// WriteJSON writes one JSON object a line for each entry.
func WriteJSON(w io.Writer, entries iter.Seq2[bridge.Entry, error]) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for e, err := range entries {
		if err != nil {
			return err
		}
		if err := enc.Encode(NewRow(e)); err != nil {
			return err
		}
	}
	return nil
}
