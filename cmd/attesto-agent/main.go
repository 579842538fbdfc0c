// Command attesto-agent looks at a host, signs what it saw and sends it to an
// Attesto server.
package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/attesto/attesto/agent"
)

var version = "dev"

// Exit codes, stable for scripts.
const (
	exitComplete = 0
	exitError    = 1
	exitUsage    = 2
	exitPartial  = 3 // something could not be seen
	exitFailed   = 4 // a look failed
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// program is what the commands share.
type program struct {
	out, errOut io.Writer
	configFile  string
	checkConfig bool
	debug       bool
	code        int
}

// errUsage marks a wrong call or a faulty config; usage wraps an error as such.
var errUsage = errors.New("wrong call")

type usageError struct{ error }

func (u usageError) Unwrap() []error { return []error{errUsage, u.error} }

func usage(err error) error { return usageError{err} }

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

func run(args []string, out, errOut io.Writer) int {
	p := &program{out: out, errOut: errOut}
	root := &cobra.Command{
		Use:   "attesto-agent",
		Short: "Collect, sign and send evidence about this host",
		Long: `Collect, sign and send evidence about this host.

Exit status: 0 complete, 1 error, 2 wrong call, 3 something could not be seen,
4 a look failed.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !p.checkConfig {
				return cmd.Help()
			}
			if _, err := p.config(); err != nil {
				return err
			}
			fmt.Fprintf(p.out, "%s: no faults\n", p.configFile)
			return nil
		},
	}
	root.PersistentFlags().StringVar(&p.configFile, "config", agent.DefaultConfigFile, "config file")
	root.PersistentFlags().BoolVar(&p.debug, "debug", false, "say more in the log")
	root.Flags().BoolVar(&p.checkConfig, "check-config", false, "read the config file, name its faults, and end")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddCommand(p.enrollCmd(), p.runCmd(), p.collectCmd(), p.statusCmd(), p.doctorCmd(), p.reportCmd(),
		p.explainCmd(), p.journalCmd(), p.rotateKeyCmd(), p.generalizeCmd(), p.rejoinCmd(), p.versionCmd())
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	if err := root.Execute(); err != nil {
		fmt.Fprintf(errOut, "attesto-agent: %v\n", err)
		if errors.Is(err, errUsage) || isCobraUsage(err) {
			return exitUsage
		}
		if p.code == exitComplete {
			return exitError
		}
	}
	return p.code
}

// isCobraUsage recognises cobra's own complaints, which have no type.
func isCobraUsage(err error) bool {
	for _, start := range []string{"unknown command", "accepts ", "requires at least", "required flag"} {
		if len(err.Error()) >= len(start) && err.Error()[:len(start)] == start {
			return true
		}
	}
	return false
}

// config reads the config file; only a file that the user named must exist.
func (p *program) config() (agent.Config, error) {
	cfg, err := agent.LoadConfig(p.configFile, p.configFile != agent.DefaultConfigFile)
	if err != nil {
		return cfg, usage(err)
	}
	return cfg, nil
}

// logger writes coloured lines to a terminal and JSON to anything else.
func (p *program) logger(cfg agent.Config) *slog.Logger {
	level := cfg.LogLevel
	if p.debug {
		level = slog.LevelDebug
	}
	if f, ok := p.errOut.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(tint.NewTextHandler(f, &tint.Options{Level: level}))
	}
	return slog.New(slog.NewJSONHandler(p.errOut, &slog.HandlerOptions{Level: level}))
}

// paint colours only on a terminal.
func (p *program) paint() agent.Paint {
	if f, ok := p.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" {
		return agent.Colours
	}
	return agent.Plain
}
