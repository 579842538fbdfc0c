// Command attesto-server takes, proves, judges and shows the evidence of many
// hosts.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // zones of organisations, also on hosts without them

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
)

var version = "dev"

// Exit codes, stable for scripts.
const (
	exitOK      = 0
	exitFailed  = 1 // it did not work; for check: the store is not sound
	exitMisused = 2 // the call is wrong
)

// defaultConfig is read when --config is not given and the file is there.
const defaultConfig = "/etc/attesto/server.yaml"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{in: in, out: out, errOut: errOut}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var coded codedError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &coded):
		if coded.err != nil {
			say(errOut, "attesto-server: %v%s\n", coded.err, toFind(coded.err))
		}
		return coded.code
	default:
		say(errOut, "attesto-server: %v%s\n", err, toFind(err))
		if wrongCall(err) {
			return exitMisused
		}
		return exitFailed
	}
}

// toFind says how to list what there is where something was not found.
func toFind(err error) string {
	if !errors.Is(err, store.ErrNotFound) {
		return ""
	}
	for _, l := range [][2]string{{"organisation ", "org list"}, {"duty ", "catalogue list"}, {"enrollment token", "token list --org ORG"}, {"API token", "api-token list --org ORG"},
		{"user", "user list"}, {"agent", "agent list --org ORG"}, {"channel ", "channel list"}, {"provider", "org list"}} {
		if strings.Contains(err.Error(), l[0]) {
			return "; attesto-server " + l[1] + " shows those that there are"
		}
	}
	return ""
}

// wrongCall recognises cobra's own complaints, which have no type.
func wrongCall(err error) bool {
	for _, start := range []string{"unknown command", "accepts ", "requires at least", "required flag"} {
		if strings.HasPrefix(err.Error(), start) {
			return true
		}
	}
	return false
}

// codedError is an error with an exit code of its own.
type codedError struct {
	code int
	err  error
}

func (e codedError) Error() string { return fmt.Sprint(e.err) }

func misused(err error) error { return codedError{exitMisused, err} }

// say writes for a person; a terminal that is gone changes nothing.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// app is what all commands share.
type app struct {
	in          io.Reader
	out, errOut io.Writer
	configPath  string
	storeDSN    string
	data        string
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "attesto-server",
		Short: "Take, prove, judge and show the evidence of many hosts",
		Long: `Take, prove, judge and show the evidence of many hosts.

Begin with "attesto-server demo", or with "org add", "user add", "token create" and
"serve". The configuration file explains itself; without one, defaults hold.

Exit status: 0 fine, 1 failed (check: the store is not sound), 2 wrong call.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misused(err) })
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVar(&a.configPath, "config", "", "configuration `file` (default "+defaultConfig+" if it is there)")
	flags.StringVar(&a.storeDSN, "store", "", "database, sqlite:PATH or postgres://…, instead of the configured one")
	flags.StringVar(&a.data, "data", "", "`folder` with the server's keys, instead of the configured one")
	root.AddCommand(a.commands()...)
	return root
}

// commands is the one list of commands.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.versionCommand(), a.serveCommand(), a.orgCommand(), a.userCommand(), a.tokenCommand(), a.apiTokenCommand(), a.agentCommand(), a.logCommand(), a.checkCommand(), a.migrateCommand(), a.demoCommand(),
		a.keyCommand(), a.catalogueCommand(), a.channelCommand(), a.anchorCommand(), a.exportCommand(), a.eraseCommand(), a.rejudgeCommand(), a.paramCommand(),
	}
}

// config reads the configuration under the flags.
func (a *app) config() (server.Config, error) {
	cfg := server.DefaultConfig()
	path := a.configPath
	if path == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			path = defaultConfig
		}
	}
	if path != "" {
		var err error
		if cfg, err = server.ReadConfig(path); err != nil {
			return cfg, err
		}
	}
	if a.storeDSN != "" {
		cfg.Store = a.storeDSN
	}
	if a.data != "" {
		cfg.Data = a.data
	}
	if err := cfg.Complete(); err != nil {
		return cfg, fmt.Errorf("configuration: %w", err)
	}
	return cfg, nil
}

// logger writes for people on a terminal and JSON elsewhere.
func (a *app) logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(strings.ToUpper(level))); err != nil {
		return nil, fmt.Errorf("log.level %q: want debug, info, warn or error", level)
	}
	if f, ok := a.errOut.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(tint.NewTextHandler(a.errOut, &tint.Options{Level: l, TimeFormat: "15:04:05"})), nil
	}
	return slog.New(slog.NewJSONHandler(a.errOut, &slog.HandlerOptions{Level: l})), nil
}

// opened is a server that does not serve, for commands that change its database.
type opened struct {
	*server.Server
	cfg   server.Config
	store *store.Store
	guard *store.Guard
	log   *slog.Logger
}

// open opens database and keys; change may alter the configuration first. The
// caller closes it.
func (a *app) open(ctx context.Context, change ...func(*server.Config)) (*opened, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	for _, fn := range change {
		fn(&cfg)
	}
	log, err := a.logger(cfg.Log.Level)
	if err != nil {
		return nil, err
	}
	keys, err := server.OpenKeys(cfg.Data)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, cfg.Store, log)
	if err != nil {
		return nil, err
	}
	guard, err := store.OpenGuard(ctx, cfg.Guard)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	s, err := server.New(ctx, cfg, server.Deps{Store: st, Guard: guard, Keys: keys, Log: log, Version: version})
	if err != nil {
		return nil, errors.Join(err, guard.Close(), st.Close())
	}
	return &opened{s, cfg, st, guard, log}, nil
}

func (o *opened) close() error { return errors.Join(o.guard.Close(), o.store.Close()) }

// with opens the server for the time of fn.
func (a *app) with(ctx context.Context, fn func(ctx context.Context, o *opened) error) (err error) {
	o, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	return fn(ctx, o)
}

// plural is an error that counts what was found.
func plural(n int, what string) error {
	if n != 1 {
		what += "s"
	}
	return fmt.Errorf("not sound: %d %s", n, what)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		say(a.out, "attesto-server %s\n", version)
		return nil
	}}
}
