package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/upstream"
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
	f, err := config.Load(path)
	if err != nil {
		return report(w, path, err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ups, problems := buildUpstreams(f, upstream.NewShared(noBudget{}, log), log)
	if _, err := serverOptions(f); err != nil {
		problems = append(problems, config.Problem{Line: f.Line("contract"), Text: err.Error()})
	}
	if _, err := access.New(accessConfig(f), nil); err != nil {
		problems = append(problems, config.Problem{Line: f.Line("callers"), Text: err.Error()})
	}
	warned, broken := checkListeners(f, time.Now())
	if problems = append(problems, broken...); len(problems) > 0 {
		return report(w, path, problems)
	}
	for _, p := range byLine(append(warned, warnings(f, time.Now())...)) {
		fmt.Fprintf(w, "%s:%d: warning: %s\n", path, p.Line, p.Text)
	}
	fmt.Fprintf(w, "%s is in order: %d upstreams, %d taxpayers, %d callers\n", path, len(f.Upstreams), len(f.Taxpayers), len(f.Callers))
	if online && !probe(ctx, w, ups) {
		return exitCode(1)
	}
	return nil
}

// report prints problems as compilers do, so that editors find the lines.
func report(w io.Writer, path string, err error) error {
	var ps config.Problems
	if !errors.As(err, &ps) {
		return err
	}
	for _, p := range byLine(ps) {
		fmt.Fprintf(w, "%s:%d: %s\n", path, p.Line, p.Text)
	}
	return exitCode(1)
}

func byLine(ps config.Problems) config.Problems {
	return slices.SortedStableFunc(slices.Values(ps), func(a, b config.Problem) int { return a.Line - b.Line })
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
func (noBudget) Take(context.Context, bridge.Rate) (time.Duration, error) { return 0, nil }

// Shut implements bridge.Budget.
func (noBudget) Shut(context.Context, string, bridge.Gate) error { return nil }

// Gate implements bridge.Budget.
func (noBudget) Gate(context.Context, string) (bridge.Gate, bool, error) {
	return bridge.Gate{}, false, nil
}
