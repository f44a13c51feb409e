package upstream

import (
	"encoding/json"
	"errors"
	"strings"
)

// Scalar is a JSON string, number or boolean as text: the APIs write "1", 1 and 1.0, or true and "true", for the same.
// Null is the empty text.
type Scalar string

// UnmarshalJSON refuses objects and arrays only.
func (s *Scalar) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return err
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
