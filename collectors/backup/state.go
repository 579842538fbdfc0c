package backup

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// state is what a look knows of one repository.
type state struct {
	cfg        Repository
	set        settings
	tool       tool
	points     []Point
	encryption string
	busy       bool     // a live lock: a run or a prune is under way
	reasons    []string // beside the result
	warnings   []string // that make it a warning
	fault      *Fault   // why the repository could not be asked
	run        Run      // the last run, if ran
	ran        bool
	message    string // what the integrity check said
}

// tool asks one kind of repository.
type tool interface {
	// list fills in points, encryption, busy and the reasons of s.
	list(ctx context.Context, s *state, now time.Time) *Fault
	// size counts what one point holds.
	size(ctx context.Context, p Point) (Size, *Fault)
	// check tests the repository's integrity.
	check(ctx context.Context, s *state) Check
	// live tells whether somebody works on the repository now.
	live(ctx context.Context, now time.Time) bool
}

// list asks a repository what it holds.
func (l *look) list(ctx context.Context, r Repository) *state {
	s := &state{cfg: r, encryption: "unknown"}
	s.run, s.ran = l.lastRun(ctx, r)
	var err error
	if s.set, err = settingsOf(l.h, r); err != nil {
		s.fault = &Fault{Result: evidence.BackupUnknown, Reason: evidence.ReasonBadConfig, Text: err.Error() + cureOf(err)}
		return s
	}
	switch r.Tool {
	case toolRestic:
		s.tool = &restic{runner: runner{h: l.h, set: s.set, timeout: listTimeout}}
	case toolBorg:
		s.tool = &borg{runner: runner{h: l.h, set: s.set, timeout: listTimeout}, glob: r.Archives}
	}
	if s.fault = s.tool.list(ctx, s, l.now); s.fault != nil {
		return s
	}
	mem := l.cursor.of(r.Name)
	mem.fill(s.points)
	l.sizes(ctx, s, mem)
	return s
}

// sizesALook is how many points' sizes are asked for in one look: what a point
// holds does not change, and old ones matter only for comparison.
const sizesALook = 3

func (l *look) sizes(ctx context.Context, s *state, mem *remember) {
	usable, _ := usablePoints(ofHost(s.points, s.host(l.h)), l.now)
	asked := 0
	for i := len(usable) - 1; i >= 0 && i >= len(usable)-sizesALook && asked < sizesALook; i-- {
		if usable[i].Size.By != "" {
			continue
		}
		asked++
		size, fault := s.tool.size(ctx, usable[i])
		if fault != nil {
			l.gaps = append(l.gaps, evidence.Gap{What: "job " + s.cfg.Name, Why: "the size of its newest points could not be asked for: " + fault.Reason})
			break
		}
		mem.Sizes[usable[i].ID] = size
	}
	mem.fill(s.points)
}

func (s *state) host(h *host.Host) string {
	if s.cfg.Host != "" {
		return s.cfg.Host
	}
	return hostName(h)
}

// check makes the integrity check if it is due. Nothing is locked for it, so
// somebody else's work in the repository can look like damage: then it is put off.
func (l *look) check(ctx context.Context, s *state) {
	if s.fault != nil || s.cfg.Check == "off" {
		return
	}
	mem := l.cursor.of(s.cfg.Name)
	if !mem.due(l.now, s.cfg.CheckEvery) || s.busy {
		return
	}
	if left, ok := remaining(ctx); ok && left < time.Second {
		s.reasons = append(s.reasons, evidence.ReasonCheckLate)
		return
	}
	c := s.tool.check(ctx, s)
	if c.Result == evidence.BackupFailed && s.moved(ctx, l.now) {
		return
	}
	mem.Tried, mem.Late = l.now, c.Fault != nil
	if c.Fault != nil {
		if c.Fault.Reason != evidence.ReasonTimeout {
			mem.Tried = l.now.Add(min(0, 24*time.Hour-s.cfg.CheckEvery)) // again in a day
		}
		l.gaps = append(l.gaps, evidence.Gap{What: "job " + s.cfg.Name, Why: "its integrity check could not be made: " + c.Fault.Reason})
		return
	}
	mem.Result = evidence.Integrity{Result: c.Result, At: at(l.now), Depth: s.cfg.Check}
	s.message = c.Text
}

// moved tells whether somebody worked on the repository while it was checked:
// somebody does now, or its points are others than before.
func (s *state) moved(ctx context.Context, now time.Time) bool {
	if s.tool.live(ctx, now) {
		return true
	}
	again := &state{cfg: s.cfg}
	if fault := s.tool.list(ctx, again, now); fault != nil {
		return false
	}
	return !slices.EqualFunc(s.points, again.points, func(a, b Point) bool { return a.ID == b.ID })
}

func remaining(ctx context.Context) (time.Duration, bool) {
	d, ok := ctx.Deadline()
	return time.Until(d), ok
}

