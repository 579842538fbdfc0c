package anchor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// Status is how the anchor log stands.
type Status struct {
	Origin  string // "" when nothing was anchored yet
	Head    ledger.State
	Waiting int // logs whose newest head is not anchored
	Parts   []Part
}

// Part is one thing that is done for the anchor log.
type Part struct {
	Name  string    // "log", "folder", "tsa URL", "witness NAME"
	OK    bool      // it works, as far as can be told
	Last  time.Time // of the last leaf, token or cosignature; zero for none
	Size  int64     // of the anchor log then
	Fault string    // what fails since when, and the cure
}

// Status says of each part how it stands. A part that was never done is not well.
func (a *Anchor) Status(ctx context.Context) (Status, error) {
	var s Status
	jobs, err := a.jobs(ctx)
	if err != nil {
		return s, err
	}
	logs, err := a.Store.Unanchored(ctx)
	if err != nil {
		return s, err
	}
	s.Waiting = len(logs)
	st, err := a.Store.Log(ctx, store.AnchorOrg)
	if found(err) != nil {
		return s, err
	}
	none := err != nil
	s.Origin, s.Head = st.Origin, st
	log := a.part(jobs[jobLog], st.LastTime.Time, st.Size)
	if stopped := a.Stopped(ctx, st); !none && stopped != nil {
		log.OK, log.Fault = false, stopped.Error()+": put back the newest copy of the database, or run attesto-server anchor recover"
	}
	s.Parts = append(s.Parts, log)
	if a.cfg.Publish != "" {
		s.Parts = append(s.Parts, a.folder(st))
	}
	for _, t := range a.tsas {
		k, err := a.Store.LastAnchorToken(ctx, st.ID, t.URL)
		if found(err) != nil {
			return s, err
		}
		s.Parts = append(s.Parts, a.part(jobs[t.job()], k.At, k.Size))
	}
	for _, w := range a.witnesses {
		c, err := a.Store.LastCosignature(ctx, st.ID, w.VKey)
		if found(err) != nil {
			return s, err
		}
		s.Parts = append(s.Parts, a.part(jobs[w.job()], c.At, c.Size))
	}
	return s, nil
}

// part judges a job by what is known of it and by when it should have been done.
func (a *Anchor) part(j store.AnchorJob, last time.Time, size int64) Part {
	p := Part{Name: j.Name, Last: last, Size: size}
	switch now := a.Now(); {
	case !j.Failing.IsZero():
		p.Fault = fmt.Sprintf("has failed since %s, %d attempts: %s", j.Failing.Format(time.RFC3339), j.Attempts, j.Error)
	case j.Done.IsZero():
		p.Fault = "was never done: attesto-server serve does it; is it running with this configuration?"
	case j.Name == jobLog && now.Sub(j.Due) > 10*time.Minute:
		p.Fault = fmt.Sprintf("has been due since %s: attesto-server serve does it; is it running with this configuration?", j.Due.Format(time.RFC3339))
	default:
		p.OK = true
	}
	return p
}

// folder looks at what is published.
func (a *Anchor) folder(st ledger.State) Part {
	p := Part{Name: "folder " + a.cfg.Publish}
	if st.Origin == "" { // nothing to show yet
		p.OK = true
		return p
	}
	note, err := os.ReadFile(filepath.Join(a.cfg.Publish, "checkpoint"))
	if err != nil {
		p.Fault = fmt.Sprintf("%v: is attesto-server serve running on this host, and may it write there?", err)
		return p
	}
	head, err := a.published(note, st)
	if err == nil && head.Size < st.Size {
		err = errors.New("shows an older head: is attesto-server serve running on this host?")
	}
	if err != nil {
		p.Fault = err.Error()
	}
	p.Size, p.OK = head.Size, err == nil
	if info, err := os.Stat(filepath.Join(a.cfg.Publish, "checkpoint")); err == nil {
		p.Last = info.ModTime()
	}
	return p
}
