package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/console"
)

// listRejected prints the calls that were turned away before they were cancellations.
func (r *journalAt) listRejected(cmd *cobra.Command, f bridge.Filter, asJSON bool) (err error) {
	if f.Document != "" || f.Taxpayer != "" || f.Upstream != "" || f.Class != bridge.None || f.Open || f.Waiting || f.ToldOtherwise {
		return errors.New("--rejected goes with --caller, --since, --until, --before, --limit and --json: a rejected call is no cancellation of a document")
	}
	j, err := r.read(cmd.Context())
	if err != nil {
		return err
	}
	defer closeAfter(j, &err)
	calls, err := j.Rejected(cmd.Context(), bridge.RejectedFilter{Caller: f.Caller, Since: f.Since, Until: f.Until, Before: f.Before, Limit: f.Limit})
	switch {
	case err != nil:
		return err
	case asJSON:
		return writeRejected(cmd.OutOrStdout(), calls)
	case len(calls) == 0:
		fmt.Fprintln(cmd.ErrOrStderr(), "no call was turned away, or none is kept any more")
		return nil
	}
	var rows [][]string
	for _, c := range calls {
		rows = append(rows, []string{local(c.At, ""), c.Ref, console.RejectionText(c.Kind), c.Caller, c.From, cut(c.Why, 80)})
	}
	if err := printTable(cmd.OutOrStdout(), []string{"at", "reference", "what was wrong", "caller", "from", "why"}, rows); err != nil {
		return err
	}
	if len(calls) == f.Limit {
		fmt.Fprintf(cmd.ErrOrStderr(), "older ones: --before %d\n", calls[len(calls)-1].ID)
	}
	return nil
}

// showRejected tells what is known of the call with a reference, if it was turned away.
func (r *journalAt) showRejected(cmd *cobra.Command, ref string, asJSON bool) (found bool, err error) {
	j, err := r.read(cmd.Context())
	if err != nil {
		return false, err
	}
	defer closeAfter(j, &err)
	calls, err := j.Rejected(cmd.Context(), bridge.RejectedFilter{Ref: ref})
	if err != nil || len(calls) == 0 {
		return false, err
	}
	if asJSON {
		return true, writeRejected(cmd.OutOrStdout(), calls)
	}
	for _, c := range calls {
		tellRejected(cmd.OutOrStdout(), c)
	}
	return true, nil
}

func tellRejected(w io.Writer, c bridge.Rejected) {
	fmt.Fprintf(w, "%s\n  This call was turned away before it was a cancellation: %s (%s).\n  Nothing was sent to an authority for it.\n\n",
		c.Ref, console.RejectionText(c.Kind), c.Why)
	rows := []bridge.Fact{{Name: "at", Text: local(c.At, "")}, {Name: "from", Text: c.From}, {Name: "caller", Text: c.Caller}}
	for _, f := range append(rows, c.Came...) {
		if f.Text != "" {
			fmt.Fprintf(w, "%-17s %s\n", f.Name, f.Text)
		}
	}
}

// rejectedJSON is a rejected call for scripts.
type rejectedJSON struct {
	ID     int64             `json:"id"`
	Ref    string            `json:"ref"`
	At     time.Time         `json:"at"`
	From   string            `json:"from"`
	Caller string            `json:"caller,omitempty"`
	Kind   string            `json:"kind"`
	Why    string            `json:"why"`
	Came   map[string]string `json:"came,omitempty"`
}

func writeRejected(w io.Writer, calls []bridge.Rejected) error {
	for _, c := range calls {
		v := rejectedJSON{c.ID, c.Ref, c.At.UTC(), c.From, c.Caller, c.Kind, c.Why, map[string]string{}}
		for _, f := range c.Came {
			v.Came[f.Name] = f.Text
		}
		if err := json.NewEncoder(w).Encode(v); err != nil {
			return err
		}
	}
	return nil
}
