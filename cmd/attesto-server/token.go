package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
)

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Make and list enrollment tokens"}
	cmd.AddCommand(a.tokenCreateCommand(), a.tokenListCommand())
	return cmd
}

func (a *app) tokenCreateCommand() *cobra.Command {
	var q server.TokenRequest
	var org, services string
	cmd := &cobra.Command{
		Use:   "create --org ORG",
		Short: "Make an enrollment token; it is shown this once",
		Long: `Make an enrollment token; it is shown this once. The host uses it with
  attesto-agent enroll --server URL --token TOKEN

--services says which services the host's evidence is for. --from and --approve
keep a token that falls into wrong hands from being of use: with --from it holds
only for hosts in those networks, with --approve what a host sends counts only once
somebody has approved it. --replaces names the agent of a host that is set up anew:
that one is revoked when its successor enrolls.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withOrg(cmd.Context(), org, func(ctx context.Context, s *opened, o store.Org) error {
				q.Org, q.Services = o.ID, list(services)
				if len(q.Services) == 0 {
					q.Services = o.Services
				}
				token, err := s.AddToken(ctx, q)
				if err == nil {
					say(a.out, "%s\n", token)
				}
				return err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&org, "org", "", "organisation, by id or name")
	flags.StringVar(&services, "services", "", "services that the host proves: some of sc,wh,pe,bk (default: those of the organisation)")
	flags.Int64Var(&q.Uses, "uses", 1, "how many hosts may enroll with it")
	flags.DurationVar(&q.TTL, "ttl", time.Hour, "how long it is valid, at most 168h")
	flags.StringVar(&q.Note, "note", "", "what it is for")
	flags.StringSliceVar(&q.From, "from", nil, "`network`s or addresses that hosts may enroll from, as 203.0.113.0/24 (default: anywhere)")
	flags.BoolVar(&q.Hold, "approve", false, "hosts that enroll with it wait for approval (attesto-server agent approve)")
	flags.StringVar(&q.Replaces, "replaces", "", "the `agent` that this host had before it was set up anew")
	return cmd
}

func (a *app) tokenListCommand() *cobra.Command {
	names := []string{"id", "uses", "expires", "services", "from", "approve", "replaces", "note"}
	return a.listOfOrg("List enrollment tokens, by their public ids", names, func(ctx context.Context, s *opened, o store.Org) ([][]string, error) {
		tokens, err := s.store.EnrollTokens(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		rows := make([][]string, len(tokens))
		for i, t := range tokens {
			rows[i] = []string{t.ID, fmt.Sprintf("%d/%d", t.Uses, t.MaxUses), t.Expires.Format(time.RFC3339), strings.Join(t.Services, ","),
				strings.Join(t.From, ","), map[bool]string{true: "yes"}[t.Hold], t.Replaces, t.Note}
		}
		return rows, nil
	})
}
