package mastersindia

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// dialect is what sets the two generations apart.
type dialect struct {
	loginPath string
	login     func(Config) any // its body
	// token reads a login's reply: the token, and how long it lives by the provider's clock.
	token  func(b *body, now time.Time) (value string, life time.Duration)
	cancel func(token string, c bridge.Cancellation) *upstream.Request
	lookup func(token string, c bridge.Cancellation) *upstream.Request
}

var dialects = map[string]dialect{
	Legacy: {
		loginPath: "/oauth/access_token",
		login: func(c Config) any {
			return legacyLogin{c.Username, c.Password.Reveal(), c.ClientID, c.ClientSecret.Reveal(), "password"}
		},
		token: legacyToken,
		cancel: func(token string, c bridge.Cancellation) *upstream.Request {
			return post(upstream.ForCancel, "/cancelEinvoice", legacyCancel{token, orderOf(c)})
		},
		lookup: func(token string, c bridge.Cancellation) *upstream.Request {
			return get("/getEinvoiceData", url.Values{"access_token": {token}, "gstin": {c.Taxpayer}, "irn": {c.Document}})
		},
	},
	V1: {
		loginPath: "/api/v1/token-auth/",
		login:     func(c Config) any { return v1Login{c.Username, c.Password.Reveal()} },
		token:     v1Token,
		cancel: func(token string, c bridge.Cancellation) *upstream.Request {
			// ewaybill_cancel: any other value would cancel the e-way bill, too, which nobody asked for.
			return jwt(token, post(upstream.ForCancel, "/api/v1/cancel-einvoice/", v1Cancel{orderOf(c), ""}))
		},
		lookup: func(token string, c bridge.Cancellation) *upstream.Request {
			return jwt(token, get("/api/v1/get-einvoice/", url.Values{"gstin": {c.Taxpayer}, "irn": {c.Document}}))
		},
	},
}

// The headers of all calls, which with puts more into.
var (
	posted = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	asked  = http.Header{"Accept": {"application/json"}}
)

// with puts one more header on a call.
func with(q *upstream.Request, name, value string) *upstream.Request {
	q.Header = maps.Clone(q.Header)
	q.Header[name] = []string{value}
	return q
}

func post(purpose upstream.Purpose, path string, v any) *upstream.Request {
	body, _ := json.Marshal(v) // plain texts can't fail
	return &upstream.Request{Purpose: purpose, Method: http.MethodPost, Path: path, Header: posted, Body: body}
}

func get(path string, query url.Values) *upstream.Request {
	return &upstream.Request{Purpose: upstream.ForLookup, Method: http.MethodGet, Path: path + "?" + query.Encode(), Header: asked}
}

// jwt puts the session's token on a call. A call without one carries the account's key.
func jwt(token string, q *upstream.Request) *upstream.Request {
	if token == "" {
		return q
	}
	return with(q, "Authorization", "JWT "+token)
}

func orderOf(c bridge.Cancellation) order {
	return order{c.Taxpayer, c.Document, string(c.Reason), upstream.Cut(irp.Remarks(c), irp.MaxRemarks)}
}

