package payload

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// charset is one of the few character sets that SOAP callers use.
type charset int

const (
	noCharset charset = iota
	utf8Charset
	asciiCharset
	utf16Charset // byte order by the first character
	utf16LE
	utf16BE
	windows1252
	unknownCharset
)

func charsetOf(label string) charset {
	switch strings.ToLower(strings.Trim(label, " \t'")) {
	case "":
		return noCharset
	case "utf-8", "utf8":
		return utf8Charset
	case "us-ascii", "ascii":
		return asciiCharset
	case "utf-16", "utf16":
		return utf16Charset
	case "utf-16le", "utf16le":
		return utf16LE
	case "utf-16be", "utf16be":
		return utf16BE
	case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "windows-1252", "cp1252", "cp-1252":
		return windows1252 // what says ISO-8859-1 and uses 80-9F means windows-1252
	}
	return unknownCharset
}

// Transcode returns a document of at most that many bytes as UTF-8, by the rules for a request with this charset label.
func Transcode(doc []byte, label string, most int) ([]byte, *Refusal) {
	r := &reading{Limits{TranscodedBytes: most}, func(string) {}}
	return r.toUTF8(doc, label)
}

// toUTF8 decides the character set of a document by byte order mark, HTTP charset, XML declaration, in this order
// (RFC 7303 §3), and returns the document as UTF-8 without the mark. The declaration's encoding means nothing after
// that. The result shares memory with body where nothing had to change.
func (r *reading) toUTF8(body []byte, label string) ([]byte, *Refusal) {
	set, body, refusal := r.decideCharset(body, label)
	if refusal != nil {
		return nil, refusal
	}
	var doc []byte
	switch set {
	case utf16LE:
		doc, refusal = decodeUTF16(body, binary.LittleEndian)
	case utf16BE:
		doc, refusal = decodeUTF16(body, binary.BigEndian)
	case windows1252:
		doc = Windows1252(body)
	default:
		doc = body
	}
	if refusal != nil {
		return nil, refusal
	}
	if len(doc) > r.TranscodedBytes {
		return nil, exceeded("transcoded_bytes", r.TranscodedBytes, r.TranscodedBytes)
	}
	return doc, CheckChars(doc, set == asciiCharset)
}

func (r *reading) decideCharset(body []byte, label string) (charset, []byte, *Refusal) {
	if set, rest := byteOrderMark(body); set != noCharset {
		return set, rest, refuseCharset(set, "")
	}
	sniffed := sniff(body)
	if sniffed == unknownCharset {
		return 0, nil, refuseCharset(sniffed, "")
	}
	set := charsetOf(label)
	if sniffed == noCharset {
		set = r.trustBytes(set, label, body)
	}
	if set == noCharset && sniffed == noCharset {
		label = declaredEncoding(body)
		set = charsetOf(label)
	}
	switch {
	case set == utf16Charset && sniffed == noCharset:
		// A .NET StringWriter declares utf-16 whatever the bytes then become.
		r.note("UTF-16 was declared over single-byte text; read as UTF-8")
		return utf8Charset, body, nil
	case (set == noCharset || set == utf16Charset) && sniffed != noCharset:
		set = sniffed
	case set == noCharset:
		set = utf8Charset
	}
	return set, body, refuseCharset(set, label)
}

// trustBytes corrects an HTTP charset that the body's own bytes belie. The label is often a library's default, set by
// somebody who never saw the text: Latin-1 over UTF-8 is what UTL_HTTP and servlets send.
func (r *reading) trustBytes(set charset, label string, body []byte) charset {
	if valid := utf8.Valid(body); valid != (set != utf8Charset) { // nothing belies it
		return set
	}
	declared := charsetOf(declaredEncoding(body))
	switch {
	case set == utf8Charset && declared == windows1252:
		r.note("the HTTP charset is UTF-8 but the body is not; the XML declaration's encoding was used")
		return windows1252
	case set == windows1252 && !isASCII(body) && (declared == utf8Charset || declared == noCharset):
		r.note("the HTTP charset is a single-byte one but the body is UTF-8")
		return utf8Charset
	case set == asciiCharset && !isASCII(body):
		r.note("the HTTP charset is US-ASCII but the body is UTF-8")
		return utf8Charset
	case set == unknownCharset && isASCII(body) && !escaping(label):
		r.note("an unknown HTTP charset over plain ASCII was ignored")
		return utf8Charset
	}
	return set
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// escaping reports whether a character set writes other characters in plain ASCII, so that a document in it has two
// readings.
func escaping(label string) bool {
	label = strings.ToLower(label)
	return strings.Contains(label, "utf-7") || strings.Contains(label, "utf7") || strings.HasPrefix(label, "hz") ||
		strings.HasPrefix(label, "iso-2022")
}

func refuseCharset(set charset, label string) *Refusal {
	if set != unknownCharset {
		return nil
	}
	f := refuse("The character set of the request is not supported; use UTF-8, UTF-16, ISO-8859-1 or windows-1252")
	if label != "" {
		f.Found = "'" + label + "'"
	}
	return f
}

func byteOrderMark(b []byte) (charset, []byte) {
	switch {
	case bytes.HasPrefix(b, []byte{0xEF, 0xBB, 0xBF}):
		return utf8Charset, b[3:]
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE, 0, 0}), bytes.HasPrefix(b, []byte{0, 0, 0xFE, 0xFF}):
		return unknownCharset, b // UTF-32
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE}):
		return utf16LE, b[2:]
	case bytes.HasPrefix(b, []byte{0xFE, 0xFF}):
		return utf16BE, b[2:]
	}
	return noCharset, b
}

