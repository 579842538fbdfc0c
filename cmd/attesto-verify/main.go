// Command attesto-verify checks an export of evidence offline, trusting nobody
// but the root key that it is shown. It uses no network and no code of the server.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/evidence"
)

var version = "dev"

// Exit codes, stable for scripts.
const (
	exitProven   = 0 // everything that the bundle holds is proven
	exitUnproven = 1 // something is not, or is missing
	exitUnusable = 2 // the bundle cannot be read, or the call is wrong
)

// gcPercent lets more garbage gather than the default: what is alive at once is
// a few records, however large the bundle.
const gcPercent = 400

func main() {
	debug.SetGCPercent(gcPercent)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// options are what an auditor may demand beyond what the bundle says itself.
type options struct {
	root      string // fingerprint that the root key must have
	policy    string // file that takes the place of the bundle's keys/policy
	witnesses int    // agents that must have seen one head
	tsaCA     string // file of certificates that time stamps must lead to

	anchorWitnesses string // file of outside witnesses' keys, one of which must have cosigned the anchor log
}

func run(args []string, out, errOut io.Writer) int {
	code := exitProven
	var opt options
	var asJSON bool
	var unpack string
	var index int64
	cmd := &cobra.Command{
		Use:   "attesto-verify BUNDLE",
		Short: "Check an export of evidence offline",
		Long: `Check an export of evidence offline. BUNDLE is a folder or a zip file as
attesto-server export writes it. What is checked:

  files         each has the digest that the server signed, none is added or missing
  log           every entry, tile and root, under a head that the log's key signed;
                heads that witnesses cosigned are of the same tree
  completeness  every record of the period is there; no agent's numbers have a hole;
                agents that kept silent are named
  signatures    each record's, by the key that its agent had at that place in the log
  chain         each record names the one before it, and a root that this log had
  contents      facts and details have the digests that were signed, or an entry
                says that they were erased
  time          entries never run backwards; each record's interval of existence;
                time stamps (RFC 3161) and the anchor log, where there are some

Compare the root key that it prints with the one that agents show (attesto-agent
status), or demand it with --root.

Exit status: 0 all proven, 1 something is not, 2 unusable.`,
		Args:          cobra.ExactArgs(1),
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if unpack != "" {
				return unpackRecord(args[0], unpack, index)
			}
			report, err := verify(args[0], opt)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(out).Encode(report)
			} else {
				report.print(out)
			}
			if !report.Proven {
				code = exitUnproven
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print the report as one JSON object")
	f.StringVar(&opt.root, "root", "", "demand that the server's root key has this `fingerprint` (SHA256:…)")
	f.StringVar(&opt.policy, "policy", "", "demand the witnesses of this `file`, in place of the bundle's keys/policy")
	f.IntVar(&opt.witnesses, "witnesses", 0, "demand that this many witnesses have seen one head")
	f.StringVar(&opt.tsaCA, "tsa-ca", "", "demand that time stamps lead to a certificate in this `file`, in place of those in the bundle")
	f.StringVar(&opt.anchorWitnesses, "anchor-witnesses", "", "demand that a witness whose key (vkey, one a line) stands in this `file` has cosigned the anchor log")
	f.StringVar(&unpack, "unpack", "", "write the files of one record into this `folder`, for other tools, and check nothing")
	f.Int64Var(&index, "record", 0, "with --unpack: the record's index")
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(errOut)
	if err := cmd.Execute(); err != nil {
		_, _ = fmt.Fprintf(errOut, "attesto-verify: %v\n", err)
		return exitUnusable
	}
	return code
}

// verify checks everything in a bundle. An error means that it could not begin;
// what does not hold is in the report.
func verify(path string, opt options) (*report, error) {
	b, err := openBundle(path)
	if err != nil {
		return nil, err
	}
	defer b.close()
	v := &verifier{b: b, opt: opt, r: newReport(), agents: map[string]*agentState{}, absent: map[evidence.Digest]string{}}
	if err := v.readNamed(); err != nil {
		return nil, fmt.Errorf("reading the witnesses that are demanded: %w", err)
	}
	if err := v.begin(); err != nil {
		return nil, fmt.Errorf("reading bundle %s: %w", path, err)
	}
	files := &verifier{b: b, m: v.m, r: newReport()}
	summed := make(chan error, 1)
	go func() { summed <- files.files() }() // beside the rest: it needs nothing of it
	err = v.logs()
	if err = errors.Join(<-summed, err); err != nil {
		return nil, fmt.Errorf("reading bundle %s: %w", path, err)
	}
	v.end(files.r)
	return v.r, nil
}

func (v *verifier) logs() error {
	if err := v.anchors(); err != nil {
		return err
	}
	for i := range v.m.Epochs {
		if err := v.epoch(i); err != nil {
			return err
		}
	}
	return nil
}

var errTooMany = errors.New("more files than a bundle may hold")
