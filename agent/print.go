package agent

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/attesto/attesto/collectors"
	"github.com/attesto/attesto/evidence"
)

// Paint colours words on a terminal; Plain leaves them alone.
type Paint func(colour, text string) string

// The colours that printing uses.
const (
	Green  = "\x1b[32m"
	Yellow = "\x1b[33m"
	Red    = "\x1b[31m"
	Bold   = "\x1b[1m"
	reset  = "\x1b[0m"
)

// Colours paints with ANSI escapes.
func Colours(colour, text string) string { return colour + text + reset }

// Plain does not paint.
func Plain(_, text string) string { return text }

// maxRows bounds a table that is printed for people.
const maxRows = 40

// Print writes a result as a table for people.
func (r Result) Print(w io.Writer, paint Paint) {
	spec, _ := collectors.Find(r.Kind)
	colour := map[evidence.Outcome]string{evidence.Complete: Green, evidence.Failed: Red}[r.Outcome]
	if colour == "" {
		colour = Yellow
	}
	fmt.Fprintf(w, "%s  %s  %s\n", paint(Bold, string(r.Kind)), paint(colour, r.Outcome.String()), spec.Title)
	tw := tabwriter.NewWriter(w, 2, 8, 2, ' ', 0)
	printFacts(tw, r.Facts)
	tw.Flush()
	for i, g := range r.Gaps {
		if i == maxRows {
			fmt.Fprintf(w, "  … and %d more gaps\n", len(r.Gaps)-i)
			break
		}
		fmt.Fprintf(w, "  %s %s: %s\n", paint(Yellow, "not seen"), clean(g.What), clean(g.Why))
	}
	fmt.Fprintln(w)
}

// clean keeps control characters of foreign text away from the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '\ufffd'
		}
		return r
	}, s)
}

func row(w io.Writer, cells ...string) {
	for i := range cells {
		cells[i] = clean(cells[i])
	}
	fmt.Fprintln(w, "  "+strings.Join(cells, "\t"))
}

func printFacts(w io.Writer, facts evidence.Facts) {
	switch f := facts.(type) {
	case evidence.DNSBL:
		printDNSBL(w, f)
	case evidence.Backup:
		row(w, "JOB", "TOOL", "RESULT", "NEWEST POINT", "POINTS", "WHY")
		for _, j := range f.Jobs {
			row(w, j.Job, j.Tool, j.Result, when(j.NewestRestorable), fmt.Sprint(j.Points), strings.Join(j.Reasons, ", "))
		}
	case evidence.Restore:
		printRestore(w, f)
	case evidence.Hypervisor:
		printHypervisor(w, f)
	case evidence.EventLog:
		for _, s := range f.Sources {
			row(w, "read", s.Source, fmt.Sprintf("%d lines", s.Lines), map[bool]string{true: "whole", false: "with gaps"}[s.Whole])
		}
		for _, h := range f.Hits {
			row(w, h.Severity, h.Rule, fmt.Sprintf("%d times", h.Count), "last "+when(&h.Last))
		}
	case evidence.Software:
		printSoftware(w, f)
	case evidence.Health:
		printHealth(w, f)
	case evidence.Endpoints:
		printEndpoints(w, f)
	case evidence.Storage:
		printStorage(w, f)
	case evidence.Accounts:
		printAccounts(w, f)
	case evidence.Antivirus:
		printAntivirus(w, f)
	case evidence.Mail:
		printMail(w, f)
	}
}

func when(t *evidence.Time) string {
	if t == nil {
		return "never"
	}
	return t.Format(time.DateTime) + " UTC"
}

func printDNSBL(w io.Writer, f evidence.DNSBL) {
	row(w, "ADDRESS", "LIST", "RESULT", "WHY")
	quiet := 0
	for i, a := range f.Answers {
		if a.Result == evidence.NotListed || i >= maxRows {
			quiet++
			continue
		}
		row(w, a.Target, a.Zone, strings.ReplaceAll(a.Result, "_", " "), strings.TrimSpace(strings.Join(a.Codes, " ")+" "+a.Why+" "+a.Text))
	}
	if quiet > 0 {
		row(w, fmt.Sprintf("(%d further look-ups: not listed)", quiet))
	}
}

