package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/evidence"
)

func (a *app) agentCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "agent", Short: "List, approve and revoke agents, let them rejoin"}
	cmd.AddCommand(a.agentListCommand(), a.agentApproveCommand(), a.agentRevokeCommand(), a.agentRejoinCommand())
	return cmd
}

func (a *app) agentListCommand() *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list --org ORG",
		Short: "List an organisation's agents; key is what attesto-agent status shows",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				o, err := orgFlag(ctx, s, org)
				if err != nil {
					return err
				}
				agents, err := s.store.Agents(ctx, o.ID)
				if err != nil {
					return err
				}
				rows := make([][]string, len(agents))
				for i, g := range agents {
					key := "damaged"
					if k, err := evidence.ParsePublicKey(g.SPKI); err == nil {
						key = string(k.ID())
					}
					seen := "never"
					if !g.Seen.IsZero() {
						seen = g.Seen.Format(time.RFC3339)
					}
					rows[i] = []string{g.ID, g.Name, g.Standing(), strconv.FormatInt(g.Seq, 10), seen, strings.Join(g.Services, ","), g.Version, g.Protection,
						string(evidence.AssuranceOf(g.Protection)), g.From, g.Replaces, key}
				}
				return a.table(asJSON, []string{"id", "name", "state", "records", "seen", "services", "version", "protection", "assurance", "from", "replaces", "key"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation, by id or name")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func (a *app) agentApproveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "approve AGENT",
		Short: "Let an agent prove that waits for approval",
		Long: `Let an agent prove that waits for approval: its token asks for it, or more than 20
hosts enrolled in its organisation within an hour. Compare the key that agent list
shows with what attesto-agent status shows on the host; revoke the agent if it is
none of yours. The log says that you decided so.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				index, err := s.ApproveAgent(ctx, args[0], "")
				if err != nil {
					return err
				}
				say(a.out, "Agent %s proves from now on; entry %d of its organisation's log says so.\n", args[0], index)
				return nil
			})
		},
	}
}

func (a *app) agentRevokeCommand() *cobra.Command {
	var reason, distrust string
	cmd := &cobra.Command{
		Use:   "revoke AGENT --reason stolen|lost|cloned|replaced|retired",
		Short: "Refuse an agent's key from now on; what it proved stays",
		Long: `Refuse an agent's key from now on. What it proved stays proven: it was logged
before. If the key may have been in other hands for a while, say since when with
--distrust-from: what was received since then stays in the log, and every board,
record and export marks it as suspect.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return misused(errors.New("--reason: say why (stolen, lost, cloned, replaced or retired); it goes into the log"))
			}
			var from time.Time
			if distrust != "" {
				var err error
				if from, err = dayOrMoment(distrust, time.Local, 0); err != nil {
					return misused(fmt.Errorf("--distrust-from: %w", err))
				}
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				index, err := s.RevokeAgent(ctx, args[0], reason, "", from)
				if err != nil {
					return err
				}
				say(a.out, "%s\n", fmt.Sprintf("Agent %s is revoked; entry %d of its organisation's log says so.", args[0], index))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why: stolen, lost, cloned, replaced or retired")
	cmd.Flags().StringVar(&distrust, "distrust-from", "", "`day` or moment since when the key may have been in other hands")
	return cmd
}

func (a *app) agentRejoinCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rejoin AGENT",
		Short: "Let an agent prove again whose chain had forked",
		Long: `Let an agent prove again whose chain had forked. Find out first why it did: its host
was set back to a snapshot and has rejoined (attesto-agent rejoin), or a clone of it
is gone. If its key may have been copied, revoke it instead. The log says that you
decided so.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				index, err := s.RejoinAgent(ctx, args[0], "")
				if err != nil {
					return err
				}
				say(a.out, "Agent %s proves again; entry %d of its organisation's log says so.\n", args[0], index)
				return nil
			})
		},
	}
}
