package invx

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

// Cancel implements bridge.Upstream. A document that InvX shows in a final state is not sent a cancel.
func (a *Adapter) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	return a.guard.Cancel(ctx, func(ctx context.Context) bridge.Outcome {
		v := visit{Adapter: a, mask: a.mask}
		return v.ended(v.cancel(ctx, c, fence))
	})
}

// Lookup implements bridge.Upstream.
func (a *Adapter) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return a.guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) {
		v := visit{Adapter: a, mask: a.mask}
		state, err := v.lookup(ctx, c)
		if err != nil {
			return bridge.DocumentState{}, a.guard.Fail(ctx, v.ended(upstream.NotSent(err)))
		}
		state.Exchanges = v.trail
		return state, nil
	})
}

// Probe implements bridge.Upstream: it logs in and searches for an IRN that can't exist, so that the organisation and
// InvX's own address are tried, too.
func (a *Adapter) Probe(ctx context.Context) error {
	v := visit{Adapter: a, mask: a.mask}
	if _, err := v.find(ctx, bridge.Cancellation{Taxpayer: a.cfg.GSTIN, Document: strings.Repeat("0", 64)}); err != nil {
		return &upstream.Failure{Outcome: v.ended(upstream.NotSent(err))}
	}
	return nil
}

// visit is one Cancel, Lookup or Probe: its calls in order, and whether its one new token is spent.
type visit struct {
	*Adapter
	trail    []bridge.Exchange
	replayed bool
	sent     bool // a byte of a cancel may have left this machine
	mask     upstream.Mask
}

// ended completes an outcome with all that was said, and takes secrets out of its texts.
func (v *visit) ended(o bridge.Outcome) bridge.Outcome {
	o.Exchanges, o.Sent = append(v.trail, o.Exchanges...), v.sent
	o.Message, o.Alarm = v.mask.Text(o.Message), v.mask.Text(o.Alarm)
	return o
}

// cancel finds the document and sends one cancel for it.
func (v *visit) cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	id, known := v.ids.get(c.Document)
	if !known {
		docs, err := v.find(ctx, c)
		if err != nil {
			return upstream.NotSent(err)
		}
		if o := notCancellable(docs); o != nil {
			return *o
		}
		id = docs[0].ID
		v.ids.put(c.Document, id)
	}
	q := v.patch(id, c)
	q.Fence = fence
	reply, b, err := v.call(ctx, q)
	if err != nil {
		return upstream.NotSent(err)
	}
	o := classify(reply, b, c.Document)
	if o.Class == bridge.Refused {
		v.ids.drop(c.Document)
	}
	if items, ok := b.items(); ok && len(items) == 1 && items[0].Data.ID != "" && items[0].Data.ID != id {
		v.shared.Log().Info("InvX answered under another docId", "irn", c.Document, "sent", id, "got", items[0].Data.ID)
	}
	return o
}

// find searches for the IRN. The documented sample of this filtered search lists other IRNs too: only entries with the
// IRN and the seller count.
func (v *visit) find(ctx context.Context, c bridge.Cancellation) ([]document, error) {
	query := url.Values{"orgidrole": {"seller"}}
	for name, value := range v.cfg.Query {
		query.Set(name, value)
	}
	query.Set("irn", c.Document)
	query.Set("sellergstin", c.Taxpayer)
	reply, b, err := v.call(ctx, v.get("/edocuments?"+query.Encode()))
	if err != nil {
		return nil, err
	}
	if notFound(b) {
		return nil, nil
	}
	items, ok := b.items()
	if !ok || len(b.Error) > 0 || reply.Status/100 != 2 {
		return nil, unanswered(classify(reply, b, c.Document))
	}
	var docs []document
	for _, it := range items {
		if d := it.Data; d.ID != "" && d.is(c.Document, c.Taxpayer) && !holds(docs, d.ID) {
			docs = append(docs, d)
		}
	}
	return docs, nil
}

func holds(docs []document, id string) bool {
	for _, d := range docs {
		if d.ID == id {
			return true
		}
	}
	return false
}

func notFound(b body) bool {
	return len(b.Error) == 1 && b.Error[0].name == "err-resource-not-found"
}

// unanswered is a question that brought no answer: nothing of a cancel was sent, whatever the reply would have meant
// to one.
func unanswered(o bridge.Outcome) error {
	o = upstream.BeforeCancel(o)
	if o.Class != bridge.Misconfigured {
		o.Class = bridge.NotApplied
	}
	if o.Message == "" {
		o.Message = "the search for the document brought no answer that can be read"
	}
	return &upstream.Failure{Outcome: o}
}

