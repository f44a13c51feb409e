package upstream

import (
	"context"

	"einvoice-bridge/bridge"
)

// Admission is what a reply says about the token that the call came with.
type Admission uint8

// The admissions. Only Rejected is proof that nothing was carried out.
const (
	LetIn      Admission = iota
	TurnedAway           // stopped at the gate because of the token
	Suspect              // the reply can't be read with what the session has: whether the call was carried out is open
)

// Turned is the admission of a call of which the adapter knows that, and no more.
func Turned(away bool) Admission {
	if away {
		return TurnedAway
	}
	return LetIn
}

// Visits are how an adapter calls an API that demands a session. T is the session's token, A what a reply says.
type Visits[T, A any] struct {
	Client  *Client
	Guard   *Guard
	Session *Session[T]
	Mask    Mask         // what to hide when no token is known
	MaskOf  func(T) Mask // what to hide with a token, itself included
	Read    func(T, *Reply) (A, Admission)

	// The others may be nil.

	// Do makes a call in the Client's place. An error says that it was not made.
	Do func(context.Context, *Request) (*Reply, error)
	// Plain is a reply's body for the record, where it was encrypted.
	Plain func(A) []byte
	// BeforeReplay is asked before a call is made again.
	BeforeReplay func(context.Context, *Request) error
	// FreshRefused is the outcome when a fresh token was turned away, too. Without it the adapter finds one in the answer.
	FreshRefused func(A) bridge.Outcome
}

// Visit is one Cancel, Lookup or Probe: its calls in order, what was said in them, and whether the one new login that it
// may cost is spent.
type Visit[T, A any] struct {
	*Visits[T, A]
	mask     Mask
	trail    []bridge.Exchange
	sent     bool // a byte of a cancel may have left this machine
	replayed bool

	// The last call. It is here, not in variables, for the stack's sake, which is 8 KB of a call that waits for its reply or,
	// with a little more, 16 KB.
	held      Held[T]
	asked     *Request
	admission Admission
}

// Start begins a visit.
func (w *Visits[T, A]) Start() *Visit[T, A] { return &Visit[T, A]{Visits: w, mask: w.Mask} }

// Cancel is a visit that cancels, through the Guard. Outcomes go by pointer there: one on the stack of each function that
// waits for the reply would make that twice as deep.
func (w *Visits[T, A]) Cancel(ctx context.Context, visit func(context.Context, *Visit[T, A]) *bridge.Outcome) *bridge.Outcome {
	v := w.Start()
	return w.Guard.Cancel(ctx, func(ctx context.Context) *bridge.Outcome { return v.End(visit(ctx, v)) })
}

// Lookup is a visit that looks a document up, through the Guard.
func (w *Visits[T, A]) Lookup(ctx context.Context, visit func(context.Context, *Visit[T, A]) (bridge.DocumentState, error)) (bridge.DocumentState, error) {
	return w.Guard.Lookup(ctx, func(ctx context.Context) (bridge.DocumentState, error) { return w.Ask(ctx, visit) })
}

// Ask is Lookup whatever the breaker says, for probes. An error shuts the gate where its outcome says so; what was said
// stays in the state.
func (w *Visits[T, A]) Ask(ctx context.Context, visit func(context.Context, *Visit[T, A]) (bridge.DocumentState, error)) (bridge.DocumentState, error) {
	v := w.Start()
	state, err := visit(ctx, v)
	if err != nil {
		o := v.End(NotSent(err))
		return bridge.DocumentState{Exchanges: o.Exchanges}, w.Guard.Fail(ctx, *o)
	}
	state.Text, state.Exchanges = v.mask.Text(state.Text), v.trail
	return state, nil
}

// End completes an outcome with all that was said, and takes secrets out of its texts.
func (v *Visit[T, A]) End(o *bridge.Outcome) *bridge.Outcome {
	o.Exchanges, o.Sent = append(v.trail, o.Exchanges...), v.sent
	o.Message, o.Alarm = v.mask.Text(o.Message), v.mask.Text(o.Alarm)
	return o
}

// Call makes a call under the session's token, and once more under a new one when it was stopped at the gate, once in a
// visit. A suspect session is given up, too, but then only a lookup is made again: a cancel may have been carried out. An
// error is a *Failure, or build's: there was no session to call with, or a fresh one was turned away. Whatever it says, the
// call had no effect.
func (v *Visit[T, A]) Call(ctx context.Context, build func(T) (*Request, error)) (answer A, err error) {
	for {
		if answer, err = v.Once(ctx, build); err != nil {
			return answer, err
		}
		switch v.admission {
		case TurnedAway:
			v.Session.Drop(v.held)
		case Suspect:
			v.Session.Forget(v.held)
		}
		switch again := v.admission == TurnedAway || v.admission == Suspect && v.asked.Purpose == ForLookup; {
		case !again, v.replayed && (v.admission == Suspect || v.FreshRefused == nil):
			return answer, nil
		case v.replayed:
			return answer, v.fail(answer)
		}
		v.replayed = true
		if v.BeforeReplay != nil {
			if err := v.BeforeReplay(ctx, v.asked); err != nil {
				return answer, err
			}
		}
	}
}

//go:noinline // rare, and its outcomes would stand on the stack of every call that waits
func (v *Visit[T, A]) fail(answer A) error { return &Failure{BeforeCancel(v.FreshRefused(answer))} }

// Once makes a call under the session's token and leaves the session alone, whatever the reply says of it.
func (v *Visit[T, A]) Once(ctx context.Context, build func(T) (*Request, error)) (answer A, err error) {
	var logins []bridge.Exchange
	if v.held, logins, err = v.Session.Get(ctx); len(logins) > 0 {
		v.trail = append(v.trail, logins...)
	}
	if err != nil {
		return answer, err
	}
	if v.asked, err = build(v.held.Token); err != nil {
		return answer, err
	}
	return v.send(ctx, v.held.Token)
}

// Send makes a call under a token that need not be the session's, and keeps what was said.
func (v *Visit[T, A]) Send(ctx context.Context, token T, q *Request) (answer A, admission Admission, err error) {
	v.asked = q
	answer, err = v.send(ctx, token)
	return answer, v.admission, err
}

// send makes the call that v.asked is.
func (v *Visit[T, A]) send(ctx context.Context, token T) (answer A, err error) {
	v.mask, v.admission = v.MaskOf(token), LetIn
	var r *Reply
	if v.Do == nil {
		r = v.Client.Do(ctx, v.asked)
	} else if r, err = v.Do(ctx, v.asked); err != nil {
		return answer, err
	}
	answer, v.admission = v.Read(token, r)
	v.keep(r, answer)
	return answer, nil
}

// keep notes what was said.
//
//go:noinline // what is kept would stand on the stack of a call that waits
func (v *Visit[T, A]) keep(r *Reply, answer A) {
	said, asked := r.Body, v.asked.Body
	if v.Plain != nil {
		said = v.Plain(answer)
	}
	if v.asked.Plain != nil {
		asked = v.asked.Plain
	}
	v.trail = append(v.trail, r.Exchange(v.mask, asked, said))
	v.sent = v.sent || v.asked.Purpose == ForCancel && r.Written
}
