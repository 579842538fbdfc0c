package host

import (
	"context"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Look is what one look of a collector gave.
type Look struct {
	// Facts are nil when there is nothing to report yet: the look was only
	// remembered in Next (a sample of an hour that is not over).
	Facts evidence.Facts
	// Detail is what may be erased later (names, samples, paths); nil for none.
	Detail any
	// Gaps name what could not be seen. Any gap makes the outcome partial.
	Gaps []evidence.Gap
	// Next is the cursor of the next look. The agent keeps it only in the same
	// durable step as the record: a crash repeats a look and never skips one.
	Next []byte
	// From and To are the window that the look speaks about. The zero From
	// stands for a state at To; the zero To for the moment at which Collect returned.
	From, To time.Time
	// Unsupported says that this host has nothing for the collector to see
	// (no backup tool, no such log); Gaps then say what was looked for.
	Unsupported bool
}

// Collector looks at one side of the host.
type Collector interface {
	// Collect looks once. It stops soon after ctx ends and never changes the
	// host. What it could not see comes back as gaps; an error means that no
	// facts hold. It is not called again before it returned. cursor is the Next
	// of the last look that became durable, nil at first.
	Collect(ctx context.Context, cursor []byte) (Look, error)
}

// Need is what a collector must have on the host.
type Need uint8

// The needs, as bits.
const (
	NeedNetwork Need = 1 << iota
	NeedRoot         // reads what only root or a named group may read
	NeedExec         // runs programs of the host
)

// Spec describes a kind's collector.
type Spec struct {
	Kind    evidence.Kind
	Title   string   // one line for people
	OS      []string // GOOS values that it works on
	Needs   Need
	Every   time.Duration // default interval
	Timeout time.Duration // default deadline of one look
	// New makes the collector. decode fills the kind's own config struct from
	// the agent's config file and refuses unknown keys; it leaves the struct
	// alone when the file says nothing of the kind. New itself does no I/O.
	New func(decode func(any) error, h *Host) (Collector, error)
	// Detect looks (cheaply, without running anything) whether this host has
	// something for the collector, and says why or what is missing.
	Detect func(ctx context.Context, h *Host) Detection
	// Formats are the outputs, logs and files that the kind can read when they
	// were captured elsewhere, through the parsers that a look uses.
	Formats []Format
	// About says what an operator wants to know before letting a kind look; from it
	// docs/collectors.md is generated.
	About About
}

// About tells what a kind has to do with the host, each entry one plain sentence
// without a full stop.
type About struct {
	Reads []string // files and programs: "`/etc/shadow`: ages and policy, never a hash"
	Sends []string // what the facts and the detail hold
	Never []string // what never leaves the host, though it is near
	Needs []string // users, groups, capabilities, programs, and what is lost without each
}

// Format is one form of captured output. Parse says what a look would make of
// data at the moment at.
type Format struct {
	Name  string                                        `json:"name"`  // "restic-snapshots"
	Title string                                        `json:"title"` // where it comes from: "restic snapshots --json"
	Parse func(data []byte, at time.Time) (Look, error) `json:"-"`
}

// Detection is a collector's word on whether it is of use on this host.
type Detection struct {
	Useful bool
	Found  string // "restic repository in /etc/restic/env", "2 public addresses"
	// Missing is what stands in the way, each with its cure.
	Missing []Missing
}

// Missing is one obstacle and the one command or edit that removes it.
type Missing struct {
	What, Cure string
}
