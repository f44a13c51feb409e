package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
)

func alarmCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "alarm",
		Short: "Post a test alarm to the webhook of a configuration, as a running bridge would, and say whether it was taken",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := config.Load(path, app.FileKinds)
			if err != nil {
				return inFile(path, err)
			}
			if err := app.TestAlarm(f, operator(), slog.New(slog.DiscardHandler)); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the webhook has taken it; see whether it reaches whom it must")
			return nil
		},
	}
	configFlag(cmd, &path)
	return cmd
}
