package mastersindia

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// signOnErrors are the words of an OAuth server (RFC 6749 §5.2) that no retry helps against.
var signOnErrors = map[string]bool{
	"invalid_client": true, "invalid_grant": true, "unauthorized_client": true, "unsupported_grant_type": true,
	"invalid_request": true, "invalid_scope": true, "access_denied": true,
}

// who says no in alarms: the words are often those of the tax authority.
const who = "Masters India, or NIC behind it,"

// refusedToken are the texts in which the provider's sign-on turns a token away. NIC's own "1005: Invalid Token" is not
// among them: that is the provider's session, not ours.
var refusedToken = regexp.MustCompile(`(?i)access token provided (is invalid|has expired|is expired)|\binvalid_token\b`)

// aboutToken is what a 403 says when the token is what it forbids: "Signature has expired." (v1, seen in production,
// 2026-11).
var aboutToken = regexp.MustCompile(`(?i)signature|token`)

// refusesToken tells whether the reply turned the call away because of our token, a gateway's "105: Invalid Token"
// included.
func (b *body) refusesToken(status int) bool {
	switch {
	case status == http.StatusUnauthorized:
		return true
	case b.Results != nil && (b.Results.success() || b.Results.contradicts()):
		return false
	case status == http.StatusForbidden && aboutToken.MatchString(b.reason()):
		return true
	}
	errs := b.errors()
	class, _ := errs.Class()
	return refusedToken.MatchString(b.reason()) || class == irp.Token && errs.Has("105", "106")
}

// classify says what the reply to a cancel means. The body comes before the status.
func classify(reply *upstream.Reply, b *body, irn string) bridge.Outcome {
	switch {
	case reply.Err != nil:
		return reply.Verdict()
	case b.gateway:
		return b.envelope.GSPOutcome(reply, who)
	case b.Results != nil && b.Results.success():
		return b.Results.cancelled(reply, irn)
	case b.Results != nil && b.Results.contradicts():
		return reply.Outcome(bridge.Unknown, fmt.Sprintf("status %q beside code %q contradict each other", b.Results.Status, b.Results.Code))
	case b.Results != nil && b.errors().Decides(reply.Status), reply.Status == http.StatusNoContent:
		return b.refused(reply)
	}
	return withoutResults(reply, b)
}

func (r *results) cancelled(reply *upstream.Reply, irn string) bridge.Outcome {
	i, ok := r.invoice()
	switch {
	case reply.Status/100 != 2:
		return reply.Outcome(bridge.Unknown, fmt.Sprintf("success in the body of HTTP %d", reply.Status))
	case r.text() != "":
		return reply.Outcome(bridge.Unknown, "success and an error in one: "+r.text())
	case !ok:
		return reply.Outcome(bridge.Unknown, "success without the document")
	case !strings.EqualFold(i.IRN, irn):
		return reply.Outcome(bridge.Unknown, "success for another IRN")
	}
	return reply.Cancelled(string(i.CancelDate), upstream.IST)
}

// refused is for a failure of the service itself. A text is passed on as it stands; the codes in it decide. A failure
// without a word, HTTP 204 among them, is unclear as a word that no list has.
func (b *body) refused(reply *upstream.Reply) bridge.Outcome {
	errs := b.errors()
	o := errs.Outcome(reply, who)
	text := b.reason()
	if text != "" && (len(errs) == 0 || !isJSON(text)) {
		o.Message = text
	}
	if b.Results != nil && o.Class == bridge.Unclear && len(b.Results.Code) == 3 && b.Results.Code[0] == '5' {
		o.Class = bridge.Unknown
	}
	return o
}

// withoutResults is for whatever stands before the service: sign-on, framework, web server, proxy. Their words count where
// they are listed; field errors name what is wrong with the request; else the status is all that there is.
func withoutResults(reply *upstream.Reply, b *body) bridge.Outcome {
	complaint, errs := b.reason(), b.errors()
	class, _ := errs.Class()
	o := reply.Verdict()
	switch s := reply.Status; {
	case signOnErrors[string(b.Error)] && s < 500:
		o = reply.Outcome(bridge.Misconfigured, complaint)
		o.Alarm = "Masters India refuses the account: " + complaint
	case class != irp.Unlisted && errs.Decides(s):
		o = b.refused(reply)
	case o.Class != bridge.None:
		if complaint != "" {
			o.Message += ": " + complaint
		}
		o.Code = errs.Codes()
		o.Unclassified = o.Code != ""
	case s/100 == 3, s == http.StatusForbidden, s == http.StatusNotFound, s == http.StatusMethodNotAllowed:
		o.Class, o.Message = bridge.Misconfigured, strings.TrimSpace(fmt.Sprintf("HTTP %d %s", s, complaint))
		o.Alarm = o.Message + ": check base_url, api and the account's rights"
	case complaint == "":
		o.Class, o.Message = bridge.Unknown, fmt.Sprintf("HTTP %d without an answer that can be read", s)
	case s == http.StatusBadRequest && b.fieldErrors(): // with another status such words may be anybody's
		o.Class, o.Message = bridge.Refused, complaint
	default:
		o = b.refused(reply)
	}
	return o
}

// found is what the reply to a get proves.
func (ans answer) found(irn string) (state bridge.DocumentState, err error) {
	if ans.Results != nil && ans.Results.success() && ans.reply.Status/100 == 2 {
		return ans.Results.state(irn), nil
	}
	o := classify(ans.reply, ans.body, irn)
	said := o.Class == bridge.Refused || o.Class == bridge.AlreadyCancelled || o.Class == bridge.Unclear
	if ans.Results != nil && ans.reason() != "" && said {
		// 2148, 2154 and 2283 say that this portal has no record (any more), others that it won't show it: no proof.
		state.Text = o.Message
		return state, nil
	}
	if ans.Results == nil && !ans.gateway && !signOnErrors[string(ans.Error)] {
		o.Class = bridge.NotApplied // a get that goes astray (the path is assumed for v1) is no reason to stop cancels
	}
	return state, upstream.Unanswered(o)
}

// state reads the reply to a get.
func (r *results) state(irn string) bridge.DocumentState {
	i, ok := r.invoice()
	if !ok || !strings.EqualFold(i.IRN, irn) {
		return bridge.DocumentState{Text: "the reply is about another document, or none"}
	}
	return irp.State(string(i.Status))
}
