package payload

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
)

// inflate undoes one layer of Content-Encoding, stopping while it inflates, not after.
func (r *reading) inflate(encoding string, body []byte) ([]byte, *Refusal) {
	if len(body) > r.BodyBytes {
		over := exceeded("body_bytes", r.BodyBytes, r.BodyBytes)
		over.Status = http.StatusRequestEntityTooLarge
		return nil, over
	}
	var in io.Reader
	var err error
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		in, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		in, err = inflateReader(body)
	default:
		if mislabelled(encoding) && beginsLikeXML(body) {
			r.note("a Content-Encoding that names no encoding was ignored")
			return body, nil
		}
		return nil, &Refusal{
			Text: "Content-Encoding must be gzip, deflate or absent", Status: http.StatusUnsupportedMediaType, Found: "'" + encoding + "'",
		}
	}
	if err != nil {
		return nil, badCompression()
	}
	return r.readCapped(in, len(body))
}

// mislabelled reports whether a Content-Encoding is a character set or a media type, which many take it for.
func mislabelled(encoding string) bool {
	set := charsetOf(strings.TrimSpace(encoding))
	return set != noCharset && set != unknownCharset || strings.Contains(strings.ToLower(encoding), "text/xml")
}

func beginsLikeXML(body []byte) bool {
	_, body = byteOrderMark(body)
	return sniff(body) != noCharset || bytes.HasPrefix(bytes.TrimLeft(body, xmlSpace), []byte("<"))
}

// inflateReader tells the two things that are sent as deflate apart: the zlib format (RFC 9110 §8.4.1.2) and, from
// those who misread the standard, bare deflate. A zlib header is a multiple of 31.
func inflateReader(body []byte) (io.Reader, error) {
	if len(body) >= 2 && body[0]&0x0F == 8 && (int(body[0])<<8|int(body[1]))%31 == 0 {
		return zlib.NewReader(bytes.NewReader(body))
	}
	return flate.NewReader(bytes.NewReader(body)), nil
}

func (r *reading) readCapped(in io.Reader, compressed int) ([]byte, *Refusal) {
	lim := r.InflatedBytes
	most := min(lim, maxInflateRatio*compressed)
	out, err := io.ReadAll(io.LimitReader(in, int64(most)+1))
	switch {
	case len(out) > lim:
		return nil, exceeded("inflated_bytes", lim, lim)
	case len(out) > most:
		return nil, exceeded("inflate_ratio", maxInflateRatio, most)
	case err != nil:
		return nil, badCompression()
	}
	return out, nil
}

func badCompression() *Refusal {
	return refuse("The request body is not what its Content-Encoding says, or is incomplete")
}