// add turns what is known of a repository into facts of one or more jobs.
func (l *look) add(s *state) {
	l.used[s.cfg.Name] = true
	name := s.cfg.Name
	if s.fault != nil {
		j := blankJob(name, s.cfg.Tool)
		j.ExpectedMinutes = int(s.cfg.Every / time.Minute)
		j.Result, j.Reasons = s.fault.Result, []string{s.fault.Reason}
		l.gaps = append(l.gaps, evidence.Gap{What: "job " + name, Why: faultWords(s.fault.Reason)})
		l.finish(s, j, JobDetail{Message: s.fault.Text}, true)
		return
	}
	host := s.host(l.h)
	mine := ofHost(s.points, host)
	elsewhere := len(mine) == 0 && len(s.points) > 0
	lacking := false
	if len(s.cfg.Paths) > 0 {
		mine, lacking = ofPaths(mine, s.cfg.Paths)
	}
	groups := groupsOf(mine, s.cfg)
	for _, g := range groups {
		j := jobOf(l.groupName(name, g, len(groups)), s.cfg.Tool, s.encryption, g, l.now, s.cfg.Every)
		if elsewhere {
			addReasons(&j, evidence.ReasonHostMismatch)
		}
		if lacking {
			j.Result = worse(j.Result, evidence.BackupWarning)
			addReasons(&j, evidence.ReasonSourceMissing)
		}
		d := JobDetail{Host: host}
		if len(g) > 0 {
			d.Host, d.Paths = g[len(g)-1].Host, g[len(g)-1].Paths
		}
		l.finish(s, j, d, len(groups) == 1)
	}
}

// groupsOf splits the points of a job by host and sources, unless the config
// says which sources are meant. No points are one empty group.
func groupsOf(points []Point, cfg Repository) [][]Point {
	if len(points) == 0 {
		return [][]Point{nil}
	}
	byKey := map[string][]Point{}
	var keys []string
	for _, p := range points {
		key := p.Host
		if len(cfg.Paths) == 0 && cfg.Tool == toolRestic {
			key += "\x00" + sourceKey(p.Paths)
		}
		if byKey[key] == nil {
			keys = append(keys, key)
		}
		byKey[key] = append(byKey[key], p)
	}
	slices.Sort(keys)
	var groups [][]Point
	for _, k := range keys {
		groups = append(groups, byKey[k])
	}
	return groups
}

// groupName tells several sets of sources in one repository apart by a
// pseudonym: facts hold no paths and no host names.
func (l *look) groupName(name string, points []Point, groups int) string {
	if groups == 1 {
		return name
	}
	return l.apart(name, fmt.Sprintf("%s\x00%s", points[0].Host, sourceKey(points[0].Paths)))
}

// apart is a job's name with a pseudonym of what tells it from the others behind it.
func (l *look) apart(name, what string) string {
	mac := hmac.New(sha256.New, l.h.MachineKey)
	fmt.Fprintf(mac, "backup\x00%s", what)
	runes := []rune(name)
	return string(runes[:min(len(runes), 55)]) + "-" + hex.EncodeToString(mac.Sum(nil)[:4])
}

// finish joins integrity and the last run to a job and adds it. Only a job that
// is alone in its repository can own the run's word.
func (l *look) finish(s *state, j evidence.BackupJob, d JobDetail, alone bool) {
	mem := l.cursor.of(s.cfg.Name)
	j.Integrity = mem.Result
	switch {
	case j.Integrity.Result == evidence.BackupFailed:
		j.Result = evidence.BackupFailed
		addReasons(&j, evidence.ReasonCorrupt)
	case mem.Late:
		addReasons(&j, evidence.ReasonCheckLate)
	}
	addReasons(&j, s.reasons...)
	for _, w := range s.warnings {
		j.Result = worse(j.Result, evidence.BackupWarning)
		addReasons(&j, w)
	}
	if s.ran && (alone || s.run.Result != evidence.BackupOK && !s.run.Running) {
		applyRun(&j, s.run, l.now, s.cfg.Every)
	}
	for _, m := range []string{s.message, s.set.redact(s.run.Message)} {
		if d.Message == "" {
			d.Message = m
		}
	}
	j, err := sound(j)
	if err != nil {
		l.gaps = append(l.gaps, evidence.Gap{What: "job " + j.Job, Why: "the tool's answer cannot be: " + err.Error()})
	}
	d.Job, d.Repository, d.Settings = j.Job, shownLocation(s.set.location), s.cfg.found
	l.jobs = append(l.jobs, j)
	l.detail.Jobs = append(l.detail.Jobs, d)
}

// faultWords is a reason with its cure, for gaps.
func faultWords(reason string) string {
	cures := map[string]string{
		evidence.ReasonRepositoryMissing: "there is no repository at its place: mount it, or correct the address",
		evidence.ReasonWrongPassword:     "the repository refuses the password: correct password_file, password_command or env_file",
		evidence.ReasonNoPassword:        "no password was given: name password_file, password_command or env_file",
		evidence.ReasonNoPermission:      "the agent's account may not read the repository: let it, or run the agent as root",
		evidence.ReasonUnreachable:       "the repository's host does not answer",
		evidence.ReasonAccessRefused:     "the tool asks whether this repository may be used (moved, unencrypted or replayed): answer it once by hand, as the agent's account",
		evidence.ReasonNoProgram:         "the tool is not installed",
		evidence.ReasonTimeout:           "the tool did not answer in time",
		evidence.ReasonBadOutput:         "the tool's answer was cut off or not of a known form",
		evidence.ReasonBadConfig:         "its settings cannot be used; the detail says why",
		evidence.ReasonLocked:            "the repository is locked",
		evidence.ReasonCorrupt:           "the repository is damaged",
		evidence.ReasonNoSpace:           "no space is left for the tool to work",
	}
	if c := cures[reason]; c != "" {
		return c
	}
	return "the tool failed with " + reason
}

// faultFrom turns an error of running a tool into a fault.
func faultFrom(err error) *Fault {
	reason := evidence.ReasonBadOutput
	switch {
	case errors.Is(err, host.ErrNoProgram):
		reason = evidence.ReasonNoProgram
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		reason = evidence.ReasonTimeout
	}
	return &Fault{Result: evidence.BackupUnknown, Reason: reason, Text: clip(err.Error())}
}
