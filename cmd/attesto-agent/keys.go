package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/agent"
)

func (p *program) rotateKeyCmd() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "rotate-key",
		Short: "Change the key with which this host signs",
		Long: `Change the key with which this host signs. The change is the next record of its
chain: signed with the old key, proven by the new one, logged like every other. The
agent does it by itself once a year (key_days in the configuration); do it by hand
when somebody may have read the old one, and then revoke what was sent since on the
server (attesto-server agent revoke --distrust-from).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			key, err := agent.RotateKey(ctx, cfg, agent.NewHost(cfg), version, p.logger(cfg))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "This host signs with key %s now.\n", key)
			return err
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for the agent or the server")
	return cmd
}

func (p *program) generalizeCmd() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "generalize",
		Short: "Forget keys and identity, before this machine becomes a template",
		Long: `Forget all that makes this host one agent: keys, identity, what was sent. Do it
before an image or a template is made of the machine: two hosts with one key would
contradict each other, and what both send would prove nothing. Each copy is enrolled
as a host of its own; put a token into ` + agent.DropInFile + ` of the template, and
it enrolls by itself at its first start.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			if err := agent.Generalize(cfg, force); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "%s holds no keys and no identity any more.\n", cfg.StateDir)
			return err
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also when records wait that the server has not confirmed")
	return cmd
}

func (p *program) rejoinCmd() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "rejoin",
		Short: "Take up the chain again after this host was set back to a snapshot",
		Long: `Take up the chain again after this host was set back to an earlier state of its
disk, as from a snapshot or a backup. The server says which record came last, the log
proves it, and this host's own key must have signed it. What was sealed here since is
set aside, and the next record states what happened. Stop the agent first. An admin
then lets it prove again: attesto-server agent rejoin.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			r, err := agent.Rejoin(ctx, cfg, agent.NewHost(cfg), version, p.logger(cfg))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "Records %d to %d are in the log and were not known here any more; %d of this host were set aside. The chain goes on.\n", r.From, r.To, r.Aside)
			return err
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for the server")
	return cmd
}
