package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/server"
)

func (a *app) demoCommand() *cobra.Command {
	d := server.Demo{Version: version}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole line on this very host: agents, log, verdicts, board",
		Long: `Show the whole line on this very host: a server with a provider and a customer,
and the real attesto-agent for each, which looks with every collector. Nothing is
installed or changed. What needs more rights than yours is shown as a gap with its
cure.

With --json the last line of the output is one JSON object:
  {"url","org","token","data","records","kinds":{KIND:outcome},"duties":{ID:verdict}}
org is the customer's id, token an API token for it.

Exit status with --once: 0 only if every step worked.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.Out, d.Tell = a.out, a.errOut
			return d.Run(cmd.Context(), func(s server.DemoSummary) error {
				if !asJSON {
					return nil
				}
				return json.NewEncoder(a.out).Encode(s)
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&d.Once, "once", false, "end after the table")
	flags.BoolVar(&asJSON, "json", false, "end the output with one line of JSON")
	flags.StringVar(&d.Keep, "keep", "", "keep all data in this new `folder`")
	flags.StringVar(&d.Listen, "listen", "127.0.0.1:0", "`HOST:PORT` to listen on")
	return cmd
}
