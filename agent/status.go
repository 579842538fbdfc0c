package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
)

// statusFileContent is what a running agent leaves for status in another process.
type statusFileContent struct {
	At        time.Time                   `json:"at"`
	PID       int                         `json:"pid"`
	Push      PushState                   `json:"push"`
	SealError string                      `json:"sealError,omitempty"`
	Lost      int                         `json:"lost"`
	Kinds     map[evidence.Kind]KindState `json:"kinds"`
}

func writeStatusFile(st state, s statusFileContent) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeFile(st.path(statusFile), b)
}

// Status is the agent as a person or a script sees it.
type Status struct {
	Enrolled   bool   `json:"enrolled"`
	Server     string `json:"server,omitempty"`
	Org        string `json:"org,omitempty"`
	OrgName    string `json:"orgName,omitempty"`
	Agent      string `json:"agent,omitempty"`
	KeyID      string `json:"keyId,omitempty"`      // fingerprint; the board shows the same
	Protection string `json:"protection,omitempty"` // how the key is kept
	RootKey    string `json:"rootKey,omitempty"`    // fingerprint of the server's; attesto-verify shows the same
	Running    bool   `json:"running"`
	// AsOf is when the running agent wrote its part of the status.
	AsOf      *time.Time                  `json:"asOf,omitempty"`
	Spool     SpoolState                  `json:"spool"`
	Push      PushState                   `json:"push"`
	Log       evidence.Head               `json:"log"`             // last verified head
	Began     []Began                     `json:"began,omitempty"` // how the log began anew
	Alarm     *Alarm                      `json:"alarm,omitempty"`
	SealError string                      `json:"sealError,omitempty"`
	Kinds     map[evidence.Kind]KindState `json:"kinds,omitempty"`
	Problems  []string                    `json:"problems"` // what a person should look at
}

// ReadStatus gathers the status from the state folder; it needs no running agent.
func ReadStatus(cfg Config, now time.Time) (Status, error) {
	st := state{cfg.StateDir}
	s := Status{Problems: []string{}}
	id, err := st.identity()
	if errors.Is(err, ErrNotEnrolled) {
		s.Problems = append(s.Problems, err.Error())
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.Enrolled, s.Server, s.Org, s.OrgName, s.Agent = true, id.Server, id.Org, id.OrgName, id.Agent
	root, err := evidence.ParsePublicKey(id.RootKey)
	if err != nil {
		return s, fmt.Errorf("stored root key: %w", err)
	}
	s.RootKey = string(root.ID())
	if key, err := cfg.keys().Load(st.path(keyFile)); err == nil {
		s.KeyID, s.Protection = string(key.KeyID()), key.Protection()
	} else {
		s.Problems = append(s.Problems, err.Error())
	}
	head, err := st.head()
	if err != nil {
		return s, err
	}
	s.Log = head.Head
	if s.Began, err = st.began(); err != nil {
		return s, err
	}
	if s.Alarm, err = st.alarm(); err != nil {
		return s, err
	}
	spool, err := readSpool(st.dir, cfg.Spool, id.First, osFiles{})
	if err != nil {
		return s, err
	}
	s.Spool = spool.State()
	s.Running = st.locked()
	var f statusFileContent
	if err := readJSON(st.path(statusFile), &f); err == nil {
		s.AsOf, s.Push, s.SealError, s.Kinds = &f.At, f.Push, f.SealError, f.Kinds
		s.Spool.Lost = max(s.Spool.Lost, f.Lost)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	s.Problems = append(s.Problems, s.problems(now)...)
	return s, nil
}

func (s Status) problems(now time.Time) (out []string) {
	add := func(text string) { out = append(out, text) }
	if s.Alarm != nil {
		add("ALARM: " + s.Alarm.Message + "; " + s.Alarm.Cure)
	}
	if !s.Running {
		add("the agent is not running; start it with: systemctl start attesto-agent")
	} else if s.AsOf != nil && now.Sub(*s.AsOf) > 3*time.Minute {
		add("the running agent last wrote its status at " + s.AsOf.Format(time.RFC3339) + "; is the disk of the state folder full?")
	}
	if s.Push.LastError != "" {
		since := ""
		if s.Push.Failing != nil {
			since = " since " + s.Push.Failing.Format(time.RFC3339)
		}
		add(fmt.Sprintf("pushing has failed%s: %s; records that wait here, and are not lost: %d", since, s.Push.LastError, s.Spool.Waiting))
	}
	if s.SealError != "" {
		add("records cannot be kept: " + s.SealError)
	}
	if s.Spool.Lost > 0 {
		add(fmt.Sprintf("%d looks could not be kept since the last record; the next one says so", s.Spool.Lost))
	}
	if s.Spool.Oldest != nil && now.Sub(*s.Spool.Oldest) > 24*time.Hour {
		add("records have been waiting since " + s.Spool.Oldest.Format(time.RFC3339))
	}
	if delta := time.Duration(s.Push.DeltaMs) * time.Millisecond; delta.Abs() > skewLimit {
		add("this host's clock differs from the server's by " + delta.Round(time.Second).String() + "; set up time synchronisation")
	}
	for _, kind := range slices.Sorted(maps.Keys(s.Kinds)) {
		if s.Kinds[kind].Stuck {
			add("the " + string(kind) + " collector is stuck since its deadline; it is not started again before it returns")
		}
	}
	return out
}