// sniff recognises what can't be read as bytes of ASCII by the first "<" of a document (XML 1.0 appendix F).
func sniff(b []byte) charset {
	switch {
	case bytes.HasPrefix(b, []byte{'<', 0, 0, 0}), bytes.HasPrefix(b, []byte{0, 0, 0, '<'}):
		return unknownCharset // UTF-32
	case bytes.HasPrefix(b, []byte{0x4C, 0x6F, 0xA7, 0x94}):
		return unknownCharset // EBCDIC "<?xm"
	case bytes.HasPrefix(b, []byte{'<', 0}):
		return utf16LE
	case bytes.HasPrefix(b, []byte{0, '<'}):
		return utf16BE
	}
	return noCharset
}

// decodeUTF16 is strict where text/encoding would put replacement characters.
func decodeUTF16(b []byte, order binary.ByteOrder) ([]byte, *Refusal) {
	if len(b)%2 != 0 {
		return nil, refuse("The request is not valid UTF-16: odd number of bytes")
	}
	unit := func(i int) rune { return rune(order.Uint16(b[i:])) }
	doc := make([]byte, 0, len(b)/2+16)
	for i := 0; i < len(b); i += 2 {
		c := unit(i)
		if utf16.IsSurrogate(c) {
			next := rune(0)
			if i+3 < len(b) {
				next = unit(i + 2)
			}
			if c = utf16.DecodeRune(c, next); c == utf8.RuneError {
				return nil, refuse("The request is not valid UTF-16: unpaired surrogate at byte %d", len(doc))
			}
			i += 2
		}
		doc = utf8.AppendRune(doc, c)
	}
	return doc, nil
}

// Windows1252 is such a text as UTF-8.
func Windows1252(b []byte) []byte {
	doc := make([]byte, 0, len(b)+len(b)/8)
	for _, c := range b {
		r := charmap.Windows1252.DecodeByte(c)
		if r == utf8.RuneError { // one of its five holes; ISO-8859-1 has a control character there
			r = rune(c)
		}
		doc = utf8.AppendRune(doc, r)
	}
	return doc
}

// plain8 reports whether b begins with eight bytes of ASCII without control characters: no byte has its top bit set, with
// a blank's value taken from it or not.
func plain8(b []byte) bool {
	const ones = 0x0101010101010101
	if len(b) < 8 {
		return false
	}
	w := binary.LittleEndian.Uint64(b)
	return (w|(w-' '*ones))&(0x80*ones) == 0
}

// CheckChars holds the whole document, comments and names included, to the characters of XML 1.0 §2.2.
func CheckChars(doc []byte, ascii bool) *Refusal {
	for i := 0; i < len(doc); {
		if plain8(doc[i:]) {
			i += 8
			continue
		}
		c := doc[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
				return refuse("The request is not well-formed XML: illegal character at byte %d", i)
			}
			i++
			continue
		}
		if ascii {
			return refuse("The request is not US-ASCII at byte %d", i)
		}
		r, size := utf8.DecodeRune(doc[i:])
		if r == utf8.RuneError && size == 1 {
			return refuse("The request is not valid UTF-8 at byte %d", i)
		}
		if r == 0xFFFE || r == 0xFFFF {
			return refuse("The request is not well-formed XML: illegal character at byte %d", i)
		}
		i += size
	}
	return nil
}
