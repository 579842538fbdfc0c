package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/store"
)

func (a *app) channelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "channel", Short: "Say where an organisation's alerts go"}
	cmd.AddCommand(a.channelAddCommand(), a.channelListCommand(), a.channelRemoveCommand())
	return cmd
}

func (a *app) channelAddCommand() *cobra.Command {
	var org, hears string
	var after int
	c := alert.Channel{}
	cmd := &cobra.Command{
		Use:   "add --org ORG --kind email|webhook|chat --target ADDRESS",
		Short: "Add a channel; prints its id, and of a webhook the secret",
		Long: `Add a channel; prints its id, and of a webhook the secret.

Alerts on the provider's duties go to the provider's channels, those on a customer's
to the customer's. With --hears both a channel hears of the other party's too: a
customer's of the services that it has, the provider's of all customers.

With --after H a channel is for when nobody acts: it hears of an alert that nobody
has taken on for H hours (1, 4, 8 or 24).

Mail needs smtp in the server's configuration. Webhooks are signed as
standardwebhooks.com says; the secret is shown once. A chat is a chat or paging
service; its address holds a token and is never shown again:

` + chatExamples(),
		Example: `  attesto-server channel add --org "Example Hosting" --kind email --target ops@example.com
  attesto-server channel add --org "Example Shop" --kind webhook --target https://chat.example.com/hook --hears both
  attesto-server channel add --org "Example Shop" --kind chat --target 'telegram://TOKEN@telegram?chats=@ops'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var secret string
			switch c.Kind {
			case alert.Email:
				if err := alert.CheckEmail(c.Target); err != nil {
					return misused(err)
				}
			case alert.Webhook:
				if err := alert.CheckURL(c.Target); err != nil {
					return misused(err)
				}
				c.Secret, secret = alert.NewSecret()
			case alert.Chat:
				if err := alert.CheckChat(c.Target); err != nil {
					return misused(err)
				}
			default:
				return misused(fmt.Errorf("--kind %q: want email, webhook or chat", c.Kind))
			}
			switch hears {
			case "own":
			case alert.HearsBoth:
				c.Party = alert.HearsBoth
			default:
				return misused(fmt.Errorf("--hears %q: want own or both", hears))
			}
			if !slices.Contains(alert.Afters(), after) {
				return misused(fmt.Errorf("--after %d: want one of %v hours", after, alert.Afters()))
			}
			c.After = time.Duration(after) * time.Hour
			return a.withOrg(cmd.Context(), org, func(ctx context.Context, s *opened, o store.Org) error {
				c.ID, c.Org, c.Created = evidence.NewID("c_"), o.ID, time.Now()
				if c.Kind == alert.Email && s.cfg.SMTP.Host == "" {
					s.log.WarnContext(ctx, "no mail will be sent before smtp.host is set in the server's configuration")
				}
				if err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.AddChannel(ctx, c) }); err != nil {
					return err
				}
				say(a.out, "%s\n", c.ID)
				if secret != "" {
					say(a.out, "%s\n", secret)
				}
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&org, "org", "", "organisation, by id or name")
	flags.StringVar(&c.Kind, "kind", "", "email, webhook or chat")
	flags.StringVar(&c.Target, "target", "", "e-mail address, https://…, or SERVICE://…")
	flags.StringVar(&hears, "hears", "own", "of whose duties: own or both")
	flags.IntVar(&after, "after", 0, "hear only of what nobody has taken on for so many hours: 1, 4, 8 or 24")
	return cmd
}

// chatExamples are how addresses of chat and paging services look, a line each.
func chatExamples() string {
	lines := []string{}
	for _, name := range alert.ChatServices() {
		lines = append(lines, "  "+alert.ChatExample(name))
	}
	return strings.Join(lines, "\n")
}

func (a *app) channelListCommand() *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List channels",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				id := ""
				if org != "" {
					o, err := orgFlag(ctx, s, org)
					if err != nil {
						return err
					}
					id = o.ID
				}
				channels, err := s.store.Channels(ctx, id)
				if err != nil {
					return err
				}
				rows := make([][]string, len(channels))
				for i, c := range channels {
					hears := c.Party
					if hears == "" {
						hears = "own"
					}
					if c.Kind == alert.Chat {
						c.Target = alert.ShownChat(c.Target)
					}
					rows[i] = []string{c.ID, c.Org, c.Kind, c.Target, hears, strconv.Itoa(c.Hours())}
				}
				return a.table(asJSON, []string{"id", "org", "kind", "target", "hears", "after"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "only of this organisation, by id or name")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func (a *app) channelRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a channel; what waits for it is not delivered",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.RemoveChannel(ctx, args[0]) })
				if errors.Is(err, store.ErrNotFound) {
					return misused(fmt.Errorf("channel %q: there is none; attesto-server channel list shows them", args[0]))
				}
				return err
			})
		},
	}
}
