package cleartax

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// Cancel implements bridge.Upstream (ClearTax E-Invoicing API, Cancel IRN).
func (in *India) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	return *in.visits.Cancel(ctx, func(ctx context.Context, v *visit) *bridge.Outcome {
		remarks := []rune(irp.Remarks(c))
		body := in.route.body(cancelRequestIN{c.Document, string(c.Reason), strings.TrimSpace(string(remarks[:min(len(remarks), maxRemarks)]))})
		r, id := in.cancel(ctx, v, &upstream.Request{Fence: fence, Method: in.route.method, Path: in.route.cancelPath, Body: body})
		said, readable := in.route.read(r.Body) // deep in the stack, so before there are Outcomes on it
		return in.end(r, said, readable, id, c.Document)
	})
}

// end is what became of a cancel that was sent under a request id.
//
//go:noinline // an Outcome would stand on the stack of every call that waits
func (in *India) end(r *upstream.Reply, body *replyIN, readable bool, id, irn string) *bridge.Outcome {
	o := classifyIN(r, body, readable, verdict(r), in.route, irn)
	o.UpstreamRef = id
	return &o
}

// Lookup implements bridge.Upstream (ClearTax E-Invoicing API, Get Invoice by IRN and Get E-Invoice by IRN). Neither
// names a cancel date.
func (in *India) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return in.visits.Lookup(ctx, in.about(c.Document))
}

// Probe implements bridge.Upstream: there is no login, so it asks for an IRN that nobody has.
func (in *India) Probe(ctx context.Context) error {
	_, err := in.visits.Ask(ctx, in.about(strings.Repeat("0", 64)))
	return err
}

// about is a visit that asks for an IRN.
func (in *India) about(irn string) func(context.Context, *visit) (bridge.DocumentState, error) {
	return func(ctx context.Context, v *visit) (bridge.DocumentState, error) {
		if err := in.visits.Guard.Admit(ctx); err != nil {
			return bridge.DocumentState{}, err
		}
		r, id := in.do(ctx, v, &upstream.Request{
			Purpose: upstream.ForLookup, Method: http.MethodGet, Path: in.route.getPath + url.QueryEscape(irn), Timeout: in.profile.LookupTimeout,
			Route: in.route.getPath + "{irn}",
		})
		state, o := readLookupIN(r, in.route, irn)
		if o.Class == bridge.None {
			return state, nil
		}
		o.UpstreamRef = id
		return state, &upstream.Failure{Outcome: upstream.BeforeCancel(o)}
	}
}

// Cancel implements bridge.Upstream (ClearTax E-Invoicing Malaysia API, Cancel E-Invoice). The document comes by its UUID;
// the call names it by ClearTax's id.
func (m *Malaysia) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	if !lhdnUUID.MatchString(c.Document) {
		code, message := upstream.LHDNRefusal("irn", "must be a document of ClearTax or a LHDN UUID")
		return bridge.Outcome{Class: bridge.Refused, Code: code, Message: message}
	}
	return *m.visits.Cancel(ctx, func(ctx context.Context, v *visit) *bridge.Outcome {
		id, o := m.nameNow(ctx, v, c.Document)
		if o != nil {
			return o
		}
		body := upstream.JSON(cancelRequestMY{Reason: upstream.LHDNReason(c), Action: "CANCEL"})
		r, request := m.cancel(ctx, v, &upstream.Request{
			Fence: fence, Method: http.MethodPut, Path: documentsMY + "/" + url.PathEscape(id) + "/state?" + m.query("", ""), Body: body,
			Route: documentsMY + "/{id}/state",
		})
		return m.end(r, request, named{id: id, uuid: c.Document})
	})
}

// end is what became of a cancel that was sent under a request id.
//
//go:noinline // an Outcome would stand on the stack of every call that waits
func (m *Malaysia) end(r *upstream.Reply, id string, asked named) *bridge.Outcome {
	o := verdict(r)
	o.UpstreamRef = id
	o = classifyMY(r, o, asked)
	return &o
}

