package soap

import (
	"bytes"
	"unicode/utf8"
)

// hidden collects the parts of an envelope that may hold a secret: the content and attributes of elements named like
// one, in whatever namespace and place, and all comments, since people comment out whole envelopes.
type hidden struct {
	spans []span
	depth int // index in the element stack of the secret that is open, +1; 0 for none
	start int
}

// span is a range of bytes; value tells that it is the value of one of the operation's secret parameters, and not just
// a place where a secret may be.
type span struct {
	start, end int
	value      bool
}

func (h *hidden) add(start, end int, value bool) {
	if start >= end {
		return
	}
	if h.spans == nil {
		h.spans = make([]span, 0, 4)
	}
	h.spans = append(h.spans, span{start, end, value})
}

// enter notes a start tag and reports whether it is, or is inside, a secret.
func (h *hidden) enter(level int, local string, content int) bool {
	if h.depth == 0 && secretName(local) {
		h.depth, h.start = level+1, content
	}
	return h.depth != 0
}

func (h *hidden) leave(level, content int) {
	if h.depth == level+1 {
		h.add(h.start, content, false)
		h.depth = 0
	}
}

// attribute hides a value that belongs to a secret's tag or is itself named like one. Declarations and attributes with
// a prefix say how a value is written, not what it is.
func (h *hidden) attribute(secret bool, a *attr) {
	if a.local != "xmlns" && (secretName(a.local) || secret && a.prefix == "") {
		h.add(a.start, a.end, false)
	}
}

// secretWords are what such names hold, by their first letter.
var secretWords = ['z' + 1][]string{
	'a': {"apikey"}, 'c': {"credential"}, 'p': {"password", "passwd", "passphrase", "pwd"}, 's': {"secret"}, 't': {"token"},
}

// secretName errs on the side of hiding: access_token, AccessToken, wsse:Password, clientSecret, BinarySecurityToken.
func secretName(local string) bool {
	var buf [64]byte
	folded := buf[:0]
	for i := 0; i < len(local); i++ {
		switch c := local[i]; {
		case 'A' <= c && c <= 'Z':
			folded = append(folded, c|0x20)
		case c != '_' && c != '-' && c != '.':
			folded = append(folded, c)
		}
	}
	for i, c := range folded {
		if c > 'z' {
			continue
		}
		for _, w := range secretWords[c] {
			if bytes.HasPrefix(folded[i:], []byte(w)) {
				// these only contain secrets
				return string(folded) != "usernametoken" && string(folded) != "accessnewtoken"
			}
		}
	}
	return false
}

const mask = "***"

// Masked returns the envelope as UTF-8 text with every secret in it replaced by ***, cut to at most max bytes. It
// reads the body that was given to Decode, so that must not have been reused yet.
func (r *Request) Masked(max int) []byte {
	out := make([]byte, 0, min(len(r.doc)+len(mask)*len(r.hide), max+utf8.UTFMax))
	at := 0
	for _, h := range r.hide {
		if h.end <= at {
			continue
		}
		if h.start > at {
			out = append(out, r.doc[at:h.start]...)
			out = append(out, mask...)
		}
		at = h.end
	}
	out = append(out, r.doc[at:]...)
	return cut(r.sweep(out), max)
}

// sweep masks copies of the secret parameters that stand elsewhere, as when a caller puts its token into another field.
// Secrets shorter than this would hit ordinary text.
func (r *Request) sweep(out []byte) []byte {
	const shortest = 8
	for _, h := range r.hide {
		secret := bytes.Trim(r.doc[h.start:h.end], xmlSpace)
		if h.value && len(secret) >= shortest && bytes.Contains(out, secret) {
			out = bytes.ReplaceAll(out, secret, []byte(mask))
		}
	}
	return out
}

// cut shortens text to max bytes without splitting a character.
func cut(b []byte, max int) []byte {
	if len(b) <= max {
		return b
	}
	for max > 0 && !utf8.RuneStart(b[max]) {
		max--
	}
	return b[:max]
}
