package upstream

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// MaxWait caps what an authority can ask us to wait: a wrong header must not lock a taxpayer out for years.
const MaxWait = time.Hour

// Verdict is what the transport alone says about a cancel: NotApplied when nothing was written or on 425 and 429,
// Unknown when no complete reply came after writing or on 408 and 5xx. For any other status the class is None, and
// body and status are the adapter's to read. Bodies come before statuses: ask it only when no body has decided.
func (r *Reply) Verdict() bridge.Outcome {
	o := r.Outcome(bridge.None, "")
	switch {
	case r.Err != nil && !r.Written:
		o.Class, o.Message = bridge.NotApplied, r.Err.Error()
	case r.Status == http.StatusTooEarly || r.Status == http.StatusTooManyRequests:
		o.Class, o.Message = bridge.NotApplied, fmt.Sprintf("HTTP %d: the authority asks to wait", r.Status)
	case r.Err != nil:
		o.Class, o.Message = bridge.Unknown, r.Err.Error()
	case r.Status == http.StatusRequestTimeout || r.Status >= 500:
		o.Class, o.Message = bridge.Unknown, fmt.Sprintf("HTTP %d without an answer that can be read", r.Status)
	}
	return o
}

// WrongPlace tells whether the status is one that addresses give which are not the authority's. 501 is among them: it is no
// doubt.
func (r *Reply) WrongPlace() bool {
	switch r.Status {
	case http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return true
	}
	return r.Status/100 == 3
}

// Misplaced is the outcome of a reply that is not of that authority: the key of the address is wrong.
func Misplaced(o bridge.Outcome, authority, key string) bridge.Outcome {
	o.Class = bridge.Misconfigured
	o.Message = fmt.Sprintf("HTTP %d: not an address of %s", o.HTTPStatus, authority)
	o.Alarm = fmt.Sprintf("%s does not answer as %s does (HTTP %d): check it", key, authority, o.HTTPStatus)
	return o
}

// Outcome is an outcome that this reply decided, with all that the reply says about itself filled in.
func (r *Reply) Outcome(class bridge.Class, message string) bridge.Outcome {
	o := bridge.Outcome{Class: class, Message: message, HTTPStatus: r.Status, Sent: r.Written}
	if r.Header.Get("Retry-After") != "" {
		o.RetryAfter = RetryAfter(r.Header, r.Date())
	}
	return o
}

// BeforeCancel turns the outcome of a call that comes before the cancel (a login, a search for the document's id)
// into what it means for the cancel: nothing of the cancel was written, so doubt becomes NotApplied.
func BeforeCancel(o bridge.Outcome) bridge.Outcome {
	o.Sent, o.Claimed = false, false
	if o.Class == bridge.Unknown || o.Class == bridge.Unclear {
		o.Class = bridge.NotApplied
	}
	return o
}

// Unanswered is a question that brought no answer, as an error: it changed nothing, whatever the reply would have meant to
// a cancel.
func Unanswered(o bridge.Outcome) error {
	if o = BeforeCancel(o); o.Class != bridge.Misconfigured {
		o.Class = bridge.NotApplied
	}
	return &Failure{o}
}

// Date is the reply's own clock (its Date header), or ours when it has none. Expiry times and Retry-After dates are
// compared with it, so that a wrong local clock does no harm.
func (r *Reply) Date() time.Time {
	if t, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		return t
	}
	return time.Now()
}

// RetryAfter reads the Retry-After header (RFC 9110 §10.2.3), seconds or an HTTP date, capped at an hour; 0 when
// there is none that can be read. now is the authority's time.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, MaxWait)
	}
	if t, err := http.ParseTime(value); err == nil {
		return min(max(t.Sub(now), 0), MaxWait)
	}
	return 0
}

// Exchange is the call as the journal keeps it. request and response are the plain texts: decrypted where the wire
// was encrypted.
func (r *Reply) Exchange(m Mask, request, response []byte) bridge.Exchange {
	e := bridge.Exchange{
		Purpose:  r.purpose,
		Method:   r.method,
		URL:      m.URL(r.url),
		Request:  m.Body(request),
		Status:   r.Status,
		Response: m.Body(response),
		Start:    r.Start,
		Took:     r.Took,
	}
	if r.Err != nil {
		e.Err = m.Text(r.Err.Error())
	}
	return e
}
