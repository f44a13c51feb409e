package bridge

import (
	"context"
	"time"
)

// Rehearsed is one request that went to the provider while the bridge rehearses: what came, what the provider answered,
// and what the bridge would have made of it. No secret is in it.
type Rehearsed struct {
	ID       int64         `json:"-"`
	Ref      string        `json:"ref"`
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took"` // at the provider
	From     string        `json:"from"` // address
	Caller   string        `json:"caller,omitempty"`
	Taxpayer string        `json:"taxpayer,omitempty"`

	// Operation is the name of the element in Body; "" when it was not found, and for a GET, unless that was of a
	// description. Ours tells that it was read as one of our operations.
	Operation string `json:"operation,omitempty"`
	Ours      bool   `json:"ours,omitempty"`
	// Fault is why a request could not be read, Refused what the bridge itself would have refused it with.
	Fault   string   `json:"fault,omitempty"`
	Refused string   `json:"refused,omitempty"`
	Notes   []string `json:"notes,omitempty"` // leniencies that it needs

	Request Message `json:"request"`
	Answer  Message `json:"answer"`
	Failed  string  `json:"failed,omitempty"` // why there is no answer
	Lost    int     `json:"lost,omitempty"`   // requests before it that could not be written down
}

// RehearsedWSDL stands for the operation where a description was asked for.
const RehearsedWSDL = "?wsdl"

// Message is one HTTP message, with secrets masked. Body is kept where it is of use and could be masked.
type Message struct {
	Status  int         `json:"status,omitempty"` // of an answer
	Method  string      `json:"method,omitempty"` // of a request, if not POST
	Path    string      `json:"path,omitempty"`
	Headers [][2]string `json:"headers,omitempty"` // values of those that may hold a secret are masked
	Size    int         `json:"size"`              // of the body as it came
	Body    string      `json:"body,omitempty"`
}

// Header is a header's first value.
func (m Message) Header(name string) string {
	for _, h := range m.Headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

// Rehearsals keeps what was rehearsed, bounded: the oldest make room for new ones.
type Rehearsals interface {
	Rehearse(ctx context.Context, calls []Rehearsed) error
	// Rehearsed hands out what is kept of requests from since on, oldest first, until do fails.
	Rehearsed(ctx context.Context, since time.Time, do func(Rehearsed) error) error
}
