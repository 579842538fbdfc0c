package backup

import (
	"strconv"
	"strings"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	toolRestic = "restic"
	toolBorg   = "borg"
)

// exitReasons are the codes that a tool documents. restic: 075_scripting, "Exit
// codes" (3 since 0.10, 10 and 11 since 0.17.0, 12 since 0.17.1). borg:
// internals/frontends, "Message IDs", given with BORG_EXIT_CODES=modern since 1.4.
var exitReasons = map[string]map[int]string{
	toolRestic: {
		3:  evidence.ReasonUnreadSource,
		10: evidence.ReasonRepositoryMissing,
		11: evidence.ReasonLocked,
		12: evidence.ReasonWrongPassword,
	},
	toolBorg: {
		3:  evidence.ReasonInterrupted,
		13: evidence.ReasonRepositoryMissing, 15: evidence.ReasonRepositoryMissing,
		14: evidence.ReasonNoSpace, 20: evidence.ReasonNoSpace,
		21: evidence.ReasonNoPermission,
		17: evidence.ReasonCorrupt, 26: evidence.ReasonCorrupt,
		42: evidence.ReasonNoPassword, 50: evidence.ReasonNoPassword, 51: evidence.ReasonNoPassword,
		52: evidence.ReasonWrongPassword, 53: evidence.ReasonWrongPassword,
		60: evidence.ReasonAccessRefused, 61: evidence.ReasonAccessRefused, 62: evidence.ReasonAccessRefused,
		63: evidence.ReasonAccessRefused, 64: evidence.ReasonAccessRefused,
		70: evidence.ReasonLocked, 71: evidence.ReasonLocked, 72: evidence.ReasonLocked, 73: evidence.ReasonLocked,
		80: evidence.ReasonUnreachable, 81: evidence.ReasonUnreachable, 87: evidence.ReasonUnreachable,
		90: evidence.ReasonCorrupt, 91: evidence.ReasonCorrupt, 92: evidence.ReasonCorrupt,
		95: evidence.ReasonCorrupt, 96: evidence.ReasonCorrupt, 97: evidence.ReasonCorrupt,
		100: evidence.ReasonUnreadSource, 102: evidence.ReasonUnreadSource, 103: evidence.ReasonUnreadSource,
		104: evidence.ReasonUnreadSource, 105: evidence.ReasonUnreadSource, 106: evidence.ReasonUnreadSource,
		107: evidence.ReasonSourceMissing,
	},
}

// ExitResult says what a tool's exit code of a backup run means. A code that
// is not known is a failure, as restic's manual demands; codes from 128 are a
// signal's.
func ExitResult(tool string, code int) (result string, reasons []string) {
	switch {
	case code == 0:
		return evidence.BackupOK, nil
	case code < 0 || code >= 128:
		return evidence.BackupFailed, []string{evidence.ReasonInterrupted}
	}
	reason := exitReason(tool, code)
	if exitWarns(tool, code) {
		return evidence.BackupWarning, []string{reason}
	}
	return evidence.BackupFailed, []string{reason}
}

func exitReason(tool string, code int) string {
	if r := exitReasons[tool][code]; r != "" {
		return r
	}
	return "exit_" + strconv.Itoa(max(code, 0))
}

// exitWarns tells whether the code says that a point was made with something
// left out.
func exitWarns(tool string, code int) bool {
	switch tool {
	case toolRestic:
		return code == 3
	case toolBorg:
		return code == 1 || code >= 100 && code <= 127
	case "rsnapshot": // man rsnapshot, EXIT VALUES: finished with warnings
		return code == 2
	}
	return false
}

// sign is a phrase in a tool's own words and what it means.
type sign struct{ phrase, reason string }

// faultOf says why a tool could not be asked: by its code where that is
// documented, else by the first sign in its words.
func faultOf(tool string, code int, text string, signs []sign) *Fault {
	reason := exitReasons[tool][code]
	if reason == "" {
		reason = signIn(text, signs)
	}
	if reason == "" {
		reason = exitReason(tool, code)
	}
	f := &Fault{Result: evidence.BackupUnknown, Reason: reason, Text: clip(text)}
	switch reason {
	case evidence.ReasonRepositoryMissing, evidence.ReasonCorrupt:
		f.Result = evidence.BackupFailed
	}
	return f
}

func signIn(text string, signs []sign) string {
	for _, s := range signs {
		if strings.Contains(text, s.phrase) {
			return s.reason
		}
	}
	return ""
}

// clip bounds a message that goes into detail.
func clip(s string) string {
	s = host.WithoutSecrets(strings.ToValidUTF8(strings.TrimSpace(s), "�"))
	if r := []rune(s); len(r) > 500 {
		return string(r[:500])
	}
	return s
}
