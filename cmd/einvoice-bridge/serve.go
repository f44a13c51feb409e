package main

import (
	"os"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/config"
)

func serveCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer SOAP callers until SIGTERM",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := config.Load(path)
			if err != nil {
				return err
			}
			a, err := newApp(cmd.Context(), f, newLogger(os.Stderr, f.Log))
			if err != nil {
				return err
			}
			if err := a.start(); err != nil {
				a.release()
				return err
			}
			tidy()
			broke := a.wait(cmd.Context())
			if err := a.stop(); broke == nil {
				broke = err
			}
			return broke
		},
	}
	configFlag(cmd, &path)
	return cmd
}

// configFlag is -c, the same for every command that reads the configuration.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "bridge.yaml", "configuration file")
}
