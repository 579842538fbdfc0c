package software

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/attesto/attesto/collectors/host"
)

// kcareDescription is the line of kcarectl --info with the level and the release that
// patches amount to: "3-: 2.6.32-279.22.1.el6", or "3;2.6.32-279.22.1.el6.x86_64".
var kcareDescription = regexp.MustCompile(`(?m)^kpatch-description:\s*(?:\d+[-:;\s]*)?(\d+\.\S+)\s*$`)

// ParseKcarectl reads kcarectl --uname: the release that the running kernel amounts to
// with KernelCare's patches, one line; or kcarectl --info (docs.tuxcare.com, KernelCare).
func ParseKcarectl(out []byte) (string, error) {
	release := strings.TrimSpace(string(out))
	if m := kcareDescription.FindStringSubmatch(release); m != nil {
		release = m[1]
	}
	if !word(release) || release[0] < '0' || release[0] > '9' {
		return "", fmt.Errorf("kcarectl --uname: %s is no release of a kernel", show(release))
	}
	return release, nil
}

// Livepatch is what Canonical's livepatch says of the running kernel.
type Livepatch struct {
	Kernel  string // its release
	State   string // "applied", "nothing-to-apply", "applying", "unapplied", "apply-failed" …
	Current bool   // what is known to be needed is applied, and that was checked
}

// ParseLivepatch reads canonical-livepatch status --format json
// (ubuntu.com/security/livepatch/docs). Newer clients write names with a small letter.
func ParseLivepatch(out []byte) (Livepatch, error) {
	var s struct {
		Status []struct {
			Kernel    string `json:"Kernel"`
			Running   bool   `json:"Running"`
			Livepatch struct {
				Check string `json:"CheckState"`
				State string `json:"State"`
			} `json:"Livepatch"`
		} `json:"Status"`
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return Livepatch{}, fmt.Errorf("canonical-livepatch status: %w", err)
	}
	for _, k := range s.Status {
		if !k.Running {
			continue
		}
		state := strings.ToLower(k.Livepatch.State)
		return Livepatch{Kernel: clip(k.Kernel), State: clip(state),
			Current: strings.EqualFold(k.Livepatch.Check, "checked") && (state == "applied" || state == "nothing-to-apply")}, nil
	}
	return Livepatch{}, errors.New("canonical-livepatch status: names no running kernel")
}

// livepatch finds the release that the running kernel amounts to: a patched kernel is
// older by its name than by what it does.
func (l *look) livepatch(ctx context.Context) {
	out, err := l.run(ctx, "kcarectl", "--uname")
	if err == nil {
		l.kernelFacts.Effective, err = ParseKcarectl(out)
	}
	if err != nil && !errors.Is(err, host.ErrNoProgram) {
		l.gap("live patches of the kernel", "%v", err)
	}
	if err == nil {
		return
	}
	out, err = l.run(ctx, "canonical-livepatch", "status", "--format", "json")
	var p Livepatch
	if err == nil {
		p, err = ParseLivepatch(out)
	}
	switch {
	case errors.Is(err, host.ErrNoProgram):
	case err != nil:
		l.gap("live patches of the kernel", "%v", err)
	case p.Current:
		l.kernelFacts.Patched = true
	default:
		l.gap("live patches of the kernel", "livepatch is in the state %q", p.State)
	}
}