const documentsMY = "/einvoice/v1/documents"

// query is einvoice-type and one more parameter.
func (m *Malaysia) query(name, value string) string {
	q := url.Values{"einvoice-type": {m.invoiceType}}
	if name != "" {
		q.Set(name, value)
	}
	return q.Encode()
}

// Lookup implements bridge.Upstream.
func (m *Malaysia) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	q := byUUID(c.Document)
	old := !lhdnUUID.MatchString(c.Document) // on record by a document id, as before ids were resolved
	if old {
		q = question{name: "document-id", value: c.Document}
	}
	return m.visits.Lookup(ctx, func(ctx context.Context, v *visit) (bridge.DocumentState, error) {
		found, err := m.find(ctx, v, q)
		state := found.state()
		if old && state.Status != bridge.StatusCancelled { // it may name another document by now
			state.Status, state.Text = bridge.StatusUnknown, "the document is not on record by its LHDN UUID"
		}
		return state, err
	})
}

// Probe implements bridge.Upstream: there is no login, so it asks for a document that can't exist.
func (m *Malaysia) Probe(ctx context.Context) error {
	_, err := m.visits.Ask(ctx, func(ctx context.Context, v *visit) (bridge.DocumentState, error) {
		_, err := m.find(ctx, v, question{name: "document-id", value: "einvoice-bridge-probe"})
		return bridge.DocumentState{}, err
	})
	return err
}

// cancel makes the one call that cancels, if q's fence lets it.
func (g *gateway) cancel(ctx context.Context, v *visit, q *upstream.Request) (r *upstream.Reply, id string) {
	q.Purpose, q.Timeout = upstream.ForCancel, g.profile.CallTimeout
	return g.do(ctx, v, q)
}

// do makes a call and returns its request id, which the vendor's support asks for. It is no idempotency key.
func (g *gateway) do(ctx context.Context, v *visit, q *upstream.Request) (*upstream.Reply, string) {
	id := uuid.NewString()
	q.Header = g.header.Clone()
	q.Header["x-request-id"] = []string{id}
	if q.Body != nil {
		q.Header["Content-Type"] = []string{"application/json"}
	}
	r, _, _ := v.Send(ctx, static{}, q) // no error: nothing stands between the client and the network
	return r, id
}

// A document has two names: ClearTax's document id, by which it is cancelled, and LHDN's UUID, by which it is on record.
// From a UUID to its document id there is one way for ever. The other way round there isn't: where documents are generated
// with AllowCancelledDocumentsGeneration (ClearTax E-Invoicing Malaysia API, Generate E-Invoice), the id of a cancelled one
// comes to name a new one.

// named is a document by its names, as far as they are known.
type named struct{ id, uuid string }

// Resolve implements bridge.Resolver. What has the form of a UUID is asked for as such first; a document id may look like
// one, so that is asked for next. A document id is asked for anew each time.
func (m *Malaysia) Resolve(ctx context.Context, document string) (string, bridge.Outcome) {
	questions := []question{{name: "document-id", value: document}}
	if uuid := strings.ToUpper(document); lhdnUUID.MatchString(uuid) {
		if _, ok := m.ids.Get(uuid); ok {
			return uuid, bridge.Outcome{}
		}
		questions = []question{byUUID(uuid), questions[0]}
	}
	if !documentID.MatchString(document) {
		code, message := upstream.LHDNRefusal("irn", "must be up to 128 letters, digits, dots, hyphens and underscores")
		return "", bridge.Outcome{Class: bridge.Refused, Code: code, Message: message}
	}
	var found foundMY
	state, err := m.visits.Lookup(ctx, func(ctx context.Context, v *visit) (_ bridge.DocumentState, err error) {
		found, err = m.find(ctx, v, questions...)
		return bridge.DocumentState{}, err
	})
	var o bridge.Outcome
	switch {
	case err != nil:
		o = *upstream.NotSent(err)
	case found.named == named{} && found.missing && m.ids.Any(func(k known) bool { return k.id == document }): // reads lag writes: that is no word on it
		o = bridge.Outcome{Class: bridge.NotApplied, Message: "ClearTax finds no document by a name under which it has shown one"}
	case found.uuid == "":
		o = *found.nothing()
	default:
		return found.uuid, o
	}
	o.Exchanges = state.Exchanges
	return "", o
}

