package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// maxGapsShown bounds the gaps that the table shows of a kind.
const maxGapsShown = 4

// table prints the address, the sign-ins and what was found.
func (r *demoRun) table(ctx context.Context, s DemoSummary) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nBoard      %s\n", s.URL)
	for _, side := range r.sides {
		if side.password != "" {
			fmt.Fprintf(&b, "Sign in    %s  password %s  (%s)\n", side.email, side.password, side.org.Name)
		}
	}
	if r.Keep != "" || !r.Once {
		fmt.Fprintf(&b, "Data       %s\n", r.dir)
	}
	customer := r.customer()
	if r.Keep != "" || !r.Once {
		fmt.Fprintf(&b, "Ask        attesto-agent status --config %s   (also: doctor, journal)\n", filepath.Join(r.dir, "agent-"+customer.org.Kind, "agent.yaml"))
	}
	fmt.Fprintf(&b, "\nFound on this host (agent of %s)\n", customer.org.Name)
	for _, kind := range demoKinds {
		it := customer.items[kind]
		line, gaps, err := r.found(ctx, it)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "  %-9s %-11s %s\n", kind, it.Outcome, line)
		for i, g := range gaps {
			if i == maxGapsShown {
				fmt.Fprintf(&b, "  %21s and %d more gaps, on the record's page\n", "", len(gaps)-i)
				break
			}
			fmt.Fprintf(&b, "  %21s gap: %s: %s\n", "", clip(g.What, 80), clip(g.Why, 220))
		}
	}
	verdicts, _, err := r.board(ctx)
	if err != nil {
		return err
	}
	r.dutyLines(&b, verdicts)
	if _, err := fmt.Fprintln(r.Out, b.String()); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return nil
}

// found reads an item's facts into one line.
func (r *demoRun) found(ctx context.Context, it store.Item) (string, []evidence.Gap, error) {
	blob, err := r.store.Blob(ctx, it.Place(it.Facts))
	if err != nil {
		return "", nil, err
	}
	line, gaps, err := factsLine(it.Kind, blob.Data)
	switch {
	case errors.Is(err, evidence.ErrNoFacts) && it.Outcome == evidence.Unsupported:
		return "nothing of this kind on this host", gaps, nil
	case errors.Is(err, evidence.ErrNoFacts):
		return "no facts: " + it.Reason, gaps, nil
	}
	return line, gaps, err
}

// factsLine says the most telling facts of a kind.
func factsLine(kind evidence.Kind, blob []byte) (string, []evidence.Gap, error) {
	switch kind {
	case evidence.KindDNSBL:
		return line(blob, dnsblLine)
	case evidence.KindBackup:
		return line(blob, backupLine)
	case evidence.KindEventLog:
		return line(blob, eventLogLine)
	case evidence.KindSoftware:
		return line(blob, softwareLine)
	case evidence.KindHealth:
		return line(blob, healthLine)
	case evidence.KindStorage:
		return line(blob, func(f evidence.Storage) string { return count(len(f.Devices), "device", "devices") })
	case evidence.KindAccounts:
		return line(blob, func(f evidence.Accounts) string { return count(len(f.Accounts), "account", "accounts") })
	case evidence.KindAntivirus:
		return line(blob, antivirusLine)
	case evidence.KindMail:
		return line(blob, mailLine)
	}
	_, gaps, err := evidence.ParseFactsBlob(blob)
	return "", gaps, err
}

