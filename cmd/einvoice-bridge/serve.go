package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/observe"
)

func serveCommand() *cobra.Command {
	var path, logPath string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer SOAP callers until SIGTERM",
		Long: "Serve answers SOAP callers until SIGTERM, or until Windows stops the service that it is.\n\n" +
			"As a Windows service it works in the configuration's folder, reads the variables of the .env file beside it, and\n" +
			"logs to a .log file beside it unless --log-file names another.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if is, err := runAsService(path, logPath); is || err != nil {
				return err
			}
			var out io.Writer = os.Stderr
			if logPath != "" {
				file, err := observe.OpenLogFile(logPath, nil)
				if err != nil {
					return err
				}
				defer file.Close()
				out = file
			}
			return inFile(path, app.Serve(cmd.Context(), path, out, buildVersion(), func() {}))
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&logPath, "log-file", "", "log to this file instead of standard error; at 32 MiB it is set aside as FILE.1, and so on to FILE.9")
	return cmd
}

// configFlag is -c, the same for every command that reads the configuration with its secrets, and where those stand.
func configFlag(cmd *cobra.Command, path *string) {
	var env string
	cmd.Flags().StringVar(&env, "env-file", "", "file of the variables that the configuration names, a NAME=value each line, for where no service sets them")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if env == "" {
			return nil
		}
		if _, err := os.Stat(env); err != nil {
			return fmt.Errorf("the file of environment variables: %w", err)
		}
		differing, err := config.LoadEnvironment(env)
		for _, what := range differing {
			fmt.Fprintln(cmd.ErrOrStderr(), "warning:", what)
		}
		return err
	}
	cmd.Flags().StringVarP(path, "config", "c", "bridge.yaml", "configuration file")
}
