// Command attesto-vmware asks a vCenter or an ESXi host for its inventory and prints it
// as one JSON object, for attesto-agent, which runs it where its configuration names it
// (collectors: hypervisor: vmware). It is a program of its own so that VMware's library is
// not part of the agent. It logs in, reads and logs out; a read-only role is enough.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"
)

var version = "dev"

const usage = `attesto-vmware asks a vCenter or ESXi for hosts, datastores, virtual machines, snapshots
and HA, and prints one JSON object.

  attesto-vmware --config /etc/attesto/vmware.yaml

The configuration, a YAML file:
  server: https://vcenter.example/sdk
  user: attesto@vsphere.local           # a read-only role on the root is enough
  password_file: /etc/attesto/vmware.password   # readable to its owner only
  ca_file: /etc/ssl/vcenter.pem         # or the certificate's SHA-256 in hexadecimal:
  #thumbprint: "AB:CD:…"
  #backup_attribute: NB_LAST_BACKUP     # attribute that the backup product writes the
                                        # time of a VM's last good backup into
  #timeout: 60s

Exit status: 0 printed, 1 could not be asked, 2 usage.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("attesto-vmware", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() { fmt.Fprint(errs, usage) }
	file := flags.String("config", "/etc/attesto/vmware.yaml", "the configuration")
	show := flags.Bool("version", false, "print the version")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil || flags.NArg() > 0:
		return 2
	case *show:
		fmt.Fprintln(out, "attesto-vmware", version)
		return 0
	}
	if err := ask(ctx, *file, out); err != nil {
		fmt.Fprintln(errs, "attesto-vmware:", err)
		return 1
	}
	return 0
}

func ask(ctx context.Context, file string, out io.Writer) error {
	cfg, err := readConfig(file)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	inv, err := cfg.inventory(ctx)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(inv); err != nil {
		return fmt.Errorf("printing the inventory: %w", err)
	}
	return nil
}

// config is the configuration.
type config struct {
	Server       string        `yaml:"server"`
	User         string        `yaml:"user"`
	PasswordFile string        `yaml:"password_file"`
	CAFile       string        `yaml:"ca_file"`
	Thumbprint   string        `yaml:"thumbprint"`
	Attribute    string        `yaml:"backup_attribute"`
	Timeout      time.Duration `yaml:"timeout"`

	password string
}

const maxFile = 64 << 10

func readConfig(file string) (config, error) {
	var cfg config
	b, err := readSmall(file)
	if err != nil {
		return cfg, fmt.Errorf("reading the configuration: %w", err)
	}
	dec := yaml.NewDecoder(b)
	dec.KnownFields(true)
	if err := dec.Decode(&cfg); err != nil {
		return cfg, fmt.Errorf("configuration %s: %w", file, err)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	switch {
	case cfg.Server == "" || cfg.User == "" || cfg.PasswordFile == "":
		return cfg, fmt.Errorf("configuration %s: server, user and password_file are needed", file)
	case !filepath.IsAbs(cfg.PasswordFile):
		return cfg, fmt.Errorf("configuration %s: password_file %q: want a whole path", file, cfg.PasswordFile)
	case cfg.Timeout < time.Second || cfg.Timeout > 10*time.Minute:
		return cfg, fmt.Errorf("configuration %s: timeout %v: want 1s to 10m", file, cfg.Timeout)
	}
	info, err := os.Stat(cfg.PasswordFile)
	if err != nil {
		return cfg, fmt.Errorf("the password's file: %w", err)
	}
	if info.Mode().Perm()&0o027 != 0 {
		return cfg, fmt.Errorf("the password's file %s is open to other accounts: chmod 0600 it", cfg.PasswordFile)
	}
	b, err = readSmall(cfg.PasswordFile)
	if err != nil {
		return cfg, fmt.Errorf("the password's file: %w", err)
	}
	cfg.password = firstLine(b.String())
	return cfg, nil
}
