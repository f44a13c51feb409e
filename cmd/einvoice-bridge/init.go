package main

import (
	"github.com/spf13/cobra"

	"einvoice-bridge/cmd/einvoice-bridge/setup"
)

func initCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Ask what a first configuration needs, and write one with comments",
		Long: "Init asks a few questions and writes a configuration beside a file of environment variables for its secrets.\n" +
			"It asks for no secret: you fill that file in.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return setup.Run(cmd.InOrStdin(), cmd.OutOrStdout(), path)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "bridge.yaml", "configuration file to write; it must not exist")
	return cmd
}
