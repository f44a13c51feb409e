package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge"
)

func checkCommand() *cobra.Command {
	var path string
	var online bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with a configuration, with its lines",
		Long: "Check reads the configuration, its keys and certificates as serve would, and lists every problem at once.\n" +
			"With --online it also logs in to each upstream, once per credentials.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return check(cmd.Context(), cmd.OutOrStdout(), path, online)
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&online, "online", false, "log in to each upstream")
	return cmd
}

func check(ctx context.Context, w io.Writer, path string, online bool) error {
	in, err := inspect(path)
	if err != nil {
		return err
	}
	for _, line := range in.lines {
		fmt.Fprintln(w, line)
	}
	if !in.good || online && !probe(ctx, w, in.plan.ups) {
		return exitCode(1)
	}
	return nil
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