// lookup tells the document's state, by docId.
func (v *visit) lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	id, known := v.ids.get(c.Document)
	if !known {
		docs, err := v.find(ctx, c)
		if err != nil {
			return bridge.DocumentState{}, err
		}
		if len(docs) != 1 {
			return bridge.DocumentState{Text: fmt.Sprintf("InvX lists %d documents under this IRN and seller", len(docs))}, nil
		}
		id = docs[0].ID
		v.ids.put(c.Document, id)
	}
	q := v.get("/edocuments/" + url.PathEscape(id))
	q.Route = v.org() + "/edocuments/{id}"
	reply, b, err := v.call(ctx, q)
	if err != nil {
		return bridge.DocumentState{}, err
	}
	if notFound(b) {
		v.ids.drop(c.Document)
		return bridge.DocumentState{Text: b.Error.list().Message()}, nil
	}
	d, ok := b.document()
	if !ok || len(b.Error) > 0 || reply.Status/100 != 2 {
		o := classify(reply, b, c.Document)
		if !b.readable {
			o.Class = bridge.NotApplied // a get that goes astray is no reason to stop cancels
		}
		return bridge.DocumentState{}, unanswered(o)
	}
	if !d.is(c.Document, c.Taxpayer) {
		v.ids.drop(c.Document)
		return bridge.DocumentState{Text: "InvX shows another document under this docId"}, nil
	}
	return d.reading(), nil
}

// call makes one call with the session's token. A call that was turned away because of its token is made again with a
// new one, once per visit. The error is a *upstream.Failure: whatever it says, the call had no effect.
func (v *visit) call(ctx context.Context, q upstream.Request) (upstream.Reply, body, error) {
	for {
		held, trail, err := v.session.Get(ctx)
		v.trail = append(v.trail, trail...)
		if err != nil {
			return upstream.Reply{}, body{}, err
		}
		if !held.Token.serves(v.cfg.OrgID) {
			const why = "the user does not belong to the organisation"
			return upstream.Reply{}, body{}, &upstream.Failure{Outcome: bridge.Outcome{
				Class: bridge.Misconfigured, Message: why, Alarm: why + ": check org_id and username",
			}}
		}
		reply, err := v.send(ctx, q, held.Token)
		if err != nil {
			return upstream.Reply{}, body{}, err
		}
		b := read(reply)
		why := b.refusesToken(reply.Status)
		if why == accepted {
			return reply, b, nil
		}
		held.Token.dead.CompareAndSwap(false, why == invalid)
		v.session.Drop(held)
		if v.replayed {
			said := append(b.Error.list(), b.envelope...).Message()
			o := reply.Outcome(bridge.Misconfigured, strings.TrimSpace(fmt.Sprintf("HTTP %d %s", reply.Status, said)))
			o.Alarm = alarmToken
			return upstream.Reply{}, body{}, &upstream.Failure{Outcome: upstream.BeforeCancel(o)}
		}
		v.replayed = true
	}
}

// send waits for one of the organisation's places and makes the call.
func (v *visit) send(ctx context.Context, q upstream.Request, t *token) (upstream.Reply, error) {
	free, err := v.slots.Take(ctx, v.cfg.CallTimeout)
	if err != nil {
		return upstream.Reply{}, err
	}
	defer free()
	q.Header = v.header(t)
	v.mask = t.mask
	reply := v.client.Do(ctx, q)
	v.trail = append(v.trail, reply.Exchange(v.mask, q.Body, reply.Body))
	v.sent = v.sent || q.Purpose == upstream.ForCancel && reply.Written
	return reply, nil
}

func (v *visit) header(t *token) http.Header {
	h := jsonHeader()
	fill := strings.NewReplacer("{token}", t.value, "{org}", v.cfg.OrgID)
	for name, value := range v.cfg.CallHeaders {
		h[name] = []string{fill.Replace(value)}
	}
	return h
}

// jsonHeader is demanded of every call, those without a body included.
func jsonHeader() http.Header {
	return http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
}

func (v *visit) org() string { return "/invx/apis/v1/orgs/" + url.PathEscape(v.cfg.OrgID) }

func (v *visit) get(path string) upstream.Request {
	return upstream.Request{Purpose: upstream.ForLookup, Method: http.MethodGet, Path: v.org() + path, Timeout: v.cfg.LookupTimeout}
}

// patch is the cancel of one document. The other actions of this verb (acc, dny, dpt, del) are none of our business.
func (v *visit) patch(id string, c bridge.Cancellation) upstream.Request {
	item := cancelItem{id, upstream.Cut(irp.Remarks(c), maxRemarks), string(c.Reason), "can"}
	body, _ := json.Marshal([]cancelItem{item}) // plain texts can't fail
	return upstream.Request{
		Purpose: upstream.ForCancel, Method: http.MethodPatch, Path: v.org() + "/edocuments/bulk", Body: body, Timeout: v.cfg.CallTimeout,
	}
}

// maxIDs bounds the memory that known docIds take; a forgotten one costs one search.
const maxIDs = 10_000

// docIDs remembers the docId of an IRN. It never changes.
type docIDs struct {
	mu sync.Mutex
	by map[string]string
}

func (d *docIDs) get(irn string) (id string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok = d.by[irn]
	return id, ok
}

func (d *docIDs) put(irn, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.by == nil || len(d.by) >= maxIDs {
		d.by = map[string]string{}
	}
	d.by[irn] = id
}

func (d *docIDs) drop(irn string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.by, irn)
}
