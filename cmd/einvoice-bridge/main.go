// Command einvoice-bridge stands at a SOAP service's address and carries eInvoiceCancel calls to the REST APIs of tax
// authorities and providers. The commands are one file each; what serve and demo start is package app's.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/observe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		var said exitCode
		if errors.As(err, &said) {
			os.Exit(int(said))
		}
		complain(explained(err))
		os.Exit(1)
	}
}

// complain says why the program ends, and doesn't wait for ever for whoever should read it.
func complain(err error) {
	said := make(chan struct{})
	go func() {
		fmt.Fprintln(os.Stderr, "einvoice-bridge:", err)
		close(said)
	}()
	select {
	case <-said:
	case <-time.After(observe.LogFlush):
	}
}

// exitCode ends the program with a code after everything has been said.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit %d", int(c)) }

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "einvoice-bridge",
		Short:         "SOAP in, e-invoice cancellation at the authority, SOAP out",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(serveCommand(), checkCommand(), demoCommand(), sandboxCommand(), hashCommand(), healthCommand(), versionCommand(),
		cancelCommand(), tokenCommand(), journalCommand(), rehearsalCommand(), initCommand(), alarmCommand(), configCommand())
	cmd.InitDefaultCompletionCmd()
	sayBetter(cmd)
	return cmd
}
