package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal"
)

// each opens the journal for a change and does it to every entry that is named by its number.
func (r *journalAt) each(cmd *cobra.Command, args []string, do func(*journal.Journal, int64) error) (err error) {
	ids := make([]int64, len(args))
	for i, arg := range args {
		if ids[i], err = strconv.ParseInt(arg, 10, 64); err != nil {
			return fmt.Errorf("%q is no entry's number; journal list and show tell it", arg)
		}
	}
	j, err := r.change(cmd.Context())
	if err != nil {
		return err
	}
	defer closeAfter(j, &err)
	for _, id := range ids {
		if err := do(j, id); errors.Is(err, bridge.ErrNoEntry) {
			return fmt.Errorf("there is no entry %d", id)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (r *journalAt) resolveCommand() *cobra.Command {
	var as, date, message, why, by string
	var yes bool
	cmd := &cobra.Command{
		Use:   "resolve ENTRY...",
		Short: "Record what the authority's portal shows for a document, or the same for several",
		Long: `Resolve ends an entry with what an operator saw outside of the bridge. Callers who ask again are told it, so
look twice: nothing turns a recorded "cancelled" into something else. Every list and page shows it as that operator's
word. What contradicts a refusal on record, and a date before the request, needs --yes.`,
		Example: `  einvoice-bridge journal resolve 42 --as cancelled --date "2026-11-22 14:03:00" --why "NIC portal, ticket 815"
  einvoice-bridge journal resolve 42 43 44 --as not_applied --why "the portal shows these IRNs as active"`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := byHand(as, date, message)
			if err != nil {
				return err
			}
			if o.Class == bridge.Cancelled && len(args) > 1 {
				return errors.New("--as cancelled is for one entry: each document has a cancel date of its own")
			}
			return r.each(cmd, args, func(j *journal.Journal, id int64) error {
				e, err := j.Resolve(cmd.Context(), id, o, by, why, yes)
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "entry %d, %s: %s, by the word of %s\n", id, e.Key.Document, e.Outcome.Class, by)
				}
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&as, "as", "", "cancelled; not_applied, when the document is active; refused, when it can't be cancelled any more")
	f.StringVar(&date, "date", "", "cancel date as the authority shows it, like 2026-04-01 15:04:05, with --as cancelled")
	f.StringVar(&message, "message", "", "the authority's words, with --as refused")
	f.StringVar(&why, "why", "", "where it was seen, and by whom")
	f.StringVar(&by, "by", operator(), "who says so")
	f.BoolVar(&yes, "yes", false, "record it even if it contradicts a refusal on record, or the date lies before the request")
	cobra.CheckErr(errors.Join(cmd.MarkFlagRequired("as"), cmd.MarkFlagRequired("why")))
	ends := []string{"cancelled", "not_applied", "refused"}
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("as", cobra.FixedCompletions(ends, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// byHand is the outcome that the flags describe.
func byHand(as, date, message string) (bridge.Outcome, error) {
	switch as {
	case "cancelled":
		if _, err := time.Parse(time.DateTime, date); err != nil {
			return bridge.Outcome{}, errors.New("--as cancelled needs --date as the authority shows it, like 2026-04-01 15:04:05: callers are told it")
		}
		return bridge.Outcome{Class: bridge.Cancelled, Date: date}, nil
	case "refused":
		if message == "" {
			return bridge.Outcome{}, errors.New("--as refused needs --message with the authority's words: callers are told them")
		}
		return bridge.Outcome{Class: bridge.Refused, Message: message}, nil
	case "not_applied":
		return bridge.Outcome{Class: bridge.NotApplied}, nil
	}
	return bridge.Outcome{}, fmt.Errorf("--as is cancelled, not_applied or refused, not %q", as)
}

func (r *journalAt) withdrawCommand() *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use:   "withdraw ENTRY...",
		Short: "Take back cancellations that wait their turn: they will not be sent",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.each(cmd, args, func(j *journal.Journal, id int64) error {
				e, err := j.Withdraw(cmd.Context(), id, by)
				switch {
				case errors.Is(err, bridge.ErrNotWaiting):
					return fmt.Errorf("entry %d does not wait (any more); journal show tells what became of it", id)
				case err == nil:
					fmt.Fprintf(cmd.OutOrStdout(), "entry %d, %s: withdrawn\n", id, e.Key.Document)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&by, "by", operator(), "who says so")
	return cmd
}

func (r *journalAt) lookupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lookup ENTRY...",
		Short: "Have a running bridge ask the authority about doubtful cancellations now, not at the next planned time",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.each(cmd, args, func(j *journal.Journal, id int64) error {
				err := j.LookUpSoon(cmd.Context(), id)
				switch {
				case errors.Is(err, bridge.ErrNotWaiting):
					return fmt.Errorf("entry %d is not in doubt; journal show tells what became of it", id)
				case err == nil:
					fmt.Fprintf(cmd.OutOrStdout(), "entry %d: a running bridge asks within seconds; journal show tells the answer\n", id)
				}
				return err
			})
		},
	}
}

func (r *journalAt) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a consistent copy of an SQLite journal, also while serve runs",
		Long: `Backup writes the journal as it is at one moment. FILE must not exist.

Whoever restores a backup forgets what came after it: before serving again, compare with the authority what was
cancelled since. Of a PostgreSQL journal take backups with PostgreSQL's own tools.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			j, err := r.read(cmd.Context())
			if err != nil {
				return err
			}
			defer closeAfter(j, &err)
			if err := j.Backup(cmd.Context(), args[0]); err != nil {
				return err
			}
			info, err := os.Stat(args[0])
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s, %d bytes\n", args[0], info.Size())
			}
			return err
		},
	}
}
