package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"einvoice-bridge/fixtures/deploy"
)

func configCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "config [KEY]",
		Short: "Say what a key of the configuration means, its default, an example and where it may stand",
		Long: "Config tells of one key, by its name or its path, or of all of them. It reads no file: init writes a first one,\n" +
			"check says what is wrong with one.",
		Example: `  einvoice-bridge config reply_within
  einvoice-bridge config callers.NAME.addresses
  einvoice-bridge config`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return tellKeys(cmd.OutOrStdout(), strings.Join(args, ""))
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var all []string
			for _, k := range guideKeys() {
				all = append(all, k.path)
			}
			slices.Sort(all)
			return slices.Compact(all), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// guideKey is a row of the guide to all keys, which is made from the configuration's structs.
type guideKey struct{ path, where, needed, doc, value string }

// guideKeys are all keys, in the guide's order.
func guideKeys() (all []guideKey) {
	section := ""
	for line := range strings.Lines(deploy.Keys) {
		line = strings.TrimSuffix(line, "\n")
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.ReplaceAll(title, "`", "")
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |"), " | ")
		path := strings.Trim(cells[0], "`")
		if !strings.HasPrefix(line, "| `") || section == "Which keys an upstream needs" {
			continue
		}
		switch kind, ok := strings.CutPrefix(section, "Kind "); {
		case ok:
			all = append(all, guideKey{path, "an upstream of kind " + kind + ", or a taxpayer of one", cells[1], cells[2], cells[3]})
		case path == "kind":
			all = append(all, guideKey{path, "every upstream", cells[1], cells[2], cells[3]})
		case section == "Every upstream":
			all = append(all, guideKey{path, "an upstream of any kind, or a taxpayer of one", cells[1], cells[2], cells[3]})
		default:
			all = append(all, guideKey{path, "the file", "", cells[1], cells[2]})
		}
	}
	return all
}

// tellKeys tells of all keys that are meant: by path, else by last name; with all that stand below.
func tellKeys(w io.Writer, meant string) error {
	all := guideKeys()
	fits := func(test func(path string) bool) (found []guideKey) {
		for _, k := range all {
			if test(k.path) {
				found = append(found, k)
			}
		}
		return found
	}
	found := fits(func(path string) bool { return meant == "" || path == meant || strings.HasPrefix(path, meant+".") })
	if len(found) == 0 {
		found = fits(func(path string) bool {
			return path[strings.LastIndexByte(path, '.')+1:] == meant[strings.LastIndexByte(meant, '.')+1:]
		})
	}
	if len(found) == 0 {
		return fmt.Errorf("there is no key %q; einvoice-bridge config lists all", meant)
	}
	for _, k := range found {
		fmt.Fprintf(w, "%s\n    %s\n    stands in %s", k.path, strings.ReplaceAll(k.doc, "`", ""), k.where)
		switch k.needed {
		case "", "yes":
			fmt.Fprint(w, strings.ReplaceAll(k.needed, "yes", "; needed"))
		default:
			fmt.Fprint(w, "; needed ", strings.ReplaceAll(k.needed, "`", ""))
		}
		if value := strings.ReplaceAll(k.value, "`", ""); strings.HasPrefix(value, "e.g. ") {
			fmt.Fprintf(w, "; %s", value)
		} else if value != "" {
			fmt.Fprintf(w, "; by default %s", value)
		}
		fmt.Fprintln(w)
	}
	return nil
}
