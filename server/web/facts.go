package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// maxRows bounds the rows of a table of facts; the raw facts have them all.
const maxRows = 200

// rows are the first of a list, and how many more there are.
func rows[T any](list []T) ([]T, int) {
	if len(list) <= maxRows {
		return list, 0
	}
	return list[:maxRows], len(list) - maxRows
}

// viewOf arranges facts for the kind's own table; nil when they do not hold.
func viewOf(facts any) any {
	switch f := facts.(type) {
	case evidence.DNSBL:
		return dnsblView(f)
	case evidence.Backup:
		return backupView(f)
	case evidence.Restore:
		return f.Tests
	case evidence.Hypervisor:
		return hypervisorView(f)
	case evidence.EventLog:
		return eventlogView(f)
	case evidence.Software:
		return softwareView(f)
	case evidence.Health:
		return healthView(f)
	case evidence.Endpoints:
		return endpointsView(f)
	case evidence.Storage:
		return storageView(f)
	case evidence.Accounts:
		return f
	case evidence.Antivirus:
		return antivirusView(f)
	case evidence.Mail:
		return f
	}
	return nil
}

type dnsblTarget struct {
	evidence.DNSBLTarget
	Listed, NoAnswer, Clean int
	Answers                 []dnsblAnswer
	More                    int
}

type dnsblAnswer struct {
	evidence.DNSBLAnswer
	Tier string
}

// dnsblView groups the answers by target, listings first.
func dnsblView(f evidence.DNSBL) []dnsblTarget {
	tiers := map[[2]string]string{}
	for _, l := range f.Lists {
		tiers[[2]string{l.Zone, l.Family}] = l.Tier
	}
	order := map[string]int{evidence.Listed: 0, evidence.NoAnswer: 1, evidence.NotListed: 2}
	var out []dnsblTarget
	for _, t := range f.Targets {
		v := dnsblTarget{DNSBLTarget: t}
		for _, a := range f.Answers {
			if a.Target != t.Target {
				continue
			}
			v.Answers = append(v.Answers, dnsblAnswer{a, tiers[[2]string{a.Zone, evidence.DNSBLFamily(t.Target)}]})
			switch a.Result {
			case evidence.Listed:
				v.Listed++
			case evidence.NoAnswer:
				v.NoAnswer++
			default:
				v.Clean++
			}
		}
		slices.SortStableFunc(v.Answers, func(a, b dnsblAnswer) int {
			return cmp.Or(order[a.Result]-order[b.Result], cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.Zone, b.Zone))
		})
		v.Answers, v.More = rows(v.Answers)
		out = append(out, v)
	}
	return out
}

type backupJob struct {
	evidence.BackupJob
	Days   []backupDay
	Filled int // days of the strip with a point
}

type backupDay struct {
	X, Points int
	Day       string
}

// stripDays is how many days a job's strip of restorable points spans.
const stripDays = 60

// backupView adds to each job the strip of its last days, up to its newest point.
func backupView(f evidence.Backup) []backupJob {
	var out []backupJob
	for _, j := range f.Jobs {
		v := backupJob{BackupJob: j}
		if len(j.Day) > 0 {
			v.strip()
		}
		out = append(out, v)
	}
	return out
}

func (v *backupJob) strip() {
	points := map[string]int{}
	for _, d := range v.Day {
		points[d.Day] = d.Points
	}
	last, err := time.Parse(time.DateOnly, v.Day[len(v.Day)-1].Day)
	if err != nil {
		return
	}
	for i := range stripDays {
		day := last.AddDate(0, 0, i+1-stripDays).Format(time.DateOnly)
		v.Days = append(v.Days, backupDay{X: i * 5, Points: points[day], Day: day})
		if points[day] > 0 {
			v.Filled++
		}
	}
}

type eventlogBody struct {
	evidence.EventLog
	Lines int64
	More  int
}

func eventlogView(f evidence.EventLog) eventlogBody {
	weight := []string{evidence.SeverityCritical, evidence.SeverityHigh, evidence.SeverityMedium, evidence.SeverityLow, evidence.SeverityInfo}
	v := eventlogBody{EventLog: f}
	v.Hits = slices.Clone(f.Hits)
	slices.SortStableFunc(v.Hits, func(a, b evidence.RuleHit) int {
		over := func(h evidence.RuleHit) int {
			if h.Over {
				return 0
			}
			return 1
		}
		return cmp.Or(over(a)-over(b), slices.Index(weight, a.Severity)-slices.Index(weight, b.Severity), cmp.Compare(b.Count, a.Count))
	})
	v.Hits, v.More = rows(v.Hits)
	for _, s := range f.Sources {
		v.Lines += s.Lines
	}
	return v
}

type softwareBody struct {
	evidence.Software
	Security     int // pending updates that mend security
	MorePending  int
	MoreProducts int
	Altered      int // files that are not as installed
	Sites        []evidence.Site
	MoreSites    int
}