type legacyLogin struct {
	Username     string `json:"username"`
	Password     string `json:"password"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	GrantType    string `json:"grant_type"`
}

type v1Login struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// order is the cancel as both generations take it.
type order struct {
	GSTIN   string `json:"user_gstin"`
	IRN     string `json:"irn"`
	Reason  string `json:"cancel_reason"`
	Remarks string `json:"cancel_remarks"`
}

type legacyCancel struct {
	AccessToken string `json:"access_token"`
	order
}

type v1Cancel struct {
	order
	EwayBill string `json:"ewaybill_cancel"`
}

// body is every reply: of the service (results), of its sign-on, and of the frameworks around them.
type body struct {
	Results *results `json:"results"`

	AccessToken upstream.Scalar `json:"access_token"` // legacy login
	ExpiresIn   upstream.Scalar `json:"expires_in"`   // seconds
	Token       upstream.Scalar `json:"token"`        // v1 login

	Error       lenient `json:"error"` // the OAuth server's word: invalid_client; a sentence in v1
	Description lenient `json:"error_description"`
	Detail      lenient `json:"detail"` // the framework behind v1

	fields map[string]json.RawMessage // everything, for field errors; only where there are no results

	gateway  bool       // it is the envelope of a gateway before the service
	envelope irp.Errors // what that says
}

// results are the service's own answer.
type results struct {
	Message json.RawMessage `json:"message"` // an object on success, a text or null on failure
	Error   lenient         `json:"errorMessage"`
	Status  upstream.Scalar `json:"status"` // Success or Failed
	Code    upstream.Scalar `json:"code"`   // 200 or 204
}

// invoice is the object in message.
type invoice struct {
	IRN        string          `json:"Irn"`
	CancelDate upstream.Scalar `json:"CancelDate"`
	Status     upstream.Scalar `json:"Status"` // on a get: ACT, CNL
}

// lenient is a text where nothing else was ever seen, and which must not make the rest unreadable: anything else is
// its JSON.
type lenient string

func (l *lenient) UnmarshalJSON(raw []byte) error {
	var s upstream.Scalar
	if s.UnmarshalJSON(raw) == nil {
		*l = lenient(s)
	} else {
		*l = lenient(raw)
	}
	return nil
}

func read(reply *upstream.Reply) *body {
	b := new(body)
	if reply.Err != nil || json.Unmarshal(reply.Body, b) != nil {
		return new(body)
	}
	if b.Results != nil {
		return b
	}
	if json.Unmarshal(reply.Body, &b.fields) != nil {
		return new(body)
	}
	b.envelope, b.gateway = irp.GSPErrors(reply.Body)
	return b
}

// isJSON tells whether a text is an object or a list, written into a string.
func isJSON(text string) bool { return strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") }

// errors are the codes in whatever a failure says; an errorMessage may be a JSON list in a text (v1, seen in production,
// 2026-11).
func (b *body) errors() irp.Errors {
	if b.gateway {
		return b.envelope
	}
	return irp.ErrorsInText(b.reason())
}

// reason is whatever a failure says.
func (b *body) reason() string {
	switch {
	case b.Results != nil:
		return b.Results.text()
	case b.gateway:
		return b.envelope.Message()
	}
	return b.complaint()
}

// fieldErrors tells whether the framework behind v1 names what is wrong with which field.
func (b *body) fieldErrors() bool { return b.Error == "" && b.Detail == "" }

// success tells whether the positive marker is there: both halves of it.
func (r *results) success() bool {
	return strings.EqualFold(string(r.Status), "success") && r.Code == "200"
}

// contradicts tells whether only one half of the marker is there.
func (r *results) contradicts() bool {
	return !r.success() && (strings.EqualFold(string(r.Status), "success") || r.Code == "200")
}

// invoice is the object in message; ok is false when there is none.
func (r *results) invoice() (i invoice, ok bool) {
	return i, upstream.IsObject(r.Message) && json.Unmarshal(r.Message, &i) == nil
}

// text is the reason of a failure: errorMessage, else message when that is a text.
func (r *results) text() string {
	if r.Error != "" && r.Error != "[]" && r.Error != "{}" {
		return string(r.Error)
	}
	var s string
	if !bytes.HasPrefix(r.Message, []byte{'"'}) || json.Unmarshal(r.Message, &s) != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

// complaint is what a reply says that is not the service's own: "invalid_client: …", or field errors "irn: …; …".
func (b *body) complaint() string {
	switch {
	case b.Error != "" && b.Description != "":
		return string(b.Error + ": " + b.Description)
	case b.Error != "":
		return string(b.Error)
	case b.Detail != "":
		return string(b.Detail)
	}
	var all []string
	for name, raw := range b.fields {
		var texts []string
		if json.Unmarshal(raw, &texts) == nil && len(texts) > 0 {
			all = append(all, name+": "+strings.Join(texts, ", "))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}
