package agent

// DefaultConfigFile is read when no other file is named; it may be absent.
// DropInFile is where a server and a token may be left for enroll.
const (
	DefaultConfigFile = `C:\ProgramData\Attesto\agent.yaml`
	DropInFile        = `C:\ProgramData\Attesto\enroll`
	defaultStateDir   = `C:\ProgramData\Attesto\state`
)
