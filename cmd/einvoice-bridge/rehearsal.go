package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/cmd/einvoice-bridge/setup"
)

func rehearsalCommand() *cobra.Command {
	r := &journalAt{}
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

func (r *journalAt) rehearsal(cmd *cobra.Command, since, write string) (err error) {
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
	report, proposed, err := app.Rehearsal(cmd.Context(), data, filepath.Dir(r.config), j, from)
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

func writeProposed(cmd *cobra.Command, path string, proposed []byte, description string) error {
	if err := setup.WriteNew(path, string(proposed), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s is written; einvoice-bridge check -c %s reads it whole\n", path, path)
	if !strings.Contains(string(proposed), "file:"+app.SavedWSDL) {
		return nil
	}
	beside := filepath.Join(filepath.Dir(path), app.SavedWSDL)
	if old, err := os.ReadFile(beside); err == nil && string(old) == description {
		return nil
	}
	if err := setup.WriteNew(beside, description, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s is the provider's description, which it serves from then on\n", beside)
	return nil
}
