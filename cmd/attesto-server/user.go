package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
)

func (a *app) userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Add people who sign in"}
	cmd.AddCommand(a.userAddCommand())
	return cmd
}

func (a *app) userAddCommand() *cobra.Command {
	var q server.UserRequest
	var org string
	var stdin bool
	cmd := &cobra.Command{
		Use:   "add --email ADDRESS --org ORG --role ROLE",
		Short: "Add a person, or give one another role; prints the password it makes",
		Long: `Add a person, or give one who is known another role.

Roles: admin (everything in the organisation; of the provider: in all), operator (of
the provider: its daily work), viewer (reads), auditor (reads and verifies).

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
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				o, err := orgFlag(ctx, s, org)
				if err != nil {
					return err
				}
				q.Org = o.ID
				password, err := s.AddUser(ctx, q)
				if err == nil && password != "" {
					say(a.out, "%s\n", password)
				}
				return err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.Email, "email", "", "address to sign in with")
	flags.StringVar(&q.Name, "name", "", "name that others see")
	flags.StringVar(&org, "org", "", "organisation, by id or name")
	flags.StringVar(&q.Role, "role", store.RoleViewer, "admin, operator, viewer or auditor")
	flags.StringVar(&q.Lang, "lang", "", "language, en or it (default: the organisation's)")
	flags.BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	return cmd
}

func (a *app) apiTokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "api-token", Short: "Make tokens for scripts"}
	var org, name string
	var write bool
	var ttl time.Duration
	create := &cobra.Command{
		Use:   "create --org ORG",
		Short: "Make an API token; it is shown this once",
		Long: `Make a token for scripts; it is shown this once. They send it as
  Authorization: Bearer TOKEN
to /api/v1/. A token of the provider reads all organisations.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				o, err := orgFlag(ctx, s, org)
				if err != nil {
					return err
				}
				text, err := s.AddAPIToken(ctx, o.ID, name, write, ttl)
				if err == nil {
					say(a.out, "%s\n", text)
				}
				return err
			})
		},
	}
	flags := create.Flags()
	flags.StringVar(&org, "org", "", "organisation, by id or name")
	flags.StringVar(&name, "name", "", "what it is for")
	flags.BoolVar(&write, "write", false, "let it change things, not only read")
	flags.DurationVar(&ttl, "ttl", 0, "how long it holds (default: until it is removed)")
	cmd.AddCommand(create)
	return cmd
}
