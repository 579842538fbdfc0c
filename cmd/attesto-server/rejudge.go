package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

func (a *app) rejudgeCommand() *cobra.Command {
	var q server.RejudgeRequest
	var from, to, whose string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rejudge --from DAY [--to DAY] [--org ORG] [--duty ID] [--dry-run]",
		Short: "Judge the past by the rules of now, and say which verdicts change and why",
		Long: `Judge the past by the catalogue and the parameters of now, on the facts that were
known at each moment. Each line is a stretch of time that is judged otherwise:
duty, board, from, to, verdict before and now, the number of the rules before, and
why.

A day is a calendar day in the time zone of the organisation whose duties are judged,
of each its own: --from 2026-06-01 --to 2026-06-30 is June, both days included. A
moment such as 2026-06-01T00:00:00Z is taken as it is, and --to then excluded. Figures
that were set and that a duty does not leave open are named at the end.

With --dry-run nothing is kept. Without it, days and continuity show the new
verdicts, and beside each the one of the time; the log states it. Days whose facts
were erased stay as they were judged.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				var err error
				if q.From, q.FromDay, err = day(from); err != nil {
					return misused(fmt.Errorf("--from: %w", err))
				}
				if to != "" {
					if q.To, q.ToDay, err = day(to); err != nil {
						return misused(fmt.Errorf("--to: %w", err))
					}
				}
				if whose != "" {
					o, err := orgFlag(ctx, s, whose)
					if err != nil {
						return err
					}
					q.Org = o.ID
				}
				done, err := s.Rejudge(ctx, q)
				if err != nil {
					return err
				}
				return a.rejudged(s.Catalogue(), done, q.DryRun, asJSON)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "first `day` in each organisation's zone, such as 2026-06-01, or a moment as 2026-06-01T00:00:00Z")
	f.StringVar(&to, "to", "", "last `day`, or a moment; now without it")
	f.StringVar(&whose, "org", "", "whose duties: organisation, by id or name; of all without it")
	f.StringVar(&q.Duty, "duty", "", "`id` of a duty; all without it")
	f.BoolVar(&q.DryRun, "dry-run", false, "only say what would change")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// day reads a day, which begins when each organisation's does, or a moment.
func day(text string) (at time.Time, day string, err error) {
	if at, err = time.Parse(time.RFC3339, text); err == nil {
		return at, "", nil
	}
	if _, err = time.Parse(time.DateOnly, text); err != nil {
		return time.Time{}, "", fmt.Errorf("%q: want a day such as 2026-06-01, or a moment such as 2026-06-01T00:00:00Z", text)
	}
	return time.Time{}, text, nil
}

type rejudgedLine struct {
	Duty    string    `json:"duty"`
	Org     string    `json:"org"`
	Board   string    `json:"board"`
	Boards  int       `json:"boards"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Was     string    `json:"was"`
	Verdict string    `json:"verdict"`
	Ruleset int64     `json:"ruleset"`
	Why     string    `json:"why"`
}

type outsideLine struct {
	Org    string  `json:"org"`
	Duty   string  `json:"duty"`
	Part   string  `json:"part"`
	Name   string  `json:"name"`
	Set    float64 `json:"set"`
	Counts float64 `json:"counts"`
	Why    string  `json:"why"`
}

func outside(list []server.Outside) []outsideLine {
	out := []outsideLine{}
	for _, x := range list {
		out = append(out, outsideLine(x))
	}
	return out
}

func (a *app) rejudged(c *duties.Catalogue, done server.Rejudgement, dry, asJSON bool) error {
	lines := func(list []server.Rejudged) []rejudgedLine {
		out := []rejudgedLine{}
		for _, r := range list {
			why, _ := c.Render(duties.English, r.Why)
			out = append(out, rejudgedLine{r.Duty, r.Org, r.Board, r.Boards, r.From.UTC(), r.To.UTC(), r.Was.String(), r.Verdict.String(), r.Ruleset, why})
		}
		return out
	}
	if asJSON {
		return json.NewEncoder(a.out).Encode(map[string]any{"ruleset": done.Rules.Number, "digest": done.Rules.Digest, "version": done.Rules.Version,
			"dryRun": dry, "changed": lines(done.Changed), "kept": lines(done.Kept), "outside": outside(done.Outside)})
	}
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	for _, l := range lines(done.Changed) {
		say(w, "%s\t%s\t%s\t%s\t%s → %s\trules %d → %d\t%s\n", l.Duty, l.Board, l.From.Format(time.RFC3339), l.To.Format(time.RFC3339), l.Was, l.Verdict, l.Ruleset, done.Rules.Number, l.Why)
	}
	for _, l := range lines(done.Kept) {
		say(w, "%s\t%s\t%s\t%s\tstays as it was judged\t\tfacts were erased\n", l.Duty, l.Board, l.From.Format(time.RFC3339), l.To.Format(time.RFC3339))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, x := range done.Outside {
		say(a.out, "%s of %s: part %s: %s was set and counts for nothing (%g counts): %s\n", x.Duty, x.Org, x.Part, x.Name, x.Counts, x.Why)
	}
	word := "changed"
	if dry {
		word = "would change"
	}
	say(a.out, "%d stretches %s by rules %d (%.12s, version %s).\n", len(done.Changed), word, done.Rules.Number, done.Rules.Digest, done.Rules.Version)
	return nil
}

func (a *app) paramCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "param", Short: "Set and list the figures that an organisation's duties are judged by"}
	cmd.AddCommand(a.paramSetCommand(), a.paramListCommand())
	return cmd
}

func (a *app) paramSetCommand() *cobra.Command {
	var p store.Param
	cmd := &cobra.Command{
		Use:   "set --org ORG [--duty ID --part PART] NAME VALUE|default",
		Short: "Set a parameter; it is kept with who and when, and stated in the log",
		Long: `Set a parameter of a part of a duty ("attesto-server catalogue list --json" names
them), or of the organisation as a whole: late_counts 1 has evidence that came late
count as if it had come in time, second_factor 1 asks its people for a second factor
when they sign in. The duties are judged again; the past is not: see
"attesto-server rejudge".`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.Name = args[0]; args[1] != "default" {
				v, err := strconv.ParseFloat(args[1], 64)
				if err != nil {
					return misused(fmt.Errorf("value %q: want a number, or default", args[1]))
				}
				p.Value = &v
			}
			return a.withOrg(cmd.Context(), p.Org, func(ctx context.Context, s *opened, o store.Org) error {
				p.Org = o.ID
				return s.SetParam(ctx, p)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Org, "org", "", "organisation, by id or name")
	f.StringVar(&p.Duty, "duty", "", "duty's `id`")
	f.StringVar(&p.Part, "part", "", "`part` of the duty: a check's name, or review")
	return cmd
}

func (a *app) paramListCommand() *cobra.Command {
	var org string
	cmd := &cobra.Command{
		Use:   "list --org ORG",
		Short: "List what was ever set, oldest first, with who and when",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withOrg(cmd.Context(), org, func(ctx context.Context, s *opened, o store.Org) error {
				list, err := s.store.ParamsSet(ctx, o.ID)
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
				for _, p := range list {
					value, by := "default", p.User
					if p.Value != nil {
						value = strconv.FormatFloat(*p.Value, 'g', -1, 64)
					}
					if by == "" {
						by = "operator"
					}
					say(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.At.Format(time.RFC3339), p.Duty, p.Part, p.Name, value, by)
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation, by id or name")
	return cmd
}
