package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/access"
)

func hashCommand() *cobra.Command {
	var token bool
	cmd := &cobra.Command{
		Use:   "hash",
		Short: "Hash a password, client secret or token from standard input for the configuration",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
			secret := strings.TrimRight(line, "\r\n")
			if secret == "" {
				return errors.Join(errors.New("write the secret to standard input, on one line"), err)
			}
			hashed := "sha256:" + access.HashToken(secret)
			if !token {
				hashed = access.HashPassword(secret)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), hashed)
			return err
		},
	}
	cmd.Flags().BoolVar(&token, "token", false, "the secret is an access token (sha256), not a password (argon2id)")
	return cmd
}
