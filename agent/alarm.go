package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/attesto/attesto/evidence"
)

// alarmLog is the code of an alarm about the log itself: it shrank, forked, or
// what it proves does not hold.
const alarmLog = "log"

// Alarm is a fault that a person must look at. One about the log stays until
// ClearAlarm, or until the server has stated and proven that its log began anew; the
// others also end when the log holds all records after all.
type Alarm struct {
	Code    string        `json:"code"` // "log", "fork", "rejected", "lost_records"
	Message string        `json:"message"`
	Cure    string        `json:"cure"`
	At      evidence.Time `json:"at"`
	// The two signed heads that contradict each other, when the log misbehaved.
	Known   string `json:"known,omitempty"`
	Offered string `json:"offered,omitempty"`
}

func (s state) alarm() (*Alarm, error) {
	var a Alarm
	err := readJSON(s.path(alarmFile), &a)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return &a, err
}

// ClearAlarm sets the alarm aside as a file of its own, whose path it returns; ""
// when there is none. If the cause is still there, the next push raises it anew.
func ClearAlarm(cfg Config) (string, error) {
	st := state{cfg.StateDir}
	alarm, err := st.alarm()
	if err != nil || alarm == nil {
		return "", err
	}
	return st.setAside(alarm)
}

// keptAlarm is where an alarm is kept once it is over.
func (s state) keptAlarm(a *Alarm) string {
	return s.path("alarm-" + a.At.Format("20060102T150405Z") + ".json")
}

func (s state) setAside(a *Alarm) (string, error) {
	kept := s.keptAlarm(a)
	if err := (osFiles{}).moveDurable(s.path(alarmFile), kept); err != nil {
		return "", fmt.Errorf("clearing the alarm: %w", err)
	}
	return kept, nil
}

// raise keeps an alarm and says it once. An alarm about the log stays until a
// person clears it: its two signed heads are the proof.
func (p *pusher) raise(a Alarm) {
	a.At = evidence.At(p.now())
	old, err := p.st.alarm()
	if err == nil && old != nil && (old.Code == alarmLog || (old.Code == a.Code && old.Message == a.Message)) {
		return
	}
	p.slog.Error("ALARM: "+a.Message, "cure", a.Cure)
	if err := writeJSON(p.st.path(alarmFile), a); err != nil {
		p.slog.Error("keeping the alarm", "error", err)
	}
}

// allReceipted ends an alarm about records: the log holds them all now.
func (p *pusher) allReceipted() {
	alarm, err := p.st.alarm()
	if err != nil || alarm == nil || alarm.Code == alarmLog {
		return
	}
	if err := os.Remove(p.st.path(alarmFile)); err != nil {
		p.slog.Error("ending the alarm", "error", err)
		return
	}
	p.slog.Info("the alarm is over: the log holds all records", "alarm", alarm.Message)
}
