package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/evidence"
)

func (p *program) versionCmd() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		fmt.Fprintf(p.out, "attesto-agent %s %s/%s %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
		return nil
	}}
}

func (p *program) enrollCmd() *cobra.Command {
	var server, token string
	cmd := &cobra.Command{
		Use:   "enroll --server URL --token TOKEN",
		Short: "Enroll this host with a one-time token from the board",
		Long: `Enroll this host with a one-time token from the board (Agents, Add an agent).

This host makes its own keys; nothing secret leaves it. Without --token, a token (or
the server's address and a token) is read from ` + agent.DropInFile + `, a file that only
its owner can read; it is deleted once it was used.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			return p.enroll(cmd.Context(), cfg, p.logger(cfg), server, token)
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "address of the server, https://… (default: server of the config)")
	cmd.Flags().StringVar(&token, "token", "", "one-time token, att1.…")
	return cmd
}

// enroll enrolls with what was given, else with what was left in the drop-in file.
func (p *program) enroll(ctx context.Context, cfg agent.Config, log *slog.Logger, server, token string) error {
	dropped := token == ""
	if dropped {
		from, left, err := agent.ReadDropIn(agent.DropInFile)
		if errors.Is(err, fs.ErrNotExist) {
			return usagef("--token is needed (or a token in %s)", agent.DropInFile)
		}
		if err != nil {
			return err
		}
		server, token = cmp.Or(server, from), left
	}
	if server = cmp.Or(server, cfg.Server); server == "" {
		return usagef("--server is needed: the address of the Attesto server, such as https://attesto.example.com")
	}
	r, err := agent.Enroll(ctx, cfg, server, token, version, log)
	if err != nil {
		return err
	}
	if dropped {
		if err := agent.ForgetDropIn(agent.DropInFile); err != nil {
			return err
		}
	}
	if err := ownedByService(cfg.StateDir); err != nil {
		return fmt.Errorf("giving the state folder to the service's account: %w", err)
	}
	if r.Waits {
		defer fmt.Fprintln(p.out, "\nIt waits for approval: on the page of agents, or attesto-server agent approve. Until then\nrecords are kept here; none is lost.")
	}
	fmt.Fprintf(p.out, "Enrolled in %s as %s.\nKey %s (the board shows the same).\nEntry %d of the log, proof verified.\n\nNext: start the agent (systemctl enable --now attesto-agent, or attesto-agent run).\n",
		r.OrgName, r.Agent, r.KeyID, r.Index)
	return nil
}

func (p *program) collectCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "collect [KIND…]",
		Short: "Look once and print what was seen; nothing is sent",
		RunE: func(cmd *cobra.Command, kinds []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			results, err := agent.Collect(cmd.Context(), cfg, agent.NewHost(cfg), kinds)
			if err != nil {
				return usage(err)
			}
			return p.show(results, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line: kind, outcome, from, to, gaps, facts, detail")
	return cmd
}

// show prints results and sets the exit code to the worst of them.
func (p *program) show(results []agent.Result, asJSON bool) error {
	for _, r := range results {
		if !asJSON {
			r.Print(p.out, p.paint())
		} else {
			b, err := r.JSON()
			if err != nil {
				return fmt.Errorf("encoding %s: %w", r.Kind, err)
			}
			fmt.Fprintln(p.out, string(b))
		}
		switch r.Outcome {
		case evidence.Failed:
			p.code = exitFailed
		case evidence.Partial:
			p.code = max(p.code, exitPartial)
		}
	}
	return nil
}

func (p *program) statusCmd() *cobra.Command {
	var asJSON, clearAlarm bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the agent stands: what waits, what fails, what the log proved",
		Long: `Say how the agent stands: what waits, what fails, what the log proved.

Exit status: 0 no alarm, 4 an alarm that a person must look at.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			if clearAlarm {
				kept, err := agent.ClearAlarm(cfg)
				if err != nil {
					return err
				}
				fmt.Fprintln(p.errOut, cmp.Or(kept, "there was no alarm"))
			}
			s, err := agent.ReadStatus(cfg, time.Now())
			if err != nil {
				return err
			}
			if s.Alarm != nil {
				p.code = exitFailed
			}
			if asJSON {
				return p.json(s)
			}
			s.Print(p.out, p.paint())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&clearAlarm, "clear-alarm", false, "set an alarm aside after you looked at it; its file is kept")
	return cmd
}

