package duties

import (
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// backupCheck judges each job by the newest look: its result, how old its newest
// restorable point is, and, where the duty asks for it, how far back its restore
// points reach. An exit code is never enough: what counts is what could be
// restored. A host that serves and has no job is not covered, unless a job of another
// host bears its name.
var backupCheck = check{
	kind:      evidence.KindBackup,
	params:    []string{"fresh", "interval", "grace", "retention", "hole"},
	facts:     pruneWindow,
	thin:      true,
	none:      "backup_no_jobs",
	elsewhere: true,
	judge:     judgeBackup,
}

// pruneWindow is how far back looks are compared to see restore points removed: a
// little over a week, as pruning is at least weekly as a rule.
const pruneWindow = 8 * 24 * time.Hour

func judgeBackup(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Backup](h)
	if err != nil {
		return h.unreadable(err)
	}
	var found []AssetFinding
	for _, j := range facts.Jobs {
		found = append(found, backupJob{h, j}.judge())
	}
	// A gap on a job that is stated shows in the job's own result.
	gaps = slices.DeleteFunc(gaps, func(g evidence.Gap) bool {
		return slices.ContainsFunc(facts.Jobs, func(j evidence.BackupJob) bool { return g.What == "job "+j.Job })
	})
	if len(gaps) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps))))
	}
	return found
}

type backupJob struct {
	host
	job evidence.BackupJob
}

func (b backupJob) say(v Verdict, key string, pairs ...any) AssetFinding {
	args := append([]any{"host", b.agent.Name, "job", b.job.Job, "reason_codes", strings.Join(b.job.Reasons, ",")}, pairs...)
	return b.find(v, b.job.Job, say(key, args...))
}

func (b backupJob) judge() AssetFinding {
	j := b.job
	switch {
	case j.Result == evidence.BackupFailed:
		return b.say(Breached, "backup_failed", "at_codes", b.moment(j.LastEnd))
	case j.Integrity.Result == evidence.BackupFailed:
		return b.say(Breached, "backup_corrupt", "at", b.moment(j.Integrity.At))
	case j.Result == evidence.BackupWarning:
		return b.say(Breached, "backup_warning", "at_codes", b.moment(j.LastEnd))
	case j.Result != evidence.BackupOK:
		return b.say(Unproven, "backup_unknown")
	}
	newest, restorable := b.newestPoint()
	limit := b.every() + b.duration("grace")
	switch {
	case newest.IsZero():
		return b.say(Unproven, "backup_no_point")
	case b.at.Sub(newest) > limit:
		return b.say(Breached, "backup_old", "at", b.clock(newest), "limit", hours(limit))
	}
	f := b.retention()
	if f == nil {
		key := "backup_good"
		if !restorable {
			key = "backup_reported"
		}
		good := b.say(Fulfilled, key, "at", b.clock(newest), "points", j.Points)
		f = &good
	}
	f.Due = soonest(f.Due, b.upcoming(newest.Add(limit)))
	return *f
}

// newestPoint is when the newest restorable point was made. A job that only
// reports its results has none; then the end of its last good run counts.
func (b backupJob) newestPoint() (at time.Time, restorable bool) {
	switch j := b.job; {
	case j.NewestRestorable != nil:
		return b.local(j.NewestRestorable.Time), true
	case j.Source == evidence.FromReport && j.LastSuccess != nil:
		return b.local(j.LastSuccess.Time), false
	}
	return time.Time{}, false
}

// retention judges how far back the restore points reach, nil when far enough.
// A job whose oldest point is younger than the term is building, unless points
// younger than the term are seen to be removed.
func (b backupJob) retention() *AssetFinding {
	days := int(b.number("retention"))
	if days == 0 {
		return nil
	}
	if b.job.OldestRestorable == nil {
		f := b.say(Unproven, "retention_unknown", "days", days)
		return &f
	}
	oldest := b.local(b.job.OldestRestorable.Time)
	have := int(b.at.Sub(oldest) / (24 * time.Hour))
	args := []any{"have", have, "days", days, "at", b.clock(oldest)}
	if have < days {
		f := b.say(Unproven, "retention_building", args...)
		f.Building = true
		if until, removed := b.removed(oldest); removed {
			f = b.say(Breached, "retention_short", args...)
			f.Due = soonest(f.Due, b.upcoming(until))
		}
		f.Due = soonest(f.Due, oldest.Add(time.Duration(days)*24*time.Hour))
		return &f
	}
	if slices.Contains(b.job.Reasons, evidence.ReasonHole) {
		f := b.say(Breached, "retention_hole", "days", days)
		return &f
	}
	return b.hole(days)
}

// hole finds the newest stretch of the term without a restore point that is longer than
// allowed, by whole days: points of one night may stand on two days. The days that the
// look names must reach from the start of the term to the newest point: of the others
// nobody knows.
func (b backupJob) hole(days int) *AssetFinding {
	allowed := b.duration("hole")
	if allowed == 0 {
		return nil
	}
	limit := max(allowed, b.duration("interval")+24*time.Hour)
	today := b.at.UTC().Truncate(24 * time.Hour)
	start, list := today.AddDate(0, 0, -days), b.days()
	for i := len(list) - 1; i > 0 && list[i].After(start); i-- {
		if list[i].Sub(list[i-1]) > limit {
			f := b.say(Breached, "retention_days_hole", "days", days, "from", list[i-1].Format(time.DateOnly), "to", list[i].Format(time.DateOnly))
			f.Due = soonest(f.Due, list[i].AddDate(0, 0, days)) // it has left the term then
			return &f
		}
	}
	newest, _ := b.newestPoint()
	if len(list) == 0 || list[0].Sub(start) > limit || newest.Sub(list[len(list)-1]) > limit {
		f := b.say(Unproven, "retention_days_unknown", "days", days, "at", b.clock(b.local(b.job.OldestRestorable.Time)))
		f.Due = soonest(f.Due, today.AddDate(0, 0, 1)) // the term begins a day later then
		return &f
	}
	return nil
}

// days are those on which restore points were made, oldest first.
func (b backupJob) days() []time.Time {
	var list []time.Time
	for _, d := range b.job.Day {
		if t, err := time.Parse(time.DateOnly, d.Day); err == nil {
			list = append(list, t)
		}
	}
	return list
}

// every is the time between two restore points, as the job declares it. Where points
// must reach back it is no longer than the stretch that may be without one.
func (b backupJob) every() time.Duration {
	every := b.duration("interval")
	if b.job.ExpectedMinutes > 0 {
		every = time.Duration(b.job.ExpectedMinutes) * time.Minute
	}
	if hole := b.duration("hole"); hole > 0 && b.number("retention") > 0 {
		every = min(every, max(hole, b.duration("interval")))
	}
	return every
}

// removed reports whether an earlier look saw an older restore point than there
// is now, and until when the last one that did is looked back at.
func (b backupJob) removed(oldest time.Time) (until time.Time, removed bool) {
	looks, facts := usable[evidence.Backup](b.host, b.at.Add(-pruneWindow))
	for i, f := range facts {
		for _, j := range f.Jobs {
			if j.Job == b.job.Job && j.OldestRestorable != nil && oldest.Sub(b.local(j.OldestRestorable.Time)) > time.Hour {
				until, removed = looks[i].Moment().Add(pruneWindow), true
			}
		}
	}
	return until, removed
}

// moment writes a time, or the code of one that is not known.
func (b backupJob) moment(t *evidence.Time) string {
	if t == nil {
		return "time_unknown"
	}
	return b.clock(b.local(t.Time))
}
