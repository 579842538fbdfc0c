package health

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// cursor is what one look leaves to the next.
type cursor struct {
	V       int               `json:"v"`
	Samples []evidence.Sample `json:"samples"` // not reported yet, oldest first
	CPU     counters          `json:"cpu"`     // at the last sample
	Week    ring              `json:"week"`
	State   string            `json:"state"` // digest of what was wrong at the last look; "" before the first
}

// counters are those of host.CPUTime.
type counters struct {
	Busy  float64 `json:"busy"`
	Total float64 `json:"total"`
}

const (
	cursorVersion = 1
	maxCursor     = 64 << 10
)

// readCursor reads the last look's cursor. A damaged one costs the samples of at
// most an hour, and a gap says so; so does a clock that went back behind them.
func readCursor(b []byte, now evidence.Time) (cursor, []evidence.Gap) {
	if len(b) == 0 {
		return cursor{}, nil
	}
	c, err := parseCursor(b)
	if err != nil {
		return cursor{}, []evidence.Gap{{What: "samples since the last report", Why: "what was kept of them is damaged: " + err.Error()}}
	}
	kept := len(c.Samples)
	for kept > 0 && c.Samples[kept-1].At.After(now.Time) {
		kept--
	}
	var gaps []evidence.Gap
	if lost := len(c.Samples) - kept; lost > 0 {
		gaps = []evidence.Gap{{What: fmt.Sprintf("%d samples since the last report", lost), Why: "the clock went back behind them"}}
	}
	c.Samples = c.Samples[:kept]
	return c, gaps
}

func parseCursor(b []byte) (cursor, error) {
	if len(b) > maxCursor {
		return cursor{}, fmt.Errorf("%d bytes, over the limit of %d", len(b), maxCursor)
	}
	if err := evidence.CheckJSON(b); err != nil {
		return cursor{}, err
	}
	var c cursor
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return cursor{}, err
	}
	if c.V != cursorVersion {
		return cursor{}, fmt.Errorf("version %d, want %d", c.V, cursorVersion)
	}
	if len(c.Samples) >= hour {
		return cursor{}, fmt.Errorf("%d samples, want fewer than %d", len(c.Samples), hour)
	}
	if len(c.State) != 2*sha256.Size || c.CPU.Busy < 0 || c.CPU.Total < c.CPU.Busy {
		return cursor{}, errors.New("state or counters make no sense")
	}
	if err := (evidence.Health{Samples: []evidence.Sample{{At: evidence.At(time.Unix(0, 0))}}, Week: c.Week.Hours, Units: evidence.Units{Manager: evidence.ManagerNone}}).Validate(); err != nil {
		return cursor{}, err
	}
	if len(c.Samples) > 0 {
		if err := (evidence.Health{Samples: c.Samples, Units: evidence.Units{Manager: evidence.ManagerNone}}).Validate(); err != nil {
			return cursor{}, err
		}
	}
	return c, nil
}

func (c cursor) encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the health collector's cursor: %w", err)
	}
	return b, nil
}

// state is a digest of all that is wrong or could not be seen: when it changes,
// for worse or for better, the server should hear of it now.
func state(f evidence.Health, gaps []evidence.Gap) string {
	var wrong []string
	for _, d := range f.Disks {
		for word, is := range map[string]bool{"full": d.UsedPct >= diskFull, "inodes": d.InodesPct >= diskFull,
			"read-only": d.ReadOnly, "unreadable": d.Unreadable} {
			if is {
				wrong = append(wrong, "disk "+word+" "+d.Mount)
			}
		}
	}
	for _, u := range f.Units.Failed {
		wrong = append(wrong, "unit "+u)
	}
	for _, s := range f.Watched {
		if s.State != evidence.ServiceRunning {
			wrong = append(wrong, "service "+s.State+" "+s.Name)
		}
	}
	for _, g := range gaps {
		wrong = append(wrong, "gap "+g.What)
	}
	slices.Sort(wrong)
	sum := sha256.Sum256([]byte(strings.Join(wrong, "\n")))
	return hex.EncodeToString(sum[:])
}
