package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/server/store"
)

func (a *app) orgCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "org", Short: "Add, change, list and erase organisations"}
	cmd.AddCommand(a.orgAddCommand(), a.orgSetCommand(), a.orgListCommand(), a.orgEraseCommand())
	return cmd
}

func (a *app) orgAddCommand() *cobra.Command {
	var o store.Org
	var services string
	cmd := &cobra.Command{
		Use:   "add --kind provider|customer --name NAME",
		Short: "Add an organisation; prints its id",
		Long: `Add an organisation and its log; prints its id.

There is one provider, and any number of customers. --services says which of the
four a customer has: sc (server cloud), wh (web hosting), pe (e-mail), bk (backup).`,
		Example: `  attesto-server org add --kind provider --name "Example Hosting"
  attesto-server org add --kind customer --name "Example Shop" --services wh,pe --lang it`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Services = list(services)
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				added, err := s.AddOrg(ctx, o)
				if err == nil {
					say(a.out, "%s\n", added.ID)
				}
				return err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Kind, "kind", store.Customer, "provider or customer")
	flags.StringVar(&o.Name, "name", "", "name that people see")
	flags.StringVar(&o.Lang, "lang", "en", "language of its mails, en or it")
	flags.StringVar(&o.Zone, "zone", "Europe/Rome", "time zone: a day is a calendar day there")
	flags.StringVar(&services, "services", "sc,wh,pe,bk", "services that it has")
	return cmd
}

func (a *app) orgSetCommand() *cobra.Command {
	var o store.Org
	var services string
	cmd := &cobra.Command{
		Use:   "set ORG [--services LIST] [--name NAME] [--lang en|it] [--zone ZONE]",
		Short: "Change an organisation: what it has of the provider, its name, language, zone",
		Long: `Change an organisation. Duties of services that a customer no longer has leave its
board; its log says when that was.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				was, err := orgFlag(ctx, s, args[0])
				if err != nil {
					return err
				}
				flags := cmd.Flags()
				if flags.Changed("services") {
					was.Services = list(services)
				}
				for name, to := range map[string]struct{ from, to *string }{"name": {&o.Name, &was.Name}, "lang": {&o.Lang, &was.Lang}, "zone": {&o.Zone, &was.Zone}} {
					if flags.Changed(name) {
						*to.to = *to.from
					}
				}
				return s.SetOrg(ctx, was, "")
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&services, "services", "", "services that it has")
	flags.StringVar(&o.Name, "name", "", "name that people see")
	flags.StringVar(&o.Lang, "lang", "", "language of its mails, en or it")
	flags.StringVar(&o.Zone, "zone", "", "time zone: a day is a calendar day there")
	return cmd
}

// list splits a comma list; nil for the empty one.
func list(s string) []string {
	var all []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

func (a *app) orgListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List organisations",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				orgs, err := s.store.Orgs(ctx)
				if err != nil {
					return err
				}
				rows := make([][]string, len(orgs))
				for i, o := range orgs {
					rows[i] = []string{o.ID, o.Kind, o.Name, strings.Join(o.Services, ","), o.Lang, o.Zone}
				}
				return a.table(asJSON, []string{"id", "kind", "name", "services", "lang", "zone"}, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

// table prints rows for people, or one JSON object a line.
func (a *app) table(asJSON bool, names []string, rows [][]string) error {
	if asJSON {
		enc := json.NewEncoder(a.out)
		for _, row := range rows {
			m := map[string]string{}
			for i, v := range row {
				m[names[i]] = v
			}
			if err := enc.Encode(m); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	say(w, "%s\n", strings.ToUpper(strings.Join(names, "\t")))
	for _, row := range rows {
		say(w, "%s\n", strings.Join(row, "\t"))
	}
	return w.Flush()
}

// withOrg opens the server for the time of fn, and finds the organisation that a flag names.
func (a *app) withOrg(ctx context.Context, org string, fn func(ctx context.Context, s *opened, o store.Org) error) error {
	return a.with(ctx, func(ctx context.Context, s *opened) error {
		o, err := orgFlag(ctx, s, org)
		if err != nil {
			return err
		}
		return fn(ctx, s, o)
	})
}

// listOfOrg lists what an organisation has, in columns of these names.
func (a *app) listOfOrg(short string, names []string, rows func(ctx context.Context, s *opened, o store.Org) ([][]string, error)) *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list --org ORG",
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withOrg(cmd.Context(), org, func(ctx context.Context, s *opened, o store.Org) error {
				list, err := rows(ctx, s, o)
				if err != nil {
					return err
				}
				return a.table(asJSON, names, list)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation, by id or name")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

// orgFlag finds the organisation that a flag names, by id or by name.
func orgFlag(ctx context.Context, s *opened, value string) (store.Org, error) {
	if value == "" {
		return store.Org{}, misused(errors.New("--org: name the organisation by id or name; attesto-server org list shows them"))
	}
	orgs, err := s.store.Orgs(ctx)
	if err != nil {
		return store.Org{}, err
	}
	var found []store.Org
	for _, o := range orgs {
		if o.ID == value {
			return o, nil
		}
		if strings.EqualFold(o.Name, value) {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		return store.Org{}, misused(fmt.Errorf("--org %q: %d organisations are called so; attesto-server org list shows their ids", value, len(found)))
	}
	return found[0], nil
}
