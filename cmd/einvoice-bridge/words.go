package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/config"
)

// sayBetter puts cobra's complaints of arguments into words that say what to type, for a command and all below it.
func sayBetter(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		sayBetter(c)
	}
	if cmd.Flags().Lookup("caller") != nil {
		cobra.CheckErr(cmd.RegisterFlagCompletionFunc("caller", completeCallers))
	}
	if !cmd.HasParent() {
		return
	}
	if cmd.HasSubCommands() {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			var names []string
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			return fmt.Errorf("%s knows %s, not %q", cmd.CommandPath(), strings.Join(names, ", "), args[0])
		}
		return
	}
	if judge := cmd.Args; judge != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if judge(cmd, args) == nil {
				return nil
			}
			return wrongArguments(cmd, args)
		}
	}
}

func wrongArguments(cmd *cobra.Command, args []string) error {
	example, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	_, wanted, some := strings.Cut(cmd.Use, " ")
	switch {
	case some:
		if example != "" {
			example = "; for example:  " + example
		}
		return fmt.Errorf("%s wants %s and got %d arguments%s", cmd.CommandPath(), wanted, len(args), example)
	case cmd.Flag("config") != nil:
		return fmt.Errorf("%s takes no argument %q; -c names the configuration:  %s -c %s", cmd.CommandPath(), args[0], cmd.CommandPath(), args[0])
	}
	return fmt.Errorf("%s takes no argument %q; --help says what it takes", cmd.CommandPath(), args[0])
}

// completeCallers offers the callers of the configuration that the command line names.
func completeCallers(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	outline, err := config.LoadOutline(cmd.Flag("config").Value.String())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return outline.Callers, cobra.ShellCompDirectiveNoFileComp
}

// inFile says which file the problems of a configuration are in; their lines alone don't.
func inFile(path string, err error) error {
	if !errors.As(err, new(config.Problems)) {
		return err
	}
	return fmt.Errorf("%s is not in order:\n%w", path, err)
}

// explained is an error with what to do about it, where the system's own words don't say.
func explained(err error) error {
	var op *net.OpError
	if !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &op) || op.Addr == nil {
		return err
	}
	_, port, _ := net.SplitHostPort(op.Addr.String())
	return fmt.Errorf("%w: another program, or another bridge, has port %s; ss -ltnp 'sport = :%s' (Windows: netstat -ano) says which. "+
		"Stop that one, or write another address", err, port, port)
}
