package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// cosignedHead is a head that witnesses have seen.
type cosignedHead struct {
	head  evidence.Head
	raw   []byte
	holds bool // the log had this root at this size
}

// maxHeads bounds the cosigned heads of a bundle.
const maxHeads = 1000

// cosigned reads the heads that witnesses cosigned: log/cosigned/* and the log's
// own checkpoint.
func (c *epochCheck) cosigned(checkpoint []byte) error {
	c.notes = map[int64]*cosignedHead{c.head.Size: {head: c.head, raw: checkpoint}}
	dir := c.folder + "log/cosigned"
	list, err := fs.ReadDir(c.b.fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(list) > maxHeads {
		return fmt.Errorf("%s: %w", dir, errTooMany)
	}
	for _, e := range list {
		name := path.Join(dir, e.Name())
		raw, err := c.b.read(name, evidence.MaxCheckpoint)
		if err != nil {
			return err
		}
		head, err := c.trust.OpenCheckpoint(raw)
		switch {
		case err != nil:
			c.r.fail(name, err)
		case strconv.FormatInt(head.Size, 10) != e.Name() || head.Size > c.head.Size:
			c.r.fail(name, fmt.Errorf("a head of %d entries", head.Size))
		case c.notes[head.Size] == nil:
			c.notes[head.Size] = &cosignedHead{head: head, raw: raw}
		case c.notes[head.Size].head != head:
			c.r.fail(name, errors.New("the log's key signed two heads of one size: the log was forked"))
		}
	}
	return nil
}

// policy says which witnesses must have seen one head, in the form of Sigsum's
// policies, which c2sp.org's tools share.
type policy struct {
	keys   map[string]witness
	groups map[string]group
	quorum string
}

type witness struct {
	name string // under which it cosigns
	key  ed25519.PublicKey
}

type group struct {
	need    int
	members []string
}

func parsePolicy(text []byte) (policy, error) {
	p := policy{keys: map[string]witness{}, groups: map[string]group{}}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		var err error
		switch {
		case f[0] == "log" && len(f) >= 2:
		case f[0] == "witness" && len(f) >= 3 && p.free(f[1]):
			p.keys[f[1]], err = parseWitness(f[2])
		case f[0] == "group" && len(f) >= 4 && p.free(f[1]):
			p.groups[f[1]], err = p.parseGroup(f[2], f[3:])
		case f[0] == "quorum" && len(f) == 2 && p.quorum == "" && (f[1] == "none" || !p.free(f[1])):
			p.quorum = f[1]
		default:
			err = errors.New("not understood")
		}
		if err != nil {
			return p, fmt.Errorf("line %q: %w", strings.TrimSpace(line), err)
		}
	}
	if p.quorum == "" {
		return p, errors.New("names no quorum")
	}
	return p, nil
}

func (p policy) free(name string) bool {
	_, w := p.keys[name]
	_, g := p.groups[name]
	return !w && !g && name != "none"
}

func (p policy) parseGroup(need string, members []string) (group, error) {
	g := group{members: members}
	switch need {
	case "any":
		g.need = 1
	case "all":
		g.need = len(members)
	default:
		n, err := strconv.Atoi(need)
		if err != nil || n < 1 || n > len(members) {
			return g, fmt.Errorf("%q of %d members", need, len(members))
		}
		g.need = n
	}
	for i, m := range members {
		if p.free(m) || slices.Contains(members[:i], m) {
			return g, fmt.Errorf("member %q is unknown or named twice", m)
		}
	}
	return g, nil
}

// parseWitness reads a cosigner's verifier key (c2sp.org/tlog-cosignature).
func parseWitness(vkey string) (witness, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, encoded, _ := strings.Cut(rest, "+")
	raw, err := evidence.DecodeBase64(encoded)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return witness{}, errors.New("not a key of a cosigner")
	}
	w := witness{name, raw[1:]}
	if evidence.WitnessVKey(name, w.key) != vkey {
		return witness{}, errors.New("not a key of a cosigner, or its key id is wrong")
	}
	return w, nil
}

// met reports whether those who have seen a head satisfy a component.
func (p policy) met(component string, seen map[string]bool) bool {
	g, ok := p.groups[component]
	if !ok {
		return seen[component]
	}
	n := 0
	for _, m := range g.members {
		if p.met(m, seen) {
			n++
		}
	}
	return n >= g.need
}

// policy finds the longest head that witnesses have seen as the policy demands.
func (c *epochCheck) policy() error {
	raw, err := c.policyText()
	if err != nil {
		return err
	}
	p, err := parsePolicy(raw)
	if err != nil {
		return fmt.Errorf("policy of witnesses: %w", err)
	}
	for name, w := range p.keys {
		if a := c.agents[name]; a != nil && w.name == evidence.WitnessName(c.e.Origin, name) && !bytes.Equal(a.witness, w.key) {
			c.r.fail(c.folder+evidence.BundlePolicy, fmt.Errorf("the key of witness %s is not the one that the agent enrolled", name))
			delete(p.keys, name)
		}
	}
	best := map[string]bool{}
	for size, n := range c.notes {
		if !n.holds {
			c.r.fail(c.folder+"log/cosigned/"+strconv.FormatInt(size, 10), errors.New("its root is not the one that this log has at that size: witnesses were shown another log"))
			continue
		}
		seen := p.seenBy(n)
		if c.opt.witnesses <= len(seen) && (p.quorum == "none" || p.met(p.quorum, seen)) && size >= c.total.Witnessed && len(seen) > 0 {
			c.total.Witnessed, best = size, seen
		}
	}
	for name := range best {
		c.total.Witnesses = append(c.total.Witnesses, name)
	}
	slices.Sort(c.total.Witnesses)
	if c.total.Witnessed == 0 && (p.quorum != "none" || c.opt.witnesses > 0) {
		c.r.fail(c.folder+"log", fmt.Errorf("no head of it has been seen by as many witnesses as the policy demands (%s)", p.demand(c.opt.witnesses)))
	}
	return nil
}

func (c *epochCheck) policyText() ([]byte, error) {
	if c.opt.policy != "" {
		return os.ReadFile(c.opt.policy)
	}
	return c.b.read(c.folder+evidence.BundlePolicy, maxSmall)
}

func (p policy) demand(least int) string {
	if g, ok := p.groups[p.quorum]; ok {
		least = max(least, g.need)
	}
	return fmt.Sprintf("%d of %d", max(least, 1), len(p.keys))
}

// seenBy lists the witnesses whose cosignature on a head holds.
func (p policy) seenBy(n *cosignedHead) map[string]bool {
	seen := map[string]bool{}
	_, sigs, _ := bytes.Cut(n.raw, []byte("\n\n"))
	for line := range bytes.Lines(sigs) {
		for name, w := range p.keys {
			if bytes.HasPrefix(line, []byte("— "+w.name+" ")) {
				if _, err := evidence.VerifyCosignature(w.key, w.name, string(line), n.raw); err == nil {
					seen[name] = true
				}
			}
		}
	}
	return seen
}
