package health

import (
	"time"

	"github.com/attesto/attesto/evidence"
)

// ring is the host's last week by hours. It is told once a day; the hour under way is
// in it once it is over.
type ring struct {
	Hours []evidence.HealthHour `json:"hours"` // oldest first
	Now   evidence.HealthHour   `json:"now"`   // the hour under way
	N     int                   `json:"n"`     // samples of CPU in Now
	Bytes int64                 `json:"bytes"` // of traffic at the last sample
	Told  string                `json:"told"`  // day on which the week was last told, UTC
}

const week = 7 * 24 * time.Hour

// add takes a sample and the fullest file system into the hour under way.
func (r *ring) add(s evidence.Sample, disks []evidence.Disk, traffic int64) {
	hour := evidence.At(s.At.Truncate(time.Hour))
	if !r.Now.At.Equal(hour.Time) {
		if !r.Now.At.IsZero() && r.Now.At.Before(hour.Time) {
			r.Hours = append(r.Hours, r.Now)
		}
		r.Now, r.N = evidence.HealthHour{At: hour, CPU: -1, Mem: -1, Load: -1, Disk: -1, Net: -1}, 0
	}
	if s.CPU >= 0 {
		r.Now.CPU = round((max(0, r.Now.CPU)*float64(r.N) + s.CPU) / float64(r.N+1))
		r.N++
	}
	if r.Bytes > 0 && traffic >= r.Bytes { // else the first sample, or one after a restart
		r.Now.Net = round(max(0, r.Now.Net) + float64(traffic-r.Bytes)/(1<<20))
	}
	r.Bytes = max(0, traffic)
	r.Now.Mem = max(r.Now.Mem, s.MemUsed)
	r.Now.Load = max(r.Now.Load, s.Load1)
	for _, d := range disks {
		r.Now.Disk = max(r.Now.Disk, d.UsedPct)
	}
	from := hour.Add(-week)
	for len(r.Hours) > 0 && (r.Hours[0].At.Before(from) || !r.Hours[0].At.Before(hour.Time)) {
		r.Hours = r.Hours[1:] // too old, or of a clock that went back
	}
}

// tell is the week, on the first look of a day that has something to tell.
func (r *ring) tell(now time.Time) []evidence.HealthHour {
	day := now.UTC().Format(time.DateOnly)
	if r.Told == day || len(r.Hours) == 0 {
		return nil
	}
	r.Told = day
	return r.Hours
}
