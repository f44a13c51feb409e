package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/console"
)

func (r *journalAt) auditCommand() *cobra.Command {
	var limit int
	var before int64
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List what operators did: resolved, withdrew, issued and revoked tokens, reloaded; newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			j, err := r.read(cmd.Context())
			if err != nil {
				return err
			}
			defer closeAfter(j, &err)
			deeds, err := j.Deeds(cmd.Context(), before, limit)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, d := range deeds {
				about := d.About
				if d.Entry != 0 {
					about = fmt.Sprintf("entry %d, %s", d.Entry, about)
				}
				rows = append(rows, []string{local(d.At, ""), d.Who, console.DeedText(d.What), about})
			}
			if len(deeds) == limit {
				defer fmt.Fprintf(cmd.ErrOrStderr(), "older ones: --before %d\n", deeds[limit-1].ID)
			}
			return printTable(cmd.OutOrStdout(), []string{"at", "who", "did", "what about"}, rows)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	cmd.Flags().Int64Var(&before, "before", 0, "only those with a lower number, for the next page")
	return cmd
}
