package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/rehearsal"
)

func rehearsalCommand() *cobra.Command {
	r := &record{}
	var since, write string
	cmd := &cobra.Command{
		Use:   "rehearsal",
		Short: "Say what a rehearsal has shown, and which lines make the bridge's answers the provider's",
		Long: `While forward has rehearse: true, the bridge lets everything through to the provider and back, and writes down what it
would have made of it. This command reads that, also while serve runs: what was understood and what not, what would have been
refused, how the bridge's answers would differ from the provider's, and the lines of configuration that make them equal. These are
checked by answering every recorded call once more with them.`,
		Example: `  einvoice-bridge rehearsal -c bridge.yaml
  einvoice-bridge rehearsal -c bridge.yaml --since 24h --write bridge.new.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.rehearsal(cmd, since, write)
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&since, "since", "", "calls from then on: 2026-04-01 15:04, or 2h or 3d ago")
	cmd.Flags().StringVar(&write, "write", "", "file to write, which must not exist: the configuration with the lines in it")
	return cmd
}

func (r *record) rehearsal(cmd *cobra.Command, since, write string) (err error) {
	from, err := moment(since, time.Now())
	if err != nil {
		return err
	}
	data, err := os.ReadFile(r.config)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	j, err := r.read(cmd.Context())
	if err != nil {
		return err
	}
	defer closeAfter(j, &err)
	report, proposed, err := rehearse(cmd.Context(), data, filepath.Dir(r.config), j, from)
	if err != nil {
		return fmt.Errorf("%s: %w", r.config, err)
	}
	if err := report.WriteText(cmd.OutOrStdout()); err != nil || write == "" {
		return err
	}
	if report.Lines == "" || report.Problem != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "nothing is written: there are no lines to put in")
		return nil
	}
	return writeProposed(cmd, write, proposed, report.WSDL)
}

// rehearsal is the report on what is recorded, for the configuration file as it is now.
func (a *app) rehearsal(ctx context.Context, since time.Time) (*rehearsal.Report, error) {
	path := a.plan.Load().file.Path()
	var data []byte
	if path != "" { // the demo has no file
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
	}
	report, _, err := rehearse(ctx, data, filepath.Dir(path), a.journal, since)
	return report, err
}

// savedWSDL is the file beside the configuration that the provider's description is kept in.
const savedWSDL = "provider.wsdl"

func writeProposed(cmd *cobra.Command, path string, proposed []byte, description string) error {
	if err := writeNew(path, string(proposed), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s is written; einvoice-bridge check -c %s reads it whole\n", path, path)
	if !strings.Contains(string(proposed), "file:"+savedWSDL) {
		return nil
	}
	beside := filepath.Join(filepath.Dir(path), savedWSDL)
	if err := writeNew(beside, description, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s is the provider's description, which it serves from then on\n", beside)
	return nil
}

// rehearse reads what was recorded, and makes of a configuration file one whose answers are the provider's.
func rehearse(ctx context.Context, file []byte, dir string, j bridge.Rehearsals, since time.Time) (*rehearsal.Report, []byte, error) {
	all := func(do func(bridge.Rehearsed) error) error { return j.Rehearsed(ctx, since, do) }
	f, err := config.ParseAnswers(file, dir, os.LookupEnv)
	if err != nil {
		return nil, nil, err
	}
	c, err := contractOf(f)
	if err != nil {
		return nil, nil, err
	}
	report, err := rehearsal.Look(all, c)
	if err != nil {
		return nil, nil, err
	}
	proposed, err := propose(report, all, file, dir)
	if err != nil {
		return nil, nil, err
	}
	if report.WSDL == "" || f.WSDL.Saved != "" {
		return report, proposed, nil
	}
	return report, describe(report, proposed, dir), nil
}

// propose puts the report's lines into the file, and replays all calls under what that then says.
func propose(report *rehearsal.Report, all rehearsal.Source, file []byte, dir string) ([]byte, error) {
	if report.Lines == "" {
		return file, nil
	}
	proposed, err := config.Merge(file, []byte(report.Lines))
	if err != nil {
		return nil, err
	}
	f, err := config.ParseAnswers(proposed, dir, os.LookupEnv)
	if err != nil {
		return nil, fmt.Errorf("with the derived lines: %w", err)
	}
	c, err := contractOf(f)
	if err != nil { // such as a provider whose refusals have the words of a success
		report.Problem = err.Error()
		return file, nil
	}
	report.After, err = report.Replay(all, c)
	return proposed, err
}

// describe adds the provider's own description, for programs that load it when they start, where the answers stay what
// they are with it.
func describe(report *rehearsal.Report, proposed []byte, dir string) []byte {
	f, err := config.ParseAnswers(proposed, dir, os.LookupEnv)
	if err != nil {
		return proposed
	}
	without, err := contractOf(f)
	if err != nil {
		return proposed
	}
	f.WSDL.Saved = strings.TrimRight(report.WSDL, "\r\n")
	with, err := contractOf(f)
	if err != nil || !with.AnswersAs(without) {
		return proposed
	}
	const line = "wsdl:\n  saved: \"file:" + savedWSDL + "\"\n"
	if merged, err := config.Merge(proposed, []byte(line)); err == nil {
		report.Lines += line
		return merged
	}
	return proposed
}
