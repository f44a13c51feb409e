package nic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// verdict is what a reply says before it is known what was asked.
type verdict uint8

const (
	unreadable   verdict = iota // no envelope that can be relied on: the status decides
	answered                    // Status 1, and the data could be decrypted
	sealed                      // Status 1, but the data can't be decrypted: our key is suspect
	torn                        // Status 1 with errors beside it, or without data
	failed                      // Status 0 with a reason, or without
	tokenRefused                // stopped at the gate: log in and call again
)

// answer is a reply as it was read.
type answer struct {
	*upstream.Reply
	verdict verdict
	data    []byte // as it came, when answered: a JSON string
	plain   []byte // the same decrypted
	doc     document
	errors  irp.Errors
	gateway bool   // the errors are a gateway's, not in NIC's envelope
	where   string // for the operator: where the document may be, when it isn't where it was looked for
}

// read decodes a reply to a call under a session. Bodies come before statuses.
func read(r *upstream.Reply, s *session) *answer {
	a := &answer{Reply: r}
	e, err := decode(r.Body)
	if r.Err != nil || err != nil {
		if r.Err == nil && r.Status == http.StatusUnauthorized {
			a.verdict = tokenRefused
		}
		return a
	}
	a.errors, a.gateway = e.errors, e.gateway
	if e.status == "1" {
		a.open(e.data, s)
		return a
	}
	class, _ := e.errors.Class()
	theirs := !e.errors.Decides(r.Status) // a gateway's own words around its status
	switch {
	case class == irp.Token, theirs && r.Status == http.StatusUnauthorized:
		a.verdict = tokenRefused
	case theirs:
		a.verdict = unreadable
	default:
		a.verdict = failed
	}
	return a
}

// open reads the data of a success. Only a text can be encrypted; a wrong key's padding looks right once in 256 times, so
// what isn't an object has not been decrypted.
func (a *answer) open(data json.RawMessage, s *session) {
	var text string
	if len(a.errors) > 0 || json.Unmarshal(data, &text) != nil || text == "" {
		a.verdict = torn
		return
	}
	a.verdict = sealed
	plain, err := unseal64(s.block, []byte(text))
	if err == nil && bytes.HasPrefix(plain, []byte("{")) && json.Unmarshal(plain, &a.doc) == nil {
		a.verdict, a.data, a.plain = answered, data, plain
	}
}

// admission tells whether the session got the call in.
func (a *answer) admission() upstream.Admission {
	switch a.verdict {
	case tokenRefused:
		return upstream.TurnedAway
	case sealed:
		return upstream.Suspect
	}
	return upstream.LetIn
}

// plainBody is the reply for the record: with the decrypted data where it was encrypted.
func (a *answer) plainBody() []byte {
	if a.verdict != answered {
		return a.Body
	}
	return bytes.Replace(a.Body, a.data, a.plain, 1)
}

// outcome classifies the reply to a cancel, all but a token that was refused.
func (a *answer) outcome(c bridge.Cancellation) bridge.Outcome {
	switch a.verdict {
	case answered:
		return a.cancelled(c)
	case sealed:
		// Whether it is this document that was cancelled can't be read. It is never refused nor taken for a failure.
		o := a.Outcome(bridge.Unknown, "NIC reported success in data that can't be decrypted")
		o.Claimed, o.Alarm = true, o.Message+": the IRN is looked up; if that gets no answer, check it on the portal"
		return o
	case torn:
		o := a.Outcome(bridge.Unknown, "NIC reported success without naming the document")
		if len(a.errors) > 0 {
			o.Code, o.Message = a.errors.Codes(), "NIC reported success and errors in one: "+a.errors.Message()
		}
		return o
	case failed:
		return a.refused()
	}
	return a.byStatus()
}

func (a *answer) cancelled(c bridge.Cancellation) bridge.Outcome {
	if !a.about(c) {
		o := a.Outcome(bridge.Unknown, "NIC reported success for another document, or none")
		o.Alarm = o.Message
		return o
	}
	return a.Cancelled(a.doc.CancelDate, upstream.IST)
}

func (a *answer) about(c bridge.Cancellation) bool {
	return strings.EqualFold(strings.TrimSpace(a.doc.Irn), c.Document)
}

func (a *answer) refused() bridge.Outcome {
	o := a.errors.Outcome(a.Reply, "NIC")
	if a.gateway {
		o = a.errors.GSPOutcome(a.Reply, "the gateway")
	}
	if o.Class == bridge.Misconfigured {
		o.Alarm += hint(a.errors)
	}
	if a.where != "" {
		o.Alarm = a.errors.Message() + ": " + a.where
	}
	return o
}

