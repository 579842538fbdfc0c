package duties

import "github.com/attesto/attesto/evidence"

// signalCheck takes blacklists as an early sign: a listing never proves that somebody sends
// spam, but as long as there is one nobody can say that nobody does.
var signalCheck = check{
	kind:     evidence.KindDNSBL,
	params:   []string{"fresh", "answered", "tier_b"},
	optional: true,
	judge:    judgeSignal,
}

func judgeSignal(h host) []AssetFinding {
	found := judgeDNSBL(h)
	for i, f := range found {
		if f.Verdict == Breached {
			found[i].Verdict, found[i].Why = Unproven, Message{Key: "signal_listed", Args: f.Why.Args}
		}
	}
	return found
}
