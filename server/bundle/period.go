package bundle

import (
	"time"

	"github.com/attesto/attesto/server/duties"
)

// Period says how much of an export's period a duty was proven, in windows of its
// cadence that have ended; gaps are stretches that were not, with the cause.
type Period struct {
	From          string `json:"from"` // days of the organisation's zone, both included
	To            string `json:"to"`
	WindowDays    int    `json:"windowDays"`
	Expected      int    `json:"expected"` // windows that had to be proven: those that applied
	Covered       int    `json:"covered"`  // fulfilled, or without an occasion
	Fulfilled     int    `json:"fulfilled"`
	NoOccasion    int    `json:"noOccasion"`
	Breached      int    `json:"breached"`
	Unproven      int    `json:"unproven"`
	Late          int    `json:"late"` // of the unproven those that late evidence shows as met
	NotApplicable int    `json:"notApplicable"`
	Before        int    `json:"before"` // before the duty was judged for the first time
	Gaps          []Gap  `json:"gaps"`
}

// Gap is a stretch of windows of one verdict and cause.
type Gap struct {
	From    string `json:"from"` // days, both included
	To      string `json:"to"`
	Windows int    `json:"windows"`
	Verdict string `json:"verdict"`
	Cause   string `json:"cause"`
	Late    bool   `json:"late"`
}

// periods sums up each duty's windows from the day of From to that of To.
func (w *writer) periods(list []Duty) error {
	zone := w.org.Location()
	from, last := duties.Midnight(w.q.From, zone, 0), duties.Midnight(w.q.To.Add(-time.Nanosecond), zone, 0)
	to := duties.Midnight(last, zone, 1)
	past, err := w.r.History(w.ctx, w.org.ID, "", from)
	if err != nil {
		return err
	}
	counts, err := w.r.LateCounts(w.ctx, w.org.ID)
	if err != nil {
		return err
	}
	for i := range list {
		d, _ := w.Catalogue.Duty(list[i].ID)
		sum := duties.Sum(d.Roll(past[d.ID], from, to, w.Now(), d.Rhythm(), zone, counts))
		p := Period{From: from.Format(time.DateOnly), To: last.Format(time.DateOnly), WindowDays: d.Rhythm(), Expected: sum.Expected, Covered: sum.Covered,
			Fulfilled: sum.Count[duties.Fulfilled], NoOccasion: sum.Count[duties.NoOccasion], Breached: sum.Count[duties.Breached],
			Unproven: sum.Count[duties.Unproven], Late: sum.Late, NotApplicable: sum.Count[duties.NotApplicable], Before: sum.Before, Gaps: []Gap{}}
		for _, g := range sum.Gaps {
			p.Gaps = append(p.Gaps, Gap{g.From.In(zone).Format(time.DateOnly), duties.Midnight(g.To, zone, -1).Format(time.DateOnly), g.Windows,
				g.Verdict.String(), string(g.Cause), g.Late})
		}
		list[i].Period = p
	}
	return nil
}
