package server

import (
	"bytes"
	"net/http"

	"github.com/valyala/fasthttp"
)

// Headers that may stand once. Of two, a proxy in front and the engine behind it may believe different ones, and then
// they disagree on where a request ends, how it is packed or whose it is (RFC 9112 §11.2). Content-Type and SOAPAction are
// none of them: Delphi and interceptors send them twice, and neither decides any of that.
const (
	contentLength = iota
	transferEncoding
	expect
	host
	contentEncoding
	authorization
	uniqueCount
)

var uniqueHeaders = [uniqueCount][]byte{
	contentLength: []byte("Content-Length"), transferEncoding: []byte("Transfer-Encoding"),
	expect: []byte("Expect"), host: []byte("Host"),
	contentEncoding: []byte("Content-Encoding"), authorization: []byte("Authorization"),
}

// framing returns the HTTP status to refuse a request with that the engine let pass, or 0. It reads the header as it
// arrived: the engine's own view lacks what it has made up its mind about.
func framing(h *fasthttp.RequestHeader) int {
	if p := h.Protocol(); !bytes.Equal(p, []byte("HTTP/1.1")) && !bytes.Equal(p, []byte("HTTP/1.0")) {
		return http.StatusHTTPVersionNotSupported
	}
	return framingOf(h.RawHeaders())
}

func framingOf(raw []byte) int {
	var seen [uniqueCount]bool
	for line := range bytes.Lines(raw) {
		line, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if len(line) == 0 {
			break
		}
		name, value, colon := bytes.Cut(line, []byte(":"))
		if !ok || !colon || len(name) == 0 || name[0] == ' ' || name[0] == '\t' { // bare LF, junk, folded line
			return http.StatusBadRequest
		}
		for i, unique := range uniqueHeaders {
			if !bytes.EqualFold(name, unique) {
				continue
			}
			if seen[i] {
				return http.StatusBadRequest
			}
			seen[i] = true
			if i == expect && !bytes.EqualFold(bytes.TrimSpace(value), []byte("100-continue")) {
				return http.StatusExpectationFailed
			}
		}
	}
	if seen[contentLength] && seen[transferEncoding] {
		return http.StatusBadRequest
	}
	return 0
}

// contentTypes is the header of that name, twice or more joined as Apache does it: the engine keeps the last alone.
func contentTypes(raw []byte) (all string) {
	n := 0
	for line := range bytes.Lines(raw) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Type")) {
			if n++; n > 1 {
				all += ", "
			}
			all += string(bytes.TrimSpace(value))
		}
	}
	return all
}