func softwareView(f evidence.Software) softwareBody {
	v := softwareBody{Software: f}
	v.Pending = slices.Clone(f.Pending)
	slices.SortStableFunc(v.Pending, func(a, b evidence.Update) int {
		if a.Security != b.Security {
			if a.Security {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	for _, u := range f.Pending {
		if u.Security {
			v.Security++
		}
	}
	for _, m := range f.Managers {
		if m.Altered != nil {
			v.Altered += *m.Altered
		}
	}
	v.Pending, v.MorePending = rows(v.Pending)
	v.Products, v.MoreProducts = rows(f.Products)
	if f.Web != nil {
		v.Sites, v.MoreSites = rows(f.Web.Sites)
	}
	return v
}

type healthBody struct {
	evidence.Health
	Last   evidence.Sample
	Curves []curve
}

// curve is one measure of the samples as a line; Points are for an SVG of 240 by 40.
type curve struct {
	Name           string
	Points         string
	Least, Most    float64
	LastValue      float64
	Percent, Known bool
}

func healthView(f evidence.Health) healthBody {
	v := healthBody{Health: f}
	v.Samples, _ = rows(f.Samples)
	if len(f.Samples) == 0 {
		return v
	}
	v.Last = f.Samples[len(f.Samples)-1]
	add := func(name string, percent bool, of func(evidence.Sample) float64) {
		c := curve{Name: name, Percent: percent, Known: true}
		var values []float64
		for _, s := range f.Samples {
			values = append(values, of(s))
		}
		c.LastValue, c.Least, c.Most = values[len(values)-1], slices.Min(values), slices.Max(values)
		if c.Known = c.Least >= 0; c.Known {
			c.Points = polyline(values, percent)
		}
		v.Curves = append(v.Curves, c)
	}
	add("cpu", true, func(s evidence.Sample) float64 { return s.CPU })
	add("memory", true, func(s evidence.Sample) float64 { return s.MemUsed })
	add("load", false, func(s evidence.Sample) float64 { return s.Load1 })
	return v
}

// polyline draws values from left to right; percentages stand on a scale to 100,
// others on one to their greatest.
func polyline(values []float64, percent bool) string {
	top := 100.0
	if !percent {
		top = max(1, slices.Max(values)*1.2)
	}
	var b strings.Builder
	for i, v := range values {
		x := 240.0
		if len(values) > 1 {
			x = 240 * float64(i) / float64(len(values)-1)
		}
		fmt.Fprintf(&b, "%.1f,%.1f ", x, 38-36*min(1, v/top))
	}
	if len(values) == 1 {
		return "0" + b.String()[strings.IndexByte(b.String(), ','):] + b.String()
	}
	return strings.TrimSpace(b.String())
}

type endpointRow struct {
	evidence.Endpoint
	Last    evidence.Probe
	Up, All int
	Own     *evidence.Certificate
	Slowest int // milliseconds
}

// endpointsView adds to each service how its probes went.
func endpointsView(f evidence.Endpoints) []endpointRow {
	var out []endpointRow
	for _, e := range f.Endpoints {
		row := endpointRow{Endpoint: e, Last: e.Probes[len(e.Probes)-1], All: len(e.Probes)}
		for _, p := range e.Probes {
			if p.Result == evidence.ProbeUp {
				row.Up++
			}
			row.Slowest = max(row.Slowest, p.Millis)
		}
		if e.TLS != nil {
			row.Own = &e.TLS.Chain[0]
		}
		out = append(out, row)
	}
	return out
}

// storageRow is a device with its sectors summed.
type storageRow struct {
	evidence.StorageDevice
	Spared, Lost int // sectors that spare ones replaced; that cannot be read, or wait
}

func storageView(f evidence.Storage) []storageRow {
	var out []storageRow
	for _, d := range f.Devices {
		out = append(out, storageRow{d, max(0, known(d.Replaced)), max(0, known(d.Pending)) + max(0, known(d.Uncorrectable))})
	}
	return out
}

// antivirusRow is a product with its counts as values; -1 stands for unknown.
type antivirusRow struct {
	evidence.AntivirusProduct
	Sets                     []definitionsRow
	Files, Infected, Waiting int
}

type definitionsRow struct {
	evidence.Definitions
	Age int // in days, as the product says
}

func antivirusView(f evidence.Antivirus) []antivirusRow {
	var out []antivirusRow
	for _, p := range f.Products {
		row := antivirusRow{AntivirusProduct: p, Files: -1, Infected: -1, Waiting: known(p.Threats)}
		for _, d := range p.Definitions {
			row.Sets = append(row.Sets, definitionsRow{d, known(d.Days)})
		}
		if p.Scan != nil {
			row.Files, row.Infected = known(p.Scan.Files), known(p.Scan.Infected)
		}
		out = append(out, row)
	}
	return out
}

// known is a count, -1 where there is none.
func known(n *int64) int {
	if n == nil {
		return -1
	}
	return int(*n)
}

type hyperBody struct {
	evidence.Hypervisor
	Stores []hyperStore
	More   int // guests that are not shown
}

type hyperStore struct {
	evidence.HyperStore
	Used float64 // percent; -1 if not known
}

// hypervisorView adds to each store how full it is.
func hypervisorView(f evidence.Hypervisor) hyperBody {
	v := hyperBody{Hypervisor: f}
	v.Guests, v.More = rows(f.Guests)
	for _, s := range f.Stores {
		u := -1.0
		if s.Size > 0 && s.Free >= 0 {
			u = 100 * float64(s.Size-s.Free) / float64(s.Size)
		}
		v.Stores = append(v.Stores, hyperStore{s, u})
	}
	return v
}
