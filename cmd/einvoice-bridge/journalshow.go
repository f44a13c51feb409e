package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/console"
)

func (r *journalAt) showCommand() *cobra.Command {
	var exchanges, asJSON bool
	cmd := &cobra.Command{
		Use:   "show WHAT",
		Short: "Tell all that is known of an invoice: by its id, an entry's number or the reference of a call",
		Example: `  einvoice-bridge journal show 1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae
  einvoice-bridge journal show 017f22e2-79b0-7cc3-98c4-dc0c0c07398f --exchanges
  einvoice-bridge journal show [ref 017f22e2-79b0-7cc3-98c4-dc0c0c07398f]`,
		Args: cobra.MinimumNArgs(1), // a reference as an answer has it, [ref …], is two
		RunE: func(cmd *cobra.Command, args []string) error {
			what := bridge.Ref(strings.Join(args, " "))
			stories, err := r.stories(cmd.Context(), what)
			if errors.Is(err, bridge.ErrNoEntry) {
				found, err := r.showRejected(cmd, what, asJSON)
				if err == nil && !found {
					err = fmt.Errorf("nothing is recorded of %s; journal list --document finds ids by their beginning", what)
				}
				return err
			}
			if err != nil {
				return err
			}
			for _, s := range stories {
				if asJSON {
					err = json.NewEncoder(cmd.OutOrStdout()).Encode(newStoryJSON(s))
				} else {
					tell(cmd.OutOrStdout(), s, exchanges)
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&exchanges, "exchanges", false, "show what went over both wires, secrets masked")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line, exchanges included")
	return cmd
}

func (r *journalAt) stories(ctx context.Context, what string) (all []bridge.Story, err error) {
	j, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	defer closeAfter(j, &err)
	for _, spelt := range spellings(what) {
		if all, err = j.Show(ctx, spelt); !errors.Is(err, bridge.ErrNoEntry) {
			break
		}
	}
	return all, err
}

// here is where the person at the terminal has his clock.
var here = console.Zone{Location: time.Local}

// tell prints a story as the console's page reads.
func tell(w io.Writer, s bridge.Story, exchanges bool) {
	e := s.Entry
	fmt.Fprintf(w, "%s\n", e.Key.Document)
	for _, sentence := range console.Verdict(s, here) {
		if sentence != "" {
			fmt.Fprintf(w, "  %s\n", sentence)
		}
	}
	fmt.Fprintf(w, "\ntaxpayer  %s\n", e.Taxpayer)
	if e.ID != 0 {
		fmt.Fprintf(w, "entry     %d in %s, through %s\nasked by  %s, reason %s %q\n", e.ID, e.Key.Space, e.Upstream, e.Caller, e.Reason, e.Remarks)
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, v := range console.Events(s, here) {
		took := ""
		if v.Took > 0 {
			took = v.Took.Round(time.Millisecond).String()
		}
		rows = append(rows, []string{local(v.At, ""), v.Offset, took, v.What, v.Detail})
	}
	_ = printTable(w, []string{"at", "after", "took", "what", ""}, rows) // stdout, as all of this
	if exchanges {
		tellWire(w, s)
	}
	fmt.Fprintln(w)
}

func tellWire(w io.Writer, s bridge.Story) {
	for _, a := range s.Asks {
		fmt.Fprintf(w, "\nSOAP in, ref %s\n%s\nSOAP out\n%s\n", a.Ref, kept(a.SOAPIn), kept(a.SOAPOut))
	}
	for _, a := range s.Entry.Attempts {
		for _, x := range a.Outcome.Exchanges {
			fmt.Fprintf(w, "\n%s at %s: %s %s\n%s\nHTTP %d after %s %s\n%s\n", x.Purpose, local(x.Start, ""), x.Method, x.URL, x.Request,
				x.Status, x.Took.Round(time.Millisecond), x.Err, x.Response)
		}
	}
}

func kept(b []byte) string {
	if b == nil {
		return "(not kept any more)"
	}
	return string(b)
}

// storyJSON is a story for scripts.
type storyJSON struct {
	console.Row
	Verdict  []string      `json:"verdict"`
	Attempts []attemptJSON `json:"attempts"`
	Asks     []askJSON     `json:"asks"`
}

type attemptJSON struct {
	Kind      string            `json:"kind"`
	Upstream  string            `json:"upstream"`
	By        string            `json:"by"`
	Start     time.Time         `json:"start"`
	End       *time.Time        `json:"end,omitempty"`
	Sent      *bool             `json:"sent,omitempty"` // of a cancel: whether it may have left
	Outcome   string            `json:"outcome"`
	Message   string            `json:"message,omitempty"`
	Note      string            `json:"note,omitempty"` // for operators; by hand: where it was seen
	HTTP      int               `json:"http_status,omitempty"`
	Exchanges []bridge.Exchange `json:"exchanges,omitempty"`
}

type askJSON struct {
	Ref      string    `json:"ref"`
	Caller   string    `json:"caller"`
	IRN      string    `json:"irn"`
	Reason   string    `json:"reason"`
	Remarks  string    `json:"remarks,omitempty"`
	Received time.Time `json:"received"`
	ToldAt   time.Time `json:"told_at"`
	How      string    `json:"how"`
	Code     int       `json:"code"`
	Outcome  string    `json:"outcome"`
	Message  string    `json:"message,omitempty"`
	Fault    string    `json:"fault,omitempty"`
	Why      string    `json:"why,omitempty"` // what was in the way; no caller hears it
	SOAPIn   string    `json:"soap_in,omitempty"`
	SOAPOut  string    `json:"soap_out,omitempty"`
}

func newStoryJSON(s bridge.Story) storyJSON {
	v := storyJSON{Row: console.NewRow(s.Entry), Verdict: console.Verdict(s, here), Attempts: []attemptJSON{}, Asks: []askJSON{}}
	for _, a := range s.Entry.Attempts {
		o := a.Outcome
		x := attemptJSON{Kind: string(a.Kind), Upstream: a.Upstream, By: a.By, Start: a.Start, Outcome: o.Class.String(),
			Message: o.Message, Note: o.Alarm, HTTP: o.HTTPStatus, Exchanges: o.Exchanges}
		if !a.End.IsZero() {
			x.End = &a.End
		}
		if a.Kind == bridge.SendCancel {
			x.Sent = new(console.Sent(a))
		}
		v.Attempts = append(v.Attempts, x)
	}
	for _, a := range s.Asks {
		v.Asks = append(v.Asks, askJSON{
			Ref: a.Ref, Caller: a.Caller, IRN: a.IRN, Reason: a.Reason, Remarks: a.Remarks, Received: a.Received, ToldAt: a.ToldAt,
			How: string(a.How), Code: a.Told.Code(), Outcome: a.Told.Class.String(), Message: a.Told.Message, Fault: a.Told.Fault, Why: a.Told.Why,
			SOAPIn: string(a.SOAPIn), SOAPOut: string(a.SOAPOut),
		})
	}
	return v
}
