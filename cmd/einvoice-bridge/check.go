package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/journal"
)

func checkCommand() *cobra.Command {
	var path string
	var online bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with a configuration, with its lines",
		Long: "Check reads the configuration, its keys and certificates as serve would, and lists every problem at once.\n" +
			"With --online it also does on this machine what serve would: it opens the journal, takes the addresses to listen\n" +
			"on, and logs in to each upstream, once per credentials. A bridge that runs is not disturbed.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return check(cmd.Context(), cmd.OutOrStdout(), path, online)
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&online, "online", false, "also try the journal, the addresses to listen on, and a log-in to each upstream")
	return cmd
}

func check(ctx context.Context, w io.Writer, path string, online bool) error {
	in, err := inspect(path)
	if err != nil {
		return err
	}
	last := len(in.lines)
	if in.good {
		last-- // says that it is in order
	}
	for _, line := range in.lines[:last] {
		fmt.Fprintln(w, line)
	}
	if !in.good {
		return exitCode(1)
	}
	if online {
		served, good := tryJournal(ctx, w, in.plan.file)
		good = tryListeners(w, in.plan.file, served) && good
		if good = probe(ctx, w, in.plan.ups) && good; !good {
			return exitCode(1)
		}
	}
	fmt.Fprintln(w, in.lines[last])
	return nil
}

// tryJournal says whether the journal can be opened, and whether a bridge that runs has it.
func tryJournal(ctx context.Context, w io.Writer, f *config.File) (served, good bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	served, err := journal.Probe(ctx, f.Journal)
	switch {
	case err != nil:
		fmt.Fprintln(w, err)
	case served:
		fmt.Fprintf(w, "journal %s: a bridge serves with it\n", address(f.Journal))
	default:
		fmt.Fprintf(w, "journal %s: can be opened\n", address(f.Journal))
	}
	return served, err == nil
}

// tryListeners takes each address for a moment. That one is in use is right where a bridge runs with this journal, and can't
// be judged where several may.
func tryListeners(w io.Writer, f *config.File, served bool) bool {
	good := true
	var all []string
	for _, l := range f.Listen {
		all = append(all, l.Address)
	}
	if c := f.Console.Listen; c != "" && c != "off" {
		all = append(all, c)
	}
	for _, a := range all {
		l, err := net.Listen("tcp", a)
		switch {
		case err == nil:
			_ = l.Close()
		case errors.Is(err, syscall.EADDRINUSE) && (served || !strings.HasPrefix(f.Journal, "sqlite:")):
			fmt.Fprintf(w, "%s is in use, by a bridge that runs if there is one\n", a)
		default:
			good = false
			fmt.Fprintf(w, "%s can't be listened on: %v\n", a, err)
		}
	}
	return good
}

// probe logs in once for each credential and says in words how it went.
func probe(ctx context.Context, w io.Writer, ups map[string]bridge.Upstream) bool {
	seen := map[string]bool{}
	good := true
	for _, taxpayer := range slices.Sorted(maps.Keys(ups)) {
		up := ups[taxpayer]
		p := up.Profile()
		if seen[p.Credential] {
			continue
		}
		seen[p.Credential] = true
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		err := up.Probe(ctx)
		cancel()
		if err != nil {
			good = false
			fmt.Fprintf(w, "%s (%s), taxpayer %s: %v\n", p.Name, p.Kind, taxpayer, err)
			continue
		}
		fmt.Fprintf(w, "%s (%s), taxpayer %s: logged in\n", p.Name, p.Kind, taxpayer)
	}
	return good
}

// noBudget lets everything pass: check makes one login per credential and keeps no journal.
type noBudget struct{}

// Take implements bridge.Budget.
func (noBudget) Take(context.Context, bridge.Rate, int64) (time.Time, time.Duration, error) {
	return time.Time{}, 0, nil
}

// Return implements bridge.Budget.
func (noBudget) Return(context.Context, bridge.Rate, time.Time) error { return nil }

// Shut implements bridge.Budget.
func (noBudget) Shut(context.Context, string, bridge.Gate) error { return nil }

// Gate implements bridge.Budget.
func (noBudget) Gate(context.Context, string) (bridge.Gate, bool, error) {
	return bridge.Gate{}, false, nil
}
