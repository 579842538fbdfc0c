package backup

import (
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Point is one state that a repository can give back.
type Point struct {
	ID         string
	Time       time.Time // when the state was taken: the start of its run
	Start, End time.Time // of the run that made it; zero if the tool does not tell
	Host       string
	Paths      []string
	Size       Size
}

// Size is how much a point holds. Only sizes that were counted the same way compare.
type Size struct {
	Bytes int64  `json:"b"`
	Files int64  `json:"f"`
	By    string `json:"by"` // "summary", "stats", "info"; empty: not known
}

const (
	// skew is how far a point may lie in the future before it counts as such.
	skew = 10 * time.Minute
	// trailing is how many points before the newest one its size is held against.
	trailing = 10
	// maxDays bounds BackupJob.Day.
	maxDays = 400
)

// jobOf makes a job's facts from its points as they stand at now. every is the
// declared interval, 0 if none.
func jobOf(name, tool, encryption string, points []Point, now time.Time, every time.Duration) evidence.BackupJob {
	j := blankJob(name, tool)
	j.Encryption = encryption
	j.ExpectedMinutes = int(every / time.Minute)
	usable, future := usablePoints(points, now)
	if future {
		j.Reasons = append(j.Reasons, evidence.ReasonFutureTime)
	}
	if len(usable) == 0 {
		j.Result = evidence.BackupUnknown
		if !future {
			j.Result = evidence.BackupFailed
			j.Reasons = append(j.Reasons, evidence.ReasonNoPoints)
		}
		return j
	}
	j.Result = evidence.BackupOK
	newest := usable[len(usable)-1]
	describeNewest(&j, newest)
	j.OldestRestorable = at(usable[0].Time)
	j.Points = len(usable)
	j.Day = daysOf(usable)
	if future {
		j.Result = evidence.BackupWarning
	}
	if empty(newest.Size) {
		j.Result = evidence.BackupWarning
		j.Reasons = append(j.Reasons, evidence.ReasonEmpty)
	}
	if shrunk(usable) {
		j.Result = evidence.BackupWarning
		j.Reasons = append(j.Reasons, evidence.ReasonShrunk)
	}
	if hole(usable, every) {
		j.Reasons = append(j.Reasons, evidence.ReasonHole)
	}
	return j
}

func blankJob(name, tool string) evidence.BackupJob {
	return evidence.BackupJob{
		Job: name, Tool: tool, Result: evidence.BackupUnknown,
		RunFrom: evidence.FromRepository, Source: evidence.FromRepository,
		Bytes: -1, Files: -1, Errors: -1, Encryption: "unknown",
		Integrity: evidence.Integrity{Result: evidence.BackupUnknown},
	}
}

func describeNewest(j *evidence.BackupJob, newest Point) {
	j.NewestRestorable = at(newest.Time)
	j.LastStart, j.LastSuccess = at(newest.Time), at(newest.Time)
	if d := newest.End.Sub(newest.Start); !newest.Start.IsZero() && d >= 0 {
		j.LastEnd = at(newest.Time.Add(d))
		j.LastSuccess = j.LastEnd
	}
	if newest.Size.By != "" {
		j.Bytes, j.Files = newest.Size.Bytes, newest.Size.Files
	}
	j.Paths = len(newest.Paths)
	j.CoversRoot = slices.ContainsFunc(newest.Paths, isRoot)
}

// sound lets a job through that keeps the rules of its kind. One that does not
// was made of an impossible answer (a negative count, a time before 1970): one
// tool's nonsense must not cost the facts of the others.
func sound(j evidence.BackupJob) (evidence.BackupJob, error) {
	err := evidence.Backup{Jobs: []evidence.BackupJob{j}}.Validate()
	if err == nil {
		return j, nil
	}
	b := blankJob(j.Job, j.Tool)
	b.Reasons = []string{evidence.ReasonBadOutput}
	return b, err
}

// isRoot tells whether a source path is the root of a file system: "/", or a
// Windows drive such as "C:\".
func isRoot(path string) bool {
	return path == "/" || len(path) <= 3 && len(path) >= 2 && path[1] == ':'
}

// usablePoints returns the points that are not of the future, oldest first.
func usablePoints(points []Point, now time.Time) (usable []Point, future bool) {
	for _, p := range points {
		if p.Time.After(now.Add(skew)) {
			future = true
			continue
		}
		usable = append(usable, p)
	}
	sort.SliceStable(usable, func(a, b int) bool { return usable[a].Time.Before(usable[b].Time) })
	return usable, future
}

// empty tells whether a point holds no file. restic stats counts folders among
// the files, and borg counts its own notes among the bytes.
func empty(s Size) bool {
	switch s.By {
	case "":
		return false
	case byStats:
		return s.Bytes == 0
	}
	return s.Files == 0 || s.Files < 0 && s.Bytes == 0
}

// shrunk holds the newest point against the median of those before it whose
// size was counted the same way.
func shrunk(usable []Point) bool {
	newest := usable[len(usable)-1].Size
	if newest.By == "" {
		return false
	}
	var files, bytes []int64
	for i := len(usable) - 2; i >= 0 && len(files) < trailing; i-- {
		if s := usable[i].Size; s.By == newest.By {
			files, bytes = append(files, s.Files), append(bytes, s.Bytes)
		}
	}
	return len(files) > 0 && (newest.Files*2 < median(files) || newest.Bytes*4 < median(bytes))
}

func median[T int64 | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}

// hole looks for a missing run among the points of the last seven days before
// the newest. Without a declared interval the usual distance of the points
// stands for it.
func hole(usable []Point, every time.Duration) bool {
	recent := usable[max(0, len(usable)-200):]
	var gaps, week []time.Duration
	from := recent[len(recent)-1].Time.AddDate(0, 0, -7)
	for i := 1; i < len(recent); i++ {
		d := recent[i].Time.Sub(recent[i-1].Time)
		gaps = append(gaps, d)
		if !recent[i-1].Time.Before(from) {
			week = append(week, d)
		}
	}
	limit := 2 * every
	if every == 0 {
		if len(gaps) < 4 {
			return false
		}
		limit = median(gaps) * 5 / 2
	}
	return slices.ContainsFunc(week, func(d time.Duration) bool { return d > limit && d > time.Hour })
}

func daysOf(usable []Point) []evidence.BackupDay {
	var days []evidence.BackupDay
	for _, p := range usable {
		day := p.Time.UTC().Format(time.DateOnly)
		if n := len(days); n > 0 && days[n-1].Day == day {
			days[n-1].Points++
			continue
		}
		days = append(days, evidence.BackupDay{Day: day, Points: 1})
	}
	return days[max(0, len(days)-maxDays):]
}

// at is a time as facts hold it: none for one that is not known or cannot be.
func at(t time.Time) *evidence.Time {
	if y := t.UTC().Year(); y < 1970 || y > 9998 {
		return nil
	}
	v := evidence.At(t)
	return &v
}

// sourceKey is the same for the same set of source paths.
func sourceKey(paths []string) string {
	sorted := slices.Clone(paths)
	slices.Sort(sorted)
	return strings.Join(sorted, "\x00")
}

// ofHost keeps the points of one host; "*" keeps all. Names compare without
// case, and a short name equals the first label of a full one.
func ofHost(points []Point, host string) []Point {
	if host == "*" {
		return points
	}
	var kept []Point
	for _, p := range points {
		if sameHost(p.Host, host) {
			kept = append(kept, p)
		}
	}
	return kept
}

func sameHost(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	shortA, _, fullA := strings.Cut(a, ".")
	shortB, _, fullB := strings.Cut(b, ".")
	return a == b || fullA != fullB && shortA == shortB
}

// ofPaths keeps the points whose sources include all of paths. lacking is true
// if the newest point that has some of them is newer than all that have all.
func ofPaths(points []Point, paths []string) (kept []Point, lacking bool) {
	var whole, part time.Time
	for _, p := range points {
		has := 0
		for _, path := range paths {
			if slices.Contains(p.Paths, path) {
				has++
			}
		}
		switch {
		case has == len(paths):
			kept = append(kept, p)
			if p.Time.After(whole) {
				whole = p.Time
			}
		case has > 0 && p.Time.After(part):
			part = p.Time
		}
	}
	return kept, part.After(whole)
}