// fresh is how long a document id is taken to name the document that it was seen to name. Within it somebody else would
// have to cancel that one and generate another.
const fresh = 10 * time.Second

// nameNow is the document id under which the document can be cancelled: it must name this document and no later one. The
// outcome is nil when there is one.
func (m *Malaysia) nameNow(ctx context.Context, v *visit, uuid string) (string, *bridge.Outcome) {
	if k, ok := m.ids.Get(uuid); ok && time.Since(k.seen) < fresh {
		return k.id, nil
	}
	found, err := m.find(ctx, v, byUUID(uuid))
	if err == nil && found.id != "" && found.cancelled() { // then its document id may name another one
		var now foundMY
		now, err = m.find(ctx, v, question{name: "document-id", value: found.id})
		if err == nil && now.uuid != uuid {
			return "", &bridge.Outcome{
				Class: bridge.Refused, ByState: true, Code: "IncorrectState",
				Message: "IncorrectState: ClearTax shows the document as cancelled",
			}
		}
	}
	switch {
	case err != nil:
		return "", upstream.NotSent(err)
	case found.id == "":
		return "", found.nothing()
	}
	return found.id, nil
}

// question asks ClearTax for a document by one of its names.
type question struct {
	name, value string
	status      bool // the call that tells only the status, which names the UUID (seen in production)
}

func byUUID(uuid string) question { return question{name: "uuid", value: uuid} }

// find puts the questions until one finds a document or can't be answered. The names of what it finds are remembered.
func (m *Malaysia) find(ctx context.Context, v *visit, questions ...question) (found foundMY, err error) {
	for _, q := range questions {
		found, err = m.ask(ctx, v, q)
		if err == nil && found.id != "" && found.uuid == "" {
			var more foundMY
			q.status = true
			if more, err = m.ask(ctx, v, q); more.uuid != "" {
				found = more
			}
		}
		if err != nil {
			return foundMY{}, err
		}
		if found.id != "" && found.uuid != "" {
			k := known{id: found.id}
			if found.byID || !found.cancelled() {
				k.seen = time.Now()
			}
			m.ids.Put(found.uuid, k)
		}
		if found.named != (named{}) || !found.missing {
			break
		}
	}
	return found, nil
}

// ask makes one lookup (ClearTax E-Invoicing Malaysia API, Get Document via UUID). Nothing found is no error.
func (m *Malaysia) ask(ctx context.Context, v *visit, q question) (foundMY, error) {
	if err := m.visits.Guard.Admit(ctx, m.lookups); err != nil {
		return foundMY{}, err
	}
	path, route := documentsMY+"?"+m.query(q.name, q.value), documentsMY
	if q.status {
		path, route = documentsMY+"/"+url.PathEscape(q.value)+"/status?"+m.query("", ""), documentsMY+"/{id}/status"
	}
	r, id := m.do(ctx, v, &upstream.Request{
		Purpose: upstream.ForLookup, Method: http.MethodGet, Path: path, Route: route, Timeout: m.profile.LookupTimeout,
	})
	found, o := readLookupMY(r, verdict(r), q)
	if o.Class != bridge.None {
		o.UpstreamRef = id
		return foundMY{}, &upstream.Failure{Outcome: upstream.BeforeCancel(o)}
	}
	return found, nil
}

// known is the document id of a UUID, and when that was last seen to name this document.
type known struct {
	id   string
	seen time.Time // zero: the document was seen cancelled, so the id may name another one
}