func line[F evidence.Facts](blob []byte, say func(F) string) (string, []evidence.Gap, error) {
	f, gaps, err := evidence.DecodeFacts[F](blob)
	if err != nil {
		return "", gaps, err
	}
	return say(f), gaps, nil
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func dnsblLine(f evidence.DNSBL) string {
	if len(f.Targets) == 0 {
		return "no outgoing address found"
	}
	results := map[string]int{}
	for _, a := range f.Answers {
		results[a.Result]++
	}
	return fmt.Sprintf("%s on %s: %d listed, %d not listed, %d without an answer", count(len(f.Targets), "target", "targets"),
		count(len(f.Lists), "list", "lists"), results[evidence.Listed], results[evidence.NotListed], results[evidence.NoAnswer])
}

func backupLine(f evidence.Backup) string {
	if len(f.Jobs) == 0 {
		return "no backup job found"
	}
	var jobs []string
	for _, j := range f.Jobs[:min(3, len(f.Jobs))] {
		newest := "no restorable point"
		if j.NewestRestorable != nil {
			newest = "newest point " + j.NewestRestorable.Format("2006-01-02 15:04Z")
		}
		jobs = append(jobs, fmt.Sprintf("%s (%s) %s, %s", clip(j.Job, 40), clip(j.Tool, 20), j.Result, newest))
	}
	return count(len(f.Jobs), "job", "jobs") + ": " + strings.Join(jobs, "; ")
}

func eventLogLine(f evidence.EventLog) string {
	lines, names := int64(0), []string{}
	for _, s := range f.Sources {
		lines += s.Lines
		names = append(names, clip(s.Source, 40))
	}
	if len(names) > 3 {
		names = append(names[:3], "…")
	}
	var hits []string
	for _, h := range f.Hits[:min(4, len(f.Hits))] {
		hits = append(hits, fmt.Sprintf("%s %d", clip(h.Rule, 40), h.Count))
	}
	said := fmt.Sprintf("%d lines of %s, %d of %d rules matched", lines, strings.Join(names, ", "), len(f.Hits), f.Rules)
	if len(names) == 0 {
		said = "no log could be read"
	}
	if len(hits) > 0 {
		said += ": " + strings.Join(hits, ", ")
	}
	return said
}

func softwareLine(f evidence.Software) string {
	security := 0
	for _, u := range f.Pending {
		if u.Security {
			security++
		}
	}
	said := fmt.Sprintf("%s, kernel %s, %s, %s pending (%d of security), reboot needed: %s", clip(f.OS.Name, 60), clip(f.Kernel.Running, 40),
		count(len(f.Packages), "package", "packages"), count(len(f.Pending), "update", "updates"), security, f.Reboot.Needed)
	if f.OS.EOL != "" {
		said += ", support ends " + f.OS.EOL
	}
	return said
}

func healthLine(f evidence.Health) string {
	said := fmt.Sprintf("%s, %.1f GiB of memory", count(f.CPUs, "CPU", "CPUs"), float64(f.Memory)/(1<<30))
	if n := len(f.Samples); n > 0 {
		said += fmt.Sprintf(", load %.2f, memory %.0f %% used", f.Samples[n-1].Load1, f.Samples[n-1].MemUsed)
	}
	for _, d := range f.Disks[:min(2, len(f.Disks))] {
		said += fmt.Sprintf(", %s %.0f %% full", clip(d.Mount, 40), d.UsedPct)
	}
	if f.Units.Manager == "systemd" {
		said += ", " + count(len(f.Units.Failed), "failed unit", "failed units")
	}
	return said
}

// judged are the duties that this version can judge as a whole.
func (r *demoRun) judged() []duties.Duty {
	var list []duties.Duty
	for _, d := range r.server.catalogue.Duties() {
		open := slices.ContainsFunc(d.Parts, func(p duties.Part) bool { return !p.Judged })
		facts := slices.ContainsFunc(d.Parts, func(p duties.Part) bool { return p.Proof == duties.ProofCheck })
		if facts && !open {
			list = append(list, d)
		}
	}
	return list
}

// board reads the customer's board; ready says that all that has come is judged.
func (r *demoRun) board(ctx context.Context) (verdicts map[string]store.Verdict, ready bool, err error) {
	list, err := r.store.Verdicts(ctx, r.customer().org.ID)
	if err != nil {
		return nil, false, err
	}
	verdicts = map[string]store.Verdict{}
	for _, v := range list {
		if v.Part == "" {
			verdicts[v.Duty] = v
		}
	}
	for _, d := range r.judged() {
		v, ok := verdicts[d.ID]
		if !ok || v.At.Before(r.newest(d)) {
			return verdicts, false, nil
		}
	}
	return verdicts, true, nil
}

// newest is when the newest evidence came that a duty is judged on.
func (r *demoRun) newest(d duties.Duty) time.Time {
	var newest time.Time
	for _, side := range r.sides {
		for _, p := range d.Parts {
			for _, kind := range p.Kinds {
				if it, ok := side.items[kind]; ok && side.org.Kind == d.Party && it.Received.After(newest) {
					newest = it.Received
				}
			}
		}
	}
	return newest
}

// customer is the side whose board is shown.
func (r *demoRun) customer() *demoSide { return r.sides[len(r.sides)-1] }

// dutyLines prints the duties that are judged, each with its why.
func (r *demoRun) dutyLines(b *strings.Builder, verdicts map[string]store.Verdict) {
	fmt.Fprintf(b, "\nJudged for %s; all %d duties are on the board\n", r.customer().org.Name, len(verdicts))
	for _, d := range r.judged() {
		v := verdicts[d.ID]
		why, _ := r.server.catalogue.Render(duties.English, v.Why)
		fmt.Fprintf(b, "  %-6s %-10s %s\n  %17s %s\n", d.ID, v.Verdict, d.Title.EN, "", clip(why, 160))
	}
}

// summary gathers the demo's last line; ready says that all that has come is
// judged.
func (r *demoRun) summary(ctx context.Context) (s DemoSummary, ready bool, err error) {
	customer := r.customer()
	s = DemoSummary{URL: r.url, Org: customer.org.ID, Token: customer.apiToken, Data: r.dir,
		Kinds: map[evidence.Kind]evidence.Outcome{}, Duties: map[string]string{}}
	for kind, it := range customer.items {
		s.Kinds[kind] = it.Outcome
	}
	agents, err := r.store.Agents(ctx, customer.org.ID)
	if err != nil {
		return s, false, err
	}
	for _, a := range agents {
		s.Records += a.Seq
	}
	verdicts, ready, err := r.board(ctx)
	for id, v := range verdicts {
		s.Duties[id] = v.Verdict.String()
	}
	return s, ready, err
}

func antivirusLine(f evidence.Antivirus) string {
	var list []string
	for _, p := range f.Products {
		newest := "no definitions"
		for _, d := range p.Definitions {
			if d.Decides && d.Built != nil {
				newest = "definitions of " + d.Built.Format("2006-01-02 15:04Z")
			}
		}
		list = append(list, fmt.Sprintf("%s %s, %s", p.Name, clip(p.Engine, 20), newest))
	}
	return strings.Join(list, "; ")
}

func mailLine(f evidence.Mail) string {
	queue := "queue not read"
	if f.Queue != nil {
		queue = count(int(f.Queue.Messages), "message waits", "messages wait")
	}
	signs := 0
	for _, a := range f.Accounts {
		if len(a.Signs) > 0 {
			signs++
		}
	}
	return fmt.Sprintf("%s; %s seen, %d with a sign", queue, count(f.Seen, "account", "accounts"), signs)
}
