package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/collectors/backup"
)

func (p *program) reportCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Hand in a result that the agent cannot read by itself",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.reportBackupCmd())
	return cmd
}

// maxLog bounds the tool's output that a report is made from, in bytes.
const maxLog = 64 << 20

func (p *program) reportBackupCmd() *cobra.Command {
	var r backup.Report
	var dir, start, end, restorable, oldest, logFile string
	var bytes, files int64
	var faults, points int
	cmd := &cobra.Command{
		Use:   "backup --job NAME --tool TOOL --exit $?",
		Short: "Hand in the result of a backup job, from the hook that ran it",
		Long: `Hand in the result of a backup job, from the hook that ran it:

  restic backup /srv --json >/var/log/restic.json 2>&1
  attesto-agent report backup --job nightly --tool restic --exit $? --log /var/log/restic.json

A running agent takes it on its socket and notes which account handed it in, as the
kernel says; otherwise it is left in the drop folder for the next look.

Only what is stated counts: success does not by itself mean that something can be
restored. Say --restorable with the time of the newest state that can be.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			if dir == "" {
				dir = cmp.Or(cfg.ReportDir(), backup.DefaultReports)
			}
			if dir == "off" {
				return usagef("the config says reports: off (collectors.backup); name a folder there, or with --dir")
			}
			now := time.Now().UTC()
			r.End = &now
			for _, t := range []struct {
				text, flag string
				at         **time.Time
			}{{start, "start", &r.Start}, {end, "end", &r.End}, {restorable, "restorable", &r.Restorable}, {oldest, "oldest", &r.Oldest}} {
				if t.text == "" {
					continue
				}
				parsed, err := time.Parse(time.RFC3339, t.text)
				if err != nil {
					return usagef("--%s %q: want 2006-01-02T15:04:05Z", t.flag, t.text)
				}
				*t.at = &parsed
			}
			if cmd.Flags().Changed("bytes") {
				r.Bytes = &bytes
			}
			if cmd.Flags().Changed("files") {
				r.Files = &files
			}
			if cmd.Flags().Changed("errors") {
				r.Errors = &faults
			}
			if cmd.Flags().Changed("points") {
				r.Points = &points
			}
			if logFile != "" {
				if err := readLog(&r, logFile); err != nil {
					return err
				}
			}
			path, err := handIn(cmd.Context(), cfg, r, dir, cmd.Flags().Changed("dir"))
			if err != nil {
				return err
			}
			fmt.Fprintf(p.out, "Handed in as %s; the agent sends it with its next look.\n", path)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Job, "job", "", "name of the job, as it shall stand on the board")
	f.StringVar(&r.Tool, "tool", "", "name of the tool, such as restic or robocopy")
	f.IntVar(&r.Exit, "exit", 0, "the tool's exit code")
	f.StringVar(&start, "start", "", "when the run started, 2006-01-02T15:04:05Z")
	f.StringVar(&end, "end", "", "when the run ended (default: now)")
	f.StringVar(&restorable, "restorable", "", "time of the newest state that can be restored")
	f.StringVar(&oldest, "oldest", "", "time of the oldest state that can be restored")
	f.IntVar(&points, "points", 0, "how many states can be restored")
	f.Int64Var(&bytes, "bytes", 0, "bytes read from the source")
	f.Int64Var(&files, "files", 0, "files read from the source")
	f.IntVar(&faults, "errors", 0, "items that could not be read")
	f.StringVar(&r.Message, "message", "", "a word of the tool, for people")
	f.StringVar(&logFile, "log", "", "the tool's output, read for what the exit code hides (restic, borg)")
	f.StringVar(&dir, "dir", "", "drop folder (default: collectors.backup.reports of the config)")
	for _, name := range []string{"job", "tool", "exit"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

// handIn gives the report to the running agent, which hears from the kernel who hands
// in, or else leaves it in the drop folder.
func handIn(ctx context.Context, cfg agent.Config, r backup.Report, dir string, named bool) (string, error) {
	if !named {
		r.V = 1
		b, err := json.Marshal(r)
		if err != nil {
			return "", fmt.Errorf("report of job %q: %w", r.Job, err)
		}
		path, err := agent.HandIn(ctx, cfg, b)
		if !errors.Is(err, agent.ErrNoAgent) {
			return path, err
		}
	}
	return backup.WriteReport(dir, r)
}

func readLog(r *backup.Report, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading the tool's output: %w", err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	b, err := io.ReadAll(io.LimitReader(f, maxLog))
	if err != nil {
		return fmt.Errorf("reading the tool's output: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("reading the tool's output: %w", err)
	}
	return r.ReadLog(b, info.ModTime())
}
