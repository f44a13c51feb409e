package invx

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
)

type visit = upstream.Visit[*token, answer]

// answer is a reply as it was read.
type answer struct {
	reply *upstream.Reply
	*body
}

// Cancel implements bridge.Upstream. A document that InvX shows in a final state is not sent a cancel.
func (a *Adapter) Cancel(ctx context.Context, c bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	return *a.visits.Cancel(ctx, func(ctx context.Context, v *visit) *bridge.Outcome { return a.cancel(ctx, v, &c, fence) })
}

// Lookup implements bridge.Upstream.
func (a *Adapter) Lookup(ctx context.Context, c bridge.Cancellation) (bridge.DocumentState, error) {
	return a.visits.Lookup(ctx, func(ctx context.Context, v *visit) (bridge.DocumentState, error) { return a.lookup(ctx, v, c) })
}

// Probe implements bridge.Upstream: it logs in and searches for an IRN that can't exist, so that the organisation and
// InvX's own address are tried, too.
func (a *Adapter) Probe(ctx context.Context) error {
	v := a.visits.Start()
	if _, _, err := a.find(ctx, v, bridge.Cancellation{Taxpayer: a.cfg.Taxpayer, Document: strings.Repeat("0", 64)}); err != nil {
		return &upstream.Failure{Outcome: *v.End(upstream.NotSent(err))}
	}
	return nil
}

// cancel finds the document and sends one cancel for it.
func (a *Adapter) cancel(ctx context.Context, v *visit, c *bridge.Cancellation, fence bridge.Fence) *bridge.Outcome {
	id, known := a.ids.Get(c.Document)
	if !known {
		docs, others, err := a.find(ctx, v, *c)
		if err != nil {
			return upstream.NotSent(err)
		}
		if o := notCancellable(docs, others); o != nil {
			return o
		}
		id = docs[0].ID
		a.ids.Put(c.Document, id)
	}
	q := a.patch(id, *c)
	q.Fence = fence
	ans, err := a.call(ctx, v, q)
	if err != nil {
		return upstream.NotSent(err)
	}
	ans.items() // is deep in the stack, so before there are Outcomes on it
	return a.end(ans, id, c.Document)
}

// end is what became of a cancel that was sent under a docId.
//
//go:noinline // an Outcome would stand on the stack of every call that waits
func (a *Adapter) end(ans answer, id, irn string) *bridge.Outcome {
	o := classify(ans.reply, ans.body, irn)
	if o.Class == bridge.Refused {
		a.ids.Drop(irn)
	}
	if items, ok := ans.items(); ok && len(items) == 1 && items[0].Data.ID != "" && items[0].Data.ID != id {
		a.shared.Log().Info("InvX answered under another docId", "irn", irn, "sent", id, "got", items[0].Data.ID)
	}
	return &o
}

// find searches for the IRN. The documented sample of this filtered search lists other IRNs too: only entries with the
// IRN and the seller count. others is how many were listed that have another IRN.
func (a *Adapter) find(ctx context.Context, v *visit, c bridge.Cancellation) (docs []document, others int, err error) {
	query := url.Values{"orgidrole": {"seller"}}
	for name, value := range a.cfg.Query {
		query.Set(name, value.Reveal())
	}
	query.Set("irn", c.Document)
	query.Set("sellergstin", c.Taxpayer)
	ans, err := a.call(ctx, v, a.get("/edocuments?"+query.Encode()))
	if err != nil || notFound(ans.body) {
		return nil, 0, err
	}
	items, ok := ans.items()
	if !ok || len(ans.Error) > 0 || ans.reply.Status/100 != 2 {
		return nil, 0, unanswered(classify(ans.reply, ans.body, c.Document))
	}
	for _, it := range items {
		d := it.Data
		same := func(other document) bool { return other.ID == d.ID }
		if d.ID != "" && d.is(c.Document, c.Taxpayer) && !slices.ContainsFunc(docs, same) {
			docs = append(docs, d)
		}
		if !strings.EqualFold(d.IRN, c.Document) {
			others++
		}
	}
	return docs, others, nil
}

func notFound(b *body) bool {
	return len(b.Error) == 1 && b.Error[0].name == "err-resource-not-found"
}

// unanswered is a search or a get that brought no answer.
func unanswered(o bridge.Outcome) error {
	if o.Message == "" {
		o.Message = "the search for the document brought no answer that can be read"
	}
	return upstream.Unanswered(o)
}

