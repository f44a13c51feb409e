package main

import (
	"cmp"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases (-X main.version=…); otherwise it is read from the build.
var version string

// changes is what is new for who operates the bridge or calls it, by version, the newest first.
//
//go:embed changes.md
var changes string

// buildVersion names this build: a release, or the commit it was built from.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	rev, dirty := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			rev = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	if rev == "" {
		rev = cmp.Or(ofSource(), "devel")
	}
	return rev + dirty
}

// ofSource is the commit of the source that go run has just built, into which it writes none (go1.26, AutoVCS is go build's
// and go install's). Of any other program the source may have gone on since.
var ofSource = sync.OnceValue(func() string {
	exe, err := os.Executable()
	_, file, _, ok := runtime.Caller(0)
	if err != nil || !ok || !strings.Contains(exe, "go-build") {
		return ""
	}
	out, err := exec.Command("git", "-C", filepath.Dir(file), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+changes").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
})

func versionCommand() *cobra.Command {
	var news bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Say which build this is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if news {
				_, err := io.WriteString(cmd.OutOrStdout(), changes)
				return err
			}
			info, _ := debug.ReadBuildInfo()
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "einvoice-bridge %s (%s)\n", buildVersion(), info.GoVersion)
			return err
		},
	}
	c.Flags().BoolVar(&news, "changes", false, "say what has changed, by version")
	return c
}
