// Package upstream holds what the adapters of all e-invoice APIs share, so that each of them is only its own
// protocol: what to send, and what the reply means.
//
// Start with [Shared]: one value per configuration, handed to every adapter's constructor. From it an adapter takes
//
//   - a [Client], the way to one base URL. [Client.Do] makes one HTTP call, never repeats it, and knows whether a byte
//     of it left this machine. [Reply.Verdict] says what that means for a cancel when no body decides;
//   - a [Guard], the door in front of one credential;
//   - a [Session], the login that everybody with the same credential shares: one login at a time, renewed in the
//     background, kept in memory and, with a seal ([Shared.Seal]), in the journal for all instances and the next start;
//   - a [Mask], which turns what went over the wire into a [bridge.Exchange] without any secret in it.
//
// What can hold a call back, each by one word:
//
//   - a breaker is a host's: failures in a row open it, for whoever calls there, in this process;
//   - a gate is a credential's: the authority's no to it, or its "wait", shuts it in the journal, for all instances;
//   - a budget ([bridge.Budget]) keeps gates, and counts there what a rate allows: the flow's cancels, an adapter's logins and lookups;
//   - slots are an account's: how many of its calls may be under way at once;
//   - a guard is what an adapter passes: the breaker of its host and, before a login, its gate and its budget.
//
// A [Shared] has all of them in one registry by key; what is still asked for outlasts a change of the configuration.
//
// [Visits] put them together. The skeleton of an adapter's Cancel, whatever the API:
//
//	return *a.visits.Cancel(ctx, func(ctx context.Context, v *visit) *bridge.Outcome {
//		answer, err := v.Call(ctx, func(token string) (*upstream.Request, error) {
//			return &upstream.Request{Purpose: upstream.ForCancel, Fence: fence, …}, nil
//		})
//		if err != nil {
//			return upstream.NotSent(err)
//		}
//		return answer.end(c.Document)
//	})
//
// A call that waits for its reply keeps its stack: 8 KB while what is pointed to there stays on the heap, Outcomes above all.
//
// A [Kind] is an adapter's name, configuration struct and constructor in one value. A key stands in that struct alone
// ([KindOf] says how): the configuration's loader, its schema and tables, and what check says come from there.
//
// Every adapter is a package of the same files: adapter.go (configuration, constructor, profile), call.go (cancel, lookup,
// probe), session.go (login and token), wire.go (what goes over the wire) and classify.go (what a reply means).
//
// It knows no authority's protocol and no configuration file, and it keeps nothing on disk. What the carriers of India's
// IRNs have in common is in package irp.
package upstream
