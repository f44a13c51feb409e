package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
)

func tokenCommand() *cobra.Command {
	r := &journalAt{}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Issue, list and revoke callers' access tokens",
		Long: "Token works on the journal, also while serve runs: what it changes holds on every instance within 5 s.\n" +
			"Only the hash of a token is kept. Tokens written into the configuration are not listed.",
	}
	r.flags(cmd)
	cmd.AddCommand(r.issueCommand(), r.tokensCommand(), r.revokeCommand())
	return cmd
}

func (r *journalAt) issueCommand() *cobra.Command {
	var caller, label, life string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "issue",
		Short: "Issue an access token and print it, this once",
		Example: `  einvoice-bridge token issue --caller sap-pi --label "SAP PI production"
  einvoice-bridge token issue --caller test --for 7d`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t := bridge.Token{Caller: caller, Label: label, Issued: time.Now()}
			if life != "" {
				d, err := lifetime(life)
				if err != nil {
					return err
				}
				t.Expires = t.Issued.Add(d)
			}
			token, err := r.issue(cmd.Context(), &t)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(issuedJSON{token, tokenView(t)})
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "token of %s, good until %s; it is kept nowhere, copy it now\n", caller, local(t.Expires, "revoked"))
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	cmd.Flags().StringVar(&caller, "caller", "", "whose token, by name in the configuration")
	cmd.Flags().StringVar(&label, "label", "", "what it is for")
	cmd.Flags().StringVar(&life, "for", "", "how long it is good (12h, 90d); until it is revoked by default")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cobra.CheckErr(cmd.MarkFlagRequired("caller"))
	return cmd
}

func (r *journalAt) issue(ctx context.Context, t *bridge.Token) (token string, err error) {
	j, err := r.change(ctx)
	if err != nil {
		return "", err
	}
	defer closeAfter(j, &err)
	if r.callers != nil && !slices.Contains(r.callers, t.Caller) {
		return "", fmt.Errorf("the configuration has no caller %q; it has %s", t.Caller, strings.Join(r.callers, ", "))
	}
	token = access.NewToken()
	t.Hash, t.By = access.HashToken(token), operator()
	return token, j.Issue(ctx, *t)
}

// closeAfter closes what a command opened; its own error comes first.
func closeAfter(c io.Closer, err *error) { *err = errors.Join(*err, c.Close()) }

// lifetime reads a duration that may be in days.
func lifetime(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no stretch of time: write 12h or 90d", s)
	}
	return d, nil
}

// tokenJSON is a token for scripts. ID is the beginning of its hash, which revoke takes.
type tokenJSON struct {
	ID      string     `json:"id"`
	Hash    string     `json:"hash"`
	Caller  string     `json:"caller"`
	Label   string     `json:"label,omitempty"`
	State   string     `json:"state"`
	Issued  time.Time  `json:"issued"`
	Expires *time.Time `json:"expires,omitempty"`
	Revoked *time.Time `json:"revoked,omitempty"`
	Used    *time.Time `json:"used,omitempty"`
}

type issuedJSON struct {
	Token string `json:"token"`
	tokenJSON
}

func tokenView(t bridge.Token) tokenJSON {
	optional := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	v := tokenJSON{t.Hash[:12], t.Hash, t.Caller, t.Label, "good", t.Issued.UTC(), optional(t.Expires), optional(t.Revoked), optional(t.Used)}
	switch {
	case v.Revoked != nil:
		v.State = "revoked"
	case v.Expires != nil && time.Now().After(*v.Expires):
		v.State = "expired"
	}
	return v
}

func (r *journalAt) tokensCommand() *cobra.Command {
	var caller string
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List issued tokens: whose, for what, until when, last used",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tokens, err := r.tokens(cmd.Context(), caller, all)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(tokens)
			}
			var rows [][]string
			for _, t := range tokens {
				rows = append(rows, []string{t.ID, t.Caller, t.Label, t.State, local(t.Issued, ""), optionalTime(t.Expires, "no end"), optionalTime(t.Used, "never")})
			}
			return printTable(cmd.OutOrStdout(), []string{"id", "caller", "for", "state", "issued", "good until", "last used"}, rows)
		},
	}
	cmd.Flags().StringVar(&caller, "caller", "", "only this caller's")
	cmd.Flags().BoolVar(&all, "all", false, "expired and revoked ones too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func optionalTime(t *time.Time, never string) string {
	if t == nil {
		return never
	}
	return local(*t, never)
}

func (r *journalAt) tokens(ctx context.Context, caller string, all bool) (list []tokenJSON, err error) {
	j, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	defer closeAfter(j, &err)
	issued, err := j.Issued(ctx)
	list = []tokenJSON{}
	for _, t := range issued {
		if v := tokenView(t); (all || v.State == "good") && (caller == "" || caller == v.Caller) {
			list = append(list, v)
		}
	}
	return list, err
}

func (r *journalAt) revokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID...",
		Short: "End tokens, everywhere within 5 s; ID is the beginning of a hash, as list shows it",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) (err error) {
			j, err := r.change(cmd.Context())
			if err != nil {
				return err
			}
			defer closeAfter(j, &err)
			issued, err := j.Issued(cmd.Context())
			if err != nil {
				return err
			}
			for _, id := range ids {
				t, err := tokenOf(issued, id)
				if err != nil {
					return err
				}
				if err := j.Revoke(cmd.Context(), t.Hash, operator()); err != nil && !errors.Is(err, bridge.ErrNoEntry) {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "revoked %s of %s\n", t.Hash[:12], t.Caller)
			}
			return nil
		},
	}
}

// tokenOf finds the one token whose hash begins with id.
func tokenOf(issued []bridge.Token, id string) (found bridge.Token, err error) {
	for _, t := range issued {
		if !strings.HasPrefix(t.Hash, strings.ToLower(id)) || id == "" {
			continue
		}
		if found.Hash != "" {
			return found, fmt.Errorf("%q is the beginning of several tokens; write more of it", id)
		}
		found = t
	}
	if found.Hash == "" {
		return found, fmt.Errorf("no issued token begins with %q; token list --all shows them", id)
	}
	return found, nil
}
