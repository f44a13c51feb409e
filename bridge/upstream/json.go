package upstream

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// Scalar is a JSON string, number or boolean as text: the APIs write "1", 1 and 1.0, or true and "true", for the same.
// Null is the empty text.
type Scalar string

// UnmarshalJSON refuses objects and arrays only. b must be valid JSON, as package json sees to.
func (s *Scalar) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		text := string(b[1 : len(b)-1])
		if strings.IndexByte(text, '\\') >= 0 || !utf8.ValidString(text) {
			if err := json.Unmarshal(b, &text); err != nil {
				return err
			}
		}
		*s = Scalar(strings.TrimSpace(text))
	case '{', '[':
		return errors.New("not a string, number or boolean")
	case 'n':
		*s = ""
	default:
		*s = Scalar(strings.TrimSuffix(string(b), ".0"))
	}
	return nil
}

// JSON is a request's body: compact, with <, > and & as they are, since each byte counts where it is encrypted. v can't
// fail: it is made of texts and the like.
func JSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// IsObject tells whether JSON is an object, as far as its beginning shows.
func IsObject(b []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) }

// Claims reads what a JWT (RFC 7519) says of itself, unverified; false when it is none.
func Claims(jwt string, into any) bool {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	return err == nil && json.Unmarshal(raw, into) == nil
}
