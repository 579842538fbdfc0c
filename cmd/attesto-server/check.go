package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/server"
)

func (a *app) checkCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Prove the whole database from its bytes; say what was changed or is missing",
		Long: `Prove the whole database from its bytes: every entry, tile, checkpoint and
cosignature of each log; each record's signature, chain and content; each agent's
row. It changes nothing and may run beside "serve".

Exit status: 0 sound, 1 not (each fault with its place on a line of its own).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.mustExist(); err != nil {
				return err
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				done, err := s.Check(ctx, func(c server.Checked) {
					say(a.errOut, "%d entries checked, %d faults\n", c.Entries, len(c.Faults))
				})
				if err != nil {
					return err
				}
				return a.reportCheck(done, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line for each fault")
	return cmd
}

// mustExist refuses an SQLite file that is not there: opening it would make an
// empty database, and an empty database is sound.
func (a *app) mustExist() error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	path, ok := strings.CutPrefix(cfg.Store, "sqlite:")
	if !ok {
		return nil
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("no database at %s: nothing was checked; name it by --config or --store (%w)", cfg.Store, err)
	}
	return nil
}

func (a *app) reportCheck(done server.Checked, asJSON bool) error {
	enc := json.NewEncoder(a.out)
	for _, f := range done.Faults {
		if !asJSON {
			say(a.out, "%s: %s\n", f.Where, f.What)
		} else if err := enc.Encode(f); err != nil {
			return err
		}
	}
	if len(done.Faults) > 0 {
		return codedError{code: exitFailed, err: plural(len(done.Faults), "fault")}
	}
	say(a.errOut, "Sound: %d logs, %d entries, %d agents.\n", done.Logs, done.Entries, done.Agents)
	return nil
}