// lookup tells the document's state, by docId.
func (a *Adapter) lookup(ctx context.Context, v *visit, c bridge.Cancellation) (state bridge.DocumentState, err error) {
	id, known := a.ids.Get(c.Document)
	if !known {
		docs, _, err := a.find(ctx, v, c)
		if err != nil {
			return state, err
		}
		if len(docs) != 1 {
			return bridge.DocumentState{Text: fmt.Sprintf("InvX lists %d documents under this IRN and seller", len(docs))}, nil
		}
		id = docs[0].ID
		a.ids.Put(c.Document, id)
	}
	q := a.get("/edocuments/" + url.PathEscape(id))
	q.Route = a.org() + "/edocuments/{id}"
	ans, err := a.call(ctx, v, q)
	if err != nil {
		return state, err
	}
	if notFound(ans.body) {
		a.ids.Drop(c.Document)
		return bridge.DocumentState{Text: ans.Error.list().Message()}, nil
	}
	d, ok := ans.document()
	if !ok || len(ans.Error) > 0 || ans.reply.Status/100 != 2 {
		o := classify(ans.reply, ans.body, c.Document)
		if !ans.readable {
			o.Class = bridge.NotApplied // a get that goes astray is no reason to stop cancels
		}
		return state, unanswered(o)
	}
	if !d.is(c.Document, c.Taxpayer) {
		a.ids.Drop(c.Document)
		return bridge.DocumentState{Text: "InvX shows another document under this docId"}, nil
	}
	return d.reading(), nil
}

// call makes one call for the organisation.
func (a *Adapter) call(ctx context.Context, v *visit, q *upstream.Request) (answer, error) {
	return v.Call(ctx, func(t *token) (*upstream.Request, error) {
		if !t.serves(a.cfg.OrgID) {
			const why = "the user does not belong to the organisation"
			return q, &upstream.Failure{Outcome: bridge.Outcome{
				Class: bridge.Misconfigured, Message: why, Alarm: why + ": check org_id and username",
			}}
		}
		q.Header = a.header(t)
		return q, nil
	})
}

// send waits for one of the organisation's places and makes the call.
func (a *Adapter) send(ctx context.Context, q *upstream.Request) (*upstream.Reply, error) {
	free, err := a.slots.Take(ctx, a.profile.CallTimeout)
	if err != nil {
		return &upstream.Reply{}, err
	}
	defer free()
	return a.visits.Client.Do(ctx, q), nil
}

// admission reads a reply and remembers of a token that was found invalid that refreshing it is no use.
func admission(t *token, reply *upstream.Reply) (answer, upstream.Admission) {
	ans := answer{reply, read(reply)}
	why := ans.refusesToken(reply.Status)
	t.dead.CompareAndSwap(false, why == invalid)
	return ans, upstream.Turned(why != accepted)
}

// freshRefused is the end after a fresh token was turned away, too.
func (ans answer) freshRefused() bridge.Outcome {
	said := append(ans.Error.list(), ans.envelope...).Message()
	o := ans.reply.Outcome(bridge.Misconfigured, strings.TrimSpace(fmt.Sprintf("HTTP %d %s", ans.reply.Status, said)))
	o.Alarm = alarmToken
	return o
}

func (a *Adapter) header(t *token) http.Header {
	h := jsonHeader()
	fill := strings.NewReplacer("{token}", t.value, "{org}", a.cfg.OrgID)
	for name, value := range a.cfg.CallHeaders {
		h[name] = []string{fill.Replace(value.Reveal())}
	}
	return h
}

// jsonHeader is demanded of every call, those without a body included.
func jsonHeader() http.Header {
	return http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
}

func (a *Adapter) org() string { return "/invx/apis/v1/orgs/" + url.PathEscape(a.cfg.OrgID) }

func (a *Adapter) get(path string) *upstream.Request {
	return &upstream.Request{Purpose: upstream.ForLookup, Method: http.MethodGet, Path: a.org() + path, Timeout: a.profile.LookupTimeout}
}

// patch is the cancel of one document. The other actions of this verb (acc, dny, dpt, del) are none of our business.
func (a *Adapter) patch(id string, c bridge.Cancellation) *upstream.Request {
	item := cancelItem{id, upstream.Cut(irp.Remarks(c), irp.MaxRemarks), string(c.Reason), "can"}
	body, _ := json.Marshal([]cancelItem{item}) // plain texts can't fail
	return &upstream.Request{
		Purpose: upstream.ForCancel, Method: http.MethodPatch, Path: a.org() + "/edocuments/bulk", Body: body, Timeout: a.profile.CallTimeout,
	}
}
