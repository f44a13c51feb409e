package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/app"
)

func checkCommand() *cobra.Command {
	var path string
	var online bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with a configuration, with its lines",
		Long: "Check reads the configuration, its keys and certificates as serve would, and lists every problem at once. That the\n" +
			"journal can't be opened on this machine, or an address is another one's, is a warning: the file may be for that one.\n" +
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
	in, err := app.Inspect(path)
	if err != nil {
		return err
	}
	last := len(in.Lines)
	if in.Good {
		last-- // says that it is in order
	}
	for _, line := range in.Lines[:last] {
		fmt.Fprintln(w, line)
	}
	if !in.Good || online && !in.Try(ctx, w) {
		return exitCode(1)
	}
	if !online {
		for _, line := range in.Here(ctx) {
			fmt.Fprintln(w, line)
		}
	}
	fmt.Fprintln(w, in.Lines[last])
	return nil
}
