package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
)

func (a *app) logCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "log", Short: "List, export and recover the organisations' logs"}
	cmd.AddCommand(a.logListCommand(), a.logRecoverCommand())
	return cmd
}

func (a *app) logListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the logs with their heads, to compare with what agents and auditors know",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				logs, err := s.store.Logs(ctx)
				if err != nil {
					return err
				}
				rows := make([][]string, len(logs))
				for i, l := range logs {
					rows[i] = []string{l.Origin, strconv.FormatInt(l.Size, 10), l.Root.String()}
				}
				return a.table(asJSON, []string{"origin", "size", "root"}, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func (a *app) logRecoverCommand() *cobra.Command {
	var org, reason string
	cmd := &cobra.Command{
		Use:   "recover --org ORG --reason restored|lost|rewritten",
		Short: "Begin a log anew that became read-only because the database lost what was confirmed",
		Long: `Begin a log anew that became read-only because the database lost what was confirmed.

First try to put back the newest copy of the database: then nothing is lost and this is
not needed. Otherwise the log goes on in a new epoch. Its first entry, signed with the
server's key, names for everybody the last head that is known to have been signed, how
many entries are kept, and the reason; it cannot be taken back. The old log stays, to be
read and proven. Agents check that statement and send again what is missing, as far as
their spools reach back (35 days).

How much was lost is known from the guard of this server and from what agents showed;
with several servers, run it where "check" names the largest number.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				o, err := orgFlag(ctx, s, org)
				if err != nil {
					return err
				}
				e, err := s.RecoverLog(ctx, o.ID, reason, "")
				if err != nil {
					return err
				}
				say(a.out, "The log of %s goes on as epoch %d. Of %d confirmed entries %d are kept.\n", o.Name, e.Epoch, e.Last.Size, e.Kept.Size)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation, by id or name")
	cmd.Flags().StringVar(&reason, "reason", "", "restored, lost or rewritten")
	return cmd
}
