package nic

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"einvoice-bridge/bridge/upstream"
)

// The requests. Field order and spelling are NIC's.
type (
	authRequest struct {
		UserName                string
		Password                string
		AppKey                  string
		ForceRefreshAccessToken bool
	}
	sealedRequest struct {
		Data string
	}
	legacyRequest struct {
		Data authRequest `json:"data"`
	}
	cancelRequest struct {
		Irn    string
		CnlRsn string // text, though it looks like a number
		CnlRem string
	}
)

// The decrypted replies.
type (
	authReply struct {
		AuthToken   string
		Sek         string
		TokenExpiry string
	}
	document struct {
		Irn        string
		CancelDate string // of a cancel
		Status     string // of a GET
	}
)

// marshal writes compact JSON with <, > and & as they are: each byte counts in the login.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // structs of strings and booleans
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func credentials(user, password, appKey string, force bool) []byte {
	return marshal(authRequest{user, password, appKey, force})
}

// envelope is every reply of NIC before decryption.
type envelope struct {
	status  string          // "1", "0", or whatever else stood there; empty when missing
	data    json.RawMessage // nil when missing or null
	errors  upstream.IRPErrors
	gateway bool // it is the envelope of a gateway before NIC
}

// field keeps a value raw, and counts how often its key came, in whatever letter case.
type field struct {
	raw   json.RawMessage
	times int
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *field) UnmarshalJSON(b []byte) error {
	f.times++
	if f.raw = nil; !bytes.Equal(b, []byte("null")) {
		f.raw = bytes.Clone(b)
	}
	return nil
}

var errNotNIC = errors.New("not a reply of NIC's form")

// decode reads an envelope in all the shapes that NIC's pages and gateways show. An error means that the body says
// nothing that can be relied on. A key that comes twice is such a case: two readers could see two answers.
func decode(body []byte) (envelope, error) {
	var wire struct{ Status, Data, ErrorDetails field }
	if json.Unmarshal(body, &wire) != nil {
		return envelope{}, errNotNIC
	}
	if wire.Status.times > 1 || wire.Data.times > 1 || wire.ErrorDetails.times > 1 {
		return envelope{}, errNotNIC
	}
	e := envelope{status: statusText(wire.Status.raw), data: wire.Data.raw, errors: upstream.IRPErrorsIn(wire.ErrorDetails.raw)}
	if e.status == "1" || e.status == "0" || e.status == "" && len(e.errors) > 0 {
		return e, nil
	}
	if errs, ok := upstream.GSPErrors(body); ok && e.status == "" {
		return envelope{status: "0", errors: errs, gateway: true}, nil
	}
	return envelope{}, errNotNIC
}

// statusText makes 1, 1.0, "1" and " 1 " the same.
func statusText(raw json.RawMessage) string {
	s := text(raw)
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return s
}

// text is a JSON value as text: strings unquoted, everything else as it stands.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	return strings.TrimSpace(s)
}
