package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) apiTokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "api-token", Short: "Make tokens for scripts"}
	var org, name string
	var write bool
	var ttl time.Duration
	create := &cobra.Command{
		Use:   "create --org ORG",
		Short: "Make an API token; it is shown this once",
		Long: `Make a token for scripts; it is shown this once. They send it as
  Authorization: Bearer TOKEN
to /api/v1/. A token of the provider reads all organisations.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				o, err := orgFlag(ctx, s, org)
				if err != nil {
					return err
				}
				text, err := s.AddAPIToken(ctx, o.ID, name, write, ttl)
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
	flags.BoolVar(&write, "write", false, "let it change things, not only read")
	flags.DurationVar(&ttl, "ttl", 0, "how long it holds (default: until it is removed)")
	cmd.AddCommand(create)
	return cmd
}
