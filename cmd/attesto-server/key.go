package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/evidence"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Show and change the server's own keys"}
	cmd.AddCommand(a.keyShowCommand(), a.keyRotateCommand(), a.keyExportCommand())
	return cmd
}

func (a *app) keyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show the root key, which agents have pinned, and the keys that it vouches for",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(_ context.Context, s *opened) error {
				ks, root := s.Keyset()
				say(a.out, "root key    %s (attesto-agent status shows the same)\n", root.ID())
				say(a.out, "keyset      version %d of server %s\n", ks.Version, ks.Server)
				for i, k := range ks.LogKeys {
					state := "signs"
					if i > 0 {
						state = "signed before; what it signed still holds"
					}
					if until := ks.Since.Add(evidence.KeysetOverlap); i == 1 && time.Now().Before(until) {
						state = "signs as well until " + until.Format(time.DateOnly)
					}
					say(a.out, "log key     %s (%s)\n", k, state)
				}
				return nil
			})
		},
	}
}

func (a *app) keyRotateCommand() *cobra.Command {
	var rootPath string
	cmd := &cobra.Command{
		Use:   "rotate-log",
		Short: "Make a new key for signing the logs' heads, signed by the root key",
		Long: `Make a new key for signing the logs' heads. Its name goes into a keyset that the root
key signs; each agent takes that over with its next push and checks it against the
root key that it has pinned. For ninety days every head bears the signature of the
former key as well. What the former key signed goes on to verify.

Then start the server again (every replica, with the new folder for keys), and copy
that folder to where its copies are.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(_ context.Context, s *opened) error {
				var root *evidence.FileKey
				if rootPath != "" {
					var err error
					if root, err = evidence.LoadFileKey(rootPath); err != nil {
						return fmt.Errorf("the root key: %w", err)
					}
				}
				ks, err := s.RotateLogKey(s.cfg.Data, root)
				if err != nil {
					return fmt.Errorf("changing the log key: %w", err)
				}
				say(a.out, "Version %d of the keyset is in %s. Start the server again, and copy that folder.\nThe former key signs as well until %s.\n",
					ks.Version, filepath.Join(s.cfg.Data, "keys"), ks.Since.Add(evidence.KeysetOverlap).Format(time.DateOnly))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&rootPath, "root", "", "`file` with the root key, if it is kept away from the server")
	return cmd
}

func (a *app) keyExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export-root FILE",
		Short: "Move the root key into a file that you keep away from the server",
		Long: `Move the root key into a file that you keep away from the server, on two media in two
places: it is needed only to change the other keys, and who has it can have every
agent trust another log. Without it no key can ever be changed, and with a new one
every host must enroll anew.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(_ context.Context, s *opened) error {
				if err := s.ExportRoot(s.cfg.Data, args[0]); err != nil {
					return fmt.Errorf("exporting the root key: %w", err)
				}
				say(a.out, "The root key is in %s, and no longer in %s.\nOlder copies of that folder still hold it.\n", args[0], filepath.Join(s.cfg.Data, "keys"))
				return nil
			})
		},
	}
}
