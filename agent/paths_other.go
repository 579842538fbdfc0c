//go:build !windows

package agent

// DefaultConfigFile is read when no other file is named; it may be absent.
// DropInFile is where a server and a token may be left for enroll.
const (
	DefaultConfigFile = "/etc/attesto/agent.yaml"
	DropInFile        = "/etc/attesto/enroll"
	defaultStateDir   = "/var/lib/attesto"
)
