package irp

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// Error is one entry of an error list, code and text as the authority wrote them, blanks around them removed.
type Error struct{ Code, Text string }

// Errors is what one reply lists.
type Errors []Error

// Class is that of the whole list, see Weigh. unclassified is set when a code or text of it is in no list.
func (l Errors) Class() (class Class, unclassified bool) {
	classes := make([]Class, 0, len(l))
	for _, e := range l {
		c, listed := e.class()
		classes, unclassified = append(classes, c), unclassified || !listed
	}
	return Weigh(classes...), unclassified || len(l) == 0
}

// Decides tells whether the list is an answer whatever the reply's status. Words that are in no list are one only where
// the authority gives verdicts; around any other status they are a gateway's, and the status is the answer. So it is
// where trouble comes with a status that is proof that the call was stopped at the gate.
func (l Errors) Decides(status int) bool {
	class, _ := l.Class()
	return class.Decides(status)
}

// Decides is the same for a class that the adapter has found.
func (c Class) Decides(status int) bool {
	switch c {
	case Unlisted:
		return status < 300 || status == http.StatusBadRequest || status == http.StatusUnprocessableEntity
	case Temporary:
		return status != http.StatusUnauthorized && status != http.StatusTooEarly && status != http.StatusTooManyRequests
	}
	return true
}

// NoReason is what a caller reads when the authority refused and said no more.
const NoReason = "The cancellation was refused, reason not given"

// Outcome is what the list, found in the reply to a cancel, means for it. A refused token is NotApplied: an adapter that
// holds the session looks for Token itself. who says no, in the words of an alarm.
func (l Errors) Outcome(r *upstream.Reply, who string) bridge.Outcome {
	class, unclassified := l.Class()
	o := l.As(class, r, who)
	o.Unclassified = o.Unclassified || unclassified
	return o
}

// As is Outcome with a class that the adapter has found.
func (l Errors) As(class Class, r *upstream.Reply, who string) bridge.Outcome {
	o := r.Outcome(class.cancel(), l.Message())
	o.Code = l.Codes()
	if o.Message == "" {
		o.Message = NoReason
	}
	if !class.Decides(r.Status) {
		v := r.Verdict()
		o.Class = cmp.Or(v.Class, bridge.Unknown)
		if len(l) == 0 {
			o.Message = cmp.Or(v.Message, fmt.Sprintf("HTTP %d without an answer that can be read", r.Status))
		}
	}
	switch class {
	case Unlisted:
		o.Unclassified = true
	case Wait:
		o.RetryAfter = max(o.RetryAfter, l.wait())
	case Config:
		o.Alarm = who + " refuses the credentials or the settings: " + o.Message
		if l.quota() {
			o.Alarm = "the account at the gateway has used up its calls (" + o.Message + "): have its limit raised; until then nothing gets through"
		}
	case Payload:
		o.Alarm = who + " finds the request malformed: " + o.Message
	}
	return o
}

// Mark is what such an envelope is known by, as a field of whatever a reply is read into: who reads it anyway need not ask
// GSPErrors of every reply.
type Mark string

// UnmarshalJSON implements json.Unmarshaler. It never fails: what stands there is anybody's.
func (m *Mark) UnmarshalJSON(raw []byte) error {
	var s upstream.Scalar
	_ = s.UnmarshalJSON(raw)
	*m = Mark(s)
	return nil
}

// Gateway tells whether GSPErrors can have something to say.
func (m Mark) Gateway() bool { return m == "0" }

// GSPErrors reads the envelope in which the gateways of GSPs and of GSTN refuse a call, whatever protocol is behind them:
// {"status_cd":"0","error":{"error_cd":"GEN5008","message":"GSTN Server Error"}}. ok is false for any other body.
func GSPErrors(body []byte) (l Errors, ok bool) {
	var e struct {
		Status      upstream.Scalar `json:"status_cd"`
		Error       json.RawMessage `json:"error"`
		Description json.RawMessage `json:"status_desc"`
	}
	if json.Unmarshal(body, &e) != nil || e.Status != "0" {
		return nil, false
	}
	return append(ErrorsIn(e.Error), ErrorsIn(e.Description)...), true
}

// GSPOutcome is what such an envelope means for a cancel. Its unlisted codes are a gateway's, never a verdict.
func (l Errors) GSPOutcome(r *upstream.Reply, who string) bridge.Outcome {
	o := l.Outcome(r, who)
	if o.Class == bridge.Unclear {
		o.Class = bridge.Unknown
	}
	return o
}

