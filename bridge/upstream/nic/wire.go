package nic

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
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

func credentials(user, password, appKey string, force bool) []byte {
	return upstream.JSON(authRequest{user, password, appKey, force})
}

// envelope is every reply of NIC before decryption.
type envelope struct {
	status  string          // "1", "0", or whatever else stood there; empty when missing
	data    json.RawMessage // nil when missing or null
	errors  irp.Errors
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
	e := envelope{status: statusText(wire.Status.raw), data: wire.Data.raw, errors: irp.ErrorsIn(wire.ErrorDetails.raw)}
	if e.status == "1" || e.status == "0" || e.status == "" && len(e.errors) > 0 {
		return e, nil
	}
	if errs, ok := irp.GSPErrors(body); ok && e.status == "" {
		return envelope{status: "0", errors: errs, gateway: true}, nil
	}
	return envelope{}, errNotNIC
}

// statusText makes 1, 1.0, "1" and " 1 " the same.
func statusText(raw json.RawMessage) string {
	s := irp.Text(raw)
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return s
}

// sealedBody is {"Data":"…"}. Base64 needs no escaping.
func sealedBody(s *session, plain []byte) []byte {
	data := seal(s.block, plain)
	var b bytes.Buffer
	b.Grow(base64.StdEncoding.EncodedLen(len(data)) + 11)
	b.WriteString(`{"Data":"`)
	b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), data))
	b.WriteString(`"}`)
	return b.Bytes()
}

// NIC prescribes AES-256 in ECB mode with PKCS#7 padding. The standard library has no ECB, for good reasons; here it
// is the protocol.

// seal pads plain and encrypts it.
func seal(b cipher.Block, plain []byte) []byte {
	n := b.BlockSize() - len(plain)%b.BlockSize()
	out := make([]byte, 0, len(plain)+n)
	out = append(out, plain...)
	out = append(out, bytes.Repeat([]byte{byte(n)}, n)...)
	for at := 0; at < len(out); at += b.BlockSize() {
		b.Encrypt(out[at:], out[at:])
	}
	return out
}

var errSealed = errors.New("data can't be decrypted")

// unseal decrypts and unpads. It says nothing about which step failed.
func unseal(b cipher.Block, sealed []byte) ([]byte, error) {
	size := b.BlockSize()
	if len(sealed) == 0 || len(sealed)%size != 0 {
		return nil, errSealed
	}
	out := make([]byte, len(sealed))
	for at := 0; at < len(out); at += size {
		b.Decrypt(out[at:], sealed[at:])
	}
	n := int(out[len(out)-1])
	if n == 0 || n > size {
		return nil, errSealed
	}
	for _, pad := range out[len(out)-n:] {
		if int(pad) != n {
			return nil, errSealed
		}
	}
	return out[:len(out)-n], nil
}

// unseal64 is unseal for base64 text.
func unseal64(b cipher.Block, text []byte) ([]byte, error) {
	sealed := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(sealed, text)
	if err != nil {
		return nil, errSealed
	}
	return unseal(b, sealed[:n])
}

// encryptRSA is RSA with PKCS#1 v1.5 padding, as base64.
func encryptRSA(key *rsa.PublicKey, plain []byte) (string, error) {
	//lint:ignore SA1019 NIC prescribes PKCS #1 v1.5.
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, key, plain)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}
