package upstream

import (
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
