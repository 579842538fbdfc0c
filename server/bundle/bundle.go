// Package bundle writes an organisation's evidence of a period so that anyone can
// check it offline: the log as C2SP tiles, every record with its receipt, the
// keys, the duties' verdicts, and a signed list of all files. docs/format.md
// describes what it writes; cmd/attesto-verify checks it.
package bundle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// Source is what exports are made from.
type Source struct {
	Keyset evidence.Keyset
	// Renew adds the newest log key's signature to a checkpoint that lacks it.
	Renew     func([]byte) ([]byte, error)
	Sealed    []byte // the keyset's envelope
	Root      evidence.PublicKey
	Signer    evidence.Signer // the server's key
	Catalogue *duties.Catalogue
	Verifier  []byte // verify.py
	Version   string
	Now       func() time.Time
}

// Request says what to export.
type Request struct {
	Org      string
	From, To time.Time // of entries: from From (inclusive) to To (exclusive)
	Duties   []string  // all when empty; otherwise facts of the kinds that these read
	Detail   bool      // with the detail blobs, which may hold names
	Packed   bool      // few large files in place of a folder for each record
}

// packFrom is how many records an export packs by itself: a folder for each would
// be more files than a file manager likes.
const packFrom = 20_000

// Sink takes the files of a bundle, each once, by slash-separated path.
type Sink func(path string, data []byte) error

// Write writes a bundle and returns its manifest. It reads one moment of the
// database: r must be a snapshot.
func (s Source) Write(ctx context.Context, r store.Reader, q Request, to Sink) (evidence.Manifest, error) {
	w := &writer{Source: s, ctx: ctx, r: r, q: q, to: to}
	if err := w.plan(); err != nil {
		return w.m, err
	}
	for _, step := range []func() error{w.keys, w.logs, w.anchors, w.verdicts, w.oscal, w.report, w.readme, w.page, w.seal} {
		if err := step(); err != nil {
			return w.m, fmt.Errorf("exporting organisation %s: %w", q.Org, err)
		}
	}
	return w.m, nil
}

type writer struct {
	Source
	ctx    context.Context
	r      store.Reader
	q      Request
	to     Sink
	org    store.Org
	agents []store.Agent
	states []ledger.State // oldest epoch first
	kinds  map[evidence.Kind]bool
	m      evidence.Manifest
	sums   []sum
	newest *logWriter // of the newest epoch, once it is written
	duties []Duty
}

type sum struct {
	path   string
	digest evidence.Digest
}

// put writes a file and notes its digest.
func (w *writer) put(path string, data []byte) error {
	w.sums = append(w.sums, sum{path, evidence.Sum(data)})
	return w.to(path, data)
}

// plan finds out what belongs into the bundle.
func (w *writer) plan() error {
	var err error
	if w.org, err = w.r.Org(w.ctx, w.q.Org); err != nil {
		return err
	}
	if !w.q.To.After(w.q.From) {
		return fmt.Errorf("a period from %s to %s: want an end after the start", w.q.From.Format(time.RFC3339), w.q.To.Format(time.RFC3339))
	}
	if err := w.planKinds(); err != nil {
		return err
	}
	if w.agents, err = w.r.Agents(w.ctx, w.org.ID); err != nil {
		return err
	}
	all, err := w.r.Logs(w.ctx)
	if err != nil {
		return err
	}
	for _, st := range all {
		if st.Org == w.org.ID {
			w.states = append(w.states, st)
		}
	}
	slices.SortFunc(w.states, func(a, b ledger.State) int { return int(a.Epoch - b.Epoch) })
	if len(w.states) == 0 {
		return fmt.Errorf("organisation %s has no log", w.org.ID)
	}
	w.m = evidence.Manifest{Format: evidence.BundleFormat, Server: w.Keyset.Server, Org: w.org.ID, OrgName: w.org.Name, Created: evidence.At(w.Now()),
		From: evidence.At(w.q.From), To: evidence.At(w.q.To), Duties: append([]string{}, w.q.Duties...), Kinds: []evidence.Kind{}, Detail: w.q.Detail,
		Layout: evidence.LayoutFolders}
	for k := range w.kinds {
		w.m.Kinds = append(w.m.Kinds, k)
	}
	slices.Sort(w.m.Kinds)
	return w.planRanges()
}

func (w *writer) planRanges() error {
	records := int64(0)
	for _, st := range w.states {
		first, err := w.firstAt(st, w.q.From)
		if err != nil {
			return err
		}
		next, err := w.firstAt(st, w.q.To)
		if err != nil {
			return err
		}
		w.m.Epochs = append(w.m.Epochs, evidence.BundleEpoch{Epoch: int(st.Epoch), Origin: st.Origin, Size: st.Size, First: first, Next: next})
		records += next - first
	}
	if w.q.Packed || records > packFrom {
		w.m.Layout = evidence.LayoutPacked
	}
	return nil
}

// planKinds finds the kinds of facts that the duties asked for read.
func (w *writer) planKinds() error {
	var unknown []string
	for _, id := range w.q.Duties {
		d, ok := w.Catalogue.Duty(id)
		if !ok {
			unknown = append(unknown, id)
		}
		for _, p := range d.Parts {
			for _, k := range p.Kinds {
				if w.kinds == nil {
					w.kinds = map[evidence.Kind]bool{}
				}
				w.kinds[k] = true
			}
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("no duty %s; attesto-server catalogue list shows them all", strings.Join(unknown, ", "))
	}
	return nil
}

// firstAt finds the first entry that is not older than at. Times in a log never
// run backwards.
func (w *writer) firstAt(st ledger.State, at time.Time) (int64, error) {
	low, high := int64(0), st.Size
	for low < high {
		mid := low + (high-low)/2
		list, err := w.r.Entries(w.ctx, st.ID, mid, 1)
		if err != nil {
			return 0, err
		}
		if len(list) != 1 || list[0].Index != mid {
			return 0, fmt.Errorf("entry %d of log %s is missing: run attesto-server check", mid, st.Origin)
		}
		e, err := evidence.ParseEntry(list[0].Line)
		if err != nil {
			return 0, fmt.Errorf("entry %d of log %s: %w", mid, st.Origin, err)
		}
		if e.Time.Before(at) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}

// seal writes the list of files and what signs it.
func (w *writer) seal() error {
	slices.SortFunc(w.sums, func(a, b sum) int { return comparePaths(a.path, b.path) })
	var b strings.Builder
	for i, s := range w.sums {
		if i > 0 && w.sums[i-1].path == s.path {
			return errors.New("file " + s.path + " was written twice")
		}
		fmt.Fprintf(&b, "%s  %s\n", s.digest, s.path)
	}
	w.m.Files, w.m.Sums = int64(len(w.sums)), evidence.Sum([]byte(b.String()))
	raw, err := w.m.Bytes()
	if err != nil {
		return err
	}
	env, err := evidence.SealManifest(w.Signer, w.m, raw)
	if err != nil {
		return err
	}
	return errors.Join(w.to(evidence.BundleSums, []byte(b.String())), w.to(evidence.BundleManifest, raw), w.to(evidence.BundleSigned, env.Bytes()))
}

// comparePaths orders paths as a walk through folders meets them.
func comparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}