func (p *program) json(v any) error {
	enc := json.NewEncoder(p.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (p *program) doctorCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say per collector what is on, what is missing, and the one thing that cures it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			d, err := agent.Doctor(cmd.Context(), cfg, agent.NewHost(cfg), p.logger(cfg))
			if err != nil {
				return err
			}
			if !d.Healthy() {
				p.code = exitPartial
			}
			if asJSON {
				return p.json(d)
			}
			d.Print(p.out, p.paint())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// maxCaptured bounds a file that explain reads, in bytes.
const maxCaptured = 256 << 20

func (p *program) explainCmd() *cobra.Command {
	var format string
	var list, asJSON bool
	var at string
	cmd := &cobra.Command{
		Use:   "explain --as FORMAT FILE",
		Short: "Say what the agent makes of an output, log or file captured elsewhere",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if list {
				for _, f := range agent.ExplainFormats() {
					fmt.Fprintf(p.out, "%-20s %-9s %s\n", f.Name, f.Kind, f.Title)
				}
				return nil
			}
			if format == "" || len(args) != 1 {
				return usagef("explain --as FORMAT FILE, or explain --list")
			}
			moment := time.Now()
			if at != "" {
				var err error
				if moment, err = time.Parse(time.RFC3339, at); err != nil {
					return usagef("--at %q: want 2006-01-02T15:04:05Z", at)
				}
			}
			data, err := readCaptured(args[0])
			if err != nil {
				return err
			}
			r, err := agent.Explain(format, data, moment)
			if err != nil {
				return usage(err)
			}
			return p.show([]agent.Result{r}, asJSON)
		},
	}
	cmd.Flags().StringVar(&format, "as", "", "form of the file; --list names them")
	cmd.Flags().BoolVar(&list, "list", false, "list the forms")
	cmd.Flags().BoolVar(&asJSON, "json", true, "print one JSON object a line")
	cmd.Flags().StringVar(&at, "at", "", "judge as of this moment instead of now")
	return cmd
}

func readCaptured(path string) ([]byte, error) {
	f := os.Stdin
	if path != "-" {
		var err error
		if f, err = os.Open(path); err != nil {
			return nil, fmt.Errorf("reading what was captured: %w", err)
		}
		defer f.Close() //nolint:errcheck // opened for reading
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCaptured+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(b) > maxCaptured {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxCaptured)
	}
	return b, nil
}

func (p *program) journalCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "journal [SEQ]",
		Short: "List all that ever left this host; with a number, show exactly what it said",
		Long: `List every record that left this host or waits to: number, time, size, place in the
log, SHA-256 of the envelope, kinds. The server's page of a record and its export show
the same SHA-256. With a number: the whole content, laid out for reading; with --json
the very bytes that were sent. Content is kept for spool: max_age, the list for good.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				seq, err := strconv.ParseUint(args[0], 10, 64)
				if err != nil {
					return usagef("%q is not a record's number", args[0])
				}
				sent, err := agent.JournalRecord(cfg, seq)
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(sent)
				}
				sent.Print(p.out, p.paint())
				return nil
			}
			entries, err := agent.Journal(cfg)
			if err != nil {
				return err
			}
			story, err := agent.LogStory(cfg)
			if err != nil {
				return err
			}
			for _, b := range story {
				if !asJSON {
					fmt.Fprintf(p.out, "        %s\n", b.Story())
				}
			}
			for _, e := range entries {
				if asJSON {
					if err := p.json(e); err != nil {
						return err
					}
					continue
				}
				e.Print(p.out)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line; with a number, the exact content")
	return cmd
}
