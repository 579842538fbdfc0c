package antivirus

import (
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Formats lists what this kind can read.
func Formats() []host.Format {
	explain := func(name string, fill func([]byte, time.Time, *evidence.AntivirusProduct) error) func([]byte, time.Time) (host.Look, error) {
		return func(data []byte, at time.Time) (host.Look, error) {
			p := unknownProduct(name)
			if err := fill(data, at, &p); err != nil {
				return host.Look{}, err
			}
			if name == clamName {
				engines().put(&p)
			}
			f := evidence.Antivirus{Products: []evidence.AntivirusProduct{p}}
			return host.Look{Facts: f, Gaps: []evidence.Gap{{What: "the rest of " + name, Why: "only the file was read"}}, To: at}, f.Validate()
		}
	}
	return []host.Format{
		{Name: "clamav-db", Title: "a ClamAV database (.cvd, .cld, .cud), or the first 512 bytes of one; taken for the daily one", Parse: explain(clamName, explainDatabase)},
		{Name: "clamav-version", Title: "clamscan --version, clamd --version, or clamd's answer to VERSION; times in this host's zone", Parse: explain(clamName, explainVersion)},
		{Name: "freshclam-log", Title: "a log of freshclam; times in this host's zone", Parse: explain(clamName, explainFreshclam)},
		{Name: "clamscan-log", Title: "a log of clamscan or clamdscan; times in this host's zone", Parse: explain(clamName, explainScan)},
		{Name: "imunify-status", Title: "imunify360-agent rstatus --json", Parse: explain(imunifyName, func(b []byte, at time.Time, p *evidence.AntivirusProduct) (err error) {
			*p, err = ParseImunifyStatus(b, at)
			return err
		})},
		{Name: "imunify-malware", Title: "imunify360-agent malware malicious list --json", Parse: explain(imunifyName, func(b []byte, _ time.Time, p *evidence.AntivirusProduct) error {
			n, _, err := ParseImunifyMalware(b)
			p.Threats = &n
			return err
		})},
		{Name: "imunify-scans", Title: "imunify360-agent malware on-demand list --json", Parse: explain(imunifyName, func(b []byte, _ time.Time, p *evidence.AntivirusProduct) (err error) {
			p.Scan, err = ParseImunifyScans(b)
			return err
		})},
		{Name: "defender-status", Title: "Get-MpComputerStatus, as a list or | ConvertTo-Json", Parse: explain(defenderName, func(b []byte, at time.Time, p *evidence.AntivirusProduct) (err error) {
			*p, err = ParseDefender(b, at)
			return err
		})},
		{Name: "antivirus-json", Title: "what a declared command prints (docs/antivirus.md)", Parse: explain("declared", func(b []byte, _ time.Time, p *evidence.AntivirusProduct) (err error) {
			*p, err = ParseDeclared("declared", b)
			return err
		})},
	}
}

func explainDatabase(data []byte, _ time.Time, p *evidence.AntivirusProduct) error {
	h, err := ParseHeader(data)
	if err != nil {
		return err
	}
	p.Definitions = append(p.Definitions, h.definitions(deciding))
	return nil
}

func explainVersion(data []byte, at time.Time, p *evidence.AntivirusProduct) error {
	engine, daily, err := ParseVersion(data, at.Location())
	if p.Engine = engine; daily != nil {
		p.Definitions = append(p.Definitions, *daily)
	}
	return err
}

func explainFreshclam(data []byte, at time.Time, p *evidence.AntivirusProduct) error {
	f, err := ParseFreshclam(data, at.Location())
	if p.Update = f.Update; f.Daily != nil {
		p.Definitions = append(p.Definitions, *f.Daily)
	}
	return err
}

func explainScan(data []byte, at time.Time, p *evidence.AntivirusProduct) (err error) {
	p.Engine, p.Scan, err = ParseScan(data, at.Location())
	return err
}
