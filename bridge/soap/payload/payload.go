// Package payload undoes what lies between the body of an HTTP request and the XML text in it: a Content-Encoding, a
// multipart body around it (MTOM, SOAP with attachments), a character set. It knows nothing of SOAP, and of XML its
// declaration and its characters alone; its callers read no byte that has not come through it. MTOM and
// compression stay, though no stack of the matrix sends them unasked: people switch them on (node-soap's issue 471).
package payload

import "fmt"

// Limits bound what a body may cost, where that may be configured. Each must be at least 1: a limit may be raised, never
// switched off.
type Limits struct {
	BodyBytes       int // as received
	InflatedBytes   int // after Content-Encoding
	TranscodedBytes int // as UTF-8
}

const (
	maxInflateRatio    = 100 // output bytes per input byte
	maxMIMEParts       = 8
	maxMIMEHeaderBytes = 64 << 10 // of one part of a multipart body
)

// Refusal is why a body can't be read.
type Refusal struct {
	Text   string
	Status int    // where HTTP has one for it; else 0
	Found  string // the label that came where another was wanted: a stranger's text
}

func refuse(format string, args ...any) *Refusal { return &Refusal{Text: fmt.Sprintf(format, args...)} }

func exceeded(limit string, value, offset int) *Refusal {
	return refuse("Limit max_%s (%d) exceeded at byte %d", limit, value, offset)
}

// reading is one body under way.
type reading struct {
	Limits
	note func(string) // takes the leniencies that were needed
}

// Open returns the text as UTF-8. It shares memory with body where nothing had to change.
func Open(media Media, encoding string, body []byte, limits Limits, note func(string)) ([]byte, *Refusal) {
	r := &reading{limits, note}
	body, refusal := r.inflate(encoding, body)
	if refusal != nil {
		return nil, refusal
	}
	if media.Name == "multipart/related" {
		if media, body, refusal = r.rootPart(media, body); refusal != nil {
			return nil, refusal
		}
	}
	if refusal := media.check(); refusal != nil {
		return nil, refusal
	}
	if media.sloppy {
		r.note("a Content-Type was taken for text/xml that only mentions it")
	}
	return r.toUTF8(body, media.Charset())
}

// xmlSpace is XML's white space; there is more that Unicode calls a space.
const xmlSpace = " \t\r\n"
