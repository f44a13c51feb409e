package payload

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/textproto"
	"strings"
)

// rootPart takes the envelope out of an MTOM or SOAP-with-attachments request: the part that start names, or the
// first (RFC 2387 §3.2). The other parts are counted and otherwise left alone; a value that refers to one is refused
// where it stands.
func (r *reading) rootPart(m Media, body []byte) (Media, []byte, *Refusal) {
	boundary := m.Param("boundary")
	if boundary == "" || len(boundary) > 70 { // RFC 2046 §5.1.1
		return m, nil, refuse("The multipart/related Content-Type has no usable boundary")
	}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	var root *part
	for n := 0; ; n++ {
		p, refusal := r.nextPart(parts, n)
		if refusal != nil {
			return m, nil, refusal
		}
		if p == nil {
			break
		}
		start := m.Param("start") // "" names the first one
		if root == nil && (start == "" || strings.Trim(p.header.Get("Content-Id"), " <>") == strings.Trim(start, " <>")) {
			root = p
		}
	}
	if root == nil {
		return m, nil, refuse("The multipart/related request has no root part")
	}
	return root.open()
}

// part is one part of a multipart body.
type part struct {
	header textproto.MIMEHeader
	body   []byte
}

// nextPart reads part n, or nil after the last one.
func (r *reading) nextPart(parts *multipart.Reader, n int) (*part, *Refusal) {
	p, err := parts.NextRawPart()
	if err == io.EOF { // bare only after the closing boundary; a body cut short wraps it
		return nil, nil
	}
	if err != nil {
		return nil, badMultipart()
	}
	if n >= maxMIMEParts {
		return nil, refuse("Limit max_mime_parts (%d) exceeded", maxMIMEParts)
	}
	size := 0
	for key, values := range p.Header {
		for _, v := range values {
			size += len(key) + len(": \r\n") + len(v)
		}
	}
	if size > maxMIMEHeaderBytes {
		return nil, refuse("Limit max_mime_header_bytes (%d) exceeded", maxMIMEHeaderBytes)
	}
	body, err := io.ReadAll(p)
	if err != nil {
		return nil, badMultipart()
	}
	return &part{header: p.Header, body: body}, nil
}

func badMultipart() *Refusal {
	return refuse("The multipart/related request is malformed or incomplete")
}

// open checks that the root part is an envelope as it stands. The type parameter of application/xop+xml holds the
// SOAP version's media type and matters as little as that of an ordinary request.
func (p *part) open() (Media, []byte, *Refusal) {
	m := ParseMedia(p.header.Get("Content-Type"))
	if m.Name == "application/xop+xml" {
		m.Name = ""
	}
	switch strings.ToLower(strings.TrimSpace(p.header.Get("Content-Transfer-Encoding"))) {
	case "", "binary", "8bit", "7bit":
		return m, p.body, nil
	}
	return m, nil, refuse("The root part of a multipart/related request must not be transfer-encoded")
}
