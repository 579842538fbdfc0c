package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) anchorCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "anchor", Short: "Show and mend the anchor log over all organisations' logs"}
	cmd.AddCommand(a.anchorStatusCommand(), a.anchorRecoverCommand())
	return cmd
}

var errNoAnchor = errors.New("the anchor log is off: set anchor: in the configuration")

func (a *app) anchorStatusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the anchor log stands: last leaf, token and cosignature, and what fails",
		Long: `Say how the anchor log stands: last leaf, last token of each time-stamping
authority, last cosignature of each witness, and what fails with the cure.

Exit status: 0 all is well, 1 something fails.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.mustExist(); err != nil {
				return err
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				if s.Anchor() == nil {
					return errNoAnchor
				}
				st, err := s.Anchor().Status(ctx)
				if err != nil {
					return err
				}
				rows, faults := make([][]string, len(st.Parts)), 0
				for i, p := range st.Parts {
					state, last := "well", "never"
					if !p.OK {
						state, faults = p.Fault, faults+1
					}
					if !p.Last.IsZero() {
						last = p.Last.UTC().Format(time.RFC3339)
					}
					rows[i] = []string{p.Name, last, strconv.FormatInt(p.Size, 10), state}
				}
				if st.Origin != "" && !asJSON {
					key, err := s.LogKey(st.Origin)
					if err != nil {
						return err
					}
					say(a.out, "log     %s\nkey     %s\nhead    %d entries, root %s\nwaiting %d logs have a newer head\n\n", st.Origin, key, st.Head.Size, st.Head.Root, st.Waiting)
				}
				if err := a.table(asJSON, []string{"part", "last", "size", "state"}, rows); err != nil {
					return err
				}
				if faults > 0 {
					return codedError{exitFailed, fmt.Errorf("the anchor log is not well: see the parts that fail, %d of %d", faults, len(rows))}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func (a *app) anchorRecoverCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "recover",
		Short: "Begin the anchor log anew after the database lost entries of it",
		Long: `Begin the anchor log anew, in a new epoch, after the database lost entries that had
left the server. The first entry names the last head of the old log. Stop the server
first; afterwards point publish: at an empty folder. What was published of the old log
stays where it is: auditors need it.

First look for a newer copy of the database: with that nothing is lost.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.mustExist(); err != nil {
				return err
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				old, now, err := s.RecoverAnchor(ctx)
				if err == nil {
					say(a.out, "Log %s ended at %d entries; %s goes on.\n", old.Origin, old.Size, now.Origin)
				}
				return err
			})
		},
	}
}