// Message is what the caller reads: "CODE: text", several joined by "; ". A code without a text gets the official one.
func (l Errors) Message() string {
	parts := make([]string, 0, len(l))
	for _, e := range l {
		text := e.Text
		if text == "" {
			text = codes[e.Code].text
		}
		switch {
		case e.Code == "":
			parts = append(parts, text)
		case text == "":
			parts = append(parts, e.Code)
		default:
			parts = append(parts, e.Code+": "+text)
		}
	}
	return strings.Join(parts, "; ")
}

// Codes joins the codes by ",".
func (l Errors) Codes() string {
	var codes []string
	for _, e := range l {
		if e.Code != "" && !slices.Contains(codes, e.Code) {
			codes = append(codes, e.Code)
		}
	}
	return strings.Join(codes, ",")
}

// Has tells whether the list holds one of the codes.
func (l Errors) Has(codes ...string) bool {
	return slices.ContainsFunc(l, func(e Error) bool { return slices.Contains(codes, e.Code) })
}

// ErrorsIn reads errors in all the shapes that NIC's pages and gateways show: an array, one entry, either as JSON in a
// string or as its base64 (NIC's page says so; never seen), or free text, in that order. A shape inside a shape is
// followed a few levels deep.
func ErrorsIn(raw json.RawMessage) Errors { return errorsIn(raw, 0) }

// ErrorsInText reads them from a text that stood in a reply.
func ErrorsInText(text string) Errors {
	if inner, ok := innerJSON(text); ok {
		return errorsIn(inner, 0)
	}
	return plainError(text)
}

func errorsIn(raw json.RawMessage, depth int) Errors {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) || depth > 3 {
		return nil
	}
	switch raw[0] {
	case '[':
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) != nil {
			return nil
		}
		var all Errors
		for _, item := range items {
			all = append(all, errorsIn(item, depth+1)...)
		}
		return all
	case '{':
		return entryIn(raw)
	}
	text := Text(raw)
	if inner, ok := innerJSON(text); ok {
		return errorsIn(inner, depth+1)
	}
	return plainError(text)
}

// entryIn reads {"ErrorCode":…,"ErrorMessage":…}, also as gateways spell it. Letter case is ignored.
func entryIn(raw json.RawMessage) Errors {
	var e struct {
		ErrorCode, ErrorMessage json.RawMessage
		Code                    json.RawMessage `json:"error_cd"`
		SnakeCode               json.RawMessage `json:"error_code"`
		Text                    json.RawMessage `json:"message"`
		SnakeText               json.RawMessage `json:"error_message"`
	}
	if json.Unmarshal(raw, &e) != nil {
		return nil
	}
	first := func(values ...json.RawMessage) string {
		for _, v := range values {
			if s := Text(v); s != "" && s != "null" {
				return s
			}
		}
		return ""
	}
	entry := Error{
		Code: strings.TrimSuffix(first(e.ErrorCode, e.Code, e.SnakeCode), ".0"),
		Text: first(e.ErrorMessage, e.Text, e.SnakeText),
	}
	if entry == (Error{}) {
		return nil
	}
	return Errors{entry}
}

// Text is a JSON value as text: strings unquoted, everything else as it stands.
func Text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	return strings.TrimSpace(s)
}

// innerJSON finds an array or object in a string, plain or as base64.
func innerJSON(s string) (json.RawMessage, bool) {
	candidates := [][]byte{[]byte(strings.TrimSpace(s))}
	if decoded, err := base64.StdEncoding.DecodeString(s); err == nil {
		candidates = append(candidates, bytes.TrimSpace(decoded))
	}
	for _, c := range candidates {
		if len(c) > 0 && (c[0] == '[' || c[0] == '{') && json.Valid(c) {
			return c, true
		}
	}
	return nil, false
}

// codeFirst is how gateways write the authority's error as one text: "2270: text", with or without blanks.
var codeFirst = regexp.MustCompile(`(?s)^\s*([A-Z_]*\d{3,5})\s*:\s*(.*)$`)

// plainError reads an error that a gateway wrote as one text, with or without a code before it.
func plainError(text string) Errors {
	text = strings.TrimSpace(text)
	if m := codeFirst.FindStringSubmatch(text); m != nil {
		return Errors{{m[1], strings.TrimSpace(m[2])}}
	}
	if text == "" {
		return nil
	}
	return Errors{{Text: text}}
}
