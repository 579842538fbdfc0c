package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/bundle"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

func (a *app) exportCommand() *cobra.Command {
	var q bundle.Request
	var from, to, out string
	cmd := &cobra.Command{
		Use:   "export --org ORG --from DAY --to DAY -o BUNDLE",
		Short: "Write an organisation's evidence of a period, for anyone to check offline",
		Long: `Write an organisation's evidence of a period, for anyone to check offline with
attesto-verify, with verify.py (which is in the bundle), or with tools of others.

The period is of receipt, in the organisation's time zone: --from 2026-06-01 --to
2026-06-30 is June, both days included. A moment such as 2026-06-01T12:00:00Z is
taken as it is, and --to then excluded.

BUNDLE is a folder, or a zip file if its name ends in .zip. Facts hold no personal
data; details may (names, paths, log lines) and come along only with --detail.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withOrg(cmd.Context(), q.Org, func(ctx context.Context, s *opened, org store.Org) error {
				q.Org = org.ID
				zone, err := time.LoadLocation(org.Zone)
				if err != nil {
					return err
				}
				if q.From, err = dayOrMoment(from, zone, 0); err != nil {
					return misused(fmt.Errorf("--from: %w", err))
				}
				if q.To, err = dayOrMoment(to, zone, 1); err != nil {
					return misused(fmt.Errorf("--to: %w", err))
				}
				m, err := exportTo(ctx, s, q, out)
				if err != nil {
					return err
				}
				a.sayExported(m, out)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Org, "org", "", "organisation, by id or name")
	f.StringVar(&from, "from", "", "first `day`, or a moment")
	f.StringVar(&to, "to", "", "last `day`, or a moment")
	f.StringSliceVar(&q.Duties, "duties", nil, "only what these duties read, such as SC-P1,BK-C2")
	f.BoolVar(&q.Detail, "detail", false, "with details, which may hold personal data")
	f.BoolVar(&q.Packed, "packed", false, "few large files in place of a folder for each record (by itself above 20,000)")
	f.StringVarP(&out, "output", "o", "", "the `bundle` to write")
	for _, name := range []string{"org", "from", "to", "output"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

// dayOrMoment reads a day as its start in zone, plus days.
func dayOrMoment(s string, zone *time.Location, days int) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	t, err := duties.ParseDay(s, zone)
	if err != nil {
		return t, fmt.Errorf("%q: want a day such as 2026-06-30, or a moment such as 2026-06-30T12:00:00Z", s)
	}
	return duties.Midnight(t, zone, days), nil
}

func exportTo(ctx context.Context, s *opened, q bundle.Request, out string) (evidence.Manifest, error) {
	to, done, abandon, err := bundle.Create(out)
	if err != nil {
		return evidence.Manifest{}, err
	}
	m, err := s.Export(ctx, q, to)
	if err != nil {
		return m, errors.Join(err, abandon())
	}
	return m, done()
}

func (a *app) sayExported(m evidence.Manifest, out string) {
	records := int64(0)
	for _, e := range m.Epochs {
		records += e.Next - e.First
	}
	say(a.out, "%s: %d records of %s in %d files.\n", out, records, m.OrgName, m.Files+3)
	if len(m.Duties) > 0 {
		say(a.out, "Facts only of what these duties read: %s.\n", strings.Join(m.Duties, ", "))
	}
	say(a.out, "Check it with: attesto-verify %s\n", out)
}
