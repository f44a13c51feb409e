package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/journal"
)

// journalAt is where an operator's command finds the journal. Such a command runs in a person's shell, which has none of
// the service's secrets: of the configuration it reads what it needs and nothing else.
type journalAt struct {
	config, dsn string
	callers     []string // of the configuration; none with --journal
}

func (r *journalAt) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVarP(&r.config, "config", "c", "bridge.yaml", "configuration file")
	cmd.PersistentFlags().StringVar(&r.dsn, "journal", "", "the journal itself (sqlite:FILE or postgres://…), instead of a configuration")
}

// read opens the journal for looking, also while a service writes it.
func (r *journalAt) read(ctx context.Context) (*journal.Journal, error) {
	if err := r.find(); err != nil {
		return nil, err
	}
	return journal.OpenReader(ctx, r.dsn)
}

// change opens the journal for one small change, also while a service writes it.
func (r *journalAt) change(ctx context.Context) (*journal.Journal, error) {
	if err := r.find(); err != nil {
		return nil, err
	}
	return journal.OpenBeside(ctx, r.dsn)
}

func (r *journalAt) find() (err error) {
	if r.dsn != "" {
		r.dsn, err = config.Placed(r.dsn, ".")
		return err
	}
	of, err := config.LoadOutline(r.config)
	if err != nil {
		return fmt.Errorf("%w (--journal names the journal itself, without one)", err)
	}
	r.dsn, r.callers = of.Journal, of.Callers
	return nil
}

// operator is who runs the command, for the record.
func operator() string {
	if s := os.Getenv("SUDO_USER"); s != "" {
		return s
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "operator"
}

// printTable prints rows under a header, in columns.
func printTable(w io.Writer, header []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.ToUpper(strings.Join(header, "\t")))
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}

// isTerminal tells whether a person reads w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// moment reads a time as people write it, in local time, or as a stretch before now: 2h, 3d.
func moment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write it like 2026-04-01 15:04 or 2026-04-01, or 2h or 3d for that long ago", s)
}

// local is a time for a table; never for one that has not come.
func local(t time.Time, never string) string {
	if t.IsZero() {
		return never
	}
	return here.Clock(t)
}
