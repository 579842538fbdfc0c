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
	"github.com/attesto/attesto/server/store"
)

func (a *app) agentCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "agent", Short: "List, tag, approve and revoke agents, let them rejoin"}
	cmd.AddCommand(a.agentListCommand(), a.agentSetCommand(), a.agentApproveCommand(), a.agentRevokeCommand(), a.agentRejoinCommand())
	return cmd
}

func (a *app) agentListCommand() *cobra.Command {
	names := []string{"id", "name", "state", "records", "seen", "services", "version", "protection", "assurance", "from", "replaces", "key"}
	return a.listOfOrg("List an organisation's agents; key is what attesto-agent status shows", names, func(ctx context.Context, s *opened, o store.Org) ([][]string, error) {
		agents, err := s.store.Agents(ctx, o.ID)
		if err != nil {
			return nil, err
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
		return rows, nil
	})
}

func (a *app) agentSetCommand() *cobra.Command {
	var services, customers string
	cmd := &cobra.Command{
		Use:   "set AGENT [--services LIST] [--customers LIST|all]",
		Short: "Say for which services and customers an agent's facts count",
		Long: `Say for which services an agent's facts count and, of the provider's agents, for
which customers; without --customers for all that have its services. The log says
so, too. Without flags it shows what is set, and which services the host probably
runs by what it told of itself.`,
		Example: `  attesto-server agent set a_0198… --services pe
  attesto-server agent set a_0198… --customers o_0198…,o_0199…`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				g, err := s.store.Agent(ctx, args[0])
				if err != nil {
					return err
				}
				flags := cmd.Flags()
				if !flags.Changed("services") && !flags.Changed("customers") {
					return a.agentTags(ctx, s, g)
				}
				if flags.Changed("services") {
					g.Services = list(services)
				}
				if flags.Changed("customers") {
					g.Customers = nil
					if customers != "all" {
						g.Customers = list(customers)
					}
				}
				return s.SetServes(ctx, g.ID, g.Services, g.Customers, "")
			})
		},
	}
	cmd.Flags().StringVar(&services, "services", "", "services that the host's facts count for")
	cmd.Flags().StringVar(&customers, "customers", "", "ids of the customers that it works for, or all")
	return cmd
}

func (a *app) agentTags(ctx context.Context, s *opened, g store.Agent) error {
	suggested, because, err := s.Suggested(ctx, g)
	if err != nil {
		return err
	}
	customers := strings.Join(g.Customers, ",")
	if customers == "" {
		customers = "all"
	}
	say(a.out, "services %s\ncustomers %s\n", strings.Join(g.Services, ","), customers)
	if len(suggested) > 0 {
		say(a.out, "also looks like %s (%s)\n", strings.Join(suggested, ","), strings.Join(because, ", "))
	}
	return nil
}

func (a *app) agentApproveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "approve AGENT",
		Short: "Let an agent that waits for approval prove",
		Long: `Let an agent that waits for approval prove: its token asks for approval, or more than 20
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
		Short: "Let an agent whose chain had forked prove again",
		Long: `Let an agent whose chain had forked prove again. Find out first why it did: its host
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
