package main

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/config"
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
				file, err := openLogFile(logPath)
				if err != nil {
					return err
				}
				defer file.Close()
				out = file
			}
			return serve(cmd.Context(), path, out, func() {})
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&logPath, "log-file", "", "log to this file instead of standard error; at 32 MiB it is set aside as FILE.1, and so on to FILE.9")
	return cmd
}

// serve answers callers until ctx ends, and calls up as soon as it does.
func serve(ctx context.Context, path string, out io.Writer, up func()) error {
	boundHeap()
	f, err := config.Load(path, fileKinds)
	if err != nil {
		return err
	}
	a, err := newApp(ctx, f, newLogger(out, f.Log))
	if err != nil {
		return err
	}
	if err := a.start(); err != nil {
		a.release()
		return err
	}
	up()
	tidy()
	broke := a.wait(ctx)
	if err := a.stop(); broke == nil {
		broke = err
	}
	return broke
}

// configFlag is -c, the same for every command that reads the configuration.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "bridge.yaml", "configuration file")
}