func printSoftware(w io.Writer, f evidence.Software) {
	row(w, "system", f.OS.Name, "end of life "+orUnknown(f.OS.EOL))
	row(w, "kernel", f.Kernel.Running, "newest installed "+orUnknown(f.Kernel.Installed), map[bool]string{true: "live patches current"}[f.Kernel.Patched]+f.Kernel.Effective)
	for _, m := range f.Managers {
		altered := ""
		if m.Altered != nil {
			altered = fmt.Sprintf("%d files not as installed", *m.Altered)
		}
		row(w, m.Name, fmt.Sprintf("%d packages", m.Packages), "lists refreshed "+when(m.Refreshed), altered)
	}
	security := 0
	for _, u := range f.Pending {
		if u.Security {
			security++
		}
	}
	row(w, "pending", fmt.Sprintf("%d updates, %d for security", len(f.Pending), security))
	row(w, "restart", "needed: "+f.Reboot.Needed, strings.Join(f.Reboot.Why, "; "))
	for i, p := range f.Products {
		if i == maxRows {
			break
		}
		row(w, "product", p.Name+" "+p.Version, "end of life "+orUnknown(p.EOL))
	}
	if f.Web == nil {
		return
	}
	for i, s := range f.Web.Sites {
		if i == maxRows {
			row(w, fmt.Sprintf("(%d more sites)", len(f.Web.Sites)-i))
			break
		}
		row(w, "site", s.ID+" "+s.App+" "+s.Version, fmt.Sprintf("%d plugins, %d themes, files %s", len(s.Plugins), len(s.Themes), strings.ReplaceAll(s.Files, "_", " ")))
	}
}

