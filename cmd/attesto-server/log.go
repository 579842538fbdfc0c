package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/server/store"
)

func (a *app) logCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "log", Short: "List, export and recover the organisations' logs"}
	cmd.AddCommand(a.logListCommand(), a.logExportCommand(), a.logRecoverCommand())
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
		Short: "Begin anew a log that became read-only because the database lost what was confirmed",
		Long: `Begin anew a log that became read-only because the database lost what was confirmed.

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
			return a.withOrg(cmd.Context(), org, func(ctx context.Context, s *opened, o store.Org) error {
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

func (a *app) logExportCommand() *cobra.Command {
	var org, dir string
	var epoch int64
	cmd := &cobra.Command{
		Use:   "export --org ORG --tiles DIR",
		Short: "Write a log as static tiles (c2sp.org/tlog-tiles), for tools that check logs",
		Long: `Write a log as static tiles (c2sp.org/tlog-tiles), for tools that check logs: what
the server itself serves under /log/ORG/EPOCH/. Tiles that never change stay as they are
when the same folder is used again; the checkpoint is written last.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return misused(errors.New("--tiles: name the folder to write to"))
			}
			return a.withOrg(cmd.Context(), org, func(ctx context.Context, s *opened, o store.Org) error {
				st, err := s.ExportTiles(ctx, o.ID, epoch, func(path string, data []byte) error { return writeTile(dir, path, data) })
				if err != nil {
					return err
				}
				key, err := s.LogKey(st.Origin)
				if err != nil {
					return err
				}
				say(a.out, "%d entries of %s\nroot %s\nkey %s\n", st.Size, st.Origin, st.Root, key)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation, by id or name")
	cmd.Flags().Int64Var(&epoch, "epoch", 0, "`number` of the epoch, where a log was begun anew (default the newest)")
	cmd.Flags().StringVar(&dir, "tiles", "", "`folder` to write to")
	return cmd
}

// writeTile writes a file whole; one that is there already with the same content
// stays.
func writeTile(dir, path string, data []byte) error {
	name := filepath.Join(dir, filepath.FromSlash(path))
	if have, err := os.ReadFile(name); err == nil && bytes.Equal(have, data) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("writing tiles: %w", err)
	}
	temp := name + ".new"
	if err := os.WriteFile(temp, data, 0o644); err != nil {
		return fmt.Errorf("writing tiles: %w", err)
	}
	if err := os.Rename(temp, name); err != nil {
		return fmt.Errorf("writing tiles: %w", err)
	}
	return nil
}
