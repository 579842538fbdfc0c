package bundle

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

func publicPEM(spki []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
}

// keys writes every key that a check needs. What vouches for them is the root
// key, which the auditor compares with the one that agents have pinned.
func (w *writer) keys() error {
	if err := w.put(evidence.BundleRoot, publicPEM(w.Root.SPKI())); err != nil {
		return err
	}
	if err := w.put(evidence.BundleKeyset, w.Sealed); err != nil {
		return err
	}
	if err := w.put("keys/server.pub", publicPEM(w.Signer.Public().SPKI())); err != nil {
		return err
	}
	for _, a := range w.agents {
		old, err := w.r.OldKeys(w.ctx, a.ID)
		if err != nil {
			return err
		}
		for i, k := range old {
			if err := w.put(fmt.Sprintf("keys/agents/%s.%d.pub", a.ID, i+1), publicPEM(k.SPKI)); err != nil {
				return err
			}
		}
		if err := w.put("keys/agents/"+a.ID+".pub", publicPEM(a.SPKI)); err != nil {
			return err
		}
	}
	for i, e := range w.m.Epochs {
		if err := w.logKeys(e, e.Folder(i, len(w.m.Epochs))); err != nil {
			return err
		}
	}
	return nil
}

// logKeys writes the keys whose names contain a log's origin, and the policy of
// its witnesses.
func (w *writer) logKeys(e evidence.BundleEpoch, folder string) error {
	trust, err := w.Keyset.Log(e.Origin)
	if err != nil {
		return err
	}
	var vkeys, policy bytes.Buffer
	for _, k := range trust.Keys {
		vkey, err := trust.VKey(k)
		if err != nil {
			return err
		}
		fmt.Fprintln(&vkeys, vkey)
	}
	policy.WriteString("# Who must have seen a head of this log, in the form of Sigsum's policies. It speaks of\n# log/cosigned/*; raise the group's number to demand more.\n")
	for line := range bytes.Lines(vkeys.Bytes()) {
		fmt.Fprintf(&policy, "log %s", line)
	}
	var names []string
	for _, a := range w.agents {
		if len(a.Witness) != ed25519.PublicKeySize {
			continue
		}
		vkey := evidence.WitnessVKey(evidence.WitnessName(e.Origin, a.ID), a.Witness)
		if err := w.put(folder+"keys/witness-"+a.ID+".vkey", []byte(vkey+"\n")); err != nil {
			return err
		}
		fmt.Fprintf(&policy, "witness %s %s\n", a.ID, vkey)
		names = append(names, a.ID)
	}
	quorum := "none"
	if list, err := w.r.Cosignatures(w.ctx, w.stateOf(e).ID, 0, 1); err != nil {
		return err
	} else if len(list) > 0 {
		quorum = "witnesses"
		fmt.Fprintf(&policy, "group witnesses any")
		for _, n := range names {
			fmt.Fprintf(&policy, " %s", n)
		}
		fmt.Fprintln(&policy)
	}
	fmt.Fprintf(&policy, "quorum %s\n", quorum)
	if err := w.put(folder+"keys/log.vkey", vkeys.Bytes()); err != nil {
		return err
	}
	return w.put(folder+evidence.BundlePolicy, policy.Bytes())
}

func (w *writer) stateOf(e evidence.BundleEpoch) ledger.State {
	return w.states[slices.IndexFunc(w.states, func(st ledger.State) bool { return st.Origin == e.Origin })]
}

// maxCosigned bounds the witnesses' heads in a bundle (EVIDENCE 2.6).
const maxCosigned = 14

// cosigned picks the newest word of each witness, the newest first.
func cosigned(list []store.Cosignature) []store.Cosignature {
	var out []store.Cosignature
	seen := map[string]bool{}
	for _, c := range list {
		if !seen[c.Agent] && len(out) < maxCosigned {
			seen[c.Agent] = true
			out = append(out, c)
		}
	}
	return out
}
