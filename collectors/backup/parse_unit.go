package backup

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// unitProperties are what the collector asks systemd for (man systemctl, show;
// org.freedesktop.systemd1, Service properties).
const unitProperties = "LoadState,ActiveState,Result,ExecMainStatus,ExecMainStartTimestamp,ExecMainExitTimestamp"

// errNoUnit says that systemd does not know the unit; errNeverRan that it did
// not run since boot.
var (
	errNoUnit   = errors.New("systemd does not know the unit")
	errNeverRan = errors.New("the unit did not run since the host started")
)

// ParseUnit reads what `systemctl show UNIT -p …` prints, run with TZ=UTC, of
// the unit that runs tool.
func ParseUnit(out []byte, tool string) (Run, error) {
	props := map[string]string{}
	for line := range lines(string(out)) {
		k, v, _ := strings.Cut(line, "=")
		props[k] = v
	}
	if _, ok := props["Result"]; !ok {
		return Run{}, errors.New("output of systemctl show: no Result in it")
	}
	if props["LoadState"] == "not-found" {
		return Run{}, errNoUnit
	}
	if s := props["ActiveState"]; s == "activating" || s == "active" && props["ExecMainExitTimestamp"] == "" {
		return Run{From: evidence.FromUnit, Running: true, Errors: -1}, nil
	}
	end, err := unitTime(props["ExecMainExitTimestamp"])
	if err != nil {
		return Run{}, err
	}
	if end.IsZero() {
		return Run{}, errNeverRan
	}
	start, err := unitTime(props["ExecMainStartTimestamp"])
	if err != nil {
		return Run{}, err
	}
	code, err := strconv.Atoi(props["ExecMainStatus"])
	if err != nil {
		return Run{}, fmt.Errorf("output of systemctl show: ExecMainStatus %q", props["ExecMainStatus"])
	}
	r := Run{From: evidence.FromUnit, Start: start, End: end, Errors: -1, Message: "systemd: " + props["Result"]}
	r.Result, r.Reasons = ExitResult(tool, code)
	if res := props["Result"]; res != "success" && res != "exit-code" {
		r.Result, r.Reasons = evidence.BackupFailed, []string{evidence.ReasonInterrupted}
		if res == "timeout" {
			r.Reasons = append(r.Reasons, "unit_timeout")
		}
	}
	return r, nil
}

// unitTime reads systemd's "Mon 2026-11-23 02:00:11 UTC"; empty or "n/a" is none.
func unitTime(s string) (time.Time, error) {
	if s == "" || s == "n/a" {
		return time.Time{}, nil
	}
	t, err := time.Parse("Mon 2006-01-02 15:04:05 UTC", s)
	if err != nil {
		return t, fmt.Errorf("output of systemctl show: time %q is not in UTC and of systemd's form", s)
	}
	return t, nil
}
