package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/console"
)

func journalCommand() *cobra.Command {
	r := &journalAt{}
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Look at the record: what was asked, what became of it, what each caller was told",
		Long:  "Journal reads and corrects the record, also while serve runs.",
	}
	r.flags(cmd)
	cmd.AddCommand(r.listCommand(), r.showCommand(), r.exportCommand(), r.resolveCommand(), r.withdrawCommand(), r.lookupCommand(), r.backupCommand(), r.auditCommand())
	return cmd
}

// selection is which entries a command is about.
type selection struct {
	document, caller, taxpayer, upstream, outcome, since, until string
	open, waiting, toldOtherwise                                bool
}

func (s *selection) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.document, "document", "", "beginning of the document id")
	f.StringVar(&s.caller, "caller", "", "caller, by name")
	f.StringVar(&s.taxpayer, "taxpayer", "", "GSTIN or TIN")
	f.StringVar(&s.upstream, "upstream", "", "upstream, by name")
	f.StringVar(&s.outcome, "outcome", "", "cancelled, refused, not_applied, unknown or misconfigured")
	f.StringVar(&s.since, "since", "", "written down from then on: 2026-04-01 15:04, or 2h or 3d ago")
	f.StringVar(&s.until, "until", "", "written down before then")
	f.BoolVar(&s.open, "open", false, "only the unconfirmed: the operator's list")
	f.BoolVar(&s.waiting, "waiting", false, "only those that wait their turn")
	f.BoolVar(&s.toldOtherwise, "told-otherwise", false, "only those whose truth differs from what a caller was told")
	var outcomes []string
	for _, name := range []string{"cancelled", "refused", "not_applied", "unknown", "misconfigured"} {
		outcomes = append(outcomes, cobra.CompletionWithDesc(name, console.OutcomeText(name)))
	}
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("outcome", cobra.FixedCompletions(outcomes, cobra.ShellCompDirectiveNoFileComp)))
}

func (s *selection) filter() (f bridge.Filter, err error) {
	f = bridge.Filter{
		Document: s.document, Caller: s.caller, Taxpayer: strings.ToUpper(s.taxpayer), Upstream: s.upstream,
		Open: s.open, Waiting: s.waiting, ToldOtherwise: s.toldOtherwise,
	}
	if s.outcome != "" {
		if f.Class, err = bridge.ParseClass(s.outcome); err != nil {
			return f, err
		}
	}
	if f.Since, err = moment(s.since, time.Now()); err != nil {
		return f, err
	}
	f.Until, err = moment(s.until, time.Now())
	return f, err
}

func (r *journalAt) listCommand() *cobra.Command {
	var s selection
	var limit int
	var before int64
	var asJSON, rejected bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List cancellations, or calls that were turned away, newest first",
		Example: `  einvoice-bridge journal list --document 1e6a36
  einvoice-bridge journal list --open
  einvoice-bridge journal list --told-otherwise --json
  einvoice-bridge journal list --rejected --since 2h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := s.filter()
			if err != nil {
				return err
			}
			f.Limit, f.Before = limit, before
			if rejected {
				return r.listRejected(cmd, f, asJSON)
			}
			entries, err := r.list(cmd.Context(), f)
			switch {
			case err != nil:
				return err
			case asJSON:
				return console.WriteJSON(cmd.OutOrStdout(), all(entries))
			case len(entries) == 0:
				fmt.Fprintln(cmd.ErrOrStderr(), s.none())
				return nil
			}
			if err := printTable(cmd.OutOrStdout(), []string{"entry", "written down", "document", "taxpayer", "caller", "upstream", "outcome", ""}, listRows(entries)); err != nil {
				return err
			}
			if len(entries) == limit {
				fmt.Fprintf(cmd.ErrOrStderr(), "older ones: --before %d\n", entries[limit-1].ID)
			}
			return nil
		},
	}
	s.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	cmd.Flags().Int64Var(&before, "before", 0, "only entries with a lower number, for the next page")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	cmd.Flags().BoolVar(&rejected, "rejected", false, "the calls that were turned away before they were cancellations: wrong token, unknown taxpayer, unreadable")
	return cmd
}

// none says that nothing fits.
func (s *selection) none() string {
	switch *s {
	case selection{open: true}:
		return "no cancellation is unconfirmed"
	case selection{waiting: true}:
		return "no cancellation waits its turn"
	case selection{toldOtherwise: true}:
		return "there is no cancellation whose truth differs from what a caller was told"
	}
	return "nothing fits; a document that the bridge refused itself has no entry, journal show finds it by its whole id"
}

// list reads entries, with the document's letter case as typed or as an authority writes it.
func (r *journalAt) list(ctx context.Context, f bridge.Filter) (entries []bridge.Entry, err error) {
	j, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	defer closeAfter(j, &err)
	for _, f.Document = range spellings(f.Document) {
		if entries, err = j.List(ctx, f); err != nil || len(entries) > 0 {
			return entries, err
		}
	}
	return nil, nil
}

func spellings(document string) []string {
	return slices.Compact([]string{document, strings.ToLower(document), strings.ToUpper(document)})
}

func listRows(entries []bridge.Entry) (rows [][]string) {
	for _, e := range entries {
		rows = append(rows, []string{
			strconv.FormatInt(e.ID, 10), local(e.Created, ""), cut(e.Key.Document, 30), e.Taxpayer, e.Caller, e.Upstream,
			console.Standing(e), cut(cmp.Or(console.Remark(e), console.Dated(e.Outcome.Date, e.Key.Space)), 60),
		})
	}
	return rows
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func all(entries []bridge.Entry) iter.Seq2[bridge.Entry, error] {
	return func(yield func(bridge.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (r *journalAt) exportCommand() *cobra.Command {
	var s selection
	var format, to string
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Write all that fits as CSV, Excel or JSON lines, newest first",
		Example: "  einvoice-bridge journal export --since 2026-04-01 --until 2026-05-01 -o april.csv",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := s.filter()
			if err != nil {
				return err
			}
			write, ok := map[string]func(io.Writer, iter.Seq2[bridge.Entry, error]) error{
				"csv": console.WriteCSV, "xlsx": console.WriteXLSX, "jsonl": console.WriteJSON,
			}[format]
			if !ok {
				return fmt.Errorf("--format is csv, xlsx or jsonl, not %q", format)
			}
			return r.export(cmd, f, to, write)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "csv", "csv, xlsx (Excel; ids stay text) or jsonl")
	cmd.Flags().StringVarP(&to, "output", "o", "", "file to write, which must not exist; standard output by default")
	return cmd
}

func (r *journalAt) export(cmd *cobra.Command, f bridge.Filter, to string, write func(io.Writer, iter.Seq2[bridge.Entry, error]) error) (err error) {
	j, err := r.read(cmd.Context())
	if err != nil {
		return err
	}
	defer closeAfter(j, &err)
	out := cmd.OutOrStdout()
	if to != "" {
		file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		defer closeAfter(file, &err)
		out = file
	}
	n := 0
	err = write(out, counting(j.Export(cmd.Context(), f), func() {
		if n++; n%10_000 == 0 && isTerminal(cmd.ErrOrStderr()) {
			fmt.Fprintf(cmd.ErrOrStderr(), "\r%d …", n)
		}
	}))
	if err == nil && to != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "\r%d entries written to %s\n", n, to)
	}
	return err
}

func counting(entries iter.Seq2[bridge.Entry, error], each func()) iter.Seq2[bridge.Entry, error] {
	return func(yield func(bridge.Entry, error) bool) {
		for e, err := range entries {
			if each(); !yield(e, err) {
				return
			}
		}
	}
}
