package upstream

import (
	"bytes"
	"einvoice-bridge/bridge"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

const (
	masked = "***"
	// maxKept caps a body in the journal; what is longer loses its tail.
	maxKept = 8 << 10
	// minSecret keeps values out of the search that are too short to be a secret: replacing every "1" helps nobody.
	minSecret = 6
)

// Mask takes secrets out of what is kept of an HTTP exchange: the values of named fields at any depth, and known
// values wherever they stand. The zero Mask hides nothing. Masks are values: With never changes the original.
type Mask struct {
	names  []string
	values []string
}

// NewMask hides the values of these fields in JSON and form bodies and in query strings; letter case is ignored.
func NewMask(names ...string) Mask { return Mask{names: names} }

// With also hides the given secrets wherever they appear, as they are and as JSON or a URL would write them: what an
// authority quotes in an error text, or a token in a path.
func (m Mask) With(secrets ...string) Mask {
	m.values = slices.Clone(m.values)
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		quoted, _ := json.Marshal(s)
		for _, form := range []string{s, string(quoted[1 : len(quoted)-1]), url.QueryEscape(s), url.PathEscape(s)} {
			if !slices.Contains(m.values, form) {
				m.values = append(m.values, form)
			}
		}
	}
	return m
}

// MaskOf is the mask with a token that is a text, for Visits. The last one's is remembered: call after call comes with it.
func MaskOf[T ~string](m Mask) func(T) Mask {
	type known struct {
		token T
		mask  Mask
	}
	var last atomic.Pointer[known]
	return func(token T) Mask {
		k := last.Load()
		if k == nil || k.token != token {
			k = &known{token, m.With(string(token))}
			last.Store(k)
		}
		return k.mask
	}
}

// Text hides the known values in a sentence.
func (m Mask) Text(s string) string {
	for _, v := range m.values {
		if strings.Contains(s, v) {
			s = strings.ReplaceAll(s, v, masked)
		}
	}
	return s
}

// Outcome hides the known values in what an outcome says.
func (m Mask) Outcome(o bridge.Outcome) bridge.Outcome {
	o.Message, o.Alarm = m.Text(o.Message), m.Text(o.Alarm)
	return o
}

// URL hides the values of named parameters in the query, and the known values.
func (m Mask) URL(raw string) string {
	at := strings.IndexByte(raw, '?')
	if at < 0 {
		return m.Text(raw)
	}
	return m.Text(raw[:at+1] + m.form(raw[at+1:]))
}

// Body is a body fit for the journal. One that is neither JSON nor a form can't be masked by name and is left out;
// its length stays.
func (m Mask) Body(body []byte) string {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return ""
	}
	text, isJSON := m.json(body)
	switch {
	case isJSON:
	case looksLikeForm(body):
		text = m.form(string(body))
	default:
		return fmt.Sprintf("[%d bytes, neither JSON nor a form: not kept]", len(body))
	}
	text = m.Text(text)
	if len(text) > maxKept {
		text = fmt.Sprintf("%s… [%d bytes cut off]", strings.ToValidUTF8(text[:maxKept], ""), len(text)-maxKept)
	}
	return text
}

// json copies JSON and hides the values of named keys, without building a tree. It takes what json.Valid takes, and is one
// pass for both.
func (m Mask) json(b []byte) (text string, ok bool) {
	s := scan{mask: m, b: b}
	if !s.value(0) || s.at != len(b) {
		return "", false
	}
	if s.kept == 0 {
		return string(b), true
	}
	s.out.Write(b[s.kept:])
	return s.out.String(), true
}

// named tells whether a quoted key is one of the names. A key written with escapes is decoded first.
func (m Mask) named(quoted []byte) bool {
	key := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(key, '\\') >= 0 {
		var s string
		if json.Unmarshal(quoted, &s) != nil {
			return true
		}
		key = []byte(s)
	}
	// The names are ASCII; a letter that is equal to one of theirs and longer is not.
	ascii := !slices.ContainsFunc(key, func(c byte) bool { return c >= utf8.RuneSelf })
	for _, name := range m.names {
		if (len(name) == len(key) || !ascii) && strings.EqualFold(name, string(key)) {
			return true
		}
	}
	return false
}

func (m Mask) form(raw string) string {
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		name, _, hasValue := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if hasValue && (err != nil || slices.ContainsFunc(m.names, func(n string) bool { return strings.EqualFold(n, plain) })) {
			pairs[i] = name + "=" + masked
		}
	}
	return strings.Join(pairs, "&")
}

// looksLikeForm is true for application/x-www-form-urlencoded text: no blanks, no markup, a name before each "=".
func looksLikeForm(b []byte) bool {
	if !bytes.Contains(b, []byte("=")) || bytes.ContainsAny(b, " \t\r\n<>\"{}") {
		return false
	}
	for pair := range bytes.SplitSeq(b, []byte("&")) {
		if at := bytes.IndexByte(pair, '='); at <= 0 {
			return false
		}
	}
	return true
}
