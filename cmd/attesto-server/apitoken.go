package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/server/store"
)

func (a *app) apiTokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "api-token", Short: "Make, list and revoke tokens for scripts"}
	var org, name string
	var write bool
	var may []string
	var ttl time.Duration
	create := &cobra.Command{
		Use:   "create --org ORG",
		Short: "Make an API token; it is shown this once",
		Long: `Make a token for scripts; it is shown this once. They send it as
  Authorization: Bearer TOKEN
to /api/v1/. A token of the provider reads all organisations.

Besides reading, a token may only do what --may names:
  review  confirm reviews and digests, take alerts on
  state   record statements, needs, restore tests, cases and silences
  manage  say what hosts and services count for`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withOrg(cmd.Context(), org, func(ctx context.Context, s *opened, o store.Org) error {
				if write {
					may = store.Scopes()
				}
				text, err := s.AddAPIToken(ctx, o.ID, name, ttl, may...)
				if err == nil {
					say(a.out, "%s\n", text)
				}
				return err
			})
		},
	}
	flags := create.Flags()
	flags.StringVar(&org, "org", "", "organisation, by id or name")
	flags.StringVar(&name, "name", "", "what it is for")
	flags.StringSliceVar(&may, "may", nil, "what it may do besides reading: "+strings.Join(store.Scopes(), ", "))
	flags.BoolVar(&write, "write", false, "let it do all of these")
	flags.DurationVar(&ttl, "ttl", 0, "how long it is valid (default: until it is removed)")
	cmd.AddCommand(create, a.apiTokenListCommand(), a.apiTokenRevokeCommand())
	return cmd
}

func (a *app) apiTokenListCommand() *cobra.Command {
	names := []string{"id", "name", "scopes", "created", "expires", "used"}
	return a.listOfOrg("List an organisation's API tokens", names, func(ctx context.Context, s *opened, o store.Org) ([][]string, error) {
		list, err := s.store.APITokens(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		rows := [][]string{}
		for _, t := range list {
			rows = append(rows, []string{t.ID, t.Name, t.Scopes, stamp(t.Created), stamp(t.Expires), stamp(t.Used)})
		}
		return rows, nil
	})
}

// stamp is a moment in a table; "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (a *app) apiTokenRevokeCommand() *cobra.Command {
	var org string
	cmd := &cobra.Command{
		Use:   "revoke --org ORG TOKEN-ID",
		Short: "Take an API token out of use",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withOrg(cmd.Context(), org, func(ctx context.Context, s *opened, o store.Org) error {
				if err := s.RevokeAPIToken(ctx, o.ID, args[0]); err != nil {
					return fmt.Errorf("token %s of %s: %w; attesto-server api-token list shows them", args[0], o.Name, err)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation, by id or name")
	return cmd
}
