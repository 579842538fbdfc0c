package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

func (a *app) userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Add, list and disable people who sign in"}
	cmd.AddCommand(a.userAddCommand(), a.userListCommand(), a.userDisableCommand(), a.userPasswordCommand(), a.userFactorCommand())
	return cmd
}

func (a *app) userAddCommand() *cobra.Command {
	var q server.UserRequest
	var org, ends string
	var stdin bool
	cmd := &cobra.Command{
		Use:   "add --email ADDRESS --org ORG --role ROLE",
		Short: "Add a person, or give one another role; prints the password it makes",
		Long: `Add a person, or give one who is known another role.

Roles: admin (everything in the organisation; of the provider: in all), operator (of
the provider: its daily work), viewer (reads), auditor (reads and verifies, until the
end of a day: that of --ends, else for 30 days).

Without --password-stdin a password is made and printed, this once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if stdin {
				line, err := bufio.NewReader(io.LimitReader(a.in, 4096)).ReadString('\n')
				if err != nil && !errors.Is(err, io.EOF) {
					return fmt.Errorf("reading the password: %w", err)
				}
				if q.Password = strings.TrimRight(line, "\r\n"); q.Password == "" {
					return misused(errors.New("--password-stdin: standard input holds no password"))
				}
			}
			return a.withOrg(cmd.Context(), org, func(ctx context.Context, s *opened, o store.Org) error {
				q.Org = o.ID
				if ends != "" {
					day, err := duties.ParseDay(ends, o.Location())
					if err != nil {
						return misused(fmt.Errorf("--ends %q: want a day, such as 2027-01-31", ends))
					}
					q.Ends = duties.Midnight(day, o.Location(), 1)
				}
				password, err := s.AddUser(ctx, q)
				switch {
				case err != nil:
					return err
				case password != "":
					say(a.out, "%s\n", password)
				case q.Password == "":
					say(a.errOut, "%s is known: role %s in %s now; the password is as before.\n", q.Email, q.Role, o.Name)
				}
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.Email, "email", "", "address to sign in with")
	flags.StringVar(&q.Name, "name", "", "name that others see")
	flags.StringVar(&org, "org", "", "organisation, by id or name")
	flags.StringVar(&q.Role, "role", store.RoleViewer, "admin, operator, viewer or auditor")
	flags.StringVar(&ends, "ends", "", "last `DAY` of an auditor's access, such as 2027-01-31 (default: 30 days from now)")
	flags.StringVar(&q.Lang, "lang", "", "language, en or it (default: the organisation's)")
	flags.BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	return cmd
}

func (a *app) userListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List people and their roles",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				rows, err := userRows(ctx, s)
				if err != nil {
					return err
				}
				return a.table(asJSON, []string{"email", "name", "org", "role", "state"}, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

// userRows has a row for each role of each person, and one for who has none.
func userRows(ctx context.Context, s *opened) ([][]string, error) {
	users, err := s.store.Users(ctx)
	if err != nil {
		return nil, err
	}
	members, err := s.store.Members(ctx)
	if err != nil {
		return nil, err
	}
	orgs, err := s.store.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	names, roles := map[string]string{}, map[string][]store.Member{}
	for _, o := range orgs {
		names[o.ID] = o.Name
	}
	for _, m := range members {
		roles[m.User] = append(roles[m.User], m)
	}
	rows := [][]string{}
	for _, u := range users {
		state := "active"
		if !u.Disabled.IsZero() {
			state = "disabled"
		}
		if len(roles[u.ID]) == 0 {
			rows = append(rows, []string{u.Email, u.Name, "", "", state})
		}
		for _, m := range roles[u.ID] {
			rows = append(rows, []string{u.Email, u.Name, names[m.Org], m.Role, state})
		}
	}
	return rows, nil
}

func (a *app) userDisableCommand() *cobra.Command {
	var email string
	var enable bool
	cmd := &cobra.Command{
		Use:   "disable --email ADDRESS",
		Short: "Take an account out of use; open sessions end at once",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				u, err := s.store.UserByEmail(ctx, email)
				if errors.Is(err, store.ErrNotFound) {
					return misused(fmt.Errorf("--email %q: nobody has this address; attesto-server user list shows who is there", email))
				}
				if err != nil {
					return err
				}
				return s.DisableUser(ctx, u, enable)
			})
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "whose account")
	cmd.Flags().BoolVar(&enable, "undo", false, "bring it back into use")
	return cmd
}

func (a *app) userPasswordCommand() *cobra.Command {
	var email string
	cmd := &cobra.Command{
		Use:   "password --email ADDRESS",
		Short: "Give a person a new password, and print it this once",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				password, err := s.NewPassword(ctx, email)
				if err == nil {
					say(a.out, "%s\n", password)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "address to sign in with")
	return cmd
}

func (a *app) userFactorCommand() *cobra.Command {
	var email string
	cmd := &cobra.Command{
		Use:   "remove-factors --email ADDRESS",
		Short: "Take the second factors from a person who lost them; they sign in with the password alone",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				u, err := s.store.UserByEmail(ctx, email)
				if errors.Is(err, store.ErrNotFound) {
					return misused(fmt.Errorf("--email %q: nobody has this address; attesto-server user list shows who is there", email))
				}
				if err != nil {
					return err
				}
				return s.RemoveFactors(ctx, u)
			})
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "whose")
	return cmd
}
