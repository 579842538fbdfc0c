// Command attesto-verify checks an export of evidence offline, trusting nobody
// but the keys that it is shown. It uses no network and no code of the server.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

var version = "dev"

// Exit codes, stable for scripts.
const (
	exitProven   = 0 // everything that the bundle holds is proven
	exitUnproven = 1 // something is not, or is missing
	exitUnusable = 2 // the bundle cannot be read, or the call is wrong
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, errOut io.Writer) int {
	code := exitProven
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "attesto-verify BUNDLE",
		Short: "Check an export of evidence offline",
		Long: `Check an export of evidence offline: each record's signature, its facts against
their digests, its place in the log under a signed head, and each agent's chain
of numbers.

BUNDLE is a folder:
  keys/log.vkey                 the log's key, in the form of c2sp.org/signed-note
  keys/agents/<agent id>.pub    each agent's public key, PEM
  records/<index>/envelope.json entry.json entry.tlog-proof *.facts.json *.detail.json

Compare the fingerprints that it prints with those that the agents show
(attesto-agent status) and the log key with the one on the board.

Exit status: 0 all proven, 1 something is not, 2 unusable.`,
		Args:          cobra.ExactArgs(1),
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(_ *cobra.Command, args []string) error {
			report, err := verifyBundle(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(out).Encode(report)
			} else {
				report.print(out)
			}
			if len(report.Faults) > 0 {
				code = exitUnproven
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as one JSON object")
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(errOut)
	if err := cmd.Execute(); err != nil {
		fmt.Fprintf(errOut, "attesto-verify: %v\n", err)
		return exitUnusable
	}
	return code
}

var errTooMany = errors.New("more files than a bundle may hold")