// atOtherSystem tells whether the reply says that the IRN was registered at NIC's other system, and nothing beside it.
func (a *answer) atOtherSystem() bool {
	return a.verdict == failed && len(a.errors) > 0 && !slices.ContainsFunc(a.errors, func(e irp.Error) bool { return e.Code != "2148" })
}

// letIn tells whether the call got past the gate, as far as can be said.
func (a *answer) letIn() bool {
	switch a.verdict {
	case tokenRefused:
		return false
	case failed:
		return a.refused().Class != bridge.Misconfigured
	case unreadable:
		return a.byStatus().Class != bridge.Misconfigured
	}
	return true
}

// byStatus is for replies without a body that decides.
func (a *answer) byStatus() bridge.Outcome {
	o := notLetIn(a.Reply)
	if a.Err != nil || o.Class == bridge.None {
		o = a.Verdict()
	}
	if o.Class == bridge.None {
		o = a.Outcome(bridge.Unknown, fmt.Sprintf("HTTP %d without an answer that can be read", a.Status))
	}
	if len(a.errors) > 0 {
		o.Code = a.errors.Codes()
		_, o.Unclassified = a.errors.Class()
		o.Message += ": " + a.errors.Message()
	}
	return o
}

// notLetIn is Misconfigured for statuses that say we are in the wrong place or not let in; None for all others.
func notLetIn(r *upstream.Reply) bridge.Outcome {
	o := r.Outcome(bridge.Misconfigured, fmt.Sprintf("HTTP %d", r.Status))
	switch r.Status {
	case http.StatusUnauthorized:
		o.Alarm = "NIC refused the call with HTTP 401: check client_id and client_secret (or the header that stands for them)"
	case http.StatusForbidden:
		o.Alarm = "NIC refused the call with HTTP 403: is this machine's address on NIC's allow-list?"
	case http.StatusNotFound:
		o.Alarm = "NIC does not know the path (HTTP 404): check base_url and the paths"
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		o.Alarm = fmt.Sprintf("the base URL redirects elsewhere (HTTP %d), which is never followed: check base_url", r.Status)
	default:
		o.Class, o.Message = bridge.None, ""
	}
	return o
}

// freshRefused is the end after a fresh login was refused, too.
func (a *answer) freshRefused() bridge.Outcome {
	reason := a.errors.Message()
	if reason == "" {
		reason = fmt.Sprintf("HTTP %d", a.Status)
	}
	o := a.Outcome(bridge.Misconfigured, reason)
	o.Code, o.RetryAfter = a.errors.Codes(), tokenHold
	o.Alarm = "NIC refuses a token that it has just issued (" + reason + "): check gstin and username, and whether " +
		"another program forces refreshes with the same credentials"
	return o
}

// hint says what usually lies behind a code.
func hint(errs irp.Errors) string {
	switch {
	case errs.Has("1004", "1006", "1011", "1012"):
		return " (a proxy may drop header names with underscores: try header_style: hyphen)"
	case errs.Has("1013", "1016", "1020"):
		return " (does public_key belong to this base_url?)"
	case errs.Has("3059"):
		return " (is this machine's address on NIC's allow-list?)"
	case errs.Has("3098"):
		return " (check the setting irp)"
	case errs.Has("2255", "5003"):
		return " (the request's body was lost on the way: a proxy?)"
	}
	return ""
}

// state reads the decrypted reply to a GET by IRN.
func (a *answer) state(c bridge.Cancellation) (bridge.DocumentStatus, string) {
	s := irp.State(a.doc.Status)
	switch {
	case !a.about(c):
		return bridge.StatusUnknown, "NIC's reply is about another document"
	case s.Status == bridge.StatusUnknown:
		s.Text = "status " + s.Text
	}
	return s.Status, s.Text
}

// found is what the reply to a GET by IRN proves.
func (a *answer) found(c bridge.Cancellation) (state bridge.DocumentState, err error) {
	switch a.verdict {
	case answered:
		state.Status, state.Text = a.state(c)
		return state, nil
	case sealed:
		return state, &upstream.Failure{Outcome: a.Outcome(bridge.NotApplied, "the lookup's data can't be decrypted")}
	}
	switch o := a.outcome(c); o.Class {
	case bridge.Refused, bridge.AlreadyCancelled, bridge.Unclear:
		// 2148, 2154 and 2283 say that this system has no record (any more), others that it won't show it: no proof.
		state.Text = o.Message
		return state, nil
	default:
		if o.HTTPStatus == http.StatusNotFound {
			o.Class = bridge.NotApplied // a wrong lookup_path is no reason to stop cancels
		}
		return state, &upstream.Failure{Outcome: o}
	}
}