func printHealth(w io.Writer, f evidence.Health) {
	if n := len(f.Samples); n > 0 {
		s := f.Samples[n-1]
		row(w, "load", fmt.Sprintf("cpu %.0f %%, memory %.0f %% of %d MiB, swap %.0f %%", s.CPU, s.MemUsed, f.Memory>>20, s.SwapUsed))
		row(w, "up", (time.Duration(s.UptimeS) * time.Second).String())
	}
	if c := f.Clock; c != nil {
		off := "offset unknown"
		if c.OffsetMillis != nil {
			off = fmt.Sprintf("off by %.1f ms (%s)", *c.OffsetMillis, c.From)
		}
		row(w, "clock", "synchronised: "+c.Synced, off, c.Zone)
	}
	for _, d := range f.Disks {
		row(w, "disk", d.Mount, fmt.Sprintf("%.0f %% of %.1f GiB", d.UsedPct, float64(d.Size)/(1<<30)))
	}
	switch {
	case f.Units.Manager == "none":
		row(w, "services", "no service manager here")
	case len(f.Units.Failed) == 0:
		row(w, "services", "none failed")
	default:
		row(w, "services", "failed: "+strings.Join(f.Units.Failed, ", "))
	}
	for _, s := range f.Watched {
		row(w, "service", s.Name, s.State)
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// Print writes the status for people.
func (s Status) Print(w io.Writer, paint Paint) {
	tw := tabwriter.NewWriter(w, 2, 8, 2, ' ', 0)
	if s.Enrolled {
		fmt.Fprintf(tw, "agent\t%s of %s\n", s.Agent, clean(s.OrgName))
		fmt.Fprintf(tw, "server\t%s\n", s.Server)
		fmt.Fprintf(tw, "key\t%s (%s)\n", s.KeyID, orUnknown(s.Protection))
		fmt.Fprintf(tw, "root key\t%s\n", s.RootKey)
		fmt.Fprintf(tw, "running\t%v\n", s.Running)
		fmt.Fprintf(tw, "records\t%d sealed, %d wait for the server\n", s.Spool.Last, s.Spool.Waiting)
		fmt.Fprintf(tw, "log\t%d entries verified, root %s\n", s.Log.Size, s.Log.Root)
		for _, b := range s.Began {
			fmt.Fprintf(tw, "\t%s\n", b.Story())
		}
		if s.Push.LastPush != nil {
			fmt.Fprintf(tw, "last push\t%s\n", s.Push.LastPush.Format(time.RFC3339))
		}
		for _, spec := range collectors.All() {
			if k, ok := s.Kinds[spec.Kind]; ok && k.LastLook != nil {
				fmt.Fprintf(tw, "%s\t%s at %s, %d gaps\n", spec.Kind, k.LastOutcome, k.LastLook.Format(time.RFC3339), k.Gaps)
			}
		}
	}
	tw.Flush()
	for _, p := range s.Problems {
		fmt.Fprintln(w, paint(Red, "! ")+clean(p))
	}
	if len(s.Problems) == 0 {
		fmt.Fprintln(w, paint(Green, "all is well"))
	}
}

// Print writes the diagnosis for people.
func (d Diagnosis) Print(w io.Writer, paint Paint) {
	for _, r := range d.Roles {
		fmt.Fprintf(w, "%s: %s\n", paint(Bold, r.Role), clean(r.Why))
	}
	fmt.Fprintf(w, "services whose duties it can prove: %s\n\n", strings.Join(d.Services, ","))
	for _, f := range d.General {
		printFinding(w, paint, f)
	}
	for _, k := range d.Kinds {
		state := paint(Green, "on ")
		if !k.On {
			state = paint(Yellow, "off")
		}
		found := k.Found
		if found == "" && !k.Useful {
			found = "nothing found here"
		}
		fmt.Fprintf(w, "\n%s %s  %s, every %s\n", state, paint(Bold, string(k.Kind)), k.Title, k.Every)
		fmt.Fprintf(w, "    %s\n", k.Why)
		if found != "" {
			fmt.Fprintf(w, "    sees: %s\n", clean(found))
		}
		for _, m := range k.Missing {
			fmt.Fprintf(w, "    %s %s\n      cure: %s\n", paint(Yellow, "missing:"), clean(m.What), clean(m.Cure))
		}
	}
}

func printFinding(w io.Writer, paint Paint, f Finding) {
	mark := paint(Green, "ok ")
	if !f.OK {
		mark = paint(Red, "!! ")
	}
	fmt.Fprintf(w, "%s %s: %s\n", mark, f.What, clean(f.Says))
	if f.Cure != "" {
		fmt.Fprintf(w, "      cure: %s\n", clean(f.Cure))
	}
}

func printEndpoints(w io.Writer, f evidence.Endpoints) {
	row(w, "SERVICE", "RESULT", "WHY", "MS", "CERTIFICATE UNTIL", "TROUBLE")
	for _, e := range f.Endpoints {
		last := e.Probes[len(e.Probes)-1]
		until, trouble := "", ""
		if e.TLS != nil {
			until, trouble = e.TLS.Chain[0].Until.Format(time.DateOnly), strings.Join(e.TLS.Trouble, ", ")
		}
		row(w, e.Name, last.Result, strings.ReplaceAll(last.Reason, "_", " "), fmt.Sprint(last.Millis), until, trouble)
	}
}

func printHypervisor(w io.Writer, f evidence.Hypervisor) {
	for _, h := range f.Hosts {
		row(w, "host", h.Name, strings.TrimSpace(h.Platform+" "+h.Version), h.State)
	}
	for _, s := range f.Stores {
		use := ""
		if s.Size > 0 && s.Free >= 0 {
			use = fmt.Sprintf("%.0f %% of %.1f GiB", 100*float64(s.Size-s.Free)/float64(s.Size), float64(s.Size)/(1<<30))
		}
		row(w, "store", strings.TrimSpace(s.Host+" "+s.Name), s.State, use)
	}
	for i, g := range f.Guests {
		if i == maxRows {
			row(w, fmt.Sprintf("(%d more guests)", len(f.Guests)-i))
			break
		}
		row(w, "guest", g.Name, g.State, fmt.Sprintf("%d snapshots", g.Snapshots), "backup "+when(g.Backup))
	}
	for _, h := range f.HA {
		row(w, "HA", h.Name, h.State)
	}
}

func printRestore(w io.Writer, f evidence.Restore) {
	row(w, "JOB", "RESULT", "WHY", "LAST GOOD", "FILES", "EQUAL TO LIVE", "BYTES", "SECONDS")
	for _, t := range f.Tests {
		row(w, t.Job, t.Result, strings.ReplaceAll(strings.Join(t.Reasons, ", "), "_", " "), when(t.LastGood),
			fmt.Sprintf("%d of %d", t.Files, t.Held), fmt.Sprint(t.Compared), fmt.Sprint(t.Bytes), fmt.Sprintf("%.1f", float64(t.Millis)/1000))
	}
}

func printStorage(w io.Writer, f evidence.Storage) {
	row(w, "DEVICE", "KIND", "STATE", "WHY", "MODEL", "USED")
	for _, d := range f.Devices {
		used := ""
		if d.Used != nil {
			used = fmt.Sprintf("%.0f %%", *d.Used)
		}
		row(w, d.Name, strings.TrimSpace(d.Kind+" "+d.Form), d.State, strings.ReplaceAll(strings.Join(d.Reasons, ", "), "_", " "), d.Model, used)
	}
}

func printAccounts(w io.Writer, f evidence.Accounts) {
	row(w, "ACCOUNT", "PASSWORD", "CHANGED", "TERM")
	for i, a := range f.Accounts {
		if i == maxRows {
			row(w, fmt.Sprintf("(%d more)", len(f.Accounts)-i))
			break
		}
		term := "none"
		if a.MaxDays != nil {
			term = fmt.Sprintf("%d days", *a.MaxDays)
		}
		row(w, a.Name, a.State, when(a.Changed), term)
	}
	if f.Remote != nil {
		row(w, "ssh", map[bool]string{true: "with passwords", false: "keys only"}[f.Remote.Passwords], "root: "+f.Remote.Root)
	}
	if f.Sudo != nil {
		row(w, "sudo", fmt.Sprintf("%d rules, %d without a password", f.Sudo.Rules, len(f.Sudo.Free)))
	}
	for _, s := range f.Secrets {
		row(w, "secrets", strings.ReplaceAll(s.Kind, "_", " "), fmt.Sprintf("%d of %d open to others", s.Open, s.Count))
	}
}

func printAntivirus(w io.Writer, f evidence.Antivirus) {
	row(w, "PRODUCT", "ENGINE", "DEFINITIONS", "UPDATE", "REAL TIME", "LAST SCAN")
	for _, p := range f.Products {
		scan := "unknown"
		if p.Scan != nil {
			scan = when(p.Scan.At)
		} else if p.NeverScans {
			scan = "never"
		}
		row(w, p.Name, orUnknown(p.Engine), definitions(p), strings.TrimSpace(p.Update.Result+" "+p.Update.Reason), p.RealTime, scan)
	}
}

// definitions says of when the ones are by whose age a product is judged.
func definitions(p evidence.AntivirusProduct) string {
	sets := p.Definitions
	if p.Loaded != nil {
		sets = []evidence.Definitions{*p.Loaded}
	}
	for _, d := range sets {
		switch {
		case !d.Decides:
		case d.Built != nil:
			return d.Version + " of " + when(d.Built)
		case d.Got != nil:
			return "got " + when(d.Got)
		case d.Days != nil:
			return fmt.Sprintf("%s, %d days old", d.Version, *d.Days)
		}
	}
	return "unknown"
}

func printMail(w io.Writer, f evidence.Mail) {
	if q := f.Queue; q != nil {
		row(w, "queue", q.System, fmt.Sprintf("%d messages, %d deferred, %d held", q.Messages, q.Deferred, q.Held), "oldest "+when(q.Oldest))
		for _, r := range q.Reasons {
			row(w, "waits", r.Reason, fmt.Sprint(r.Count))
		}
		for _, s := range q.Senders {
			row(w, "sender", s.Name, fmt.Sprintf("%d messages to %d recipients", s.Messages, s.Recipients))
		}
	}
	row(w, "taken", fmt.Sprintf("%d messages to %d recipients, of %d accounts", f.Messages, f.Recipients, f.Seen), fmt.Sprintf("%d days of history", f.Days))
	row(w, "results", fmt.Sprintf("%d sent, %d deferred, %d refused", f.Sent, f.Deferred, f.Bounced))
	for i, a := range f.Accounts {
		if i == maxRows {
			row(w, fmt.Sprintf("(%d more)", len(f.Accounts)-i))
			break
		}
		usual := "unknown"
		if a.Usual >= 0 {
			usual = fmt.Sprint(a.Usual)
		}
		var signs []string
		for _, s := range a.Signs {
			signs = append(signs, fmt.Sprintf("%s (%d of 3)", s.Sign, s.Strength))
		}
		row(w, "account", a.Name, fmt.Sprintf("%d recipients, %d in an hour, usually %s", a.Recipients, a.Peak, usual), strings.Join(signs, ", "))
	}
}
