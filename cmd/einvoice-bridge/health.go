package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/config"
)

func healthCommand() *cobra.Command {
	var url, path string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running bridge whether it is ready: for container health checks, where there is no curl",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path != "" {
				var err error
				if url, err = readyURL(path); err != nil {
					return err
				}
			}
			client := http.Client{Timeout: 3 * time.Second}
			resp, err := client.Get(url)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
			if err == nil && resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s answers %s: %s", url, resp.Status, strings.TrimSpace(string(body)))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&url, "url", "http://127.0.0.1:9090/readyz", "the console's readiness address")
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file that says where the console listens, instead of --url")
	return cmd
}

// readyURL is where the bridge of a configuration says on its own machine whether it is ready.
func readyURL(path string) (string, error) {
	outline, err := config.LoadOutline(path)
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(outline.Console)
	if err != nil {
		return "", fmt.Errorf("%s has no console that could be asked (console.listen is %q); --url names another address", path, outline.Console)
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/readyz", nil
}
