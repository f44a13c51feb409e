package payload

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
)

// What package soap's vectors try through whole requests, seen at the wall itself: the text, what it took, or why not.
func TestOpen(t *testing.T) {
	limits := Limits{BodyBytes: 1000, InflatedBytes: 500, TranscodedBytes: 500}
	const mtom = "--b\r\nContent-Type: image/png\r\n\r\n<png/>\r\n--b\r\nContent-Id: <root>\r\nContent-Type: application/xop+xml\r\n\r\n<a/>\r\n--b--\r\n"
	for _, tc := range []struct {
		name, contentType, encoding, body string
		want                              string // the text, or what the refusal says
		status                            int
		notes                             int
	}{
		{"plain", "text/xml; charset=utf-8", "", "<a>é</a>", "<a>é</a>", 0, 0},
		{"a byte order mark before all labels", "text/xml; charset=iso-8859-1", "", "\ufeff<a>é</a>", "<a>é</a>", 0, 0},
		{"Latin-1", "text/xml; charset=iso-8859-1", "", "<a>\xe9\x80</a>", "<a>é€</a>", 0, 0},
		{"a label that the bytes belie", "text/xml; charset=iso-8859-1", "", "<a>é</a>", "<a>é</a>", 0, 1},
		{"a label in a declaration", "text/xml", "", "<?xml version='1.0' encoding='latin1'?><a>\xe9</a>", "<?xml version='1.0' encoding='latin1'?><a>é</a>", 0, 0},
		{"UTF-16", "", "", "\xff\xfe<\x00a\x00/\x00>\x00", "<a/>", 0, 0},
		{"half a surrogate", "", "", "\xff\xfe<\x00\x00\xd8", "unpaired surrogate at byte 1", 0, 0},
		{"a character that XML has none of", "text/xml", "", "<a>\x01</a>", "illegal character at byte 3", 0, 0},
		{"a media type that is only mentioned", "header: TEXT/XML charset=latin1", "", "<a>\xe9</a>", "<a>é</a>", 0, 1},
		{"another media type", "text/plain", "", "<a/>", "Content-Type must be", 415, 0},
		{"gzip", "text/xml", "gzip", zip("<a/>"), "<a/>", 0, 0},
		{"gzip that swells", "text/xml", "gzip", zip(strings.Repeat(" ", 600)), "max_inflated_bytes (500) exceeded", 0, 0},
		{"gzip that isn't", "text/xml", "gzip", "<a/>", "not what its Content-Encoding says", 0, 0},
		{"an encoding that is a charset", "text/xml", "utf-8", "<a/>", "<a/>", 0, 1},
		{"another encoding", "text/xml", "br", "<a/>", "Content-Encoding must be", 415, 0},
		{"too much", "text/xml", "", strings.Repeat(" ", 1001), "max_body_bytes (1000) exceeded", 413, 0},
		{"the part that start names", `multipart/related; boundary=b; start="<root>"`, "", mtom, "<a/>", 0, 0},
		{"cut short", `multipart/related; boundary=b; start="<root>"`, "", strings.TrimSuffix(mtom, "--b--\r\n"), "malformed or incomplete", 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var notes []string
			text, refusal := Open(ParseMedia(tc.contentType), tc.encoding, []byte(tc.body), limits, func(n string) { notes = append(notes, n) })
			got := string(text)
			if refusal != nil {
				got = refusal.Text
				if !strings.Contains(got, tc.want) || refusal.Status != tc.status {
					t.Errorf("refused: %s (%d), want %s (%d)", got, refusal.Status, tc.want, tc.status)
				}
				return
			}
			if got != tc.want || len(notes) != tc.notes || slices.Contains(notes, "") {
				t.Errorf("read %q, notes %q; want %q", got, notes, tc.want)
			}
		})
	}
}

func zip(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}
