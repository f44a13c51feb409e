package mastersindia

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// signOnErrors are the words of an OAuth server (RFC 6749 §5.2) that no retry helps against.
var signOnErrors = map[string]bool{
	"invalid_client": true, "invalid_grant": true, "unauthorized_client": true, "unsupported_grant_type": true,
	"invalid_request": true, "invalid_scope": true, "access_denied": true,
}

// refusedToken are the texts in which the provider's sign-on turns a token away. NIC's own "1005: Invalid Token" is not
// among them: that is the provider's session, not ours.
var refusedToken = regexp.MustCompile(`(?i)access token provided (is invalid|has expired|is expired)|\binvalid_token\b`)

// refusesToken tells whether the reply turned the call away because of our token.
func (b body) refusesToken(status int) bool {
	if status == http.StatusUnauthorized {
		return true
	}
	if b.Results != nil && !b.Results.success() && refusedToken.MatchString(b.Results.text()) {
		return true
	}
	return b.Results == nil && refusedToken.MatchString(b.complaint())
}

// classify says what the reply to a cancel means. The body comes before the status. mute is set for a refusal without a
// reason: then only the document's state can tell.
func classify(reply upstream.Reply, b body, irn string) (o bridge.Outcome, mute bool) {
	switch {
	case reply.Err != nil:
		return reply.Verdict(), false
	case b.Results != nil:
		return b.Results.outcome(reply, irn)
	case reply.Status == http.StatusNoContent:
		return reply.Outcome(bridge.Unknown, "HTTP 204: refused without a reason"), true
	}
	return withoutResults(reply, b), false
}

// outcome is for a reply of the service itself.
func (r results) outcome(reply upstream.Reply, irn string) (o bridge.Outcome, mute bool) {
	if r.success() {
		return r.cancelled(reply, irn), false
	}
	text := r.text()
	switch {
	case r.contradicts():
		o = reply.Outcome(bridge.Unknown, fmt.Sprintf("status %q beside code %q contradict each other", r.Status, r.Code))
		return o, false
	case text == "" && reply.Status >= 500:
		return reply.Verdict(), false
	case text == "":
		return reply.Outcome(bridge.Unknown, "refused without a reason"), true
	}
	return r.refused(reply, text), false
}

func (r results) cancelled(reply upstream.Reply, irn string) bridge.Outcome {
	i, ok := r.invoice()
	switch {
	case reply.Status/100 != 2:
		return reply.Outcome(bridge.Unknown, fmt.Sprintf("success in the body of HTTP %d", reply.Status))
	case !ok:
		return reply.Outcome(bridge.Unknown, "success without the document")
	case !strings.EqualFold(i.IRN, irn):
		return reply.Outcome(bridge.Unknown, "success for another IRN")
	}
	o := reply.Outcome(bridge.Cancelled, "")
	if o.Date, o.DateSource = upstream.IRPDate(string(i.CancelDate)), bridge.DateUpstream; o.Date == "" {
		o.Date, o.DateSource = reply.Date().In(upstream.IST).Format(time.DateTime), bridge.DateReply
	}
	return o
}

// refused passes the text on as it stands; its code decides. Without a known code, trouble on the way is what it was.
func (r results) refused(reply upstream.Reply, text string) bridge.Outcome {
	o := reply.Outcome(bridge.Refused, text)
	e, hasCode := upstream.IRPErrorIn(text)
	if !hasCode {
		e = upstream.IRPError{Text: text}
	}
	class, unclassified := upstream.IRPErrors{e}.Class()
	o.Class, o.Code, o.Unclassified = class.Gateway(), e.Code, unclassified
	trouble := reply.Verdict().Class
	switch {
	case unclassified && trouble != bridge.None:
		o.Class = trouble
	case unclassified && len(r.Code) == 3 && r.Code[0] == '5':
		o.Class = bridge.Unknown
	case class == upstream.IRPConfig || class == upstream.IRPPayload:
		o.Alarm = "the tax authority refuses what Masters India sent for this taxpayer: " + text
	}
	return o
}

// withoutResults is for whatever stands before the service: sign-on, framework, web server, proxy.
func withoutResults(reply upstream.Reply, b body) bridge.Outcome {
	complaint := b.complaint()
	o := reply.Verdict()
	switch s := reply.Status; {
	case signOnErrors[string(b.Error)] && s < 500:
		o = reply.Outcome(bridge.Misconfigured, complaint)
		o.Alarm = "Masters India refuses the account: " + complaint
	case o.Class != bridge.None:
	case s/100 == 3, s == http.StatusForbidden, s == http.StatusNotFound, s == http.StatusMethodNotAllowed:
		o.Class, o.Message = bridge.Misconfigured, strings.TrimSpace(fmt.Sprintf("HTTP %d %s", s, complaint))
		o.Alarm = o.Message + ": check base_url, api and the account's rights"
	case s/100 == 4 && complaint != "":
		o.Class, o.Message = bridge.Refused, complaint
		o.Unclassified = b.Error != "" || b.Detail != "" // field errors name what is wrong; these only talk
	default:
		o.Class = bridge.Unknown
		o.Message = strings.TrimSpace(fmt.Sprintf("HTTP %d without an answer that can be read %s", s, complaint))
	}
	return o
}
