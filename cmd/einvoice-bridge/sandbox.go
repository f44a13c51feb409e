package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"einvoice-bridge/fixtures/sandbox/demo"
)

func sandboxCommand() *cobra.Command {
	var dir string
	var auto bool
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Serve the simulators of the upstreams alone, for trying a configuration",
		Long: "Sandbox serves each simulator on a port of its own and prints the configuration that reaches them.\n" +
			"Faults, clock, documents and the log of calls are under /_sandbox/ of each.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveSandbox(cmd, dir, auto)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder for keys and the configuration; a temporary one by default")
	cmd.Flags().BoolVar(&auto, "auto-seed", false, "take every well-formed document id as an active document, without rate limits: for load")
	return cmd
}

func serveSandbox(cmd *cobra.Command, dir string, auto bool) error {
	dir, done, err := workDir(dir)
	if err != nil {
		return err
	}
	defer done()
	sims, err := demo.New(dir, auto)
	if err != nil {
		return err
	}
	urls, closeAll, err := demo.Listen(sims, func(s demo.Simulator) http.Handler { return s.Handler })
	if err != nil {
		return err
	}
	defer closeAll()
	path := filepath.Join(dir, "bridge.yaml")
	if err := os.WriteFile(path, []byte(demo.Config(sims, urls, "127.0.0.1:8080", dir, "")), 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	w := cmd.OutOrStdout()
	for _, s := range sims {
		fmt.Fprintf(w, "%-14s %s  %s\n", s.Name, urls[s.Name], s.Title)
	}
	fmt.Fprintf(w, "\nconfiguration  %s\ntry it with    einvoice-bridge serve -c %s\n", path, path)
	<-cmd.Context().Done()
	return nil
}

// workDir is dir, made if need be, or a temporary folder that done removes.
func workDir(dir string) (path string, done func(), err error) {
	if dir == "" {
		dir, err = os.MkdirTemp("", "einvoice-bridge-")
		return dir, func() { os.RemoveAll(dir) }, err
	}
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("making the folder: %w", err)
	}
	dir, err = filepath.Abs(dir)
	return dir, func() {}, err
}

// interrupted is whether ctx ended by a signal, which is how demo and sandbox are meant to end.
func interrupted(ctx context.Context) bool { return ctx.Err() != nil }
